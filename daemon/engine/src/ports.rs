//! What the engine needs from the world. The daemon plugs the real things in, tests others.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sloth_core::launch::{Order, Start};
use sloth_core::machine::Loaded;
use sloth_core::record::Record;
use sloth_core::run::WorkerOrder;
use sloth_core::{Moment, RunId};

use crate::Reading;

/// What [`Ports::idle_max`] is when no watchdog wants it shorter.
pub const IDLE_MAX: Duration = Duration::from_secs(5);

/// Store, executor and clocks.
pub trait Ports: Send + Sync + 'static {
    /// All clocks at one moment.
    fn read_clocks(&self) -> Reading;

    /// The wall clock alone.
    fn wall(&self) -> Moment {
        self.read_clocks().wall
    }

    /// Writes one transaction; `done` is called, from any thread, when it is durable or has failed as a whole. Transactions are
    /// carried out in the order they are handed over.
    fn commit(&self, records: Arc<Vec<Record>>, done: Box<dyn FnOnce(Result<(), StoreError>) + Send>);

    /// Reads the schedules whose `next_due` is not after `until`, in that order, at most `max`; the flag says whether these are all.
    #[allow(clippy::type_complexity)]
    fn load_due(
        &self,
        until: Moment,
        max: usize,
        done: Box<dyn FnOnce(Result<(Vec<Loaded>, bool), StoreError>) + Send>,
    );

    /// Hands an order to the executor. Orders are carried out in the order they are given. Must not block.
    fn order(&self, order: Order);

    /// Has an attempt prepared: like [`Order::Prepare`], in order with the others. In a burst the engine's thread has better things to
    /// do than to spell out what it consists of.
    fn prepare(&self, start: Start) {
        self.order(Order::Prepare(Box::new(start.launch())));
    }

    /// Tells the worker of a run something, if it is connected; else it learns it when it is. Must not block.
    fn worker(&self, run: RunId, order: WorkerOrder) {
        let _ = (run, order);
    }

    /// The engine is alive. Called at least once per [`Ports::idle_max`].
    fn heartbeat(&self);

    /// How long the loop may sleep when nothing is due. Each wake costs; that the clock is set wakes it anyway.
    fn idle_max(&self) -> Duration {
        IDLE_MAX
    }
}

/// Wakes the engine at a wall-clock time, and at once when the clock is set.
pub trait Alarm: Send + 'static {
    /// Returns at `until`, or when the clock was set. `None`: only the latter. Cancel safe.
    fn wait(&mut self, until: Option<Moment>) -> impl Future<Output = ()> + Send;
}

/// Why the store did not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No space.
    #[error("no space left to write the database: {0}")]
    Full(String),
    /// It cannot be written (or read) now.
    #[error("the database cannot be used now: {0}")]
    Unavailable(String),
    /// It contradicts what is stored.
    #[error("{0}")]
    Conflict(String),
    /// What it is about does not exist.
    #[error("{0} does not exist")]
    NotFound(String),
    /// The file is damaged, or the program has a defect.
    #[error("{0}")]
    Broken(String),
}

impl StoreError {
    /// Whether the same transaction may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(self, StoreError::Full(_) | StoreError::Unavailable(_))
    }
}
