//! Finds and ends all processes of an attempt where no cgroup holds them: descendants, the session, orphans that came back to
//! the subreaper, and whoever carries the run's id in its environment.
//!
//! A process gets away only if it leaves the session, clears its environment *and* all its ancestors within the job are gone;
//! the supervisor then still ends it when no attempt is left that it can belong to. With cgroups nothing gets away.

use std::collections::HashSet;

use nix::libc;
use sloth_core::run::ProcessId;

use crate::proc::{self, Stat};
use crate::sys;

/// Rounds of stopping before killing; forks can race with each look, and each round leaves fewer that can fork.
const STOP_ROUNDS: usize = 8;

/// How to recognise the processes of an attempt.
#[derive(Clone, Debug)]
pub struct Family {
    /// The main process, which is leader of its session, or at least of its process group.
    pub main: ProcessId,
    /// `SLOTH_RUN_ID=…`, when the job has it.
    pub mark: Option<String>,
    /// `SLOTH_ATTEMPT=…`, when the job has it.
    pub attempt_mark: Option<String>,
    /// Whether the session can only be that of the main process, even when that is gone: true for who has just reaped it.
    pub session_is_sure: bool,
    /// Orphans that belong to it for other reasons.
    pub adopted: HashSet<i32>,
}

impl Family {
    /// For a job with these variables.
    pub fn new(main: ProcessId, env: &std::collections::BTreeMap<String, String>) -> Family {
        let mark = |name: &str| env.get(name).map(|value| format!("{name}={value}"));
        Family {
            main,
            mark: mark("SLOTH_RUN_ID"),
            attempt_mark: mark("SLOTH_ATTEMPT"),
            session_is_sure: true,
            adopted: HashSet::new(),
        }
    }

    /// All living members that can be recognised now.
    pub fn members(&self) -> Vec<Stat> {
        self.members_among(&proc::all())
    }

    /// The same, from a list that was made before.
    pub fn members_among(&self, all: &[Stat]) -> Vec<Stat> {
        let own = std::process::id() as i32;
        let main = self.main.pid as i32;
        let is_main = |s: &Stat| s.pid == main && s.start_ticks == self.main.start_ticks;
        let main_exists = all.iter().any(is_main);
        let pid_reused = all.iter().any(|s| s.pid == main && !is_main(s));
        let candidate = |s: &&Stat| s.start_ticks >= self.main.start_ticks && s.pid != own;
        let mut members: HashSet<i32> = HashSet::new();
        for s in all.iter().filter(candidate) {
            let in_session = (s.session == main || s.group == main) && !pid_reused;
            let marked = || self.mark.as_ref().is_some_and(|mark| self.is_marked(s.pid, mark));
            let same_session = in_session && (main_exists || self.session_is_sure);
            if is_main(s) || same_session || self.adopted.contains(&s.pid) || s.is_alive() && marked() {
                members.insert(s.pid);
            }
        }
        // Descendants; a round per generation.
        loop {
            let before = members.len();
            for s in all.iter().filter(candidate) {
                if members.contains(&s.parent) {
                    members.insert(s.pid);
                }
            }
            if members.len() == before {
                break;
            }
        }
        all.iter().filter(|s| members.contains(&s.pid) && s.is_alive()).copied().collect()
    }

    /// TERM to all, and CONT so that stopped ones can heed it.
    pub fn terminate(&self) {
        let members = self.members();
        send(&members, libc::SIGTERM);
        send(&members, libc::SIGCONT);
    }

    /// KILL to all that can be found. False while some were found, so that the caller comes back and looks again.
    pub fn kill(&self) -> bool {
        let mut stopped: HashSet<i32> = HashSet::new();
        for _ in 0..STOP_ROUNDS {
            let fresh: Vec<Stat> = self.members().into_iter().filter(|s| !stopped.contains(&s.pid)).collect();
            if fresh.is_empty() {
                break;
            }
            send(&fresh, libc::SIGSTOP);
            stopped.extend(fresh.iter().map(|s| s.pid));
        }
        let members = self.members();
        send(&members, libc::SIGKILL);
        members.is_empty()
    }

    fn is_marked(&self, pid: i32, mark: &str) -> bool {
        proc::environ_has(pid, mark) && self.attempt_mark.as_ref().is_none_or(|attempt| proc::environ_has(pid, attempt))
    }
}

/// Sends a signal to exactly these processes, never to others that have got their numbers since.
pub fn send(processes: &[Stat], signal: i32) {
    for process in processes {
        let Ok(handle) = sys::pidfd(process.pid) else { continue };
        if proc::stat(process.pid).is_some_and(|now| now.start_ticks == process.start_ticks) {
            let _ = sys::pidfd_signal(&handle, signal);
        }
    }
}
