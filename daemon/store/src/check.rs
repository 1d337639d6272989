//! Looks for damage: at once, or beside the daemon on a connection and thread of its own.

use std::path::Path;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, InterruptHandle};

use crate::pool;

/// Check after an unclean stop.
#[derive(Debug)]
pub enum Check {
    /// The last stop was clean.
    NotNeeded,
    /// Nothing found.
    Passed,
    /// Under way; one report comes, or none when the store is closed before.
    Background(mpsc::Receiver<CheckReport>),
}

/// Result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// What SQLite found, at most 100 lines; empty when all is well.
    pub problems: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

/// What `quick_check` finds, at most 100 lines.
pub(crate) fn quick_check(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    lines(conn, "PRAGMA quick_check(100)")
}

/// The lines of a check, without the `ok` of a whole database.
pub(crate) fn lines(conn: &Connection, pragma: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = conn.prepare(pragma)?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    rows.filter(|line| !matches!(line, Ok(text) if text == "ok")).collect()
}

/// The check that runs beside the daemon.
#[derive(Default)]
pub(crate) struct Checks {
    running: Mutex<Option<(InterruptHandle, JoinHandle<()>)>>,
}

impl Checks {
    pub(crate) fn start(path: &Path) -> rusqlite::Result<(Checks, Check)> {
        let conn = pool::reader(path)?;
        let interrupt = conn.get_interrupt_handle();
        let (tx, rx) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().name("store-check".into()).spawn(move || {
            let began = std::time::Instant::now();
            let problems = match quick_check(&conn) {
                Ok(problems) => problems,
                Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => return,
                Err(error) => vec![error.to_string()],
            };
            // Nobody may be interested.
            let _ = tx.send(CheckReport { problems, took: began.elapsed() });
        });
        let running = match thread {
            Ok(thread) => Some((interrupt, thread)),
            Err(error) => {
                tracing::warn!(%error, "no thread for the check of the database");
                None
            }
        };
        Ok((Checks { running: Mutex::new(running) }, Check::Background(rx)))
    }

    pub(crate) fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((interrupt, thread)) = running {
            interrupt.interrupt();
            if thread.join().is_err() {
                tracing::error!("the check of the database has panicked");
            }
        }
    }
}
