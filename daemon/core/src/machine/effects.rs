//! What the machine wants done.

use super::Timer;
use crate::launch::{Order, Start};
use crate::record::Record;
use crate::run::WorkerOrder;
use crate::{Moment, RunId, ScheduleId};

/// The consequences of the inputs since it was made, in order.
#[derive(Debug, Default)]
pub struct Effects {
    /// One transaction.
    pub records: Vec<Record>,
    /// May be carried out before the transaction is durable.
    pub early: Vec<Early>,
    /// Must not be carried out before the transaction is durable.
    pub late: Vec<Late>,
    /// To hand back with [`super::Input::Committed`].
    pub arms: Arms,
}

impl Effects {
    /// Whether nothing has to be done at all.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
            && self.early.is_empty()
            && self.late.is_empty()
            && self.arms.timers.is_empty()
            && self.arms.touched.is_empty()
            && self.arms.born.is_empty()
    }
}

/// What becomes effective inside the machine once a batch is durable.
#[derive(Clone, Debug, Default)]
pub struct Arms {
    pub(super) timers: Vec<Timer>,
    pub(super) touched: Vec<ScheduleId>,
    /// Runs that were asked for.
    pub(super) born: Vec<RunId>,
    /// Steps of the clock that `timers` know of, see [`super::Machine`].
    pub(super) shift_us: i64,
}

/// An order that needs no durable record of its own.
#[derive(Debug)]
pub enum Early {
    /// Make a process, held.
    Prepare {
        /// The attempt.
        start: Start,
        /// When it was due to start, for the measure of lateness; `None` for later attempts.
        fire_at: Option<Moment>,
    },
    /// Anything else that is harmless.
    Order(Order),
}

/// An order that stands on the records before it.
#[derive(Debug)]
pub enum Late {
    /// To the executor.
    Order(Order),
    /// Read the schedules whose `next_due` is not after `until` and say [`super::Input::Refilled`].
    Refill {
        /// End of the window.
        until: Moment,
        /// At most so many schedules.
        max: usize,
    },
    /// Have an attempt prepared once more.
    Prepare(Box<Start>),
    /// Tell the worker of a run; when it is not connected it learns it when it is.
    Worker(RunId, WorkerOrder),
    /// Answer a request.
    Reply(Token, Result<Answer, Refusal>),
}

/// Stands for a request that waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// What a request achieved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A run was made.
    Run {
        /// Which.
        run: RunId,
        /// Whether it has to wait.
        queued: bool,
    },
    /// A run is being ended, or has been.
    Cancelling {
        /// Whether it is over already.
        done: bool,
    },
    /// It is on disk.
    Noted,
    /// A run was paused, or goes on.
    Switched {
        /// Whether it was not so before.
        changed: bool,
    },
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// An earlier run of the schedule is unfinished.
    Overlap {
        /// Which.
        by: RunId,
    },
    /// The schedule's queue is full.
    QueueFull {
        /// How many wait.
        waiting: usize,
    },
    /// So many workflow runs wait that no more is taken.
    EngineFull {
        /// How many.
        waiting: usize,
    },
    /// The run has not ended.
    Running,
    /// The run is one of a command.
    NoWorkflow,
    /// The schedule changed meanwhile: read it again and retry.
    Stale,
    /// There is no such unfinished run.
    NotRunning,
    /// Runs cannot be recorded now.
    StorageBlocked,
    /// The daemon is in maintenance, for this reason.
    Quiesced(String),
}
