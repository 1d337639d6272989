//! For programs that start commands of their own, as workers do: what a child is besides its arguments, and how its whole tree
//! is found and ended. [`prepare`] is only for commands that need it: one without it is started by posix_spawn(3).
#![allow(unsafe_code, reason = "a hook between fork and exec")]

use std::collections::HashSet;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use nix::libc;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Gid, Pid, Uid, geteuid, getgid, setgid, setgroups, setuid};
use sloth_core::run::ProcessId;

use crate::account::{Account, Accounts};
use crate::cgroup::Group;
use crate::proc;
use crate::tree::{Family, send};

/// The signal that nobody can ignore.
pub const KILL: i32 = libc::SIGKILL;
/// The signal that asks.
pub const TERM: i32 = libc::SIGTERM;

/// What a child is, besides its arguments. All is optional.
#[derive(Debug, Default)]
pub struct Setup {
    /// Whom it becomes.
    pub user: Option<User>,
    /// File mode creation mask.
    pub umask: Option<u32>,
    /// Scheduling priority, −20 to 19.
    pub nice: Option<i32>,
    /// Limits.
    pub limits: Vec<(Limit, u64)>,
    /// Control group that it joins.
    pub group: Option<Group>,
}

/// A limit of each process, see getrlimit(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Bytes of address space.
    AddressSpace,
    /// Processes of the user. Root is not bound by it.
    Processes,
    /// Open files.
    Files,
}

impl Limit {
    fn resource(self) -> Resource {
        match self {
            Limit::AddressSpace => Resource::RLIMIT_AS,
            Limit::Processes => Resource::RLIMIT_NPROC,
            Limit::Files => Resource::RLIMIT_NOFILE,
        }
    }
}

/// An account on this machine.
#[derive(Clone, Debug)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Home directory.
    pub home: PathBuf,
    /// Login shell.
    pub shell: PathBuf,
    groups: Option<Vec<Gid>>,
}

impl User {
    /// Looks an account up as which this process may start commands.
    pub fn find(name: &str) -> Result<User, String> {
        Accounts::default().find(name, None).map(User::from).map_err(|failure| failure.message)
    }

    /// The account of this process; a nameless one is called by its number.
    pub fn own() -> User {
        let uid = geteuid();
        match nix::unistd::User::from_uid(uid) {
            Ok(Some(user)) => User {
                name: user.name,
                uid: uid.as_raw(),
                gid: getgid().as_raw(),
                home: user.dir,
                shell: user.shell,
                groups: None,
            },
            _ => User {
                name: uid.to_string(),
                uid: uid.as_raw(),
                gid: getgid().as_raw(),
                home: PathBuf::from("/"),
                shell: PathBuf::from("/bin/sh"),
                groups: None,
            },
        }
    }

    /// The same, under another name: for a program that changes the user itself.
    #[must_use]
    pub fn named(self, name: &str) -> User {
        User { name: name.to_owned(), ..self }
    }

    /// Whether this process is root.
    pub fn is_root() -> bool {
        geteuid().is_root()
    }
}

impl From<Account> for User {
    fn from(account: Account) -> User {
        User {
            name: account.name,
            uid: account.uid.as_raw(),
            gid: account.gid.as_raw(),
            home: account.home,
            shell: account.shell,
            groups: account.groups,
        }
    }
}

/// Makes a command's child be as told. Its process is then made by fork, not by posix_spawn.
pub fn prepare(command: &mut Command, setup: Setup) -> io::Result<()> {
    let procs = setup.group.as_ref().map(Group::procs_file).transpose()?;
    let hook = move || {
        if let Some(mut procs) = procs.as_ref() {
            io::Write::write_all(&mut procs, b"0")?;
        }
        for (resource, most) in &setup.limits {
            setrlimit(resource.resource(), *most, *most)?;
        }
        if let Some(nice) = setup.nice {
            // SAFETY: takes integers.
            if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        if let Some(mask) = setup.umask {
            umask(Mode::from_bits_truncate(mask));
        }
        if let Some(User { uid, gid, groups: Some(groups), .. }) = &setup.user {
            setgroups(groups)?;
            setgid(Gid::from_raw(*gid))?;
            setuid(Uid::from_raw(*uid))?;
        }
        Ok(())
    };
    // SAFETY: the hook makes system calls only: it allocates nothing, takes no lock, and all it refers to was made before.
    unsafe { command.pre_exec(hook) };
    Ok(())
}

/// A command's processes: its process group, its descendants, and orphans that carry its mark.
#[derive(Clone, Debug)]
pub struct Tree {
    family: Family,
}

impl Tree {
    /// Of a child that was just started as leader of its own process group. `mark` is a `NAME=value` that only it has in its
    /// environment. `None` when it is gone already.
    pub fn of(pid: u32, mark: Option<String>) -> Option<Tree> {
        let main = proc::identify(pid as i32)?;
        let family = Family { main, mark, attempt_mark: None, session_is_sure: false, adopted: HashSet::new() };
        Some(Tree { family })
    }

    /// The main process.
    pub fn main(&self) -> &ProcessId {
        &self.family.main
    }

    /// TERM to all that were not told yet, and CONT so that stopped ones can heed it. Called again and again, as a process that
    /// is just being made is not seen at first, but nobody is told twice: for some programs the second time means "at once".
    /// False when nobody is left.
    pub fn terminate(&self, told: &mut Told) -> bool {
        let members = self.family.members();
        let fresh: Vec<_> = members.iter().filter(|s| told.0.insert((s.pid, s.start_ticks))).copied().collect();
        send(&fresh, TERM);
        send(&fresh, libc::SIGCONT);
        !members.is_empty()
    }

    /// Any signal to all of them.
    pub fn signal(&self, signal: i32) {
        send(&self.family.members(), signal);
    }

    /// KILL to all that can be found. False while some were found, so that the caller comes back and looks again.
    pub fn kill(&self) -> bool {
        self.family.kill()
    }

    /// Whether anything of it lives.
    pub fn is_alive(&self) -> bool {
        !self.family.members().is_empty()
    }
}

/// Who was told to end.
#[derive(Debug, Default)]
pub struct Told(HashSet<(i32, u64)>);

/// Makes orphans of this process's descendants its own children, so that they can be found and ended.
pub fn become_subreaper() -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// Takes dead children that nobody waits for: orphans which came to this process as subreaper. `is_own` says which children
/// somebody waits for. Returns how many were taken.
pub fn reap_orphans(is_own: impl Fn(u32) -> bool) -> usize {
    let own = std::process::id() as i32;
    let dead = proc::all().into_iter().filter(|s| s.parent == own && !s.is_alive() && !is_own(s.pid as u32));
    dead.filter(|s| waitpid(Pid::from_raw(s.pid), Some(WaitPidFlag::WNOHANG)).is_ok()).count()
}

/// Sends a signal to one process by number; true when it could be sent.
pub fn signal(pid: u32, signal: i32) -> io::Result<()> {
    let handle = crate::sys::pidfd(pid as i32)?;
    crate::sys::pidfd_signal(&handle, signal)
}

/// Whether there is a living process of this number.
pub fn is_running(pid: u32) -> bool {
    proc::stat(pid as i32).is_some_and(|s| s.is_alive())
}

/// The number of a signal's name, with or without `SIG`, or of its digits.
pub fn signal_number(name: &str) -> Option<i32> {
    if let Ok(number) = name.parse::<i32>() {
        return (0..=64).contains(&number).then_some(number);
    }
    let upper = name.to_ascii_uppercase();
    let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    full.parse::<nix::sys::signal::Signal>().ok().map(|signal| signal as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_signals_may_lack_their_prefix() {
        assert_eq!(signal_number("TERM"), Some(15));
        assert_eq!(signal_number("sigkill"), Some(9));
        assert_eq!(signal_number("1"), Some(1));
        assert_eq!(signal_number("NOPE"), None);
        assert_eq!(signal_number("-1"), None);
    }

    #[test]
    fn a_process_group_is_found_when_its_leader_is_gone() {
        let mut child = Command::new("/bin/sh")
            .args(["-c", "sleep 300 & sleep 300"])
            .process_group(0)
            .spawn()
            .expect("sh is there");
        let tree = Tree::of(child.id(), None).expect("just started");
        while tree.family.members().len() < 3 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        while !tree.kill() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(!tree.is_alive());
        child.wait().expect("our child");
    }

    #[test]
    fn a_prepared_command_is_as_told() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "umask; nice; ulimit -n"]);
        let limits = vec![(Limit::Files, 77)];
        prepare(&mut command, Setup { umask: Some(0o027), nice: Some(5), limits, ..Setup::default() })
            .expect("prepared");
        let output = command.output().expect("sh is there");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "0027\n5\n77\n");
    }
}
