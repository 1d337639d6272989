//! What the worker gives to a VM, what it asks of it and what it gets back.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::data::Data;
use crate::host::{BoxFuture, Ctx};
use crate::module::{Module, Reply};

/// A future that stays on the VM's thread.
pub type LocalBoxFuture<T> = Pin<Box<dyn Future<Output = T> + 'static>>;

/// Runs what host functions wait for, on other threads than the VM's.
pub trait Spawner: Send + Sync {
    /// Runs a future on the I/O runtime.
    fn spawn(&self, future: BoxFuture<()>);
    /// Runs work on a thread that may block.
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>);
    /// Completes after `time`.
    fn sleep(&self, time: Duration) -> BoxFuture<()>;
}

/// What the script asks of the engine of its own run. `what` is `checkpoint`, `execute`, `saga.begin`, …; functions
/// inside bodies are `{"$fn": n}`.
pub trait Engine {
    /// Answers on the VM's thread; the calling coroutine waits.
    fn call(&self, what: &str, body: Data, ctx: Arc<Ctx>) -> LocalBoxFuture<Reply>;
}

/// Limits and library of a VM.
#[derive(Clone)]
pub struct VmSettings {
    /// Bytes of all Lua objects.
    pub memory_max: usize,
    /// For the main chunk.
    pub definition_timeout: Duration,
    /// Goroutines alive at once.
    pub max_coroutines: usize,
    /// How long the goroutines of a task are waited for after it has returned.
    pub join_timeout: Duration,
    /// After this time without a suspension point a coroutine goes to the end of the queue.
    pub slice: Duration,
    /// How long a coroutine may clean up after it was told to end; then it is discarded.
    pub kill_grace: Duration,
    /// The library.
    pub modules: &'static [&'static Module],
}

impl Default for VmSettings {
    fn default() -> VmSettings {
        VmSettings {
            memory_max: 512 << 20,
            definition_timeout: Duration::from_secs(60),
            max_coroutines: 10_000,
            join_timeout: Duration::from_secs(30),
            slice: Duration::from_secs(10),
            kill_grace: Duration::from_secs(10),
            modules: &[],
        }
    }
}

/// What a function of the script is called with.
#[derive(Clone, Debug)]
pub enum Shape {
    /// `(this, params, deps, session)`.
    Command(Box<View>),
    /// `(this, params, third)`: output, error or result.
    Hook {
        /// The task.
        view: Box<View>,
        /// Third argument.
        third: Value,
        /// The third argument is an error object.
        error: bool,
    },
    /// `(ctx)`.
    Ctx(Value),
    /// `(this, params, deps)`.
    Condition(Box<View>),
    /// `(ctx)` of a compensation.
    Compensation(Value),
    /// `(success, results, ctx)`.
    WorkflowEnd {
        /// Whether it completed.
        ok: bool,
        /// By task.
        results: Value,
        /// Context.
        ctx: Value,
    },
    /// `(ctx, err)` of a failure handler of a workflow.
    Error {
        /// Context.
        ctx: Value,
        /// Fields of the error object.
        error: Value,
    },
    /// As they are.
    Plain(Vec<Value>),
}

/// What `this` is made of.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct View {
    pub name: String,
    pub params: Map<String, Value>,
    /// Name → output.
    pub deps: Map<String, Value>,
    pub previous: Option<Value>,
    /// Name → result record; empty: asked of the engine at first use.
    pub results: Map<String, Value>,
    pub attempt: u32,
    pub max_attempts: u32,
    pub stage: Option<String>,
    pub workflow: String,
    pub workdir: PathBuf,
    pub temp_directory: PathBuf,
    pub last_checkpoint: Option<Value>,
    /// Host name where it runs.
    pub agent: String,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub struct CallEnd {
    /// Returned values, or what was raised.
    pub result: Result<Vec<Data>, Raised>,
    /// Whether its resource calls changed something; `None`: it made none.
    pub changed: Option<bool>,
    /// Fields set with `this.output(k, v)`.
    pub output: Map<String, Value>,
    /// Reason given to `task.cancel`.
    pub cancelled: Option<String>,
    /// Returned values that could not be kept (W302).
    pub warnings: Vec<String>,
}

/// An error that left a function of the script.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Raised {
    /// One line.
    pub message: String,
    /// Where.
    pub traceback: String,
    /// `timeout`, `cancelled`, …; `None`: `error`.
    pub kind: Option<String>,
    /// Of a command whose failure was raised, or of `os.exit`.
    pub exit_code: Option<i32>,
}

impl Raised {
    /// Without a place.
    pub fn new(message: impl Into<String>) -> Raised {
        Raised { message: message.into(), ..Raised::default() }
    }

    /// With a kind.
    pub fn of_kind(kind: &str, message: impl Into<String>) -> Raised {
        Raised { message: message.into(), kind: Some(kind.to_owned()), ..Raised::default() }
    }
}
