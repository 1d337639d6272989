//! Orphans: what loses its parent within a job comes to the supervisor, its subreaper. Where no cgroup says whose it is, it belongs
//! to the only attempt that can have made it; when there is none left, it is ended.

use std::collections::HashSet;
use std::time::Duration;

use super::attempt::{Attempt, Live, Phase, Stage};
use super::event_loop::{Alarm, Supervisor};
use crate::{proc, tree};

/// Between two rounds of tidying.
const TIDY: Duration = Duration::from_millis(200);

impl Supervisor {
    /// Ends processes that belong to no attempt any more, and removes cgroups that were busy.
    pub(super) fn tidy(&mut self) {
        self.busy_groups.retain(|group| !group.remove());
        let escaped = self.escaped();
        tree::send(&escaped, nix::libc::SIGKILL);
        if !self.busy_groups.is_empty() || !escaped.is_empty() {
            self.set_alarm(0, Alarm::Tidy, TIDY);
        }
    }

    /// Whether anything came to us that is no main process.
    pub(super) fn has_orphans(&self) -> bool {
        proc::own_children().is_none_or(|all| all.iter().any(|pid| !self.by_pid.contains_key(pid)))
    }

    /// Orphans that came to us, with the serials of the running attempts without cgroup that they may belong to.
    fn orphans(&self) -> Vec<(proc::Stat, HashSet<u64>)> {
        let all = proc::own_children().unwrap_or_else(|| {
            let own = std::process::id() as i32;
            proc::all().into_iter().filter(|s| s.parent == own).map(|s| s.pid).collect()
        });
        let orphans = all.into_iter().filter(|pid| !self.by_pid.contains_key(pid)).filter_map(proc::stat);
        orphans.filter(proc::Stat::is_alive).map(|orphan| (orphan, self.possible_owners(&orphan))).collect()
    }

    fn possible_owners(&self, orphan: &proc::Stat) -> HashSet<u64> {
        let may_own = |live: &Live| {
            !live.is_grouped
                && live.stage == Stage::Running
                && live.failure.is_none()
                && live.family.main.start_ticks <= orphan.start_ticks
        };
        let live = self.attempts.iter().filter(|(_, attempt)| match &attempt.phase {
            Phase::Live(live) => may_own(live),
            _ => false,
        });
        live.map(|(serial, _)| *serial).collect()
    }

    /// Gives an attempt the orphans that can only be its own.
    pub(super) fn adopt(&mut self, serial: u64) {
        if self.attempts.get_mut(&serial).and_then(Attempt::live).is_none_or(|live| live.is_grouped) {
            return;
        }
        let own: HashSet<i32> = self
            .orphans()
            .into_iter()
            .filter(|(_, owners)| owners.len() == 1 && owners.contains(&serial))
            .map(|(orphan, _)| orphan.pid)
            .collect();
        if let Some(live) = self.attempts.get_mut(&serial).and_then(Attempt::live) {
            live.family.adopted = own;
        }
    }

    /// Orphans that no running attempt can own.
    fn escaped(&self) -> Vec<proc::Stat> {
        self.orphans().into_iter().filter(|(_, owners)| owners.is_empty()).map(|(orphan, _)| orphan).collect()
    }
}
