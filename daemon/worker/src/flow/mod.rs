//! Drives the machine of one workflow: carries its effects out and tells it what came of them.

mod attempt;
mod command;
mod conditions;
mod context;
mod effects;
mod finish;
mod guard;
mod handlers;
mod health;
mod slots;
mod undo;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};
use sloth_core::workflow::machine::{Effect, Input, Ledger, Machine, Settings, StageStatus, Status, Verdict};
use sloth_core::workflow::{NameIndex, StageId, TaskId, Workflow};
use tokio::sync::Notify;

use crate::run::Run;
pub use slots::{Slot, result_record};

/// One execution of a workflow.
pub struct Flow {
    pub run: Rc<Run>,
    pub workflow: Arc<Workflow>,
    pub names: NameIndex,
    /// Its name in records.
    pub recorded: String,
    /// Before the names of its tasks in records: `parent/name/` of a workflow inside a task.
    pub prefix: String,
    /// Parameters for all tasks, which are weaker than those of tasks, and those that are stronger.
    pub params: Map<String, Value>,
    pub overrides: Map<String, Value>,
    pub slots: RefCell<Vec<Slot>>,
    pub ledger: RefCell<Ledger>,
    machine: RefCell<Machine>,
    stages: RefCell<HashMap<StageId, (StageStatus, u64)>>,
    inbox: RefCell<VecDeque<Input>>,
    wake: Notify,
    born: Instant,
    /// `ctx.recover()` was called.
    recovered: Cell<bool>,
    /// The failure that handlers are told about.
    failure: RefCell<Option<Value>>,
    /// What the run itself adds to the environment and directories of tasks.
    workdir: std::path::PathBuf,
}

/// How a flow is made.
pub struct Start {
    pub workflow: Arc<Workflow>,
    pub settings: Settings,
    pub recorded: String,
    pub prefix: String,
    pub params: Map<String, Value>,
    pub overrides: Map<String, Value>,
    /// Re-run this task and everything after it.
    pub from: Option<TaskId>,
}

impl Flow {
    pub fn new(run: &Rc<Run>, start: Start) -> Result<Rc<Flow>, String> {
        let workflow = start.workflow;
        let workdir = context::prepare_workdir(run, &workflow)?;
        let mut machine = Machine::new(Arc::clone(&workflow), start.settings);
        let prefix = start.prefix.clone();
        let past = run.history.past(&workflow, &start.recorded, &|name| format!("{prefix}{name}"), start.from);
        let flow = Flow {
            run: Rc::clone(run),
            names: NameIndex::of(&workflow),
            slots: RefCell::new((0..workflow.tasks.len()).map(|_| Slot::default()).collect()),
            ledger: RefCell::default(),
            stages: RefCell::default(),
            inbox: RefCell::default(),
            wake: Notify::new(),
            born: Instant::now(),
            recovered: Cell::new(false),
            failure: RefCell::default(),
            workdir,
            recorded: start.recorded,
            prefix: start.prefix,
            params: start.params,
            overrides: start.overrides,
            machine: RefCell::new({
                machine.resume(past);
                machine
            }),
            workflow,
        };
        flow.restore();
        Ok(Rc::new(flow))
    }

    /// Takes over what earlier workers have recorded of finished tasks.
    fn restore(&self) {
        let mut slots = self.slots.borrow_mut();
        let machine = self.machine.borrow();
        let mut ended = Vec::new();
        for (at, task) in (0_u32..).zip(&self.workflow.tasks) {
            let id = TaskId(at);
            if machine.end_of(id).is_none() {
                continue;
            }
            let end = self.run.history.end(&self.recorded, &self.record_name(&task.name)).cloned();
            if let Some(end) = &end {
                ended.push((end.finished_at, id, machine.end_of(id).map_or(Status::Failed, |end| end.status)));
            }
            slots[at as usize].end = end;
        }
        ended.sort_by_key(|(at, id, _)| (*at, *id));
        let mut ledger = self.ledger.borrow_mut();
        for (_, task, status) in ended {
            ledger.task_ended(&self.workflow, task, status);
        }
        for participant in &self.run.history.marked {
            ledger.mark(participant);
        }
        for saga in &self.run.history.committed {
            ledger.commit(saga);
        }
        for (saga, participant) in &self.run.history.undone {
            ledger.done_before(saga, participant);
        }
    }

    /// Runs to the end.
    pub async fn drive(self: &Rc<Self>) -> Verdict {
        self.tell(Input::Started);
        let mut effects = Vec::new();
        loop {
            while let Some(input) = self.take() {
                self.machine.borrow_mut().handle(self.born.elapsed(), input, &mut effects);
                for effect in effects.drain(..) {
                    if let Effect::Done(verdict) = effect {
                        return verdict;
                    }
                    self.carry_out(effect);
                }
            }
            let deadline = self.machine.borrow().next_deadline();
            match deadline {
                None => self.wake.notified().await,
                Some(deadline) => {
                    let at = tokio::time::Instant::from_std(self.born + deadline);
                    tokio::select! {
                        () = self.wake.notified() => {}
                        () = tokio::time::sleep_until(at) => self.tell(Input::Woken),
                    }
                }
            }
        }
    }

    /// Tells the machine something.
    pub fn tell(&self, input: Input) {
        self.inbox.borrow_mut().push_back(input);
        self.wake.notify_one();
    }

    fn take(&self) -> Option<Input> {
        self.inbox.borrow_mut().pop_front()
    }

    /// A task's name in records.
    pub fn record_name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A task by its name in records, or as it was declared.
    pub fn find(&self, name: &str) -> Option<TaskId> {
        let own = name.strip_prefix(self.prefix.as_str()).unwrap_or(name);
        self.names.task(own, None)
    }

    /// Name → result record of every finished task.
    pub fn results(&self) -> Map<String, Value> {
        let slots = self.slots.borrow();
        let known = self.workflow.tasks.iter().zip(slots.iter());
        known
            .filter_map(|(task, slot)| Some((task.name.clone(), result_record(slot.end.as_ref()?, &self.run.host))))
            .collect()
    }

    /// Attempts that run now.
    pub fn running(&self) -> usize {
        self.slots.borrow().iter().filter(|slot| slot.job.as_ref().is_some_and(|job| !job.is_finished())).count()
    }

    /// "`clean_workdir_after_run`: delete it at the end; function gets `{success, error, output}`"
    pub async fn clean_up(&self, success: bool) {
        let config = &self.workflow.config;
        let mut wanted = config.clean_workdir;
        if let Some(function) = self.workflow.clean_workdir {
            let error = self.first_failure().map_or(Value::Null, |failure| failure["message"].clone());
            let result = serde_json::json!({ "success": success, "error": error, "output": self.run.vm().outputs() });
            let ctx = self.own_context();
            let end = self.run.vm().call(function, sloth_lua::Shape::Plain(vec![result]), ctx).await;
            wanted = matches!(end.result.as_deref(), Ok([sloth_lua::Data::Bool(true), ..]));
        }
        // Only what was made for this run is deleted, or was declared for it.
        let is_own = config.create_workdir || self.workflow.workdir.is_some();
        if wanted
            && is_own
            && self.workdir != self.run.workdir()
            && let Err(error) = std::fs::remove_dir_all(&self.workdir)
        {
            let text = format!("work directory {}: {error}", self.workdir.display());
            self.say(None, 0, sloth_lua::LogLevel::Warn, text);
        }
    }

    fn spawn(self: &Rc<Self>, work: impl Future<Output = ()> + 'static) -> tokio::task::AbortHandle {
        // Its parent is this flow: the local set ends with the run.
        tokio::task::spawn_local(work).abort_handle()
    }
}
