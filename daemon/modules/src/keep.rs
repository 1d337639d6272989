//! Files that modules of data keep: bounded reads, and writes that are whole or not there.

use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use sloth_lua::Data;

/// Reads a file of at most `max` bytes.
pub(crate) fn read(path: &Path, max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {max} bytes")));
    }
    Ok(bytes)
}

/// Whether a file exists and has exactly this content.
pub(crate) fn holds(path: &Path, content: &[u8]) -> io::Result<bool> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() && meta.len() == content.len() as u64 => Ok(std::fs::read(path)? == content),
        Ok(meta) if meta.is_dir() => Err(io::Error::new(io::ErrorKind::IsADirectory, "is a directory")),
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes a file as a whole: temporary file beside it, fsync, rename. Owner and mode of what was there stay; a link
/// stays one, and what it points to is replaced.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let target = real_target(path);
    let mut file = beside(&target)?;
    file.write_all(content)?;
    publish(file, &target)
}

/// A new temporary file in the directory of `target`.
pub(crate) fn beside(target: &Path) -> io::Result<tempfile::NamedTempFile> {
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::Builder::new().prefix(".sloth-").tempfile_in(directory)
}

/// Puts a finished temporary file where it belongs, durably.
pub(crate) fn publish(file: tempfile::NamedTempFile, target: &Path) -> io::Result<()> {
    let path = file.into_temp_path();
    publish_path(&path, target)?;
    // It is not there any more.
    let _ = path.keep();
    Ok(())
}

/// Puts a finished file of the same file system where it belongs, durably. Owner and mode of what was there stay.
pub(crate) fn publish_path(part: &Path, target: &Path) -> io::Result<()> {
    let file = File::open(part)?;
    match std::fs::metadata(target) {
        Ok(old) => {
            let ours = file.metadata()?;
            if (old.uid(), old.gid()) != (ours.uid(), ours.gid()) {
                // Who may not give files away keeps the group where it can; the content counts.
                let _ = chown(part, Some(old.uid()), Some(old.gid()));
            }
            file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))?;
        }
        Err(_) => file.set_permissions(Permissions::from_mode(0o666 & !umask()))?,
    }
    file.sync_all()?;
    std::fs::rename(part, target)?;
    sync_directory(target);
    Ok(())
}

/// The process's mask for new files.
fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    mask.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok()).unwrap_or(0o022)
}

/// Makes a rename durable. File systems that cannot are left alone.
fn sync_directory(target: &Path) {
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
}

/// What a link finally names; the path itself when it is none or dangles.
pub(crate) fn real_target(path: &Path) -> PathBuf {
    if path.is_symlink() { std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()) } else { path.to_owned() }
}

/// The info of family `C` for a file: what changed, or what would.
pub(crate) fn outcome(path: &Path, changed: bool, simulated: bool, verb: &str) -> Data {
    let shown = path.display();
    let message = match (changed, simulated) {
        (false, _) => format!("{shown} is as wanted"),
        (true, true) => format!("would {verb} {shown}"),
        (true, false) => format!("{shown} written"),
    };
    let mut entries = vec![
        ("changed".to_owned(), Data::Bool(changed)),
        ("message".to_owned(), Data::text(message.clone())),
        ("path".to_owned(), Data::text(shown.to_string())),
    ];
    if simulated {
        entries.push(("simulated".to_owned(), Data::Bool(true)));
        if changed {
            entries.push(("would".to_owned(), Data::text(message)));
        }
    }
    Data::Map(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_keeps_mode_and_link() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("f"), dir.path().join("l"));
        std::fs::write(&file, "old").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary file stays");
    }

    #[test]
    fn reading_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        std::fs::write(&file, "12345").unwrap();
        assert_eq!(read(&file, 5).unwrap(), b"12345");
        assert!(read(&file, 4).unwrap_err().to_string().contains("longer than 4"));
    }
}
