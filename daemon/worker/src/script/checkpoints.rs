//! Checkpoints: named states of a task, durable when the call returns.

use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Value, json};
use sloth_api::worker::Record;
use sloth_lua::{Ctx, Data, Failure, Reply};

use super::{Desk, one, text_of};
use crate::run::Run;

/// "At most 1 000 per run are kept per name (oldest dropped)"
const KEPT: usize = 1000;

/// "state is JSON ≤ 1 MiB"
const STATE_MAX: usize = 1 << 20;

/// A checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    pub id: String,
    pub name: String,
    pub workflow: String,
    pub task: String,
    pub state: Value,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

impl Checkpoint {
    /// "`{id, name, task, state, created_at}`"
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id, "name": self.name, "task": self.task, "state": self.state,
            "created_at": self.created_at / 1000,
        })
    }
}

impl Desk {
    pub fn all(&self) -> Value {
        self.checkpoints.borrow().iter().map(Checkpoint::to_json).collect()
    }

    /// "this task's first, else the run's"
    pub fn last_checkpoint(&self, task: Option<&str>, name: Option<&str>) -> Option<Checkpoint> {
        let all = self.checkpoints.borrow();
        let named = || all.iter().rev().filter(|checkpoint| name.is_none_or(|name| checkpoint.name == name));
        named().find(|checkpoint| Some(checkpoint.task.as_str()) == task).or_else(|| named().next()).cloned()
    }

    /// The id of a checkpoint that is given by id or name.
    pub(super) fn find_id(&self, name_or_id: &str) -> Option<String> {
        self.find(name_or_id).map(|checkpoint| checkpoint.id)
    }

    fn find(&self, name_or_id: &str) -> Option<Checkpoint> {
        let all = self.checkpoints.borrow();
        let by_id = all.iter().find(|checkpoint| checkpoint.id == name_or_id);
        by_id.or_else(|| all.iter().rev().find(|checkpoint| checkpoint.name == name_or_id)).cloned()
    }

    /// The point in a workflow's ledger at which a checkpoint was made; without id: the last.
    pub fn mark(&self, workflow: &str, id: Option<&str>) -> u64 {
        let marks = self.marks.borrow();
        let own = |(_, (of, _)): &(&String, &(String, u64))| of == workflow;
        match id {
            Some(id) => marks.get(id).filter(|(of, _)| of == workflow).map_or(0, |(_, at)| *at),
            None => marks.iter().filter(own).map(|(_, (_, at))| *at).max().unwrap_or(0),
        }
    }

    fn keep(&self, checkpoint: Checkpoint) {
        let mut all = self.checkpoints.borrow_mut();
        if all.iter().filter(|other| other.name == checkpoint.name).count() >= KEPT
            && let Some(oldest) = all.iter().position(|other| other.name == checkpoint.name)
        {
            all.remove(oldest);
        }
        all.push(checkpoint);
    }
}

impl Run {
    pub(super) async fn checkpoint(self: &Rc<Self>, body: &Data, ctx: &Arc<Ctx>) -> Reply {
        let (Some(workflow), Some(task)) = (ctx.workflow.clone(), ctx.task.clone()) else {
            let message = "task.checkpoint: there is no run yet; call it inside a task";
            return Err(Failure { raise: true, ..Failure::new(message) });
        };
        let name = text_of(body, "name").unwrap_or_default();
        let state = body.get("state").map_or_else(|| json!({}), Data::to_json);
        let size = state.to_string().len();
        if size > STATE_MAX {
            let message = format!("checkpoint \"{name}\": its state has {size} bytes; at most 1 MiB is kept");
            return Err(Failure { raise: true, ..Failure::new(message) });
        }
        let number = self.desk.numbers.get() + 1;
        self.desk.numbers.set(number);
        let now = crate::clock::millis();
        let id = format!("cp_{name}_{}_{number}", now / 1000);
        if let Some(flow) = self.flow_of(ctx) {
            let mark = (flow.recorded.clone(), flow.ledger.borrow().now());
            self.desk.marks.borrow_mut().insert(id.clone(), mark);
        }
        let kept = Checkpoint {
            id: id.clone(),
            name: name.clone(),
            workflow: workflow.clone(),
            task: task.clone(),
            state: state.clone(),
            created_at: now,
        };
        let record = Record::Checkpoint { id: id.clone(), name, workflow, task, state };
        self.journal.record_durably(record).await.map_err(|trouble| Failure::new(trouble.message))?;
        self.desk.keep(kept);
        Ok(vec![Data::text(id)])
    }

    pub(super) fn answer_last_checkpoint(&self, body: &Data, ctx: &Ctx) -> Reply {
        one(self.last_checkpoint(ctx.task.as_deref(), text_of(body, "name").as_deref()).unwrap_or(Value::Null))
    }

    pub(super) fn answer_restore(&self, body: &Data) -> Reply {
        let found = self.desk.find(&text_of(body, "name").unwrap_or_default());
        one(found.map_or(Value::Null, |checkpoint| checkpoint.state))
    }
}
