//! Handlers and hooks of tasks, stages and workflows.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sloth_core::workflow::machine::{Handled, Judgement, Scope};
use sloth_core::workflow::{HookEntry, HookWhen, TaskId};
use sloth_lua::{CallEnd, CancelKind, Ctx, Data, LogLevel, Shape, task_result};

use super::Flow;

/// "Each handler runs under the smaller of 60 s and the task timeout."
const LIMIT: Duration = Duration::from_secs(60);

impl Flow {
    /// All handlers of one kind, one after the other; an error in one is logged and the next one runs.
    pub(super) async fn run_handlers(self: &Rc<Self>, scope: Scope, when: HookWhen) -> Handled {
        let entries = match scope {
            Scope::Stage(stage) => &self.workflow.stages[stage.0 as usize].handlers.entries,
            Scope::Workflow => &self.workflow.handlers.entries,
        };
        let mut said = Handled::default();
        for hook in entries.iter().filter(|hook| hook.when == when) {
            let ctx = self.own_context();
            let mut seen = self.hook_context(None, &ctx);
            if let Scope::Stage(stage) = scope {
                seen["stage"] = self.workflow.stages[stage.0 as usize].name.as_str().into();
            }
            let shape = self.workflow_shape(hook, when, seen);
            let Some(end) = self.call_hook(None, &ctx, hook, shape).await else { continue };
            // `ctx.recover()` leaves its mark in the outputs of the call.
            said.recovered |= end.output.get("$recover") == Some(&Value::Bool(true));
            if when == HookWhen::OnStart {
                let result = task_result(end);
                if !result.success {
                    let message = if result.message.is_empty() { "refused".to_owned() } else { result.message };
                    said.refused.get_or_insert(message);
                }
            } else if matches!(when, HookWhen::ErrorHandling) {
                said.handled |= says_yes(end);
            }
        }
        self.recovered.set(self.recovered.get() || said.recovered);
        said
    }

    fn workflow_shape(&self, hook: &HookEntry, when: HookWhen, ctx: Value) -> Shape {
        let failure = self.failure.borrow().clone().or_else(|| self.first_failure());
        match when {
            _ if hook.with_ctx => Shape::Ctx(ctx),
            HookWhen::OnFailure | HookWhen::ErrorHandling | HookWhen::ConfigOnFailure => {
                Shape::Error { ctx, error: failure.unwrap_or_else(|| json!({ "message": "the workflow failed" })) }
            }
            HookWhen::OnSuccess => Shape::Plain(vec![ctx, Value::Object(self.results())]),
            HookWhen::OnComplete => {
                let ok = failure.is_none() && !self.is_cancelled() || self.recovered.get();
                Shape::WorkflowEnd { ok, results: Value::Object(self.results()), ctx }
            }
            _ => Shape::Ctx(ctx),
        }
    }

    fn is_cancelled(&self) -> bool {
        self.machine.borrow().is_cancelled()
    }

    /// Fields of the error object for the first task that failed.
    pub fn first_failure(&self) -> Option<Value> {
        let slots = self.slots.borrow();
        let failed =
            slots.iter().filter_map(|slot| slot.end.as_ref()).filter(|end| end.status == "failed" && !end.ignored);
        let end = failed.min_by_key(|end| end.finished_at)?;
        Some(json!({
            "message": end.message, "error": end.error, "task": end.name, "task_name": end.name, "stage": end.stage,
            "kind": end.kind, "attempt": end.attempts, "exit_code": end.exit_code,
        }))
    }

    /// The arguments of a hook of a task.
    pub(super) fn hook_shape(&self, task: TaskId, ctx: &Ctx, hook: &HookEntry, third: Value) -> Shape {
        if hook.with_ctx {
            let mut seen = self.hook_context(Some(task), ctx);
            match hook.when {
                HookWhen::OnFailure | HookWhen::OnTimeout | HookWhen::OnRetry => seen["error"] = third,
                _ => seen["output"] = third,
            }
            return Shape::Ctx(seen);
        }
        let view = self.view(task, ctx);
        match hook.when {
            HookWhen::PreHook | HookWhen::PreTask => Shape::Condition(view),
            HookWhen::OnFailure | HookWhen::OnTimeout => Shape::Hook { view, third, error: true },
            _ => Shape::Hook { view, third, error: false },
        }
    }

    /// Runs one hook: with its condition and its limit; `None`: it was not run, or is not waited for. What it raises is
    /// logged here.
    pub(super) async fn call_hook(
        self: &Rc<Self>,
        task: Option<TaskId>,
        ctx: &Arc<Ctx>,
        hook: &HookEntry,
        shape: Shape,
    ) -> Option<CallEnd> {
        // "handlers and hooks do not run" in a plan.
        if self.run.info.mode == sloth_lua::Mode::Plan {
            return None;
        }
        if let Some(condition) = &hook.condition {
            match Box::pin(self.judge_hook(task, condition, ctx)).await {
                Judgement::Holds => {}
                Judgement::Error(message) => {
                    self.say(task, ctx.attempt, LogLevel::Error, format!("condition of {}: {message}", title(hook)));
                    return None;
                }
                _ => return None,
            }
        }
        let own = task.and_then(|task| self.machine.borrow().timeout_of(task)).map(Duration::from_millis);
        let limit = match hook.timeout_ms {
            Some(limit) => Duration::from_millis(limit),
            None => own.map_or(LIMIT, |own| own.min(LIMIT)),
        };
        if hook.is_async {
            let flow = Rc::clone(self);
            let (ctx, hook) = (Arc::clone(ctx), hook.clone());
            self.run.linger(async move {
                let end = flow.call_limited(&ctx, hook.run, shape, limit).await;
                flow.report(task, &ctx, &hook, &end);
            });
            return None;
        }
        let end = self.call_limited(ctx, hook.run, shape, limit).await;
        self.report(task, ctx, hook, &end);
        Some(end)
    }

    async fn judge_hook(
        self: &Rc<Self>,
        task: Option<TaskId>,
        condition: &sloth_core::workflow::Condition,
        ctx: &Arc<Ctx>,
    ) -> Judgement {
        if let sloth_core::workflow::Condition::Function(function) = condition {
            let shape = Shape::Ctx(self.hook_context(task, ctx));
            let end = self.run.vm().call(*function, shape, Arc::clone(ctx)).await;
            return match end.result {
                Ok(values) if matches!(values.first(), None | Some(Data::Nil | Data::Null | Data::Bool(false))) => {
                    Judgement::Fails
                }
                Ok(_) => Judgement::Holds,
                Err(raised) => Judgement::Error(raised.message),
            };
        }
        self.judge(task, condition, ctx).await
    }

    /// Calls a function that has only this much time.
    pub(super) async fn call_limited(
        &self,
        ctx: &Arc<Ctx>,
        function: sloth_core::workflow::FnRef,
        shape: Shape,
        limit: Duration,
    ) -> CallEnd {
        let part = Arc::new(ctx.part(Some(Instant::now() + limit)));
        let cancel = part.cancel.clone();
        let mut call = self.run.vm().call(function, shape, part);
        tokio::select! {
            end = &mut call => return end,
            () = tokio::time::sleep(limit) => cancel.cancel(CancelKind::Timeout),
        }
        // The VM discards it when it does not end now.
        call.await
    }

    fn report(&self, task: Option<TaskId>, ctx: &Ctx, hook: &HookEntry, end: &CallEnd) {
        if let Err(raised) = &end.result {
            let text = format!("{}: {}", title(hook), raised.message);
            self.say(task, ctx.attempt, LogLevel::Error, text);
        }
    }

    /// `ctx` of hooks and handlers.
    pub fn hook_context(&self, task: Option<TaskId>, ctx: &Ctx) -> Value {
        let mut seen = json!({
            "workflow": self.workflow.name,
            "stack": self.run.info.stack,
            "run_id": self.run.info.id,
            // `values` and `results` are looked up when the script asks for them.
            "temp_directory": ctx.temp_dir,
            "workdir": ctx.workdir,
            "started_at": self.run.info.started_at,
            "duration": self.born.elapsed().as_secs_f64(),
            "last_checkpoint": self.run.last_checkpoint(ctx.task.as_deref(), None),
            "params": self.run.job.params,
        });
        if let Some(failure) = self.failure.borrow().clone().or_else(|| self.first_failure()) {
            seen["task"] = failure["task"].clone();
            seen["stage"] = failure["stage"].clone();
            seen["error"] = failure;
        }
        if let Some(task) = task {
            let declared = &self.workflow.tasks[task.0 as usize];
            seen["task"] = declared.name.as_str().into();
            seen["stage"] = self.workflow.stages[declared.stage.0 as usize].name.as_str().into();
            seen["params"] = Value::Object(self.params_of(task));
            seen["deps"] = Value::Object(self.deps_of(task).0);
            seen["attempt"] = ctx.attempt.into();
        }
        seen
    }
}

/// "`true` or a successful result marks the failure as handled"
fn says_yes(end: CallEnd) -> bool {
    match &end.result {
        Ok(values) if matches!(values.first(), None | Some(Data::Nil | Data::Null)) => false,
        Ok(_) => task_result(end).success,
        Err(_) => false,
    }
}

fn title(hook: &HookEntry) -> String {
    match &hook.name {
        Some(name) => format!("hook \"{name}\""),
        None => format!("handler {:?}", hook.when),
    }
}
