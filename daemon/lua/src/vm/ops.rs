//! What a coroutine waits for. The script holds the number of an operation only; a number that means nothing is
//! refused, so that a forged one does no harm.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

use mlua::MultiValue;

use super::api::LocalBoxFuture;
use super::fiber::Fiber;
use crate::host::BoxFuture;
use crate::module::{Function, Module, Reply};

/// Number of an operation, unique in a VM.
pub(crate) type OpId = u64;

/// What has to be done before the coroutine may go on.
pub(crate) enum Work {
    /// On the I/O runtime.
    Io(BoxFuture<Reply>),
    /// On a thread that may block.
    Blocking(Box<dyn FnOnce() -> Reply + Send>),
    /// On the VM's thread: the engine of the run.
    Local(LocalBoxFuture<Reply>),
    /// Until another coroutine wakes it, or the time comes.
    Park {
        /// When it gives up.
        until: Option<Instant>,
        /// Nobody outside the same task can wake it.
        own: bool,
    },
    /// Until the time comes.
    Sleep(Instant),
    /// The others first.
    Turn,
    /// The whole call ends with this code.
    Exit(i32),
}

/// How the reply becomes values of the script.
#[derive(Clone, Copy)]
pub(crate) enum Finish {
    /// As the function's family says.
    Family {
        /// Module.
        module: &'static Module,
        /// Function.
        function: &'static Function,
        /// Raise failures in any family (`raise = true`).
        raise: bool,
    },
    /// The values; a failure is raised.
    Values,
}

/// One operation.
pub(crate) struct Op {
    /// What for: `exec.run`, `channel receive`.
    pub(crate) label: String,
    /// Taken when it starts.
    pub(crate) work: Option<Work>,
    pub(crate) finish: Finish,
    /// Who waits.
    pub(crate) fiber: Option<Rc<Fiber>>,
    /// What it waits for, once it has started.
    pub(crate) waits: Waits,
    /// Number under which the definition phase records the result.
    pub(crate) recorded: Option<Record>,
    /// The reply, while it is being recorded.
    pub(crate) kept: Option<Reply>,
    /// Another coroutine may wake it.
    pub(crate) parks: bool,
    /// It was woken before it waited.
    pub(crate) early: Option<MultiValue>,
}

/// A call of the definition phase that has to be recorded.
#[derive(Clone)]
pub(crate) struct Record {
    pub(crate) function: String,
    pub(crate) arguments: String,
}

/// What a started operation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// The host or the engine: it comes by itself.
    Host,
    /// A time: it comes by itself.
    Time,
    /// Another coroutine; `own`: of the same task.
    Wake {
        /// See [`Work::Park`].
        own: bool,
    },
}

/// All operations that have not ended.
#[derive(Default)]
pub(crate) struct Ops {
    next: OpId,
    all: HashMap<OpId, Op>,
}

impl Ops {
    pub(crate) fn add(&mut self, label: impl Into<String>, work: Work, finish: Finish) -> OpId {
        self.next += 1;
        let waits = match &work {
            Work::Park { until: None, own } => Waits::Wake { own: *own },
            Work::Park { .. } | Work::Sleep(_) | Work::Turn | Work::Exit(_) => Waits::Time,
            Work::Io(_) | Work::Blocking(_) | Work::Local(_) => Waits::Host,
        };
        let op = Op {
            label: label.into(),
            parks: matches!(work, Work::Park { .. }),
            work: Some(work),
            finish,
            fiber: None,
            waits,
            recorded: None,
            kept: None,
            early: None,
        };
        self.all.insert(self.next, op);
        self.next
    }

    pub(crate) fn get(&self, id: OpId) -> Option<&Op> {
        self.all.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: OpId) -> Option<&mut Op> {
        self.all.get_mut(&id)
    }

    pub(crate) fn remove(&mut self, id: OpId) -> Option<Op> {
        self.all.remove(&id)
    }
}
