//! What must be true of the files before SQLite may touch them: kind, owner, mode, header, and the lock that says that
//! one daemon uses them.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::OpenError;
use crate::schema::APPLICATION_ID;

/// First bytes of every SQLite database (<https://www.sqlite.org/fileformat.html>, 1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Offsets in the header (two bytes, then four and four).
const PAGE_SIZE_AT: usize = 16;
const PAGES_AT: usize = 28;
const APPLICATION_ID_AT: usize = 68;

/// The right to use a database, held as long as this lives. On a file of its own: closing any descriptor of the
/// database itself would drop the locks of SQLite (POSIX locks belong to the process).
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a database, or says who has it.
    pub(crate) fn take(database: &Path) -> Result<Lock, OpenError> {
        let path = beside(database, ".lock");
        check_file(&path)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|e| OpenError::io(&path, "open the lock file", &e))?;
        same_file(&path, &file)?;
        for left in (0..ORPHANED_TRIES).rev() {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    let pid = holder(&mut file);
                    if left == 0 || pid.is_none_or(is_alive) {
                        return Err(OpenError::AlreadyRunning { pid, path });
                    }
                    std::thread::sleep(ORPHANED_PAUSE);
                }
                Err(TryLockError::Error(e)) => return Err(OpenError::io(&path, "lock", &e)),
            }
        }
        // The number is only for the message of the next one; on a full disk it may be missing.
        let written = file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0)));
        if let Err(error) = written.and_then(|_| writeln!(file, "{}", std::process::id())) {
            tracing::warn!(path = %path.display(), %error, "cannot write the process number into the lock file");
        }
        Ok(Lock { _file: file })
    }
}

/// A slothd that was killed between fork and exec of its supervisor leaves a child that holds the lock until it execs. As long as the
/// process that took the lock is gone, it is worth waiting for that: a second in all.
const ORPHANED_TRIES: u32 = 51;
const ORPHANED_PAUSE: Duration = Duration::from_millis(20);

/// Number of the process that took the lock.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text)).ok()?;
    text.trim().parse().ok()
}

/// A process that has ended and was not waited for yet has no memory any more (proc_pid_statm(5)).
fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/statm")).is_ok_and(|text| !text.starts_with("0 "))
}

/// A file beside another, with a suffix: `stacks.db-wal`.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes a directory that only we may use, unless it exists.
pub(crate) fn make_dir(dir: &Path) -> Result<(), OpenError> {
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent).map_err(|e| OpenError::io(parent, "create the directory", &e))?;
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(OpenError::io(dir, "create the directory", &e)),
    }
}

/// Refuses a directory in which somebody else could replace files.
pub(crate) fn check_dir(dir: &Path) -> Result<(), OpenError> {
    let meta = fs::metadata(dir).map_err(|e| OpenError::io(dir, "read the directory", &e))?;
    if !meta.is_dir() {
        return Err(insecure(dir, "is not a directory", format!("mv {0} {0}.old", dir.display())));
    }
    check_owner(dir, meta.uid())?;
    if meta.mode() & 0o022 != 0 {
        let problem = format!("mode {:04o} lets others replace files in it", meta.mode() & 0o7777);
        return Err(insecure(dir, &problem, format!("chmod 0700 {}", dir.display())));
    }
    Ok(())
}

/// Refuses a symbolic link, another's file and a file that others can read. True when it exists.
pub(crate) fn check_file(path: &Path) -> Result<bool, OpenError> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(OpenError::io(path, "read the file's mode", &e)),
    };
    if meta.is_symlink() {
        return Err(insecure(path, "is a symbolic link", format!("mv $(readlink -f {0}) {0}", path.display())));
    }
    if !meta.is_file() {
        return Err(insecure(path, "is not a regular file", format!("mv {0} {0}.old", path.display())));
    }
    check_owner(path, meta.uid())?;
    if meta.mode() & 0o077 != 0 {
        let problem = format!("mode {:04o} lets others use it", meta.mode() & 0o7777);
        return Err(insecure(path, &problem, format!("chmod 0600 {}", path.display())));
    }
    Ok(true)
}

/// Looks at the header of a database that nobody has open: whose it is and, when nothing is in its log, whether it has
/// its full length. SQLite is not asked, because it would write to another program's file too.
pub(crate) fn check_header(path: &Path, is_all: bool) -> Result<(), OpenError> {
    let mut header = Vec::with_capacity(100);
    let file = File::open(path).map_err(|e| OpenError::io(path, "open", &e))?;
    let length = file.metadata().map_err(|e| OpenError::io(path, "read the length", &e))?.len();
    file.take(100).read_to_end(&mut header).map_err(|e| OpenError::io(path, "read the header", &e))?;
    let corrupt =
        |problem: &str| OpenError::Corrupt { path: path.to_owned(), problem: problem.to_owned(), backup: None };
    if header.is_empty() {
        return Err(corrupt("it is empty"));
    }
    if !header.starts_with(MAGIC) {
        return Err(corrupt("it is not an SQLite database"));
    }
    if header.len() < 100 {
        return Err(corrupt("its header is cut off"));
    }
    let found = number(&header, APPLICATION_ID_AT, 4);
    if found != APPLICATION_ID {
        return Err(OpenError::Foreign { path: path.to_owned(), found, expected: APPLICATION_ID });
    }
    let bytes = number(&header, PAGE_SIZE_AT, 2) * number(&header, PAGES_AT, 4);
    if is_all && i64::try_from(length).is_ok_and(|length| length < bytes) {
        return Err(corrupt(&format!("it has {length} bytes and should have {bytes}")));
    }
    Ok(())
}

/// A big-endian number of the header.
fn number(header: &[u8], at: usize, bytes: usize) -> i64 {
    header.iter().skip(at).take(bytes).fold(0, |n, byte| n << 8 | i64::from(*byte))
}

/// Makes the entries of a directory durable: a new or renamed file.
pub(crate) fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

fn check_owner(path: &Path, uid: u32) -> Result<(), OpenError> {
    let me = effective_uid().map_err(|e| OpenError::io(path, "compare the owner", &e))?;
    if uid == me {
        return Ok(());
    }
    Err(insecure(path, &format!("belongs to uid {uid}, not to uid {me}"), format!("chown {me} {}", path.display())))
}

/// The user as whom this process acts: the second number of `Uid:` (proc_pid_status(5)).
pub(crate) fn effective_uid() -> std::io::Result<u32> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    line.and_then(|ids| ids.split_whitespace().nth(1)?.parse().ok())
        .ok_or_else(|| std::io::Error::other("/proc/self/status names no Uid"))
}

/// Refuses a file that was replaced, by a link for instance, between the look at it and its opening.
fn same_file(path: &Path, file: &File) -> Result<(), OpenError> {
    let identity = |meta: fs::Metadata| (meta.dev(), meta.ino());
    let named = fs::symlink_metadata(path).map(identity);
    match (named, file.metadata().map(identity)) {
        (Ok(named), Ok(opened)) if named == opened => Ok(()),
        _ => Err(insecure(path, "was replaced while it was opened", format!("ls -l {}", path.display()))),
    }
}

fn insecure(path: &Path, problem: &str, fix: String) -> OpenError {
    OpenError::Insecure { path: path.to_owned(), problem: problem.to_owned(), fix }
}
