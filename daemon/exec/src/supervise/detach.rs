//! Leaves the process that started it: own session, no inherited descriptors, directory `/`, signals that should not hurt ignored,
//! and the lock that makes it the only one on its socket.
#![allow(unsafe_code, reason = "the forks of a daemon")]

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, chdir, fork, pipe2, setsid};

use super::Options;
use super::door::lock_path;
use crate::{spawn, sys};

/// Says once that the socket listens.
#[derive(Debug)]
pub struct Ready(Option<File>);

impl Ready {
    /// Lets the process that started us go.
    pub fn tell(&mut self) {
        if let Some(mut pipe) = self.0.take() {
            let _ = pipe.write_all(b"\0");
        }
    }
}

/// Runs `body` in a process of its own (or here, in the foreground). `Ok` without running it when another supervisor lives.
pub fn detach(mut options: Options, body: impl FnOnce(Options, Ready, File) -> io::Result<()>) -> io::Result<()> {
    sys::close_from(3);
    spawn::reserve_descriptors(3)?;
    options.socket = std::path::absolute(&options.socket)?;
    options.data = std::path::absolute(&options.data)?;
    if options.foreground {
        return become_supervisor(options, Ready(None), body);
    }
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    // SAFETY: this program has one thread.
    if let ForkResult::Parent { child } = unsafe { fork() }? {
        drop(write);
        let _ = waitpid(child, None);
        return await_ready(read.into());
    }
    drop(read);
    setsid()?;
    // SAFETY: one thread.
    if let ForkResult::Parent { .. } = unsafe { fork() }? {
        // SAFETY: the go-between has nothing to clean up; the first process waits for it.
        unsafe { libc::_exit(0) };
    }
    spawn::reserve_descriptors(0)?;
    let mut pipe = File::from(write);
    let ready = Ready(Some(pipe.try_clone()?));
    let result = become_supervisor(options, ready, body);
    if let Err(error) = &result {
        let _ = pipe.write_all(error.to_string().as_bytes());
    }
    result
}

fn become_supervisor(
    options: Options,
    mut ready: Ready,
    body: impl FnOnce(Options, Ready, File) -> io::Result<()>,
) -> io::Result<()> {
    umask(Mode::from_bits_truncate(0o077));
    // Jobs must find no signal ignored, whatever we inherited, so only these two are, and the child resets them.
    sys::reset_signals();
    // SAFETY: ignoring runs no code of ours.
    unsafe {
        signal(Signal::SIGHUP, SigHandler::SigIgn)?;
        signal(Signal::SIGPIPE, SigHandler::SigIgn)?;
    }
    nix::sys::prctl::set_child_subreaper(true)?;
    let Some(lock) = lock(&options.socket)? else {
        ready.tell();
        return Ok(());
    };
    chdir("/")?;
    body(options, ready, lock)
}

/// The lock beside the socket; `None` when somebody has it. Whoever has it owns the socket.
fn lock(socket: &Path) -> io::Result<Option<File>> {
    let path = lock_path(socket);
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let mut open = File::options();
    open.read(true).write(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let file = open.open(&path).map_err(named)?;
    match file.try_lock() {
        Ok(()) => {
            // For people, and for whoever must end it.
            file.set_len(0)
                .and_then(|()| (&file).write_all(format!("{}\n", std::process::id()).as_bytes()))
                .map_err(named)?;
            Ok(Some(file))
        }
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(named(error)),
    }
}

fn await_ready(mut pipe: File) -> io::Result<()> {
    let mut said = vec![0; 1];
    if pipe.read(&mut said)? == 0 {
        return Err(io::Error::other("the supervisor ended before it listened"));
    }
    if said[0] == 0 {
        return Ok(());
    }
    pipe.read_to_end(&mut said)?;
    Err(io::Error::other(String::from_utf8_lossy(&said).into_owned()))
}
