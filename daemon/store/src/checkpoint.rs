//! Keeps the write-ahead log short without holding up the writer: a thread with a connection of its own copies the log
//! into the main file while the writer goes on appending. Only a log that has become huge is cut by the writer itself.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::open;

/// Pages in the log from which on it is copied.
const COPY_PAGES: i32 = 1000;

/// Pages in the log from which on the writer waits until it is copied and cut: 64 MiB.
const CUT_PAGES: i32 = 16_384;

/// Between two attempts to cut: a long reader may stand in the way.
const CUT_EVERY: Duration = Duration::from_secs(10);

pub(crate) struct Checkpointer {
    pages: Arc<AtomicI32>,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    last_cut: Option<Instant>,
}

impl Checkpointer {
    pub(crate) fn start(path: &Path, conn: &mut Connection) -> Result<Checkpointer, rusqlite::Error> {
        let own = open::connect(path)?;
        let (wake, woken) = sync_channel(1);
        let thread = std::thread::Builder::new().name("store-checkpoint".into()).spawn(move || copy(own, woken));
        let thread = match thread {
            Ok(thread) => Some(thread),
            Err(error) => {
                tracing::warn!(%error, "no thread for checkpoints; the writer makes them");
                None
            }
        };
        let this = Checkpointer { pages: Arc::default(), wake: Some(wake), thread, last_cut: None };
        this.watch(conn)?;
        Ok(this)
    }

    /// Has SQLite tell the length of the log after each commit (and make no checkpoint of its own).
    pub(crate) fn watch(&self, conn: &mut Connection) -> rusqlite::Result<()> {
        let pages = self.pages.clone();
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, n| {
            pages.store(n, Ordering::Relaxed);
            Ok(())
        }))
    }

    pub(crate) fn after_commit(&mut self, conn: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages >= COPY_PAGES
            && let Some(wake) = &self.wake
        {
            // Full means that it has been woken already.
            let _ = wake.try_send(());
        }
        if pages >= CUT_PAGES && self.last_cut.is_none_or(|at| at.elapsed() >= CUT_EVERY) {
            self.last_cut = Some(Instant::now());
            if let Err(error) = run(conn, "TRUNCATE") {
                tracing::warn!(%error, "cannot shorten the log of the database");
            }
        }
    }

    pub(crate) fn stop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the checkpoint thread of the store has panicked");
        }
    }
}

/// What a checkpoint did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointDone {
    /// Whether a reader or writer stood in the way of all of it.
    pub busy: bool,
    /// Pages in the log.
    pub log_pages: i64,
    /// Pages of it that are in the main file now.
    pub copied_pages: i64,
}

/// Makes a checkpoint: `PASSIVE` waits for nobody, `TRUNCATE` waits and leaves an empty log.
pub(crate) fn run(conn: &Connection, mode: &str) -> rusqlite::Result<CheckpointDone> {
    conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        Ok(CheckpointDone { busy: row.get::<_, i64>(0)? != 0, log_pages: row.get(1)?, copied_pages: row.get(2)? })
    })
}

fn copy(conn: Connection, woken: Receiver<()>) {
    while woken.recv().is_ok() {
        if let Err(error) = run(&conn, "PASSIVE") {
            tracing::warn!(%error, "cannot copy the log into the database");
        }
    }
}
