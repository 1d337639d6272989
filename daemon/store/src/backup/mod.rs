//! Backups: a consistent copy of the database, made while it is written, with the files that the caller names, as one
//! compressed archive that can prove that it is whole.
//!
//! ```text
//!   ID.tar.zst:  info.json (who, when, why)  stacks.db  files of the caller …  manifest.json (SHA-256 of each)
//! ```

mod archive;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use serde::{Deserialize, Serialize};
use sloth_core::Moment;

use crate::files;
use crate::schema::{self, APPLICATION_ID, VERSION};
use crate::{Store, StoreError, check, pool};

pub(crate) use archive::unpack;

/// Name of the database in an archive.
pub(crate) const DATABASE: &str = "stacks.db";

/// End of the name of an archive.
const SUFFIX: &str = ".tar.zst";

/// Backups that are tried when the newest good one is looked for.
const TRIED_MAX: usize = 5;

/// What a backup is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupKind {
    /// Somebody asked.
    #[default]
    Manual,
    /// By `backup.every`.
    Scheduled,
    /// Before a migration.
    Migration,
}

impl BackupKind {
    /// `manual`, `scheduled`, `migration`.
    pub fn word(self) -> &'static str {
        match self {
            BackupKind::Manual => "manual",
            BackupKind::Scheduled => "scheduled",
            BackupKind::Migration => "migration",
        }
    }
}

/// What to back up beside the database, and where to.
#[derive(Clone, Debug, Default)]
pub struct BackupWish {
    /// Text for people.
    pub description: String,
    /// What it is for.
    pub kind: BackupKind,
    /// Files and directories, each with its relative name in the archive (`config/slothd.toml`, `runs`). Links and what
    /// vanishes meanwhile are left out.
    pub files: Vec<(PathBuf, String)>,
    /// Write this file instead of one in the directory of backups.
    pub out: Option<PathBuf>,
}

/// A backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupInfo {
    /// `b20310309-070000`.
    pub id: String,
    /// When, microseconds UTC.
    pub created_us: i64,
    /// Text for people.
    pub description: String,
    /// What it is for.
    pub kind: BackupKind,
    /// Version of the database in it.
    pub version: i64,
    /// Version of the program that made it.
    pub program: String,
    /// Where it is.
    #[serde(skip)]
    pub path: PathBuf,
    /// Size of the archive.
    #[serde(skip)]
    pub size_bytes: u64,
    /// When it was last found whole, microseconds UTC.
    #[serde(skip)]
    pub verified_us: Option<i64>,
}

/// What a verification has looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The backup.
    pub info: BackupInfo,
    /// Files whose sums are right.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// A directory of backups. Needs no open store.
#[derive(Clone, Debug)]
pub struct Backups {
    dir: PathBuf,
}

impl Backups {
    /// The backups in this directory, which need not exist.
    pub fn at(dir: &Path) -> Backups {
        Backups { dir: dir.to_owned() }
    }

    /// All that can be read, newest first.
    pub fn list(&self) -> Vec<BackupInfo> {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return Vec::new();
        };
        let mut all: Vec<BackupInfo> = entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().ends_with(SUFFIX))
            .filter_map(|entry| match self.info(&entry.path()) {
                Ok(info) => Some(info),
                Err(error) => {
                    tracing::warn!(path = %entry.path().display(), %error, "a backup cannot be read");
                    None
                }
            })
            .collect();
        all.sort_by(|a, b| (b.created_us, &b.id).cmp(&(a.created_us, &a.id)));
        all
    }

    /// One of them: an id, or the path of an archive.
    pub fn find(&self, source: &str) -> Result<BackupInfo, StoreError> {
        let path = Path::new(source);
        let in_dir = self.dir.join(format!("{source}{SUFFIX}"));
        let is_id = !source.is_empty() && !source.contains('/');
        match (is_id && in_dir.is_file(), path.is_file()) {
            (true, _) => self.info(&in_dir),
            (false, true) => self.info(path),
            (false, false) => Err(StoreError::not_found(format!("backup {source}"))),
        }
    }

    /// Checks the sums of all files, and the database: every page, whose it is, and whether this program can read it.
    pub fn verify(&self, source: &str, now: Moment) -> Result<Verified, StoreError> {
        let info = self.find(source)?;
        let scratch = Scratch::make(&self.dir, "verify", now)?;
        let database = scratch.path.join(DATABASE);
        let sums = unpack(&info.path, |name| (name == DATABASE).then(|| database.clone()))?;
        check_database(&database)?;
        drop(scratch);
        // A backup on a read-only medium is as good.
        let _ = fs::write(verified_mark(&info.path), now.micros().to_string());
        let info = BackupInfo { verified_us: Some(now.micros()), ..info };
        Ok(Verified { info, files: sums.files, bytes: sums.bytes })
    }

    /// Removes one, by id; also one that is too damaged to be read.
    pub fn delete(&self, id: &str) -> Result<(), StoreError> {
        let path = self.dir.join(format!("{id}{SUFFIX}"));
        if id.is_empty() || id.contains('/') || !path.is_file() {
            return Err(StoreError::not_found(format!("backup {id}")));
        }
        fs::remove_file(&path).map_err(|e| io("remove", &path, &e))?;
        let mark = verified_mark(&path);
        match fs::remove_file(&mark) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(io("remove", &mark, &e)),
            _ => Ok(()),
        }
    }

    /// Unpacks the files whose names begin with `prefix` below a directory, sums checked. Their number.
    pub fn extract(&self, source: &str, prefix: &str, to: &Path) -> Result<usize, StoreError> {
        let info = self.find(source)?;
        let mut found = 0;
        unpack(&info.path, |name| {
            name.starts_with(prefix).then(|| {
                found += 1;
                to.join(name)
            })
        })?;
        Ok(found)
    }

    /// Id of the newest one that can be restored.
    pub fn newest_good(&self) -> Option<String> {
        let mut tried = self.list().into_iter().take(TRIED_MAX);
        tried.find(|info| self.verify(&info.id, Moment::from_micros(info.created_us)).is_ok()).map(|info| info.id)
    }

    fn info(&self, path: &Path) -> Result<BackupInfo, StoreError> {
        let mut info = archive::read_info(path)?;
        info.size_bytes = fs::metadata(path).map_err(|e| io("read", path, &e))?.len();
        info.verified_us = fs::read_to_string(verified_mark(path)).ok().and_then(|text| text.trim().parse().ok());
        info.path = path.to_owned();
        Ok(info)
    }
}

impl Store {
    /// The directory of backups of this store.
    pub fn backups(&self) -> Backups {
        Backups::at(&self.inner.place.backups)
    }

    /// Makes a backup of the last commit. The writer goes on meanwhile. Takes as long as copying and compressing does.
    pub fn backup_create(&self, wish: &BackupWish) -> Result<BackupInfo, StoreError> {
        let conn = pool::reader(&self.inner.place.path)?;
        create(&conn, &self.backups(), wish, (self.inner.place.clock)())
    }
}

/// Makes a backup of what `conn` sees.
pub(crate) fn create(
    conn: &Connection,
    to: &Backups,
    wish: &BackupWish,
    now: Moment,
) -> Result<BackupInfo, StoreError> {
    files::make_dir(&to.dir).map_err(|e| StoreError::StorageUnavailable(e.to_string()))?;
    let id = to.new_id(now);
    let path = wish.out.clone().unwrap_or_else(|| to.dir.join(format!("{id}{SUFFIX}")));
    let scratch = Scratch::make(&to.dir, "create", now)?;
    let copy = scratch.path.join(DATABASE);
    copy_database(conn, &copy)?;
    let mut info = BackupInfo {
        id,
        created_us: now.micros(),
        description: wish.description.clone(),
        kind: wish.kind,
        version: schema::version(conn)?,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        path: path.clone(),
        size_bytes: 0,
        verified_us: None,
    };
    info.size_bytes = archive::pack(&info, &copy, &wish.files)?;
    Ok(info)
}

/// Copies in one step, so that the copy is that of one moment and a busy writer cannot make it start over.
fn copy_database(conn: &Connection, to: &Path) -> Result<(), StoreError> {
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    made.map_err(|e| io("create", to, &e))?;
    let mut copy = Connection::open(to)?;
    copy.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF;")?;
    let done = Backup::new(conn, &mut copy)?.step(-1)?;
    if done != StepResult::Done {
        return Err(StoreError::StorageUnavailable(format!("the database cannot be copied: {done:?}")));
    }
    copy.close().map_err(|(_, e)| StoreError::from(e))
}

/// Refuses a copy that is damaged, not ours or too new.
pub(crate) fn check_database(path: &Path) -> Result<(), StoreError> {
    files::check_header(path, true).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    let conn = Connection::open(path)?;
    // The copy says that it has a log; without this it would get one.
    conn.execute_batch("PRAGMA journal_mode = DELETE")?;
    let id: i64 = conn.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let version = schema::version(&conn)?;
    if id != APPLICATION_ID || !(1..=VERSION).contains(&version) {
        let text =
            format!("it has application id {id:#x} and version {version}; this program reads versions 1 to {VERSION}");
        return Err(StoreError::Corrupt(text));
    }
    let problems = check::lines(&conn, "PRAGMA integrity_check(100)")?;
    conn.close().map_err(|(_, e)| StoreError::from(e))?;
    if problems.is_empty() { Ok(()) } else { Err(StoreError::Corrupt(problems.join("; "))) }
}

impl Backups {
    fn new_id(&self, now: Moment) -> String {
        let id = format!("b{}", now.timestamp().strftime("%Y%m%d-%H%M%S"));
        let free = |id: &String| !self.dir.join(format!("{id}{SUFFIX}")).exists();
        let numbered = (2..).map(|n| format!("{id}-{n}"));
        std::iter::once(id.clone()).chain(numbered).find(free).unwrap_or(id)
    }
}

/// A directory that goes when it is not needed any more.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn make(dir: &Path, what: &str, now: Moment) -> Result<Scratch, StoreError> {
        let path = dir.join(format!(".{what}-{}-{}", std::process::id(), now.micros()));
        // Left by a process that was killed.
        let _ = fs::remove_dir_all(&path);
        files::make_dir(&path).map_err(|e| StoreError::StorageUnavailable(e.to_string()))?;
        Ok(Scratch { path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove a temporary directory");
        }
    }
}

fn verified_mark(archive: &Path) -> PathBuf {
    files::beside(archive, ".verified")
}

/// Puts a failed file operation into the classes of the store.
pub(crate) fn io(what: &str, path: &Path, error: &std::io::Error) -> StoreError {
    let text = format!("cannot {what} {}: {error}", path.display());
    match error.kind() {
        ErrorKind::StorageFull => StoreError::StorageFull(text),
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof => StoreError::Corrupt(text),
        _ => StoreError::StorageUnavailable(text),
    }
}
