//! The run: from its assignment to its end.

mod begin;
mod end;
mod history;
mod journal;
mod sequence;

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use serde_json::{Map, Value};
use sloth_api::worker::Assignment;
use sloth_core::workflow::Defined;
use sloth_lua::{Cancel, Ctx, RunInfo, Sink, Vm};
use tokio::task::JoinSet;

pub use end::execute;
pub use history::{History, object, scope_name, when_name};
pub use journal::Journal;
pub use sequence::choose;

use crate::flow::Flow;
use crate::io::Io;
use crate::link::Link;
use crate::log::Log;
use crate::script::{Checkpoint, Desk};

/// What everything in a run shares.
pub struct Run {
    pub link: Link,
    pub io: Io,
    pub log: Arc<Log>,
    pub journal: Journal,
    /// Without bundle and journal.
    pub job: Assignment,
    pub info: Arc<RunInfo>,
    pub worker: u32,
    /// Name of the host.
    pub host: String,
    /// Of this process, for `env.…` of expressions.
    pub environment: Value,
    pub history: History,
    pub desk: Desk,
    vm: OnceCell<Vm>,
    defined: OnceCell<Rc<Defined>>,
    names_temp_dir: OnceCell<bool>,
    flows: RefCell<Vec<Weak<Flow>>>,
    /// Async hooks and the like: joined at the end.
    lingering: RefCell<JoinSet<()>>,
    cancelled: RefCell<Option<CancelOrder>>,
}

/// A cancel of the whole run.
#[derive(Clone, Debug)]
pub struct CancelOrder {
    pub reason: String,
    pub force: bool,
    pub compensate: bool,
}

impl Run {
    /// The VM; it exists from the beginning of the definition phase.
    pub fn vm(&self) -> &Vm {
        self.vm.get().expect("the VM is made before anything runs")
    }

    /// What the file defines, once it does.
    pub fn defined(&self) -> Option<&Rc<Defined>> {
        self.defined.get()
    }

    /// Whether the program names the directory of an attempt: then it must be there before anything uses it.
    pub fn names_temp_dir(&self) -> bool {
        const NAME: &[u8] = b"temp_directory";
        *self.names_temp_dir.get_or_init(|| {
            let files = self.vm().bundle();
            files.values().any(|text| text.windows(NAME.len()).any(|window| window == NAME))
        })
    }

    /// Values of the run, with the defaults of the file.
    pub fn values(&self) -> Map<String, Value> {
        match self.vm.get() {
            Some(vm) if self.defined.get().is_some() => vm.values(),
            _ => self.job.values.clone(),
        }
    }

    /// A context that belongs to no attempt.
    pub fn context(&self, workdir: PathBuf) -> Ctx {
        Ctx {
            run: Arc::clone(&self.info),
            workflow: None,
            task: None,
            attempt: 0,
            workdir,
            user: None,
            temp_dir: self.info.temp_dir.clone(),
            env: Arc::default(),
            deadline: None,
            check_safe: false,
            cancel: Cancel::default(),
            log: Arc::clone(&self.log) as Arc<dyn Sink>,
            daemon: Arc::new(self.link.clone()),
        }
    }

    /// A flow that is being driven, to be found by those who ask.
    pub fn enter(&self, flow: &Rc<Flow>) {
        let mut flows = self.flows.borrow_mut();
        flows.retain(|flow| flow.strong_count() > 0);
        flows.push(Rc::downgrade(flow));
    }

    /// The flows that are being driven, the innermost last.
    pub fn flows(&self) -> Vec<Rc<Flow>> {
        self.flows.borrow().iter().filter_map(Weak::upgrade).collect()
    }

    /// The flow to which a calling task belongs.
    pub fn flow_of(&self, ctx: &Ctx) -> Option<Rc<Flow>> {
        let flows = self.flows();
        let task = ctx.task.as_deref().unwrap_or_default();
        let is_of_it = |flow: &&Rc<Flow>| {
            ctx.workflow.as_deref() == Some(flow.recorded.as_str()) && task.starts_with(flow.prefix.as_str())
        };
        flows.iter().filter(is_of_it).max_by_key(|flow| flow.prefix.len()).or(flows.last()).cloned()
    }

    /// Something that is not waited for before the end.
    pub fn linger(&self, work: impl Future<Output = ()> + 'static) {
        let mut lingering = self.lingering.borrow_mut();
        while lingering.try_join_next().is_some() {}
        lingering.spawn_local(work);
    }

    /// Tells the functions of `workflow.on` what happened.
    pub fn notify_event(self: &Rc<Self>, workflow: &str, task: &str, what: &str) {
        if !self.desk.has_subscribers() {
            return;
        }
        let event = serde_json::json!({
            "type": format!("task.{what}"), "workflow": workflow, "task": task, "status": what, "run_id": self.info.id,
        });
        for function in self.desk.subscribers(&format!("task.{what}")) {
            let run = Rc::clone(self);
            let event = event.clone();
            self.linger(async move {
                let ctx = Arc::new(run.context(run.workdir()));
                let shape = sloth_lua::Shape::Plain(vec![event]);
                let end = run.vm().call(function, shape, Arc::clone(&ctx)).await;
                if let Err(raised) = end.result {
                    ctx.say(
                        sloth_lua::LogLevel::Error,
                        sloth_lua::Stream::Log,
                        format!("workflow.on: {}", raised.message),
                    );
                }
            });
        }
    }

    /// The latest checkpoint: of this task, else of the run.
    pub fn last_checkpoint(&self, task: Option<&str>, name: Option<&str>) -> Option<Value> {
        self.desk.last_checkpoint(task, name).map(|checkpoint| checkpoint.to_json())
    }

    /// The point of a flow's ledger at which a checkpoint was made; 0 when there is none.
    pub fn checkpoint_mark(&self, workflow: &str, id: Option<&str>) -> u64 {
        self.desk.mark(workflow, id)
    }
}

/// Checkpoints of earlier workers.
pub fn restored(history: &History) -> Vec<Checkpoint> {
    history.checkpoints.clone()
}

/// The environment of this process, as far as it is text.
fn environment() -> Value {
    let texts =
        std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
    let map: BTreeMap<String, String> = texts.filter(|(key, _)| !key.starts_with("SLOTH_WORKER")).collect();
    serde_json::to_value(map).unwrap_or_default()
}
