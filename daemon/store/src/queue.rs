//! What waits for the writer: requests with their answers, in order, at most so many.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};

use rusqlite::Connection;
use sloth_core::record::Record;

use crate::StoreError;
use crate::apply::Apply;

/// Requests in one transaction.
const GROUP_MAX: usize = 256;

/// A durable write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Sequence number of the last event in the store after this write, 0 for none.
    pub event_seq: i64,
}

pub(crate) type Answer = Box<dyn FnOnce(Result<Committed, StoreError>) + Send>;

pub(crate) type Inside = Box<dyn FnOnce(&mut Apply<'_>) -> Result<(), StoreError> + Send>;
pub(crate) type Outside = Box<dyn FnOnce(&mut Connection) -> Result<(), StoreError> + Send>;

/// What a request wants done.
pub(crate) enum Work {
    Records(Arc<Vec<Record>>),
    /// Housekeeping inside the transaction.
    Inside(Inside),
    /// Housekeeping that cannot be in a transaction. Has the connection for itself.
    Outside(Outside),
}

pub(crate) struct Job {
    pub work: Work,
    pub answer: Answer,
}

/// The answer of a write that is under way.
pub struct Pending {
    answer: mpsc::Receiver<Result<Committed, StoreError>>,
}

impl Pending {
    pub(crate) fn new() -> (Answer, Pending) {
        let (tx, rx) = mpsc::sync_channel(1);
        let answer = move |result| {
            // Nobody waits any more: the write is done all the same.
            let _ = tx.send(result);
        };
        (Box::new(answer), Pending { answer: rx })
    }

    /// Blocks until the write is durable or has failed.
    pub fn wait(self) -> Result<Committed, StoreError> {
        self.answer.recv().unwrap_or(Err(StoreError::Closed))
    }
}

pub(crate) struct Queue {
    state: Mutex<State>,
    pub filled: Condvar,
    pub room: Condvar,
    pub limit: usize,
    /// Told of commits with events.
    pub watch: OnceLock<Box<dyn Fn(i64) + Send + Sync>>,
}

pub(crate) struct State {
    pub jobs: VecDeque<Job>,
    pub closed: bool,
}

impl Queue {
    pub(crate) fn new(limit: usize) -> Self {
        Queue {
            state: Mutex::new(State { jobs: VecDeque::new(), closed: false }),
            filled: Condvar::new(),
            room: Condvar::new(),
            limit: limit.max(1),
            watch: OnceLock::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, state: &mut State, job: Job) {
        state.jobs.push_back(job);
        if state.jobs.len() == 1 {
            self.filled.notify_one();
        }
    }

    /// The next group, in order; `None` when closed and empty. Work outside of transactions is a group of its own.
    pub(crate) fn next_group(&self) -> Option<Vec<Job>> {
        let mut state = self.lock();
        while state.jobs.is_empty() {
            if state.closed {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let outside = |job: &Job| matches!(job.work, Work::Outside(_));
        let inside = state.jobs.iter().take(GROUP_MAX).position(outside);
        let n = inside.unwrap_or(GROUP_MAX.min(state.jobs.len())).max(1);
        let group = state.jobs.drain(..n).collect();
        self.room.notify_all();
        Some(group)
    }
}

/// Answers what is left when the thread ends, however it ends.
pub(crate) struct CloseQueue<'a>(pub &'a Queue);

impl Drop for CloseQueue<'_> {
    fn drop(&mut self) {
        let jobs = {
            let mut state = self.0.lock();
            state.closed = true;
            std::mem::take(&mut state.jobs)
        };
        self.0.room.notify_all();
        jobs.into_iter().for_each(|job| (job.answer)(Err(StoreError::Closed)));
    }
}
