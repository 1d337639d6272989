//! The few system calls that nix does not wrap safely. Together with `spawn::child` this is all the `unsafe` of the project.
#![allow(unsafe_code, reason = "the only crate that may; each use says why it is sound")]

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use nix::libc;

/// capabilities(7).
pub const CAP_SYS_NICE: u32 = 23;
/// capabilities(7).
pub const CAP_SYS_RESOURCE: u32 = 24;

/// A child that ended, with what it and the children it waited for used (wait4(2), getrusage(2)).
#[derive(Clone, Copy, Debug)]
pub struct Reaped {
    /// Its number, free from now on.
    pub pid: i32,
    /// How it ended.
    pub end: ProcessEnd,
    /// User and system time.
    pub cpu: Duration,
    /// Highest resident set of one process, bytes.
    pub memory_peak_bytes: u64,
    /// Bytes read from storage.
    pub io_read_bytes: u64,
    /// Bytes written to storage.
    pub io_write_bytes: u64,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessEnd {
    /// It exited with this code.
    Exited(i32),
    /// It died of this signal.
    Signaled(i32),
}

/// Takes one child that ended, if there is one.
pub fn reap() -> Option<Reaped> {
    let mut status = 0;
    // SAFETY: `rusage` is plain integers, for which all zeros is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live, writable values of the right types.
    let pid = unsafe { libc::wait4(-1, &raw mut status, libc::WNOHANG, &raw mut usage) };
    if pid <= 0 {
        return None;
    }
    let end = if libc::WIFSIGNALED(status) {
        ProcessEnd::Signaled(libc::WTERMSIG(status))
    } else {
        ProcessEnd::Exited(libc::WEXITSTATUS(status))
    };
    let time = |t: libc::timeval| Duration::new(t.tv_sec.max(0) as u64, t.tv_usec as u32 * 1000);
    Some(Reaped {
        pid,
        end,
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        memory_peak_bytes: usage.ru_maxrss.max(0) as u64 * 1024,
        io_read_bytes: usage.ru_inblock.max(0) as u64 * 512,
        io_write_bytes: usage.ru_oublock.max(0) as u64 * 512,
    })
}

/// A handle that means this very process even after its number is used again (pidfd_open(2)).
pub fn pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes two integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Sends a signal through such a handle.
pub fn pidfd_signal(pidfd: &OwnedFd, signal: i32) -> io::Result<()> {
    // SAFETY: takes integers and a null pointer, which means "as kill(2) would".
    let done = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, std::ptr::null::<libc::siginfo_t>(), 0)
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Closes all descriptors from this one on (close_range(2), Linux 5.9).
pub fn close_from(first: u32) {
    // SAFETY: takes integers. The callers own no descriptor from `first` on that they use later.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
}

/// Gives every signal its default action, also those two that libc keeps for itself and would refuse to name.
pub fn reset_signals() {
    // The kernel's `struct sigaction` with a mask of 64 bits, all zeros: SIG_DFL, no flags.
    let default = [0_u64; 4];
    for signal in 1..=64 {
        // SAFETY: the structure is as long as the kernel reads on 64-bit machines; the default runs no code of ours, and this
        // program has no thread whose cancellation would need signal 32 or 33. KILL and STOP refuse, rightly.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null::<u64>(), 8) };
    }
}

/// Ignores SIGPIPE: a reader that is gone is an error of a write, not the end of this process.
pub fn ignore_pipe() {
    // SAFETY: ignoring runs no code of ours.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// User and system time of this process (getrusage(2)).
pub fn own_cpu() -> Duration {
    // SAFETY: `rusage` is plain integers, for which all zeros is a value; the pointer is to a live value of the right type.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let time = |t: libc::timeval| Duration::new(t.tv_sec.max(0) as u64, t.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// The first bytes of an extended attribute.
pub fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let (path, name) = (CString::new(path.as_os_str().as_bytes()).ok()?, CString::new(name).ok()?);
    let mut value = vec![0; 64];
    // SAFETY: two terminated strings, and a buffer with its true length.
    let length = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    value.truncate(usize::try_from(length).ok()?);
    Some(value)
}

/// Whether this process has a capability.
pub fn has_capability(number: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).is_some_and(|set| set >> number & 1 == 1)
}
