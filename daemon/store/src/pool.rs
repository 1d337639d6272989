//! Connections that only read. Few, because a read takes microseconds; with the write-ahead log they never wait for the
//! writer and see the last commit.

use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::StoreError;

pub(crate) struct Pool {
    state: Mutex<State>,
    returned: Condvar,
}

struct State {
    idle: Vec<Connection>,
    closed: bool,
}

impl Pool {
    pub(crate) fn open(path: &Path, size: usize) -> rusqlite::Result<Pool> {
        let idle = (0..size.max(1)).map(|_| reader(path)).collect::<rusqlite::Result<_>>()?;
        Ok(Pool { state: Mutex::new(State { idle, closed: false }), returned: Condvar::new() })
    }

    /// Runs `work` on a connection, in one consistent view of the database per statement.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut lent = Lent { pool: self, conn: Some(self.take()?) };
        let conn = lent.conn.as_mut().ok_or(StoreError::Closed)?;
        work(conn)
    }

    /// As [`Pool::with`], with one view for all statements.
    pub(crate) fn snapshot<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.with(|conn| {
            let tx = conn.unchecked_transaction()?;
            work(&tx)
        })
    }

    /// Closes all connections; those in use when they are given back.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.idle.clear();
        self.returned.notify_all();
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return Err(StoreError::Closed);
            }
            if let Some(conn) = state.idle.pop() {
                return Ok(conn);
            }
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives the connection back, also when the work panics.
struct Lent<'a> {
    pool: &'a Pool,
    conn: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        if let Some(conn) = self.conn.take()
            && !state.closed
        {
            state.idle.push(conn);
        }
        self.pool.returned.notify_one();
    }
}

/// A connection that cannot write.
pub(crate) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(Duration::from_secs(1))?;
    conn.set_prepared_statement_cache_capacity(64);
    conn.execute_batch("PRAGMA query_only = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -512;")?;
    Ok(conn)
}
