//! Remembers: the SQLite store of slothd. One thread writes and commits in groups; readers never wait for it. The only
//! crate that contains SQL.

mod apply;
mod backup;
mod check;
mod checkpoint;
mod definition;
mod error;
mod files;
mod open;
mod pool;
mod query;
mod queue;
mod read;
mod restore;
mod retention;
mod schema;
mod vacuum;
mod words;
mod writer;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub use apply::AuditRow;
pub use backup::{BackupInfo, BackupKind, BackupWish, Backups, Verified};
pub use check::{Check, CheckReport};
pub use checkpoint::CheckpointDone;
pub use definition::Zones;
pub use error::{OpenError, StoreError};
pub use open::{OpenOptions, Opened};
pub use query::{QueryLimits, QueryResult};
pub use queue::{Committed, Pending};
pub use read::*;
pub use restore::{RESTORED, RestoreError, Restored, restore};
pub use retention::{EventLimits, Pruned, Scope};
pub use schema::{APPLICATION_ID, VERSION};

use sloth_core::record::Record;

/// The open store. Cheap to clone; the last clone that is dropped closes it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    writer: writer::Writer,
    readers: pool::Pool,
    checks: check::Checks,
    zones: Arc<Zones>,
    place: open::Place,
    last_event: Arc<AtomicI64>,
    // Given back when all connections are closed.
    lock: Mutex<Option<files::Lock>>,
}

impl Store {
    /// Writes the records in one transaction, all or none, after everything submitted before. `answer` is called on the
    /// writer's thread when they are durable or have failed; it must not block. Never blocks: [`StoreError::Busy`] is
    /// the answer when the queue is full.
    pub fn submit(
        &self,
        records: impl Into<Arc<Vec<Record>>>,
        answer: impl FnOnce(Result<Committed, StoreError>) + Send + 'static,
    ) {
        self.inner.writer.submit(queue::Work::Records(records.into()), Box::new(answer));
    }

    /// As [`Store::submit`], and waits. For tests and for threads that may block.
    pub fn write(&self, records: Vec<Record>) -> Result<Committed, StoreError> {
        self.inner.writer.submit_and_wait(queue::Work::Records(Arc::new(records)))
    }

    /// As [`Store::submit`], with a handle to wait on later.
    pub fn submit_pending(&self, records: Vec<Record>) -> Pending {
        let (answer, pending) = Pending::new();
        self.inner.writer.submit(queue::Work::Records(Arc::new(records)), answer);
        pending
    }

    /// Calls `notify` on the writer's thread after each commit that added events, with the sequence number of the last
    /// one. It must not block. Can be set once; false when it was set already.
    pub fn event_watch(&self, notify: impl Fn(i64) + Send + Sync + 'static) -> bool {
        self.inner.writer.watch_events(Box::new(notify))
    }

    /// Sequence number of the last durable event, 0 when there is none.
    pub fn last_event_seq(&self) -> i64 {
        self.inner.last_event.load(Ordering::Acquire)
    }

    /// Writes what is queued, notes the clean stop and closes. Later calls of any clone answer [`StoreError::Closed`].
    pub fn close(&self) {
        self.inner.close();
    }

    fn read<T>(&self, work: impl FnOnce(&rusqlite::Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.inner.readers.with(work)
    }
}

impl Inner {
    fn close(&self) {
        self.checks.stop();
        self.readers.close();
        if self.writer.close() {
            self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

/// Lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]).map(char::from).collect()
}
