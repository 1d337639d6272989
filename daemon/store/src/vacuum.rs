//! Gives space back to the file system, also on a full one: there a whole second copy of the database finds no room, but the log can be
//! cut, and free pages can be given back a few at a time, each time with the log cut again.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use crate::files::beside;
use crate::{Store, StoreError, checkpoint};

/// Free pages given back in one transaction, first and fewest: what is moved for it goes through the log.
const PAGES: (u32, u32) = (256, 4);
/// Room in the log for the smallest step.
const STEP_BYTES: u64 = 64 << 10;

impl Store {
    /// Gives up to this many free pages back to the file system.
    pub fn shrink(&self, pages: u32) -> Result<(), StoreError> {
        self.inner.writer.outside(move |conn| give_back(conn, pages))
    }

    /// Rewrites the whole file without gaps. Writes wait meanwhile, and as much free space as the file has is needed; where that is not
    /// there, gives back what it can. [`StoreError::StorageFull`] says that nothing could be given back, and how much room that takes.
    pub fn vacuum(&self) -> Result<(), StoreError> {
        let path = self.inner.place.path.clone();
        self.inner.writer.outside(move |conn| {
            let before = size(&path);
            // The log first: on a full disk it may be what can be given back. When it cannot be cut yet, the end tells.
            let _ = cut(conn);
            let whole = conn.execute_batch("VACUUM").map_err(StoreError::from).and_then(|()| cut(conn));
            let done = match whole {
                Err(StoreError::StorageFull(_)) => step_by_step(conn),
                other => other,
            };
            match done {
                // Not all of it, but it helped, and helps again.
                Err(StoreError::StorageFull(_)) if size(&path) < before => Ok(()),
                Err(StoreError::StorageFull(_)) => Err(nothing_given_back(conn, &path)),
                other => other,
            }
        })
    }
}

/// Everything that is free, in steps that become smaller when they find no room.
fn step_by_step(conn: &Connection) -> Result<(), StoreError> {
    let mut pages = PAGES.0;
    loop {
        let before = number(conn, "freelist_count")?;
        match give_back(conn, pages).and_then(|()| cut(conn)) {
            Err(StoreError::StorageFull(_)) if pages > PAGES.1 => pages /= 4,
            Err(error) => return Err(error),
            // Without progress there never will be any: a reader may hold the log.
            Ok(()) if matches!(number(conn, "freelist_count")?, left if left == 0 || left >= before) => return Ok(()),
            Ok(()) => {}
        }
    }
}

fn give_back(conn: &Connection, pages: u32) -> Result<(), StoreError> {
    // The pragma is a query that works one page per row.
    let mut statement = conn.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

fn cut(conn: &Connection) -> Result<(), StoreError> {
    checkpoint::run(conn, "TRUNCATE")?;
    Ok(())
}

/// What stands in the way: pages that are in the log alone, and with which the file grows before the log can be cut.
fn nothing_given_back(conn: &Connection, path: &Path) -> StoreError {
    let bytes = |suffix| fs::metadata(beside(path, suffix)).map_or(0, |meta| meta.len());
    let pages = number(conn, "page_count").unwrap_or_default() * number(conn, "page_size").unwrap_or_default();
    let grows = pages.saturating_sub(bytes(""));
    let log = bytes("-wal");
    let needed = (grows + STEP_BYTES).div_ceil(1024);
    StoreError::StorageFull(format!(
        "nothing could be given back: that takes {needed} KiB of free space first (the log of {} KiB can be cut when its pages are in \
         the database, which grows by {} KiB for it)",
        log / 1024,
        grows / 1024
    ))
}

fn number(conn: &Connection, pragma: &str) -> Result<u64, StoreError> {
    Ok(conn.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0))?.unsigned_abs())
}

/// Bytes of the file and its log.
fn size(path: &Path) -> u64 {
    ["", "-wal"].iter().map(|suffix| fs::metadata(beside(path, suffix)).map_or(0, |meta| meta.len())).sum()
}
