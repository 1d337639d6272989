//! Opens the output file of a launch, below the data directory and nowhere else: whatever stands in the way (a link, a foreign
//! owner, a second name) is refused rather than followed.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};
use nix::unistd::geteuid;
use sloth_core::run::{StartFailure, StartFailureKind};

use crate::fail;

/// Opens or makes it; directories get mode 0700, the file 0600.
pub fn open_output(data: &impl AsFd, path: &Path) -> Result<File, StartFailure> {
    let refuse = |why: String| fail(StartFailureKind::Output, format!("output file {}: {why}", path.display()));
    let mut names = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => names.push(name),
            _ => return Err(refuse("the path leaves the data directory".to_owned())),
        }
    }
    let (file, directories) = names.split_last().ok_or_else(|| refuse("the path is empty".to_owned()))?;
    let mut below: Option<OwnedFd> = None;
    for name in directories {
        let at = below.as_ref().map_or(data.as_fd(), AsFd::as_fd);
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened = match openat(at, *name, flags, Mode::empty()) {
            Err(Errno::ENOENT) => {
                match mkdirat(at, *name, Mode::from_bits_truncate(0o700)) {
                    Ok(()) | Err(Errno::EEXIST) => {}
                    Err(errno) => return Err(refuse(errno.to_string())),
                }
                openat(at, *name, flags, Mode::empty())
            }
            other => other,
        };
        below = Some(opened.map_err(|errno| refuse(format!("{}: {errno}", name.display())))?);
    }
    let at = below.as_ref().map_or(data.as_fd(), AsFd::as_fd);
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let opened =
        openat(at, *file, flags, Mode::from_bits_truncate(0o600)).map_err(|errno| refuse(errno.to_string()))?;
    let facts = fstat(&opened).map_err(|errno| refuse(errno.to_string()))?;
    if facts.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
        return Err(refuse("it is no regular file".to_owned()));
    }
    if facts.st_uid != geteuid().as_raw() || facts.st_nlink != 1 {
        return Err(refuse("somebody else put it there".to_owned()));
    }
    Ok(opened.into())
}
