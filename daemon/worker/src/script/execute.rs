//! Tasks and workflows inside of tasks, and tasks at file level that run at once: each is a flow of its own, with the
//! whole machinery.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};
use sloth_core::workflow::Diagnostic;
use sloth_lua::{Ctx, Data, Failure, Mode, Reply};

use super::text_of;
use crate::flow::{Flow, Start};
use crate::run::{Run, object};

impl Run {
    /// `task.execute`: "runs it now as a child of the current task: `ok, message, output`"
    pub(super) async fn execute(self: &Rc<Self>, body: &Data, ctx: &Arc<Ctx>) -> Reply {
        let name = text_of(body, "task").unwrap_or_default();
        let single = self.vm().single(&name).map_err(told)?;
        let parent = ctx.task.clone().unwrap_or_default();
        let recorded = ctx.workflow.clone().unwrap_or_else(|| single.name.clone());
        let number = self.next_child(&format!("{parent}/{name}"));
        let prefix = if number == 1 { format!("{parent}/") } else { format!("{parent}/{number}/") };
        let flow = self.child(single, recorded, prefix, params_of(body)).map_err(Failure::new)?;
        self.enter(&flow);
        self.follow(&flow, ctx).await;
        Ok(ended(&flow))
    }

    /// `:run()` at file level: "recorded as a task of the implicit workflow. In plan mode it returns `true, "planned",
    /// {}`; in a resumed run a completed one returns its stored result."
    pub(super) async fn immediate(self: &Rc<Self>, body: &Data, ctx: &Arc<Ctx>) -> Reply {
        let name = text_of(body, "task").unwrap_or_default();
        if matches!(self.info.mode, Mode::Plan | Mode::Validate) {
            return Ok(vec![Data::Bool(true), Data::text("planned"), Data::Map(Vec::new())]);
        }
        let single = self.vm().single(&name).map_err(told)?;
        let recorded = single.name.clone();
        let flow = self.child(single, recorded, String::new(), Map::new()).map_err(Failure::new)?;
        self.enter(&flow);
        self.follow(&flow, ctx).await;
        Ok(ended(&flow))
    }

    /// `workflow.run` inside a task: "sub-workflow inside the current run; its tasks are journalled as
    /// `<parent>/<name>/<task>`"; `ok, results`.
    pub(super) async fn run_workflow(self: &Rc<Self>, body: &Data, ctx: &Arc<Ctx>) -> Reply {
        let name = text_of(body, "workflow").unwrap_or_default();
        let workflow = self.vm().workflow(&name).map_err(told)?;
        let parent = ctx.task.clone().unwrap_or_default();
        let recorded = ctx.workflow.clone().unwrap_or_else(|| workflow.name.clone());
        let number = self.next_child(&format!("{parent}/{name}"));
        let prefix = if number == 1 { format!("{parent}/{name}/") } else { format!("{parent}/{name}/{number}/") };
        let flow = self.child(workflow, recorded, prefix, params_of(body)).map_err(Failure::new)?;
        self.enter(&flow);
        let completed = self.follow(&flow, ctx).await;
        Ok(vec![Data::Bool(completed), Data::from_json(&Value::Object(flow.results()))])
    }

    fn child(
        self: &Rc<Self>,
        workflow: sloth_core::workflow::Workflow,
        recorded: String,
        prefix: String,
        overrides: Map<String, Value>,
    ) -> Result<Rc<Flow>, String> {
        let settings = self.flow_settings(&workflow, Instant::now())?;
        let start = Start {
            workflow: Arc::new(workflow),
            settings,
            recorded,
            prefix,
            params: Map::new(),
            overrides,
            from: None,
        };
        Flow::new(self, start)
    }

    /// Drives a child to its end; it is cancelled with its parent. Whether it completed.
    async fn follow(self: &Rc<Self>, flow: &Rc<Flow>, ctx: &Arc<Ctx>) -> bool {
        use sloth_core::workflow::machine::{CancelReason, Input};
        let cancelled = ctx.cancel.cancelled();
        let drive = flow.drive();
        tokio::pin!(cancelled, drive);
        let verdict = tokio::select! {
            verdict = &mut drive => verdict,
            _ = &mut cancelled => {
                flow.tell(Input::Cancelled { reason: CancelReason::User, force: false, compensate: true });
                drive.await
            }
        };
        verdict.status == "completed"
    }
}

fn params_of(body: &Data) -> Map<String, Value> {
    body.get("params").map(Data::to_json).map(|params| object(&params)).unwrap_or_default()
}

fn told(findings: Vec<Diagnostic>) -> Failure {
    let text = findings.first().map_or_else(String::new, |finding| finding.message.clone());
    Failure { kind: Some("definition"), ..Failure::new(text) }
}

/// `ok, message, output` of the one task.
fn ended(flow: &Flow) -> Vec<Data> {
    let slots = flow.slots.borrow();
    // Its dependencies, if it has any, come before it.
    let Some(end) = slots.iter().rev().find_map(|slot| slot.end.as_ref()) else {
        return vec![Data::Bool(false), Data::text("the task did not run")];
    };
    vec![Data::Bool(end.status == "completed"), Data::text(end.message.clone()), Data::from_json(&end.output)]
}
