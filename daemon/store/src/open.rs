//! Opens the store: takes the lock, refuses what is not a healthy database of ours, migrates, and starts the threads.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use sloth_core::Moment;

use crate::backup::{self, BackupInfo, BackupKind, BackupWish, Backups};
use crate::check::{Check, Checks, quick_check};
use crate::checkpoint::{self, Checkpointer};
use crate::files::{self, Lock, beside};
use crate::schema::{self, APPLICATION_ID, VERSION};
use crate::writer::{Setup, Writer};
use crate::{Inner, OpenError, Store, StoreError, Zones, pool};

/// How to open a store.
pub struct OpenOptions {
    /// Read-only connections.
    pub readers: usize,
    /// Requests that may wait for the writer.
    pub queue_max: usize,
    /// After an unclean stop a database of at most this size is checked before it is used, a larger one beside its use.
    pub check_first_bytes: u64,
    /// Where backups are; `None`: `backups` beside the database.
    pub backups: Option<PathBuf>,
    /// Name of this host for run records; `None`: that of the kernel.
    pub host: Option<String>,
    /// Finds time zones.
    pub zones: Arc<Zones>,
    /// Time for the columns that say when something was written.
    pub clock: Arc<dyn Fn() -> Moment + Send + Sync>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions {
            readers: 3,
            queue_max: 65_536,
            check_first_bytes: 64 << 20,
            backups: None,
            host: None,
            zones: Arc::new(|name| match name {
                Some(name) => TimeZone::get(name).ok(),
                None => Some(TimeZone::system()),
            }),
            clock: Arc::new(|| {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Moment::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
            }),
        }
    }
}

/// What was found when opening.
#[derive(Debug)]
pub struct Opened {
    /// The database is new.
    pub created: bool,
    /// Version before, when it was migrated.
    pub migrated_from: Option<i64>,
    /// Backup made before a migration.
    pub backup: Option<BackupInfo>,
    /// The last process did not close it.
    pub unclean: bool,
    /// The check after an unclean stop.
    pub check: Check,
}

/// Where things are.
pub(crate) struct Place {
    pub path: PathBuf,
    pub backups: PathBuf,
    pub clock: Arc<dyn Fn() -> Moment + Send + Sync>,
}

impl Store {
    /// Opens or creates the database. Holds its lock until the last clone is dropped.
    pub fn open(path: &Path, options: OpenOptions) -> Result<(Store, Opened), OpenError> {
        let (path, lock) = take(path)?;
        let backups = options.backups.clone().unwrap_or_else(|| path.with_file_name("backups"));
        let fail = |e: rusqlite::Error, what| open_error(&path, &backups, what, e);
        let created = !prepare(&path, &backups)?;
        let mut conn = connect(&path).map_err(|e| fail(e, "open"))?;
        check_identity(&conn, &path, &backups)?;
        let unclean = !created && !stopped_cleanly(&conn).map_err(|e| fail(e, "read"))?;
        let small = fs::metadata(&path).is_ok_and(|meta| meta.len() <= options.check_first_bytes);
        if unclean && small {
            let problems = quick_check(&conn).map_err(|e| fail(e, "check"))?;
            if !problems.is_empty() {
                return Err(corrupt(&path, &backups, problems.join("; ")));
            }
        }
        let (migrated_from, backup) = migrate(&mut conn, &path, &backups, &options)?;
        note_stop(&conn, false).map_err(|e| fail(e, "write"))?;
        let (checks, check) = match (unclean, small) {
            (false, _) => (Checks::default(), Check::NotNeeded),
            (true, true) => (Checks::default(), Check::Passed),
            (true, false) => Checks::start(&path).map_err(|e| fail(e, "check"))?,
        };
        let store = start(conn, &path, &backups, options, lock, checks)?;
        Ok((store, Opened { created, migrated_from, backup, unclean, check }))
    }
}

/// The path with a real directory, and the lock. The directory is made when it is missing.
pub(crate) fn take(path: &Path) -> Result<(PathBuf, Lock), OpenError> {
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    files::make_dir(dir)?;
    files::check_dir(dir)?;
    let dir = fs::canonicalize(dir).map_err(|e| OpenError::io(dir, "find the directory", &e))?;
    let Some(name) = path.file_name() else {
        let problem = "the path names no file".to_owned();
        return Err(OpenError::Unavailable { path: path.to_owned(), what: "open", problem });
    };
    let path = dir.join(name);
    let lock = Lock::take(&path)?;
    Ok((path, lock))
}

/// Looks at the files before SQLite does, and creates the database. False when it is new.
fn prepare(path: &Path, backups: &Path) -> Result<bool, OpenError> {
    for suffix in ["-wal", "-shm", "-journal"] {
        files::check_file(&beside(path, suffix))?;
    }
    let wal_bytes = fs::metadata(beside(path, "-wal")).map_or(0, |meta| meta.len());
    if !files::check_file(path)? {
        if wal_bytes > 0 {
            return Err(corrupt(path, backups, "the file is gone but its write-ahead log is there".into()));
        }
        create(path)?;
        return Ok(false);
    }
    files::check_header(path, wal_bytes == 0).map_err(|error| match error {
        OpenError::Corrupt { problem, .. } => corrupt(path, backups, problem),
        other => other,
    })?;
    Ok(true)
}

/// Makes a whole database under another name and moves it into place, so that a half-made one is never found.
fn create(path: &Path) -> Result<(), OpenError> {
    let temporary = beside(path, ".new");
    for suffix in ["", "-journal"] {
        match fs::remove_file(beside(&temporary, suffix)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(OpenError::io(&temporary, "remove", &e)),
            _ => {}
        }
    }
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
    made.map_err(|e| OpenError::io(&temporary, "create", &e))?;
    let build = || -> rusqlite::Result<()> {
        let mut conn = Connection::open_with_flags(&temporary, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        conn.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA synchronous = FULL;")?;
        conn.pragma_update(None, "application_id", APPLICATION_ID)?;
        schema::migrate(&mut conn, 0)?;
        note_stop(&conn, true)
    };
    build().map_err(|e| open_error(&temporary, Path::new(""), "create", e))?;
    let moved = fs::rename(&temporary, path).and_then(|()| files::sync_dir(path.parent().unwrap_or(Path::new("."))));
    moved.map_err(|e| OpenError::io(path, "create", &e))
}

/// A connection that writes. Checkpoints are made elsewhere.
pub(crate) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(Duration::from_secs(1))?;
    conn.set_prepared_statement_cache_capacity(128);
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;
         PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -1024;",
    )?;
    Ok(conn)
}

/// A connection after a failed `fsync`. What the log holds may not be on the disk, so it is copied to the main file and
/// synced there before anything is added to it.
pub(crate) fn reopen(path: &Path) -> Result<Connection, StoreError> {
    let conn = connect(path)?;
    let done = checkpoint::run(&conn, "TRUNCATE")?;
    if done.busy {
        return Err(StoreError::StorageUnavailable("the log cannot be copied while it is being read".into()));
    }
    let problems = quick_check(&conn)?;
    if problems.is_empty() { Ok(conn) } else { Err(StoreError::Corrupt(problems.join("; "))) }
}

fn check_identity(conn: &Connection, path: &Path, backups: &Path) -> Result<(), OpenError> {
    let fail = |e| open_error(path, backups, "read", e);
    let found: i64 = conn.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(fail)?;
    if found != APPLICATION_ID {
        return Err(OpenError::Foreign { path: path.to_owned(), found, expected: APPLICATION_ID });
    }
    let found = schema::version(conn).map_err(fail)?;
    if found > VERSION {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: VERSION });
    }
    if found < 1 {
        return Err(corrupt(path, backups, format!("its version is {found}")));
    }
    Ok(())
}

fn migrate(
    conn: &mut Connection,
    path: &Path,
    backups: &Path,
    options: &OpenOptions,
) -> Result<(Option<i64>, Option<BackupInfo>), OpenError> {
    let from = schema::version(conn).map_err(|e| open_error(path, backups, "read", e))?;
    if from == VERSION {
        return Ok((None, None));
    }
    let failed = |problem: String| OpenError::Migration { path: path.to_owned(), from, to: VERSION, problem };
    let wish = BackupWish {
        description: format!("before the migration from version {from} to {VERSION}"),
        kind: BackupKind::Migration,
        ..BackupWish::default()
    };
    let info = backup::create(conn, &Backups::at(backups), &wish, (options.clock)())
        .map_err(|e| failed(format!("no backup could be made: {e}")))?;
    schema::migrate(conn, from).map_err(|e| failed(e.to_string()))?;
    Ok((Some(from), Some(info)))
}

fn start(
    mut conn: Connection,
    path: &Path,
    backups: &Path,
    options: OpenOptions,
    lock: Lock,
    checks: Checks,
) -> Result<Store, OpenError> {
    let fail = |e| open_error(path, backups, "open", e);
    let last: Option<i64> = conn
        .query_row("SELECT seq FROM sqlite_sequence WHERE name = 'events'", [], |row| row.get(0))
        .optional()
        .map_err(fail)?;
    let last_event = Arc::new(AtomicI64::new(last.unwrap_or(0)));
    let checkpointer = Checkpointer::start(path, &mut conn).map_err(fail)?;
    let readers = pool::Pool::open(path, options.readers).map_err(fail)?;
    let host = options.host.unwrap_or_else(|| {
        let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        name.trim().to_owned()
    });
    let writer = Writer::start(Setup {
        conn,
        path: path.to_owned(),
        host,
        clock: options.clock.clone(),
        last_event: last_event.clone(),
        checkpointer,
        queue_max: options.queue_max,
    });
    let writer = writer.map_err(|e| OpenError::io(path, "start the writer", &e))?;
    let place = Place { path: path.to_owned(), backups: backups.to_owned(), clock: options.clock };
    let inner =
        Inner { writer, readers, checks, zones: options.zones, place, last_event, lock: Mutex::new(Some(lock)) };
    Ok(Store { inner: Arc::new(inner) })
}

fn stopped_cleanly(conn: &Connection) -> rusqlite::Result<bool> {
    let flag: Option<String> =
        conn.query_row("SELECT value FROM meta WHERE key = 'clean_stop'", [], |row| row.get(0)).optional()?;
    Ok(flag.as_deref() == Some("1"))
}

pub(crate) fn note_stop(conn: &Connection, clean: bool) -> rusqlite::Result<()> {
    conn.execute(
        "INSERT INTO meta (key, value) VALUES ('clean_stop', ?1) ON CONFLICT DO UPDATE SET value = excluded.value",
        [if clean { "1" } else { "0" }],
    )?;
    Ok(())
}

fn open_error(path: &Path, backups: &Path, what: &'static str, error: rusqlite::Error) -> OpenError {
    match StoreError::from(error) {
        StoreError::Corrupt(problem) | StoreError::Unreadable { why: problem, .. } => corrupt(path, backups, problem),
        StoreError::StorageFull(_) => OpenError::Full { path: path.to_owned(), what },
        other => OpenError::Unavailable { path: path.to_owned(), what, problem: other.to_string() },
    }
}

fn corrupt(path: &Path, backups: &Path, problem: String) -> OpenError {
    OpenError::Corrupt { path: path.to_owned(), problem, backup: Backups::at(backups).newest_good() }
}
