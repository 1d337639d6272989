//! What the script asks of the engine of its own run.

mod checkpoints;
mod execute;
mod resources;
mod rollback;
mod sagas;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use serde_json::{Value, json};
use sloth_api::worker::Record;
use sloth_core::workflow::FnRef;
use sloth_lua::{Ctx, Data, Engine, Failure, LocalBoxFuture, Reply};

pub use checkpoints::Checkpoint;
use resources::Allocations;

use crate::run::Run;

/// Answers the script.
pub struct Script {
    run: Weak<Run>,
}

/// What the run keeps for its script.
pub struct Desk {
    checkpoints: RefCell<Vec<Checkpoint>>,
    /// Of each checkpoint: workflow and the point in its ledger.
    marks: RefCell<BTreeMap<String, (String, u64)>>,
    numbers: Cell<u64>,
    once: RefCell<HashSet<String>>,
    allocations: RefCell<Allocations>,
    subscribers: RefCell<Vec<(String, FnRef)>>,
    /// Sagas that the script has begun: name → committed or given up.
    sagas: RefCell<BTreeMap<String, bool>>,
    artifacts: RefCell<Vec<Record>>,
    artifact_bytes: Cell<u64>,
    /// Compensations of steps that are being done.
    steps: RefCell<BTreeMap<(String, String), FnRef>>,
    /// How often a child of this name was executed, so that each has a name of its own in records.
    children: RefCell<BTreeMap<String, u32>>,
}

impl Desk {
    pub fn new(checkpoints: Vec<Checkpoint>, artifacts: Vec<Record>) -> Desk {
        Desk {
            numbers: Cell::new(checkpoints.len() as u64),
            checkpoints: RefCell::new(checkpoints),
            marks: RefCell::default(),
            once: RefCell::default(),
            allocations: RefCell::default(),
            subscribers: RefCell::default(),
            sagas: RefCell::default(),
            artifacts: RefCell::new(artifacts),
            artifact_bytes: Cell::new(0),
            steps: RefCell::default(),
            children: RefCell::default(),
        }
    }

    /// Keeps the compensation of a step, or gives it away.
    fn pending(&self, key: &(String, String), function: Option<FnRef>) -> Option<FnRef> {
        let mut steps = self.steps.borrow_mut();
        match function {
            Some(function) => steps.insert(key.clone(), function),
            None => steps.remove(key),
        }
    }

    pub fn artifact_bytes(&self) -> u64 {
        self.artifact_bytes.get()
    }

    pub fn add_artifact_bytes(&self, bytes: u64) {
        self.artifact_bytes.set(self.artifact_bytes.get() + bytes);
    }

    pub fn add_artifact(&self, artifact: Record) {
        self.artifacts.borrow_mut().push(artifact);
    }

    /// Those for which something holds.
    pub fn artifacts(&self, is: impl Fn(&Record) -> bool) -> Vec<Record> {
        self.artifacts.borrow().iter().filter(|record| is(record)).cloned().collect()
    }

    /// Functions of `workflow.on`.
    pub fn subscribe(&self, subscribers: Vec<(String, FnRef)>) {
        *self.subscribers.borrow_mut() = subscribers;
    }

    pub fn has_subscribers(&self) -> bool {
        !self.subscribers.borrow().is_empty()
    }

    /// Those of one event; `*` and `task.*` are for all.
    pub fn subscribers(&self, event: &str) -> Vec<FnRef> {
        let matches = |pattern: &str| match pattern.strip_suffix('*') {
            Some(start) => event.starts_with(start),
            None => pattern == event,
        };
        self.subscribers
            .borrow()
            .iter()
            .filter(|(pattern, _)| matches(pattern))
            .map(|(_, function)| *function)
            .collect()
    }
}

impl Script {
    pub fn of(run: &Rc<Run>) -> Script {
        Script { run: Rc::downgrade(run) }
    }
}

impl Engine for Script {
    fn call(&self, what: &str, body: Data, ctx: Arc<Ctx>) -> LocalBoxFuture<Reply> {
        let Some(run) = self.run.upgrade() else { return ready(refuse("the run has ended")) };
        let what = what.to_owned();
        // What a metamethod may ask is answered without waiting.
        match what.as_str() {
            "results" => return ready(one(run.results(&ctx))),
            "last_checkpoint" => return ready(run.answer_last_checkpoint(&body, &ctx)),
            "checkpoints" => return ready(one(run.desk.all())),
            "restore" => return ready(run.answer_restore(&body)),
            "resource.usage" => return ready(one(run.usage())),
            _ => {}
        }
        Box::pin(async move { run.answer(&what, body, &ctx).await })
    }
}

impl Run {
    async fn answer(self: &Rc<Self>, what: &str, body: Data, ctx: &Arc<Ctx>) -> Reply {
        match what {
            "checkpoint" => self.checkpoint(&body, ctx).await,
            "execute" => self.execute(&body, ctx).await,
            "immediate" => self.immediate(&body, ctx).await,
            "workflow.run" => self.run_workflow(&body, ctx).await,
            "rollback.execute" => self.answer_rollback(&body, ctx).await,
            "rollback.register" => self.register_rollback(&body, ctx),
            "rollback.list" => one(self.list_rollback(ctx)),
            "saga.begin" => self.saga_begin(&body, ctx).await,
            "saga.step" => self.saga_step(&body, ctx).await,
            "saga.compensate" => self.saga_compensate(&body, ctx),
            "saga.complete" => self.saga_complete(&body, ctx).await,
            "saga.commit" => self.saga_commit(&body, ctx).await,
            "saga.abort" => self.saga_abort(&body, ctx).await,
            "progress" => self.progress(&body, ctx),
            "resource.allocate" => self.allocate(&body, ctx).await,
            "resource.release" => self.release(&body),
            "once" => self.once(&body),
            other => Err(Failure::new(format!("not_supported: {other} is not available in this build"))),
        }
    }

    /// Which execution of a child this is, from 1.
    fn next_child(&self, name: &str) -> u32 {
        let mut children = self.desk.children.borrow_mut();
        let number = children.entry(name.to_owned()).or_default();
        *number += 1;
        *number
    }

    /// Results of the finished tasks of the caller's workflow.
    fn results(&self, ctx: &Ctx) -> Value {
        self.flow_of(ctx).map_or_else(|| json!({}), |flow| Value::Object(flow.results()))
    }

    fn progress(&self, body: &Data, ctx: &Ctx) -> Reply {
        let percent = number_of(body, "percent").unwrap_or(0.0).clamp(0.0, 100.0);
        let text = text_of(body, "text").unwrap_or_default();
        if let (Some(workflow), Some(task)) = (&ctx.workflow, &ctx.task) {
            self.journal.record(Record::Progress { workflow: workflow.clone(), task: task.clone(), percent, text });
        }
        Ok(Vec::new())
    }

    /// `flow.once`: true for the first caller of this run, earlier workers included.
    fn once(&self, body: &Data) -> Reply {
        let key = text_of(body, "key").unwrap_or_default();
        let before = self.history.notes.iter().any(|(what, data)| what == "once" && data.as_str() == Some(&key));
        let first = !before && self.desk.once.borrow_mut().insert(key.clone());
        if first {
            self.journal.record(Record::Note { what: "once".to_owned(), data: key.into() });
        }
        Ok(vec![Data::map([("first", Data::Bool(first)), ("granted", Data::Bool(first))])])
    }
}

fn ready(reply: Reply) -> LocalBoxFuture<Reply> {
    Box::pin(std::future::ready(reply))
}

fn one(value: Value) -> Reply {
    Ok(vec![Data::from_json(&value)])
}

fn refuse(message: &str) -> Reply {
    Err(Failure::new(message))
}

fn text_of(body: &Data, key: &str) -> Option<String> {
    body.get(key).and_then(Data::to_text)
}

fn number_of(body: &Data, key: &str) -> Option<f64> {
    match body.get(key) {
        Some(Data::Num(number)) => Some(*number),
        Some(other) => other.to_text()?.trim().parse().ok(),
        None => None,
    }
}

/// A function of the script: `{"$fn": n}`.
fn function_of(body: &Data, key: &str) -> Option<FnRef> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // numbers that the VM has given
    match body.get(key)?.get("$fn")? {
        Data::Num(number) => Some(FnRef(*number as u32)),
        _ => None,
    }
}
