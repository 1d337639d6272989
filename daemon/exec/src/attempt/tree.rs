//! All processes of the attempt but this one: the control group of the unit says which, as nothing leaves that; where it cannot be
//! read, descent does.

use std::collections::HashSet;

use nix::libc;

use super::own_group::OwnGroup;
use crate::proc::{self, Stat};
use crate::tree::{Family, send};

/// Rounds of stopping before killing; forks can race with each look, and each round leaves fewer that can fork.
const STOP_ROUNDS: usize = 8;

/// See the module.
#[derive(Debug)]
pub struct Tree {
    group: Option<OwnGroup>,
    family: Family,
}

impl Tree {
    /// Of the attempt whose main process is this one.
    pub fn new(group: Option<OwnGroup>, family: Family) -> Tree {
        Tree { group, family }
    }

    /// Its living processes.
    pub fn members(&self) -> Vec<Stat> {
        let Some(group) = &self.group else {
            return self.family.members();
        };
        let own = std::process::id() as i32;
        let all = group.processes();
        all.into_iter().filter(|pid| *pid != own).filter_map(proc::stat).filter(Stat::is_alive).collect()
    }

    /// TERM to all, and CONT so that stopped ones can heed it.
    pub fn terminate(&self) {
        let members = self.members();
        send(&members, libc::SIGTERM);
        send(&members, libc::SIGCONT);
    }

    /// KILL to all. False while some were found, so that the caller comes back and looks again.
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
}
