//! What the worker gives to the language: context of the calling task, log, and the way to slothd.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Instant;

use serde_json::{Map, Value};

/// A future that may move between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// How the file is being executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// For real.
    Normal,
    /// Mutating calls only say what they would do.
    Check,
    /// As check, to collect what a run would do; handlers do not run.
    Plan,
    /// The definition alone, host calls simulated.
    Validate,
}

impl Mode {
    /// Whether mutating calls must not change anything.
    pub fn is_simulated(self) -> bool {
        self != Mode::Normal
    }
}

/// The run, for everything in it.
#[derive(Clone, Debug)]
pub struct RunInfo {
    /// UUID text.
    pub id: String,
    /// Stack name; empty: none.
    pub stack: String,
    /// Login name the run executes as.
    pub user: String,
    /// Mode.
    pub mode: Mode,
    /// RFC 3339.
    pub started_at: String,
    /// Directory in which the run was asked for.
    pub invocation_dir: PathBuf,
    /// Directory of the main file (where its bundle is unpacked).
    pub file_dir: PathBuf,
    /// The run's temporary directory, removed at its end.
    pub temp_dir: PathBuf,
    /// Merged values, without the file's own defaults.
    pub values: Map<String, Value>,
}

/// Context of one attempt of a task, of a handler, or of the definition phase. Everything a host function needs to know
/// about its caller.
pub struct Ctx {
    /// The run.
    pub run: Arc<RunInfo>,
    /// Workflow, when a task calls.
    pub workflow: Option<String>,
    /// Task; `None` in the definition phase.
    pub task: Option<String>,
    /// Attempt, from 1; 0 in the definition phase.
    pub attempt: u32,
    /// Relative paths and commands start here.
    pub workdir: PathBuf,
    /// Other user than the run's.
    pub user: Option<String>,
    /// Private directory of the attempt.
    pub temp_dir: PathBuf,
    /// Environment of commands (`None` unsets), changed by `os.setenv`; shared with everything the attempt starts.
    pub env: Arc<Mutex<BTreeMap<String, Option<String>>>>,
    /// When the attempt times out.
    pub deadline: Option<Instant>,
    /// Whether commands run in check mode, too.
    pub check_safe: bool,
    /// Ends what the attempt waits for.
    pub cancel: Cancel,
    /// Where its log goes.
    pub log: Arc<dyn Sink>,
    /// slothd.
    pub daemon: Arc<dyn Daemon>,
}

impl Ctx {
    /// Where a path of the script is. `~` is the home of the run's user.
    pub fn resolve(&self, path: &str) -> PathBuf {
        let home = || std::env::home_dir().unwrap_or_else(|| PathBuf::from("/"));
        if path == "~" {
            return home();
        }
        match path.strip_prefix("~/") {
            Some(rest) => home().join(rest),
            None => self.workdir.join(Path::new(path)),
        }
    }

    /// One log line of the calling task.
    pub fn say(&self, level: LogLevel, stream: Stream, message: impl Into<String>) {
        self.log.line(LogLine {
            workflow: self.workflow.clone(),
            task: self.task.clone(),
            attempt: self.attempt,
            level,
            stream,
            message: message.into(),
            fields: Map::new(),
        });
    }

    /// Whether mutating calls must not change anything.
    pub fn is_simulated(&self) -> bool {
        self.run.mode.is_simulated()
    }

    /// The same attempt for a part of it that ends earlier: at `deadline`, or by the returned context's own `cancel`,
    /// or with the whole.
    pub fn part(&self, deadline: Option<Instant>) -> Ctx {
        Ctx {
            run: Arc::clone(&self.run),
            workflow: self.workflow.clone(),
            task: self.task.clone(),
            attempt: self.attempt,
            workdir: self.workdir.clone(),
            user: self.user.clone(),
            temp_dir: self.temp_dir.clone(),
            env: Arc::clone(&self.env),
            deadline: match (self.deadline, deadline) {
                (Some(whole), Some(part)) => Some(whole.min(part)),
                (whole, part) => whole.or(part),
            },
            check_safe: self.check_safe,
            cancel: self.cancel.child(),
            log: Arc::clone(&self.log),
            daemon: Arc::clone(&self.daemon),
        }
    }
}

/// Severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// A command's standard output, or `print`.
    Stdout,
    /// A command's standard error.
    Stderr,
    /// `log.…`, and the engine.
    Log,
}

/// A line of a run's log.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct LogLine {
    pub workflow: Option<String>,
    pub task: Option<String>,
    pub attempt: u32,
    pub level: LogLevel,
    pub stream: Stream,
    pub message: String,
    pub fields: Map<String, Value>,
}

/// Takes log lines. Blocks when the reader is slow, so that a run cannot fill memory with its log.
pub trait Sink: Send + Sync {
    /// One line, without its end.
    fn line(&self, line: LogLine);
}

/// Requests to slothd: circuits, rate limits, state. The names are those of the worker protocol.
pub trait Daemon: Send + Sync {
    /// Asks, and waits for the answer.
    fn ask(&self, what: &'static str, body: Value) -> BoxFuture<Result<Value, Trouble>>;
    /// Appends to the run's journal, and waits until that is durable.
    fn journal(&self, kind: &'static str, body: Value) -> BoxFuture<Result<(), Trouble>>;
}

/// A refusal of slothd.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Trouble {
    /// Name from the error table.
    pub code: String,
    /// One sentence.
    pub message: String,
}

/// Why something is ended from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelKind {
    /// Its time is over.
    Timeout,
    /// Somebody asked; the text says who or why.
    Cancelled(String),
}

/// Tells whoever waits in a task that the task must end. Clones are the same.
#[derive(Clone, Default)]
pub struct Cancel {
    inner: Arc<Mutex<CancelState>>,
    /// The whole of which this is a part.
    parent: Option<Arc<Cancel>>,
}

#[derive(Default)]
struct CancelState {
    kind: Option<CancelKind>,
    wakers: Vec<Waker>,
}

impl Cancel {
    /// One that is ended with this one, or earlier by itself.
    pub fn child(&self) -> Cancel {
        Cancel { inner: Arc::default(), parent: Some(Arc::new(self.clone())) }
    }

    /// Ends it; the first reason stays.
    pub fn cancel(&self, kind: CancelKind) {
        let wakers = {
            let mut state = self.state();
            state.kind.get_or_insert(kind);
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Why, when it has been ended.
    pub fn kind(&self) -> Option<CancelKind> {
        let own = self.state().kind.clone();
        own.or_else(|| self.parent.as_ref().and_then(|parent| parent.kind()))
    }

    /// Waits until it is ended.
    pub fn cancelled(&self) -> impl Future<Output = CancelKind> + Send + use<> {
        let cancel = self.clone();
        std::future::poll_fn(move |context| cancel.poll(context.waker()))
    }

    pub(crate) fn poll(&self, waker: &Waker) -> Poll<CancelKind> {
        {
            let mut state = self.state();
            if let Some(kind) = &state.kind {
                return Poll::Ready(kind.clone());
            }
            if !state.wakers.iter().any(|known| known.will_wake(waker)) {
                state.wakers.push(waker.clone());
            }
        }
        self.parent.as_ref().map_or(Poll::Pending, |parent| parent.poll(waker))
    }

    fn state(&self) -> MutexGuard<'_, CancelState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
