//! Sagas that the script keeps itself.

use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Value, json};
use sloth_core::workflow::machine::Scope;
use sloth_lua::{Ctx, Data, Failure, Reply};

use super::{function_of, text_of};
use crate::flow::Flow;
use crate::run::Run;

impl Run {
    fn saga_flow(self: &Rc<Self>, ctx: &Arc<Ctx>) -> Result<Rc<Flow>, Failure> {
        self.flow_of(ctx).ok_or_else(|| Failure::new("saga: there is no run yet; call it inside a task"))
    }

    /// Its id is its name: a resumed run begins the same saga again.
    pub(super) async fn saga_begin(self: &Rc<Self>, body: &Data, ctx: &Arc<Ctx>) -> Reply {
        let flow = self.saga_flow(ctx)?;
        let name = text_of(body, "name").unwrap_or_default();
        let fresh = self.desk.sagas.borrow_mut().insert(name.clone(), false).is_none();
        if fresh {
            flow.saga_record(&name, "begin", None, None, Value::Null).await;
        }
        Ok(vec![Data::text(name)])
    }

    /// `phase`: `started` (answers what an earlier worker has completed), `completed`, `failed`.
    pub(super) async fn saga_step(self: &Rc<Self>, body: &Data, ctx: &Arc<Ctx>) -> Reply {
        let flow = self.saga_flow(ctx)?;
        let saga = text_of(body, "saga").unwrap_or_default();
        let name = text_of(body, "name").unwrap_or_default();
        let key = (saga.clone(), name.clone());
        match text_of(body, "phase").as_deref() {
            Some("started") => {
                let compensation = function_of(body, "compensation");
                if let Some(function) = compensation {
                    self.desk.pending(&key, Some(function));
                }
                let Some(results) = self.history.steps.get(&key).filter(|_| !self.history.undone.contains(&key)) else {
                    flow.saga_record(&saga, "participant_started", Some(name), None, Value::Null).await;
                    return Ok(Vec::new());
                };
                self.step_done(&flow, &key, ctx);
                let done = json!({ "completed": true, "results": results });
                Ok(vec![Data::from_json(&done)])
            }
            Some("completed") => {
                let results = body.get("results").map_or(Value::Null, Data::to_json);
                self.step_done(&flow, &key, ctx);
                flow.saga_record(&saga, "participant_done", Some(name), None, results).await;
                Ok(Vec::new())
            }
            _ => {
                let message = text_of(body, "error");
                flow.saga_record(&saga, "participant_failed", Some(name), message, Value::Null).await;
                Ok(Vec::new())
            }
        }
    }

    /// The work of a step is done: what undoes it counts from now on.
    fn step_done(&self, flow: &Rc<Flow>, key: &(String, String), ctx: &Ctx) {
        if let Some(function) = self.desk.pending(key, None) {
            let task = ctx.task.as_deref().and_then(|name| flow.find(name));
            let scope = task.map_or(Scope::Workflow, |task| Scope::Stage(flow.workflow.tasks[task.0 as usize].stage));
            flow.ledger.borrow_mut().register(scope, task, Some(&key.0), &key.1, function);
        }
    }

    pub(super) fn saga_compensate(self: &Rc<Self>, body: &Data, ctx: &Arc<Ctx>) -> Reply {
        let flow = self.saga_flow(ctx)?;
        let saga = text_of(body, "saga").unwrap_or_default();
        let Some(function) = function_of(body, "fn") else { return Err(Failure::argument("fn", "function expected")) };
        let task = ctx.task.as_deref().and_then(|name| flow.find(name));
        let scope = task.map_or(Scope::Workflow, |task| Scope::Stage(flow.workflow.tasks[task.0 as usize].stage));
        let number = flow.ledger.borrow().entries().count() + 1;
        let name = text_of(body, "name").unwrap_or_else(|| format!("step {number}"));
        flow.ledger.borrow_mut().register(scope, task, Some(&saga), &name, function);
        Ok(vec![Data::Bool(true)])
    }

    /// Marks a logical participant.
    pub(super) async fn saga_complete(self: &Rc<Self>, body: &Data, ctx: &Arc<Ctx>) -> Reply {
        let flow = self.saga_flow(ctx)?;
        let name = text_of(body, "name").unwrap_or_default();
        let saga = text_of(body, "saga").unwrap_or_default();
        flow.ledger.borrow_mut().mark(&name);
        flow.saga_record(&saga, "marked", Some(name), None, Value::Null).await;
        Ok(vec![Data::Bool(true)])
    }

    pub(super) async fn saga_commit(self: &Rc<Self>, body: &Data, ctx: &Arc<Ctx>) -> Reply {
        let flow = self.saga_flow(ctx)?;
        let saga = text_of(body, "saga").unwrap_or_default();
        if self.desk.sagas.borrow_mut().insert(saga.clone(), true) != Some(true) {
            flow.ledger.borrow_mut().commit(&saga);
            flow.saga_record(&saga, "committed", None, None, Value::Null).await;
        }
        Ok(vec![Data::Bool(true)])
    }

    /// Undoes what its steps have done; true when all of it could be undone.
    pub(super) async fn saga_abort(self: &Rc<Self>, body: &Data, ctx: &Arc<Ctx>) -> Reply {
        let flow = self.saga_flow(ctx)?;
        let saga = text_of(body, "saga").unwrap_or_default();
        self.desk.sagas.borrow_mut().insert(saga.clone(), true);
        let undone = flow.abort_saga(&saga).await;
        let mut answer = vec![Data::Bool(undone.failed == 0)];
        if undone.failed > 0 {
            answer.push(Data::text(format!("{} compensations failed", undone.failed)));
        }
        Ok(answer)
    }
}
