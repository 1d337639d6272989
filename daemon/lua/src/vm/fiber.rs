//! Coroutines of the VM (*fibers*), the call they belong to (*group*) and what ends them early (*scope*).

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use mlua::{MultiValue, Thread};
use serde_json::{Map, Value};

use super::api::{CallEnd, Raised};
use super::ops::OpId;
use crate::host::{CancelKind, Ctx, LogLevel, Stream};

/// A coroutine that the scheduler runs.
pub(crate) struct Fiber {
    pub(crate) id: u64,
    pub(crate) group: RefCell<Rc<Group>>,
    pub(crate) scope: RefCell<Rc<Scope>>,
    /// The main coroutine of its group.
    pub(crate) main: bool,
    pub(crate) thread: RefCell<Option<Thread>>,
    /// Values for the next resume.
    pub(crate) input: RefCell<Option<MultiValue>>,
    pub(crate) state: Cell<FiberState>,
    /// When it was told to end.
    pub(crate) told: Cell<Option<Instant>>,
    /// Its end is raised instead of the result that it waits for.
    pub(crate) due: Cell<bool>,
    /// Nobody waits for it.
    pub(crate) helper: Cell<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FiberState {
    Ready,
    Running,
    Waiting(OpId),
    Over,
}

impl Fiber {
    pub(crate) fn new(
        id: u64,
        group: &Rc<Group>,
        scope: &Rc<Scope>,
        main: bool,
        thread: Thread,
        input: MultiValue,
    ) -> Fiber {
        Fiber {
            id,
            group: RefCell::new(Rc::clone(group)),
            scope: RefCell::new(Rc::clone(scope)),
            main,
            thread: RefCell::new(Some(thread)),
            input: RefCell::new(Some(input)),
            state: Cell::new(FiberState::Ready),
            told: Cell::default(),
            due: Cell::default(),
            helper: Cell::default(),
        }
    }

    pub(crate) fn ctx(&self) -> Arc<Ctx> {
        Arc::clone(&self.scope.borrow().ctx)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state.get() == FiberState::Over
    }
}

/// A part of a call with its own end: the whole, or what runs under `async.timeout`.
pub(crate) struct Scope {
    pub(crate) ctx: Arc<Ctx>,
    /// A timer watches its deadline.
    pub(crate) watched: Cell<bool>,
}

impl Scope {
    pub(crate) fn new(ctx: Arc<Ctx>) -> Rc<Scope> {
        Rc::new(Scope { ctx, watched: Cell::new(false) })
    }

    /// Why its coroutines must end.
    pub(crate) fn verdict(&self, now: Instant) -> Option<CancelKind> {
        self.ctx.cancel.kind().or_else(|| match self.ctx.deadline {
            Some(deadline) if deadline <= now => Some(CancelKind::Timeout),
            _ => None,
        })
    }
}

/// One call of a function of the script from the engine, with all coroutines that it has started.
pub(crate) struct Group {
    pub(crate) id: u64,
    /// The whole call.
    pub(crate) scope: Rc<Scope>,
    /// Of its goroutines, which may be ended before it.
    pub(crate) others: RefCell<Option<Rc<Scope>>>,
    /// Its cancellation has been seen.
    pub(crate) noticed: Cell<bool>,
    /// Coroutines that have not ended.
    pub(crate) fibers: RefCell<Vec<Rc<Fiber>>>,
    /// How the function itself ended.
    pub(crate) main_end: RefCell<Option<Result<Vec<crate::data::Data>, Raised>>>,
    pub(crate) join_until: Cell<Option<Instant>>,
    pub(crate) failures: RefCell<Vec<String>>,
    pub(crate) changed: Cell<Option<bool>>,
    pub(crate) output: RefCell<Map<String, Value>>,
    pub(crate) cancelled: RefCell<Option<String>>,
    pub(crate) end: RefCell<Option<CallEnd>>,
    pub(crate) waker: RefCell<Option<Waker>>,
    /// Functions called from here stay values of the VM: the raw results of a call from within.
    pub(crate) keep: RefCell<Option<MultiValue>>,
    pub(crate) keep_values: bool,
    /// Values that could not be kept.
    pub(crate) warnings: RefCell<Vec<String>>,
    /// Goroutines that outlive the task that started them.
    pub(crate) detached: bool,
    /// Beginnings of lines that `io.write` has not finished: standard output and error.
    pub(crate) partial: RefCell<[String; 2]>,
}

impl Group {
    pub(crate) fn new(id: u64, scope: Rc<Scope>, keep_values: bool) -> Group {
        Group {
            id,
            scope,
            others: RefCell::default(),
            noticed: Cell::default(),
            fibers: RefCell::default(),
            main_end: RefCell::default(),
            join_until: Cell::default(),
            failures: RefCell::default(),
            changed: Cell::default(),
            output: RefCell::default(),
            cancelled: RefCell::default(),
            end: RefCell::default(),
            waker: RefCell::default(),
            keep: RefCell::default(),
            keep_values,
            warnings: RefCell::default(),
            detached: false,
            partial: RefCell::default(),
        }
    }

    /// Scope of its goroutines.
    pub(crate) fn others(&self) -> Rc<Scope> {
        let mut others = self.others.borrow_mut();
        Rc::clone(others.get_or_insert_with(|| Scope::new(Arc::new(self.scope.ctx.part(None)))))
    }

    /// `io.write`: whole lines go to the log.
    pub(crate) fn write(&self, ctx: &Ctx, stream: Stream, text: &str) {
        let mut partial = self.partial.borrow_mut();
        let line = &mut partial[usize::from(stream == Stream::Stderr)];
        line.push_str(text);
        while let Some(end) = line.find('\n') {
            let rest = line.split_off(end + 1);
            line.pop();
            ctx.say(level_of(stream), stream, std::mem::replace(line, rest));
        }
        if line.len() > LINE_MAX {
            ctx.say(level_of(stream), stream, std::mem::take(line));
        }
    }

    /// What has no end of line yet.
    pub(crate) fn flush(&self) {
        let partial = std::mem::take(&mut *self.partial.borrow_mut());
        for (line, stream) in partial.into_iter().zip([Stream::Stdout, Stream::Stderr]) {
            if !line.is_empty() {
                self.scope.ctx.say(level_of(stream), stream, line);
            }
        }
    }

    pub(crate) fn note_change(&self, changed: bool) {
        self.changed.set(Some(self.changed.get().unwrap_or(false) || changed));
    }
}

/// Longer lines are split.
const LINE_MAX: usize = 64 << 10;

fn level_of(stream: Stream) -> LogLevel {
    if stream == Stream::Stderr { LogLevel::Warn } else { LogLevel::Info }
}
