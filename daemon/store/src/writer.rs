//! The one thread that writes. It drains its queue into one transaction, a savepoint for each request, commits once and
//! then answers all: durable and fast at the same time.
//!
//! ```text
//!   open ──commit fails: full, I/O──▶ open (the group got the error, the next one tries again)
//!   open ──fsync fails──▶ gated ──reopened, copied to the main file, checked──▶ open
//! ```

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use sloth_core::Moment;
use sloth_core::record::Record;

use crate::apply::Apply;
use crate::checkpoint::Checkpointer;
use crate::error::is_failed_sync;
use crate::queue::{Answer, CloseQueue, Committed, Job, Pending, Queue, Work};
use crate::{StoreError, open};

/// How often a gated writer tries to reopen.
const REOPEN_EVERY: Duration = Duration::from_secs(1);

/// Handle of the thread.
pub(crate) struct Writer {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread needs.
pub(crate) struct Setup {
    pub conn: Connection,
    pub path: PathBuf,
    pub host: String,
    pub clock: Arc<dyn Fn() -> Moment + Send + Sync>,
    pub last_event: Arc<AtomicI64>,
    pub checkpointer: Checkpointer,
    pub queue_max: usize,
}

impl Writer {
    pub(crate) fn start(setup: Setup) -> std::io::Result<Writer> {
        let queue = Arc::new(Queue::new(setup.queue_max));
        let shared = queue.clone();
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(move || {
            let _guard = CloseQueue(&shared);
            Thread { setup, queue: &shared, gate: None }.run();
        })?;
        Ok(Writer { queue, thread: Mutex::new(Some(thread)) })
    }

    pub(crate) fn submit(&self, work: Work, answer: Answer) {
        let mut state = self.queue.lock();
        let refused = if state.closed {
            StoreError::Closed
        } else if state.jobs.len() >= self.queue.limit {
            StoreError::Busy { limit: self.queue.limit }
        } else {
            return self.queue.push(&mut state, Job { work, answer });
        };
        drop(state);
        answer(Err(refused));
    }

    /// Waits for room in the queue and for the answer.
    pub(crate) fn submit_and_wait(&self, work: Work) -> Result<Committed, StoreError> {
        let (answer, pending) = Pending::new();
        let mut state = self.queue.lock();
        while !state.closed && state.jobs.len() >= self.queue.limit {
            state = self.queue.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return Err(StoreError::Closed);
        }
        self.queue.push(&mut state, Job { work, answer });
        drop(state);
        pending.wait()
    }

    /// Runs a closure in a transaction, in turn with the requests, and waits for its value.
    pub(crate) fn inside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Apply<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (tx, rx) = mpsc::sync_channel(1);
        self.submit_and_wait(Work::Inside(Box::new(move |apply| {
            let _ = tx.send(work(apply)?);
            Ok(())
        })))?;
        rx.recv().map_err(|_| StoreError::Closed)
    }

    /// Runs a closure on the write connection outside of transactions, and waits for its value.
    pub(crate) fn outside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (tx, rx) = mpsc::sync_channel(1);
        self.submit_and_wait(Work::Outside(Box::new(move |conn| {
            let _ = tx.send(work(conn)?);
            Ok(())
        })))?;
        rx.recv().map_err(|_| StoreError::Closed)
    }

    pub(crate) fn watch_events(&self, notify: Box<dyn Fn(i64) + Send + Sync>) -> bool {
        self.queue.watch.set(notify).is_ok()
    }

    /// Lets the thread finish what is queued, and waits for it. False on that thread itself, which cannot wait.
    pub(crate) fn close(&self) -> bool {
        self.queue.lock().closed = true;
        self.queue.filled.notify_all();
        self.queue.room.notify_all();
        let mut slot = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|thread| thread.thread().id() == std::thread::current().id()) {
            return false;
        }
        if let Some(thread) = slot.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer of the store has panicked");
        }
        true
    }
}

struct Thread<'a> {
    setup: Setup,
    queue: &'a Queue,
    /// Set after a failed `fsync`: what happened, and when reopening was last tried.
    gate: Option<(StoreError, Instant)>,
}

impl Thread<'_> {
    fn run(mut self) {
        while let Some(mut group) = self.queue.next_group() {
            if let Err(error) = self.pass_gate() {
                answer_all(group, &error);
                continue;
            }
            if let [Job { work: Work::Outside(_), .. }] = group.as_slice()
                && let Some(Job { work: Work::Outside(work), answer }) = group.pop()
            {
                let result = work(&mut self.setup.conn).map(|()| self.committed());
                answer(result);
                continue;
            }
            self.transaction(group);
        }
        if self.gate.is_none()
            && let Err(error) = open::note_stop(&self.setup.conn, true)
        {
            tracing::warn!(%error, "cannot note the clean stop of the store");
        }
        self.setup.checkpointer.stop();
    }

    fn transaction(&mut self, group: Vec<Job>) {
        let before = self.setup.last_event.load(Ordering::Acquire);
        let (answers, works): (Vec<_>, Vec<_>) = group.into_iter().map(|job| (job.answer, job.work)).unzip();
        match self.try_transaction(works, before) {
            Ok((results, last_event)) => {
                self.setup.last_event.store(last_event, Ordering::Release);
                let committed = Committed { event_seq: last_event };
                for (answer, result) in answers.into_iter().zip(results) {
                    answer(result.map(|()| committed));
                }
                if last_event > before
                    && let Some(watch) = self.queue.watch.get()
                {
                    watch(last_event);
                }
                self.setup.checkpointer.after_commit(&self.setup.conn);
            }
            Err(error) => {
                tracing::error!(%error, requests = answers.len(), "a transaction of the store has failed");
                answers.into_iter().for_each(|answer| answer(Err(error.clone())));
            }
        }
    }

    /// One transaction for all; each request's own result and the last event. An error is one of the whole transaction.
    fn try_transaction(
        &mut self,
        works: Vec<Work>,
        last_event: i64,
    ) -> Result<(Vec<Result<(), StoreError>>, i64), StoreError> {
        let now = (self.setup.clock)();
        let conn = &self.setup.conn;
        let begin = conn.prepare_cached("BEGIN IMMEDIATE").and_then(|mut s| s.execute([]));
        begin.map_err(StoreError::from)?;
        let mut apply = Apply { conn, now, host: &self.setup.host, last_event };
        let alone = works.len() == 1;
        let mut results = Vec::with_capacity(works.len());
        for work in works {
            match request(&mut apply, work, alone) {
                Err(error) if error.is_fatal_to_group() || conn.is_autocommit() => {
                    roll_back(conn);
                    return Err(error);
                }
                result => results.push(result),
            }
        }
        let last_event = apply.last_event;
        if alone && results.iter().all(Result::is_err) {
            roll_back(conn);
            return Ok((results, last_event));
        }
        let commit = conn.prepare_cached("COMMIT").and_then(|mut s| s.execute([]));
        match commit {
            Ok(_) => Ok((results, last_event)),
            Err(error) => {
                roll_back(conn);
                let failed_sync = is_failed_sync(&error);
                let error = StoreError::from(error);
                if failed_sync {
                    self.gate = Some((error.clone(), Instant::now()));
                }
                Err(error)
            }
        }
    }

    /// After a failed `fsync` nothing is written until the database was reopened and found whole.
    fn pass_gate(&mut self) -> Result<(), StoreError> {
        let Some((error, tried)) = &mut self.gate else {
            return Ok(());
        };
        if tried.elapsed() < REOPEN_EVERY {
            return Err(error.clone());
        }
        *tried = Instant::now();
        match open::reopen(&self.setup.path) {
            Ok(mut conn) => {
                self.setup.checkpointer.watch(&mut conn)?;
                self.setup.conn = conn;
                self.gate = None;
                tracing::warn!("the store writes again after a failed sync");
                Ok(())
            }
            Err(new) => {
                *error = new.clone();
                Err(new)
            }
        }
    }

    fn committed(&self) -> Committed {
        Committed { event_seq: self.setup.last_event.load(Ordering::Acquire) }
    }
}

/// One request: all of it or nothing. Alone in its transaction it needs no savepoint, and neither does a single
/// statement, which SQLite undoes by itself when it fails.
fn request(apply: &mut Apply<'_>, work: Work, alone: bool) -> Result<(), StoreError> {
    let conn = apply.conn;
    let last_event = apply.last_event;
    let alone = alone || matches!(&work, Work::Records(all) if all.len() < 2 && all.iter().all(is_one_statement));
    if !alone {
        conn.prepare_cached("SAVEPOINT request")?.execute([])?;
    }
    let result = match work {
        Work::Records(records) => records.iter().try_for_each(|record| apply.record(record)),
        Work::Inside(work) => work(apply),
        Work::Outside(_) => Err(StoreError::Internal("work outside of transactions in a transaction".into())),
    };
    if result.is_err() {
        apply.last_event = last_event;
    }
    if !alone && !conn.is_autocommit() {
        if result.is_err() {
            conn.prepare_cached("ROLLBACK TO request")?.execute([])?;
        }
        conn.prepare_cached("RELEASE request")?.execute([])?;
    }
    result
}

/// Records that change the database with one statement.
fn is_one_statement(record: &Record) -> bool {
    match record {
        Record::RunNoted(_)
        | Record::Event(_)
        | Record::Published(_)
        | Record::Meta(..)
        | Record::Epoch(_)
        | Record::Planned(_)
        | Record::Decided(..)
        | Record::Folded(_)
        | Record::Marked { .. }
        | Record::Reread
        | Record::ScheduleStats { .. }
        | Record::AttemptEnded(..)
        | Record::BundleStored(_)
        | Record::Circuit(_)
        | Record::WorkflowSaved(_)
        | Record::WorkflowRemoved { .. }
        | Record::Answered(_)
        | Record::Audit(_) => true,
        Record::Unlisted(_)
        | Record::RunReopened(_)
        | Record::Journal(_)
        | Record::Unplanned
        | Record::Rebased { .. }
        | Record::ScheduleCreated(_)
        | Record::ScheduleChanged(_)
        | Record::ScheduleDeleted { .. }
        | Record::RunCreated(_)
        | Record::RunChanged(_)
        | Record::AttemptStarted(_) => false,
    }
}

fn roll_back(conn: &Connection) {
    if !conn.is_autocommit()
        && let Err(error) = conn.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "cannot roll back");
    }
}

fn answer_all(group: Vec<Job>, error: &StoreError) {
    group.into_iter().for_each(|job| (job.answer)(Err(error.clone())));
}
