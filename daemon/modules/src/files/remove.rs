//! Removes files and trees, but not what nobody means.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sloth_lua::{Ctx, Failure};

use super::failed;

/// Why this tree must not be removed: `/`, mount points, home directories. `force` lifts the last two.
pub fn refuse(path: &Path, force: bool, ctx: &Ctx) -> Result<(), Failure> {
    let Ok(meta) = fs::symlink_metadata(path) else { return Ok(()) };
    // A link is removed itself, not what it leads to.
    if meta.file_type().is_symlink() {
        return Ok(());
    }
    let real = fs::canonicalize(path).map_err(|error| failed(path, error))?;
    if real == Path::new("/") {
        return Err(failed(path, "refused: it is the root directory"));
    }
    if force {
        return Ok(());
    }
    if let Some(mount) = mount_points().into_iter().find(|mount| mount.starts_with(&real)) {
        let what = if mount == real { "it is a mount point" } else { "a mount point is in it" };
        return Err(failed(path, format_args!("refused: {what} (force=true removes it anyway)")));
    }
    if let Some(home) = homes(ctx).into_iter().find(|home| home.starts_with(&real)) {
        let what = if home == real { "it is a home directory" } else { "home directories are in it" };
        return Err(failed(path, format_args!("refused: {what} (force=true removes it anyway)")));
    }
    Ok(())
}

/// Removes a file, a link or a tree. False when nothing was there.
pub fn remove(path: &Path) -> io::Result<bool> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if is_absent(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    let done = if meta.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match done {
        Ok(()) => Ok(true),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether an error says that nothing is there.
pub fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// All mount points, from the kernel; a path is written with octal escapes there.
pub fn mount_points() -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    text.lines().filter_map(|line| line.split(' ').nth(4)).map(|field| PathBuf::from(unescape(field))).collect()
}

/// `\040` and the like, as mountinfo and fstab write spaces.
pub fn unescape(field: &str) -> String {
    let mut out = Vec::new();
    let bytes = field.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let code = bytes.get(at + 1..at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.filter(|_| bytes[at] == b'\\').and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 4;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Home directories: of this process, and of the accounts of people.
fn homes(ctx: &Ctx) -> Vec<PathBuf> {
    let mut homes = vec![ctx.resolve("~")];
    for line in fs::read_to_string("/etc/passwd").unwrap_or_default().lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [_, _, uid, _, _, home, ..] = fields[..] else { continue };
        // Services have homes such as / or /bin, which other rules protect or which nobody lives in.
        let uid: u32 = uid.parse().unwrap_or(u32::MAX);
        if uid == 0 || (1000..65534).contains(&uid) {
            homes.push(PathBuf::from(home));
        }
    }
    homes
        .into_iter()
        .filter(|home| home.is_absolute() && home != Path::new("/"))
        .filter_map(|h| h.canonicalize().ok())
        .collect()
}

/// Whether two paths are the same file.
pub fn is_same(a: &Path, b: &Path) -> bool {
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => a.dev() == b.dev() && a.ino() == b.ino(),
        _ => false,
    }
}
