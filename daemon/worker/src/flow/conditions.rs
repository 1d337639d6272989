//! Conditions: fixed, functions, expressions and shell commands.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Map, Value};
use sloth_core::workflow::expr::{DataRoot, Expr, StatusFunction, World};
use sloth_core::workflow::machine::{Judgement, StageStatus, Status};
use sloth_core::workflow::{Condition, EdgeKind, Scope, StageId, TaskId};
use sloth_lua::{Cancel, Ctx, Data, Shape};
use sloth_modules::exec::{self, CommandSpec};

use super::Flow;
use super::slots::result_record;

impl Flow {
    /// `abort_if`, then the condition.
    pub(super) async fn judge_task(self: &Rc<Self>, task: TaskId) -> Judgement {
        let declared = &self.workflow.tasks[task.0 as usize];
        let ctx = match self.context(task, 1, Cancel::default()) {
            Ok(ctx) => ctx,
            Err(message) => return Judgement::Error(message),
        };
        if let Some(abort_if) = &declared.abort_if {
            match self.judge(Some(task), abort_if, &ctx).await {
                Judgement::Fails => {}
                Judgement::Holds => return Judgement::Aborts,
                other => return other,
            }
        }
        let Some(condition) = &declared.condition else { return Judgement::Holds };
        let judgement = self.judge(Some(task), condition, &ctx).await;
        if judgement == Judgement::Fails {
            self.slots.borrow_mut()[task.0 as usize].condition = text_of(condition);
        }
        judgement
    }

    pub(super) async fn judge_stage(self: &Rc<Self>, stage: StageId) -> Judgement {
        let declared = &self.workflow.stages[stage.0 as usize];
        let Some(condition) = &declared.condition else { return Judgement::Holds };
        let ctx = self.own_context();
        let judgement = match condition {
            Condition::Function(function) => {
                let shape = Shape::Ctx(self.hook_context(None, &ctx));
                truth(self.run.vm().call(*function, shape, ctx).await)
            }
            Condition::Expression(text) => self.evaluate(None, Some(stage), text, &ctx),
            other => self.judge(None, other, &ctx).await,
        };
        if judgement == Judgement::Fails {
            let text = text_of(condition);
            let mut slots = self.slots.borrow_mut();
            for task in &declared.tasks {
                slots[task.0 as usize].condition.clone_from(&text);
            }
        }
        judgement
    }

    /// Evaluates one condition.
    pub(super) async fn judge(
        self: &Rc<Self>,
        task: Option<TaskId>,
        condition: &Condition,
        ctx: &Arc<Ctx>,
    ) -> Judgement {
        match condition {
            Condition::Fixed(value) => holds(*value),
            Condition::Function(function) => {
                let shape = match task {
                    Some(task) => Shape::Condition(self.view(task, ctx)),
                    None => Shape::Ctx(self.hook_context(None, ctx)),
                };
                truth(self.run.vm().call(*function, shape, Arc::clone(ctx)).await)
            }
            Condition::Expression(text) => self.evaluate(task, None, text, ctx),
            Condition::Shell(text) => {
                let mut spec = CommandSpec::shell(text.clone());
                spec.stream = false;
                spec.check_safe = true;
                match self.run.io.run(exec::run(spec, Arc::clone(ctx))).await {
                    Some(result) if result.pid.is_some() => holds(result.success),
                    Some(result) => Judgement::Error(result.error.unwrap_or_default()),
                    None => Judgement::Error("the command was given up".to_owned()),
                }
            }
        }
    }

    fn evaluate(&self, task: Option<TaskId>, stage: Option<StageId>, text: &str, ctx: &Ctx) -> Judgement {
        let own_stage = task.map(|task| self.workflow.tasks[task.0 as usize].stage).or(stage);
        let scope = Scope { names: &self.names, stage: own_stage, stage_first: task.is_none() };
        let read = Expr::parse(text).and_then(|mut expression| expression.bind(&scope).map(|()| expression));
        let world = Facts { flow: self, task, stage, ctx };
        match read.map_err(|error| error.to_string()).and_then(|expression| expression.holds(&world)) {
            Ok(value) => holds(value),
            Err(message) => Judgement::Error(message),
        }
    }
}

fn holds(value: bool) -> Judgement {
    if value { Judgement::Holds } else { Judgement::Fails }
}

/// What a function says: nothing and false are false.
fn truth(end: sloth_lua::CallEnd) -> Judgement {
    match end.result {
        Ok(values) => holds(!matches!(values.first(), None | Some(Data::Nil | Data::Null | Data::Bool(false)))),
        Err(raised) => Judgement::Error(raised.message),
    }
}

fn text_of(condition: &Condition) -> Option<String> {
    match condition {
        Condition::Expression(text) | Condition::Shell(text) => Some(text.clone()),
        Condition::Fixed(value) => Some(value.to_string()),
        Condition::Function(_) => None,
    }
}

/// What expressions read.
struct Facts<'f> {
    flow: &'f Flow,
    task: Option<TaskId>,
    stage: Option<StageId>,
    ctx: &'f Ctx,
}

impl World for Facts<'_> {
    fn task(&self, task: TaskId, field: &str) -> Cow<'_, Value> {
        let slots = self.flow.slots.borrow();
        let Some(end) = &slots[task.0 as usize].end else { return Cow::Owned(unfinished(field)) };
        let record = result_record(end, &self.flow.run.host);
        Cow::Owned(match field {
            "success" => Value::Bool(end.status == "completed"),
            _ => record.get(field).cloned().unwrap_or(Value::Null),
        })
    }

    fn stage(&self, stage: StageId, field: &str) -> Cow<'_, Value> {
        let Some((status, millis)) = self.flow.stages.borrow().get(&stage).copied() else {
            return Cow::Owned(unfinished(field));
        };
        Cow::Owned(match field {
            "success" => Value::Bool(status == StageStatus::Completed),
            "failed" => Value::Bool(status == StageStatus::Failed),
            "skipped" => Value::Bool(status == StageStatus::Skipped),
            "cancelled" => Value::Bool(status == StageStatus::Cancelled),
            "status" => status.word().into(),
            "duration_ms" => millis.into(),
            "output" => Value::Object(self.outputs(stage)),
            "error" | "message" => self.first_error(stage),
            _ => Value::Null,
        })
    }

    fn data(&self, root: DataRoot) -> Cow<'_, Value> {
        let run = &self.flow.run;
        Cow::Owned(match root {
            DataRoot::Values => Value::Object(run.values()),
            DataRoot::Params => Value::Object(match self.task {
                Some(task) => self.flow.params_of(task),
                None => self.flow.workflow.params.clone(),
            }),
            DataRoot::Env => run.environment.clone(),
            DataRoot::Stack => serde_json::json!({ "name": run.info.stack }),
            DataRoot::Run => run.run_data(),
            DataRoot::Outputs => Value::Object(run.vm().outputs()),
        })
    }

    fn status(&self, function: StatusFunction) -> bool {
        match function {
            StatusFunction::Always => true,
            StatusFunction::Success => !self.any_before(|end| !end.satisfies()),
            StatusFunction::Failure => self.any_before(|end| end.status == Status::Failed && !end.ignored),
            StatusFunction::Cancelled => self.any_before(|end| end.status == Status::Cancelled),
        }
    }

    fn exists(&self, path: &str) -> bool {
        self.ctx.resolve(path).exists()
    }

    fn env(&self, name: &str) -> Option<String> {
        let own = self.ctx.env.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(name).cloned();
        own.unwrap_or_else(|| std::env::var(name).ok())
    }

    fn agent_online(&self, _name: &str) -> bool {
        false
    }

    fn matches(&self, text: &str, pattern: &str) -> Result<bool, String> {
        regex::Regex::new(pattern).map(|regex| regex.is_match(text)).map_err(|error| error.to_string())
    }
}

impl Facts<'_> {
    /// Everything before: what a task waits for; without any, and for stages, everything of earlier stages.
    fn any_before(&self, is: impl Fn(&sloth_core::workflow::machine::End) -> bool) -> bool {
        let machine = self.flow.machine.borrow();
        if let Some(task) = self.task {
            let waits = machine.before(task);
            if waits.iter().any(|(_, kind)| *kind != EdgeKind::Order) {
                return waits.iter().any(|(before, _)| machine.end_of(*before).is_some_and(&is));
            }
        }
        let own = self.task.map(|task| self.flow.workflow.tasks[task.0 as usize].stage).or(self.stage);
        let all = (0_u32..).zip(&self.flow.workflow.tasks);
        let earlier = all.filter(|(at, task)| {
            // A task without dependencies in the first stage looks at its siblings: it is a clean-up of the whole.
            own.is_none_or(|own| task.stage < own || (self.task.is_some() && self.task != Some(TaskId(*at))))
        });
        earlier.into_iter().any(|(at, _)| machine.end_of(TaskId(at)).is_some_and(&is))
    }

    fn outputs(&self, stage: StageId) -> Map<String, Value> {
        let slots = self.flow.slots.borrow();
        let tasks = &self.flow.workflow.stages[stage.0 as usize].tasks;
        let output = |task: &TaskId| {
            let end = slots[task.0 as usize].end.as_ref()?;
            Some((self.flow.workflow.tasks[task.0 as usize].declared.clone(), end.output.clone()))
        };
        tasks.iter().filter_map(output).collect()
    }

    fn first_error(&self, stage: StageId) -> Value {
        let slots = self.flow.slots.borrow();
        let tasks = &self.flow.workflow.stages[stage.0 as usize].tasks;
        let failed = |task: &TaskId| {
            let end = slots[task.0 as usize].end.as_ref().filter(|end| end.status == "failed" && !end.ignored)?;
            Some(end.message.clone())
        };
        tasks.iter().find_map(failed).map_or(Value::Null, Value::from)
    }
}

/// "all booleans false while not finished"
fn unfinished(field: &str) -> Value {
    match field {
        "success" | "failed" | "skipped" | "cancelled" | "changed" | "ignored" => Value::Bool(false),
        _ => Value::Null,
    }
}
