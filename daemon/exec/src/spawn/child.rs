//! The fork, and what the child does in it. The supervisor is small and has one thread, so a fork is cheap and the child may use
//! everything; a vfork or posix_spawn could not be held between setup and exec.
//!
//! Talk between the two: the child writes records of eight bytes into its status pipe ([`Status`]); after `Held` it reads one
//! byte from the go pipe. The end of file there, because the supervisor died or discarded it, makes it exit. A successful exec
//! closes the status pipe, so its end of file after `Held` and the go byte means that the user's program began.
#![allow(unsafe_code, reason = "fork, and system calls between fork and exec")]

use std::convert::Infallible;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::resource::setrlimit;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{ForkResult, chdir, fork, pipe2, setgid, setgroups, setsid, setuid};

use sloth_core::run::{StartFailure, StartFailureKind};

use super::plan::Plan;
use crate::cgroup::Group;
use crate::sys;

/// `CLONE_INTO_CGROUP` of clone3(2).
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
/// Descriptors of the child beside 0, 1, 2. The supervisor keeps its own descriptors 0 to 4 occupied, so that none of the
/// pipes has such a number and moving them cannot hit another one.
const GO: i32 = 3;
const STATUS: i32 = 4;

/// A held process, seen from the supervisor.
#[derive(Debug)]
pub struct Held {
    /// Its number; it is our child and not reaped.
    pub pid: i32,
    /// One byte lets it go; closing ends it.
    pub go: OwnedFd,
    /// What it tells.
    pub status: OwnedFd,
    /// Its standard output.
    pub stdout: OwnedFd,
    /// Its standard error.
    pub stderr: OwnedFd,
}

/// One record of the status pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// What happened.
    pub kind: StatusKind,
    /// Why, for failures.
    pub errno: Errno,
}

/// What a child tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum StatusKind {
    /// All is set up; it waits.
    Held = 1,
    /// A session or cgroup could not be made.
    Session,
    /// A limit could not be set.
    Limit,
    /// User or groups could not be changed.
    User,
    /// The directory could not be entered.
    Directory,
    /// The program could not be executed.
    Program,
}

impl Status {
    /// Bytes of a record.
    pub const BYTES: usize = 8;

    fn encode(self) -> [u8; Status::BYTES] {
        let mut bytes = [self.kind as u8, 0, 0, 0, 0, 0, 0, 0];
        bytes[4..].copy_from_slice(&(self.errno as i32).to_le_bytes());
        bytes
    }

    /// The failure in words, for everything but `Held`.
    pub fn failure(self, program: &str, directory: &str) -> StartFailure {
        let (kind, what) = match self.kind {
            StatusKind::Held | StatusKind::Session => (StartFailureKind::Other, "a session cannot be made".to_owned()),
            StatusKind::Limit => {
                (StartFailureKind::Limit, "the limits nofile, memory or nice cannot be set".to_owned())
            }
            StatusKind::User => (StartFailureKind::User, "the user or group cannot be used".to_owned()),
            StatusKind::Directory => (StartFailureKind::Directory, format!("directory {directory}")),
            StatusKind::Program => (StartFailureKind::Program, format!("program {program}")),
        };
        let message = format!("{what}: {} ({:?})", self.errno.desc(), self.errno);
        let kind = match self.errno {
            Errno::ENOMEM | Errno::EAGAIN | Errno::ENFILE | Errno::EMFILE => StartFailureKind::Resources,
            _ => kind,
        };
        StartFailure { kind, message }
    }

    /// Reads a record.
    pub fn decode(bytes: &[u8; Status::BYTES]) -> Option<Status> {
        use StatusKind::{Directory, Held, Limit, Program, Session, User};
        let kind = [Held, Session, Limit, User, Directory, Program].into_iter().find(|kind| *kind as u8 == bytes[0])?;
        Some(Status { kind, errno: Errno::from_raw(i32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]])) })
    }
}

/// Makes the process, in this group.
pub fn start(plan: &Plan, group: Option<&Group>) -> io::Result<Held> {
    let (go_read, go) = pipe2(OFlag::O_CLOEXEC)?;
    let (status, status_write) = pipe2(OFlag::O_CLOEXEC)?;
    let (stdout, stdout_write) = pipe2(OFlag::O_CLOEXEC)?;
    let (stderr, stderr_write) = pipe2(OFlag::O_CLOEXEC)?;
    for end in [&status, &stdout, &stderr] {
        nix::fcntl::fcntl(end, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    if plan.account.is_foreign() {
        // Otherwise the job could not open /dev/stdout: the pipe would be ours.
        for end in [&stdout_write, &stderr_write] {
            nix::unistd::fchown(end, Some(plan.account.uid), Some(plan.account.gid))?;
        }
    }
    let argv = pointers(&plan.argv);
    let env = pointers(&plan.env);
    let mut join = None;
    let pid = match group {
        None => plain_fork()?,
        Some(group) => match clone_into(&group.open()?)? {
            Some(pid) => pid,
            None => {
                join = Some(group.procs_file()?);
                plain_fork()?
            }
        },
    };
    if pid != 0 {
        return Ok(Held { pid, go, status, stdout, stderr });
    }
    // SAFETY: descriptor 3 is the placeholder, open on /dev/null in every supervisor.
    let null = unsafe { BorrowedFd::borrow_raw(GO) };
    let stdin = plan.stdin.as_ref().map_or(null, |fd| fd.as_fd());
    // The child. Nothing is dropped and nothing returns from here on.
    let ends = [stdin, stdout_write.as_fd(), stderr_write.as_fd(), go_read.as_fd(), status_write.as_fd()];
    let Err(failure) = become_job(plan, ends, join.as_ref(), &argv, &env);
    tell(failure);
    exit_child(127)
}

fn become_job(
    plan: &Plan,
    ends: [BorrowedFd<'_>; 5],
    join: Option<&std::fs::File>,
    argv: &[*const libc::c_char],
    env: &[*const libc::c_char],
) -> Result<Infallible, Status> {
    for (to, from) in ends.iter().enumerate() {
        let flags = if to as i32 >= GO { libc::O_CLOEXEC } else { 0 };
        // SAFETY: `to` is one of the placeholders 0 to 4, which no value of this process owns.
        unsafe { libc::dup3(from.as_raw_fd(), to as i32, flags) };
    }
    let step = |kind: StatusKind| move |errno: Errno| Status { kind, errno };
    setsid().map_err(step(StatusKind::Session))?;
    if let Some(procs) = join {
        nix::unistd::write(procs, b"0").map_err(step(StatusKind::Session))?;
    }
    sys::close_from(STATUS as u32 + 1);
    reset_signals().map_err(step(StatusKind::Session))?;
    for limit in &plan.resources {
        setrlimit(limit.resource, limit.values.0, limit.values.1).map_err(step(StatusKind::Limit))?;
    }
    if let Some(nice) = plan.nice {
        // SAFETY: takes integers.
        let done = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, i32::from(nice)) };
        Errno::result(done).map_err(step(StatusKind::Limit))?;
    }
    umask(Mode::from_bits_truncate(plan.umask));
    if let Some(groups) = &plan.account.groups {
        setgroups(groups).map_err(step(StatusKind::User))?;
        setgid(plan.account.gid).map_err(step(StatusKind::User))?;
        setuid(plan.account.uid).map_err(step(StatusKind::User))?;
    }
    match chdir(plan.directory.as_c_str()) {
        Err(Errno::ENOENT | Errno::ENOTDIR) if plan.or_root => chdir(c"/").map_err(step(StatusKind::Directory))?,
        other => other.map_err(step(StatusKind::Directory))?,
    }
    tell(Status { kind: StatusKind::Held, errno: Errno::UnknownErrno });
    wait_for_go();
    Err(Status { kind: StatusKind::Program, errno: execute(&plan.programs, argv, env) })
}

/// Returns only why no program could be executed, as execvp(3) would say it.
fn execute(programs: &[CString], argv: &[*const libc::c_char], env: &[*const libc::c_char]) -> Errno {
    let mut reason = Errno::ENOENT;
    for program in programs {
        // SAFETY: the program is a terminated string; both arrays end with null and their strings outlive the call.
        unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
        match Errno::last() {
            Errno::ENOENT | Errno::ENOTDIR => {}
            Errno::EACCES => reason = Errno::EACCES,
            other => return other,
        }
    }
    reason
}

fn wait_for_go() {
    let mut byte = [0];
    loop {
        // SAFETY: descriptor 3 was made above and is open.
        let go = unsafe { BorrowedFd::borrow_raw(GO) };
        match nix::unistd::read(go, &mut byte) {
            Ok(1) => return,
            Err(Errno::EINTR) => {}
            // The supervisor is gone or does not want us: the program must not run.
            _ => exit_child(0),
        }
    }
}

fn tell(status: Status) {
    // SAFETY: descriptor 4 was made by `become_job` before anything in it can fail.
    let _ = nix::unistd::write(unsafe { BorrowedFd::borrow_raw(STATUS) }, &status.encode());
}

/// Exec gives handled signals their default by itself, but keeps the two that the supervisor ignores, and the mask.
fn reset_signals() -> Result<(), Errno> {
    for signal in [libc::SIGHUP, libc::SIGPIPE] {
        // SAFETY: SIG_DFL is valid for both.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
}

fn exit_child(code: i32) -> ! {
    // SAFETY: ends the child at once, without running what the supervisor registered for its own end.
    unsafe { libc::_exit(code) }
}

fn plain_fork() -> io::Result<i32> {
    // SAFETY: this process has one thread, so the child has a consistent copy of everything.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child.as_raw()),
        ForkResult::Child => Ok(0),
    }
}

/// A fork whose child begins inside the group: joining later takes a lock over all forks of the machine, which is slow.
/// `None` where the kernel or a sandbox has no such call.
fn clone_into(group: &OwnedFd) -> io::Result<Option<i32>> {
    /// `struct clone_args` of clone3(2), version 2.
    #[repr(C)]
    #[derive(Default)]
    struct Arguments {
        flags: u64,
        pidfd: u64,
        child_tid: u64,
        parent_tid: u64,
        exit_signal: u64,
        stack: u64,
        stack_size: u64,
        tls: u64,
        set_tid: u64,
        set_tid_size: u64,
        cgroup: u64,
    }
    let arguments = Arguments {
        flags: CLONE_INTO_CGROUP,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: group.as_raw_fd() as u64,
        ..Arguments::default()
    };
    // SAFETY: without CLONE_VM this is a fork; one thread, so the copy is consistent. The structure has the length that is told.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<Arguments>()) };
    match pid {
        0.. => Ok(Some(pid as i32)),
        _ => match Errno::last() {
            Errno::ENOSYS | Errno::EPERM | Errno::EINVAL | Errno::E2BIG | Errno::EACCES | Errno::EOPNOTSUPP => Ok(None),
            other => Err(other.into()),
        },
    }
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
}

/// Points descriptors from `first` to 4 at `/dev/null`, see [`GO`]. Nothing may own them.
pub(crate) fn reserve_descriptors(first: i32) -> io::Result<()> {
    let null = nix::fcntl::open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?.into_raw_fd();
    for to in (first..=STATUS).filter(|to| *to != null) {
        // SAFETY: the caller says that nobody owns these.
        Errno::result(unsafe { libc::dup3(null, to, libc::O_CLOEXEC) })?;
    }
    if null > STATUS {
        // SAFETY: opened above, owned by nobody else.
        drop(unsafe { OwnedFd::from_raw_fd(null) });
    }
    Ok(())
}
