//! The state of the database itself, named values of the daemon, and answers of recent requests.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use rusqlite::params;
use sloth_core::record::{Answered, Record};
use sloth_core::{Moment, Uid};

use super::{first, rows};
use crate::backup::{BackupInfo, Backups};
use crate::checkpoint::{self, CheckpointDone};
use crate::files::beside;
use crate::{Store, StoreError, check};

/// What `db status` shows.
#[derive(Clone, Debug)]
pub struct DatabaseStatus {
    /// The file.
    pub path: PathBuf,
    /// Version of its tables.
    pub version: i64,
    /// Size of the file.
    pub size_bytes: u64,
    /// Size of the write-ahead log.
    pub wal_bytes: u64,
    /// Bytes of a page.
    pub page_bytes: u64,
    /// Pages.
    pub pages: u64,
    /// Pages of those that are free.
    pub free_pages: u64,
    /// Rows per table.
    pub rows: BTreeMap<String, u64>,
    /// The newest backup.
    pub last_backup: Option<BackupInfo>,
}

/// The remembered answer of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// SHA-256 of the body, hexadecimal: another body with the same key is a mistake of the caller.
    pub body_hash: String,
    /// The answer.
    pub response: String,
    /// When it was given (milliseconds precision).
    pub created: Moment,
}

impl Store {
    /// A named value of the daemon.
    pub fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.read(|conn| first(conn, "SELECT value FROM meta WHERE key = ?1", [key], |row| Ok(row.get(0)?)))
    }

    /// The answer that a user's request with this key got.
    pub fn answer(&self, key: &str, uid: Uid) -> Result<Option<StoredAnswer>, StoreError> {
        let sql = "SELECT body_hash, response, created FROM idempotency WHERE key = ?1 AND uid = ?2";
        self.read(|conn| {
            first(conn, sql, params![key, uid.0], |row| {
                Ok(StoredAnswer {
                    body_hash: row.get(0)?,
                    response: row.get(1)?,
                    created: Moment::from_micros(row.get::<_, i64>(2)?.saturating_mul(1000)),
                })
            })
        })
    }

    /// Remembers the answer of a request for 24 hours. Conflict when there is one for this key.
    pub fn remember_answer(&self, key: &str, uid: Uid, body_hash: &str, response: &str) -> Result<(), StoreError> {
        let answered =
            Answered { key: key.to_owned(), uid, body_hash: body_hash.to_owned(), response: response.to_owned() };
        self.write(vec![Record::Answered(Box::new(answered))]).map(drop)
    }

    /// Size, pages and rows. Counts every table: it takes a moment in a large database.
    pub fn status(&self) -> Result<DatabaseStatus, StoreError> {
        let path = self.inner.place.path.clone();
        let bytes = |suffix| fs::metadata(beside(&path, suffix)).map_or(0, |meta| meta.len());
        let (size_bytes, wal_bytes) = (bytes(""), bytes("-wal"));
        self.inner.readers.snapshot(|conn| {
            let pragma = |name: &str| -> Result<i64, StoreError> {
                Ok(conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?)
            };
            let tables =
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
            let tables: Vec<String> = rows(conn, tables, [], |row| Ok(row.get(0)?))?;
            let mut counts = BTreeMap::new();
            for table in tables {
                let n: i64 = conn.query_row(&format!("SELECT count(*) FROM \"{table}\""), [], |row| row.get(0))?;
                counts.insert(table, n.unsigned_abs());
            }
            Ok(DatabaseStatus {
                version: pragma("user_version")?,
                size_bytes,
                wal_bytes,
                page_bytes: pragma("page_size")?.unsigned_abs(),
                pages: pragma("page_count")?.unsigned_abs(),
                free_pages: pragma("freelist_count")?.unsigned_abs(),
                rows: counts,
                last_backup: Backups::at(&self.inner.place.backups).list().into_iter().next(),
                path: path.clone(),
            })
        })
    }

    /// Checks every page, index and reference, beside the writer. What was found; empty when all is well.
    pub fn integrity_check(&self) -> Result<Vec<String>, StoreError> {
        self.read(|conn| {
            let mut found = check::lines(conn, "PRAGMA integrity_check(100)")?;
            let sql = "SELECT \"table\", rowid, parent FROM pragma_foreign_key_check LIMIT 100";
            found.extend(rows(conn, sql, [], |row| {
                let (table, rowid, parent): (String, Option<i64>, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(format!("row {rowid:?} of {table} refers to a row of {parent} that does not exist"))
            })?);
            Ok(found)
        })
    }

    /// Copies the write-ahead log into the main file; with `shorten` also cuts it to nothing, for which it waits until
    /// no reader needs it (at most a second).
    pub fn checkpoint(&self, shorten: bool) -> Result<CheckpointDone, StoreError> {
        let mode = if shorten { "TRUNCATE" } else { "PASSIVE" };
        self.inner.writer.outside(move |conn| Ok(checkpoint::run(conn, mode)?))
    }
}
