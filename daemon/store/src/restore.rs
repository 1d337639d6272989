//! Puts a backup in the place of the database while no daemon runs. The replaced files are kept, and until the last
//! step, a rename, the old database is still there.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sloth_core::Moment;

use crate::backup::{self, BackupInfo, Backups, DATABASE};
use crate::files::{self, beside, sync_dir};
use crate::{OpenError, StoreError, checkpoint, open};

/// Named value of a database that was restored and that no daemon has opened since: the id of the backup.
pub const RESTORED: &str = "restored";

/// Why a backup was not restored. Until [`RestoreError::Swap`] nothing has been changed.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The directory cannot be used, or a daemon is using it.
    #[error(transparent)]
    Place(#[from] OpenError),
    /// The backup does not exist, or is not whole.
    #[error("the backup cannot be restored: {0}")]
    Backup(#[from] StoreError),
    /// Files could not be moved. The message says which.
    #[error("cannot {what} {}: {problem}", path.display())]
    Swap {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        problem: String,
    },
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The backup that is the database now.
    pub info: BackupInfo,
    /// The database that was replaced; `None`: there was none.
    pub replaced: Option<PathBuf>,
    /// The command that undoes it.
    pub undo: Option<String>,
}

/// Replaces the database by that of a backup, an id or the path of an archive.
pub fn restore(database: &Path, backups: &Backups, source: &str, now: Moment) -> Result<Restored, RestoreError> {
    let (database, _lock) = open::take(database)?;
    let info = backups.find(source)?;
    let fresh = beside(&database, ".restoring");
    remove_with_log(&fresh)?;
    let ready = backup::unpack(&info.path, |name| (name == DATABASE).then(|| fresh.clone()))
        .and_then(|_| backup::check_database(&fresh))
        .and_then(|()| note_restored(&fresh, &info.id));
    if let Err(error) = ready {
        // It is not whole: nobody needs it.
        let _ = remove_with_log(&fresh);
        return Err(error.into());
    }
    for suffix in ["", "-wal", "-shm"] {
        files::check_file(&beside(&database, suffix))?;
    }
    let replaced = set_aside(&database, now)?;
    swap("move into place", &database, fs::rename(&fresh, &database))?;
    let dir = database.parent().unwrap_or(Path::new("."));
    swap("make durable", dir, sync_dir(dir))?;
    let undo = replaced.as_ref().map(|old| {
        let (old, new) = (old.display(), database.display());
        format!("mv {old} {new}; if [ -e {old}-wal ]; then mv {old}-wal {new}-wal; fi")
    });
    Ok(Restored { info, replaced, undo })
}

/// Leaves word in the database for the daemon that will find it: whoever looks at its history must see that it was set back.
fn note_restored(fresh: &Path, id: &str) -> Result<(), StoreError> {
    let conn = open::connect(fresh)?;
    let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value";
    conn.execute(sql, [RESTORED, id])?;
    // All of it into the main file, which alone is moved.
    checkpoint::run(&conn, "TRUNCATE")?;
    conn.close().map_err(|(_, error)| error.into())
}

/// Gives the old database a second name and takes its log away, which must never meet the new one.
fn set_aside(database: &Path, now: Moment) -> Result<Option<PathBuf>, RestoreError> {
    if !database.exists() {
        for suffix in ["-wal", "-shm"] {
            remove(&beside(database, suffix))?;
        }
        return Ok(None);
    }
    // A healthy database takes its log in; a damaged one may not, and keeps it beside it.
    let emptied = open::connect(database).and_then(|conn| checkpoint::run(&conn, "TRUNCATE"));
    if let Err(error) = emptied {
        tracing::warn!(%error, "the log of the replaced database is kept beside it");
    }
    let stamp = now.timestamp().strftime("%Y%m%d-%H%M%S").to_string();
    let numbered = (2..).map(|n| format!("{stamp}-{n}"));
    let mut names = std::iter::once(stamp.clone()).chain(numbered).map(|s| beside(database, &format!(".replaced-{s}")));
    let old = names.find(|path| !path.exists()).unwrap_or_else(|| beside(database, ".replaced"));
    swap("keep the replaced", database, fs::hard_link(database, &old))?;
    let log = beside(database, "-wal");
    match fs::rename(&log, beside(&old, "-wal")) {
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        result => swap("keep the log", &log, result)?,
    }
    remove(&beside(database, "-shm"))?;
    Ok(Some(old))
}

fn remove_with_log(path: &Path) -> Result<(), RestoreError> {
    ["", "-wal", "-shm", "-journal"].into_iter().try_for_each(|suffix| remove(&beside(path, suffix)))
}

fn remove(path: &Path) -> Result<(), RestoreError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        result => swap("remove", path, result),
    }
}

fn swap<T>(what: &'static str, path: &Path, result: std::io::Result<T>) -> Result<T, RestoreError> {
    result.map_err(|e| RestoreError::Swap { path: path.to_owned(), what, problem: e.to_string() })
}
