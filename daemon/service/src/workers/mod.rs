//! The workers of workflow runs, as slothd sees them: who is connected, what they record, and what they ask for together.
//!
//! What a worker says is trusted for its own run and nothing else. A record is durable before it is acknowledged.

mod circuits;
mod convert;
mod keys;
mod pace;
mod session;
mod token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sloth_api::worker::ToWorker;
use sloth_core::run::WorkerOrder;
use sloth_core::{AttemptKey, RunId};
use tokio::sync::mpsc;

use session::Turn;
pub(crate) use session::object;
pub use session::{Asker, Hello, Session};
pub use token::Secret;

use circuits::Circuits;
use keys::Keys;
use pace::Pace;

/// Orders that wait for a slow worker; whatever is beyond is told when it connects again.
const ORDERS_MAX: usize = 64;

/// The state that all connections share.
#[derive(Clone)]
pub struct Workers(Arc<Inner>);

struct Inner {
    secret: Secret,
    connected: Mutex<HashMap<RunId, Connected>>,
    circuits: Circuits,
    keys: Keys,
    pace: Pace,
}

/// A connection of a run's worker.
struct Connected {
    number: u64,
    worker: u32,
    orders: mpsc::Sender<ToWorker>,
    turn: Arc<Turn>,
}

impl Workers {
    /// Nobody is connected yet; circuits are as the store remembers them.
    pub fn new(secret: Secret, circuits: Vec<sloth_store::CircuitRow>) -> Workers {
        Workers(Arc::new(Inner {
            secret,
            connected: Mutex::default(),
            circuits: Circuits::new(circuits),
            keys: Keys::default(),
            pace: Pace::default(),
        }))
    }

    /// What proves that a process is this worker of this run.
    pub fn token(&self, run: RunId, worker: u32) -> String {
        self.0.secret.token(run, worker)
    }

    /// Tells the worker of a run something. One that is not connected learns it when it is.
    pub fn tell(&self, run: RunId, order: WorkerOrder) {
        let message = match order {
            WorkerOrder::Pause => ToWorker::Pause,
            WorkerOrder::Unpause => ToWorker::Unpause,
            WorkerOrder::Cancel(wish) => {
                ToWorker::Cancel { reason: wish.reason, task: None, force: false, compensate: wish.compensate }
            }
        };
        self.send(run, message);
    }

    /// Whether somebody was there to hear it.
    pub(crate) fn send(&self, run: RunId, message: ToWorker) -> bool {
        let connected = self.connected();
        connected.get(&run).is_some_and(|worker| worker.orders.try_send(message).is_ok())
    }

    /// The process of a worker is gone: what it held is free. A later worker of the run is not concerned.
    pub fn gone(&self, key: AttemptKey) {
        let mut connected = self.connected();
        if connected.get(&key.run).is_some_and(|worker| worker.worker > key.attempt) {
            return;
        }
        Workers::end(connected.remove(&key.run));
        drop(connected);
        self.0.keys.release_all(key.run);
    }

    /// How many are connected.
    pub fn count(&self) -> usize {
        self.connected().len()
    }

    fn connected(&self) -> MutexGuard<'_, HashMap<RunId, Connected>> {
        self.0.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
