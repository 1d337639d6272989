//! `rollback`: back to a checkpoint, or to the beginning.

use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Value, json};
use sloth_core::workflow::machine::Scope;
use sloth_lua::{Ctx, Data, Failure, Reply};

use super::{function_of, text_of};
use crate::run::Run;

impl Run {
    /// `ok, err`. A checkpoint is named by its id, its name or its table; `nil`: the start of the run.
    pub(super) async fn answer_rollback(self: &Rc<Self>, body: &Data, ctx: &Arc<Ctx>) -> Reply {
        let Some(flow) = self.flow_of(ctx) else { return Err(Failure::new("rollback.execute: there is no run yet")) };
        let wanted = match body.get("checkpoint") {
            None | Some(Data::Nil | Data::Null) => None,
            Some(table @ Data::Map(_)) => text_of(table, "id").or_else(|| text_of(table, "name")),
            Some(other) => other.to_text(),
        };
        let since = match wanted {
            None => 0,
            Some(wanted) => match self.desk.find_id(&wanted) {
                Some(id) => self.checkpoint_mark(&flow.recorded, Some(&id)),
                None => return Ok(vec![Data::Bool(false), Data::text(format!("there is no checkpoint \"{wanted}\""))]),
            },
        };
        Ok(match flow.roll_back(since).await {
            Ok(()) => vec![Data::Bool(true)],
            Err(message) => vec![Data::Bool(false), Data::text(message)],
        })
    }

    pub(super) fn register_rollback(self: &Rc<Self>, body: &Data, ctx: &Arc<Ctx>) -> Reply {
        let Some(flow) = self.flow_of(ctx) else { return Err(Failure::new("rollback.register: there is no run yet")) };
        let Some(function) = function_of(body, "fn") else {
            return Err(Failure::argument("fn", "function expected"));
        };
        let task = ctx.task.as_deref().and_then(|name| flow.find(name));
        let number = flow.ledger.borrow().entries().count() + 1;
        let own = ctx.task.clone().unwrap_or_else(|| flow.recorded.clone());
        let name = text_of(body, "name").unwrap_or_else(|| format!("{own}#{number}"));
        flow.ledger.borrow_mut().register(Scope::Workflow, task, None, &name, function);
        Ok(Vec::new())
    }

    /// "registered compensations"
    pub(super) fn list_rollback(self: &Rc<Self>, ctx: &Arc<Ctx>) -> Value {
        let Some(flow) = self.flow_of(ctx) else { return json!([]) };
        let ledger = flow.ledger.borrow();
        ledger
            .entries()
            .map(|(id, entry)| {
                let task = entry.task.map(|task| flow.workflow.tasks[task.0 as usize].name.as_str());
                json!({ "name": entry.participant, "saga": entry.saga, "task": task, "done": ledger.is_done(id) })
            })
            .collect()
    }
}
