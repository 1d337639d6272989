//! How the store can fail: classes that callers act upon, with a stable code each, instead of SQLite's numbers.

use std::path::PathBuf;

use rusqlite::ErrorCode;
use rusqlite::ffi;

/// Why a read or a write failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk is full. Nothing of the request was kept; the next one tries again.
    #[error("no space left for the database: {0}")]
    StorageFull(String),
    /// The disk fails or is read-only. Nothing of the request was acknowledged; later requests try again.
    #[error("the database cannot be read or written: {0}")]
    StorageUnavailable(String),
    /// The database is damaged.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// The request contradicts what is stored; only this request was rolled back.
    #[error("conflict: {what}")]
    Conflict {
        /// Which rule, in words.
        what: String,
    },
    /// The request names something that is not stored.
    #[error("{what} does not exist")]
    NotFound {
        /// Which thing.
        what: String,
    },
    /// A short id fits more than one run.
    #[error("{text:?} fits more than one run")]
    Ambiguous {
        /// What was given.
        text: String,
    },
    /// The queue of the writer is full; nothing was done.
    #[error("more than {limit} writes are waiting (limit queue_max)")]
    Busy {
        /// How many may wait.
        limit: usize,
    },
    /// A row cannot be understood.
    #[error("{what} cannot be read: {why}")]
    Unreadable {
        /// Which row.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// A statement of an administrator was refused or took too long.
    #[error("{0}")]
    Query(String),
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
    /// A mistake of the program.
    #[error("internal error of the store: {0}")]
    Internal(String),
}

impl StoreError {
    /// The stable code of the error table.
    pub fn code(&self) -> &'static str {
        match self {
            StoreError::StorageFull(_) => "storage_full",
            StoreError::StorageUnavailable(_) => "storage_unavailable",
            StoreError::Corrupt(_) | StoreError::Unreadable { .. } => "corrupt",
            StoreError::Conflict { .. } => "conflict",
            StoreError::NotFound { .. } => "not_found",
            StoreError::Ambiguous { .. } => "ambiguous",
            StoreError::Busy { .. } => "overloaded",
            StoreError::Query(_) => "invalid_query",
            StoreError::Closed => "shutting_down",
            StoreError::Internal(_) => "internal",
        }
    }

    /// Whether the whole transaction is lost with it, not only the request that met it.
    pub(crate) fn is_fatal_to_group(&self) -> bool {
        matches!(self, StoreError::StorageFull(_) | StoreError::StorageUnavailable(_) | StoreError::Corrupt(_))
    }

    pub(crate) fn conflict(what: impl Into<String>) -> Self {
        StoreError::Conflict { what: what.into() }
    }

    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        StoreError::NotFound { what: what.into() }
    }

    pub(crate) fn unreadable(what: impl Into<String>, why: impl ToString) -> Self {
        StoreError::Unreadable { what: what.into(), why: why.to_string() }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        let rusqlite::Error::SqliteFailure(failure, ref message) = error else {
            return match error {
                rusqlite::Error::QueryReturnedNoRows => StoreError::not_found("the row"),
                rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => {
                    StoreError::unreadable("a row", text)
                }
                _ => StoreError::Internal(text),
            };
        };
        let text = format!("{} (SQLite {})", message.as_deref().unwrap_or(&text), failure.extended_code);
        match failure.code {
            ErrorCode::DiskFull => StoreError::StorageFull(text),
            // The index of the log cannot grow: that takes space too.
            _ if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE => StoreError::StorageFull(text),
            ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::OutOfMemory
            | ErrorCode::DatabaseBusy
            | ErrorCode::FileLockingProtocolFailed => StoreError::StorageUnavailable(text),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Corrupt(text),
            ErrorCode::ConstraintViolation if failure.extended_code == ffi::SQLITE_CONSTRAINT_FOREIGNKEY => {
                StoreError::not_found("a row that the request refers to")
            }
            ErrorCode::ConstraintViolation => StoreError::conflict(text),
            _ => StoreError::Internal(text),
        }
    }
}

/// Whether SQLite reports a failed `fsync`: from then on the kernel may have dropped what it could not write, so that
/// a second `fsync` that succeeds proves nothing.
pub(crate) fn is_failed_sync(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(f, _)
        if matches!(f.extended_code, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC))
}

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("another slothd (pid {}) is using {}", pid.map_or("unknown".into(), |p| p.to_string()), path.display())]
    AlreadyRunning {
        /// The process, when it wrote its number.
        pid: Option<u32>,
        /// The lock file.
        path: PathBuf,
    },
    /// Owner, mode or kind of the file or directory is not what it must be.
    #[error("{}: {problem}; fix it with: {fix}", path.display())]
    Insecure {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// The command that repairs it.
        fix: String,
    },
    /// A database, but not ours.
    #[error("{} belongs to another program (application id {found:#x}, expected {expected:#x})", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// Its application id.
        found: i64,
        /// Ours.
        expected: i64,
    },
    /// Written by a newer program.
    #[error("{} has version {found}, this program knows versions up to {known}; install the newer program or restore a backup", path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest that we know.
        known: i64,
    },
    /// Damaged.
    #[error("{} is damaged: {problem}; {}", path.display(), match backup {
        Some(id) => format!("the newest good backup is {id}, restore it with: slothd restore {id}"),
        None => "no good backup was found; restore one from elsewhere with: slothd restore FILE".to_owned(),
    })]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// Id of the newest backup that can be restored.
        backup: Option<String>,
    },
    /// The file system refuses.
    #[error("{}: cannot {what}: {problem}", path.display())]
    Unavailable {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        problem: String,
    },
    /// The disk is full.
    #[error("{}: cannot {what}: no space left", path.display())]
    Full {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
    },
    /// A step to a newer version failed; the old version is unharmed.
    #[error("{}: cannot migrate from version {from} to {to}: {problem}", path.display())]
    Migration {
        /// Which file.
        path: PathBuf,
        /// Stored version.
        from: i64,
        /// Wanted version.
        to: i64,
        /// What went wrong.
        problem: String,
    },
}

impl OpenError {
    /// The stable code of the error table.
    pub fn code(&self) -> &'static str {
        match self {
            OpenError::AlreadyRunning { .. } => "already_running",
            OpenError::Insecure { .. } => "insecure_permissions",
            OpenError::Foreign { .. } => "foreign_database",
            OpenError::Newer { .. } => "incompatible_version",
            OpenError::Corrupt { .. } => "corrupt",
            OpenError::Unavailable { .. } => "storage_unavailable",
            OpenError::Full { .. } => "storage_full",
            OpenError::Migration { .. } => "migration_failed",
        }
    }

    /// Whether starting again cannot help before somebody changes something (`EX_CONFIG`, exit code 78).
    pub fn is_config(&self) -> bool {
        match self {
            OpenError::Insecure { .. }
            | OpenError::Foreign { .. }
            | OpenError::Newer { .. }
            | OpenError::Corrupt { .. }
            | OpenError::Migration { .. } => true,
            OpenError::AlreadyRunning { .. } | OpenError::Unavailable { .. } | OpenError::Full { .. } => false,
        }
    }

    pub(crate) fn io(path: &std::path::Path, what: &'static str, error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull => OpenError::Full { path: path.to_owned(), what },
            _ => OpenError::Unavailable { path: path.to_owned(), what, problem: error.to_string() },
        }
    }
}
