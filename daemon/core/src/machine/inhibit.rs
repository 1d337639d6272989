//! Inhibitors: while somebody holds one, no schedule fires. What comes due stays undecided until the last one is let go, and is then
//! missed as if the daemon had been down: the catch-up policy says what becomes of it. What runs, waits or is asked for goes on.
//!
//! Of each schedule only so many instants are kept undecided as its policy would make up; older ones are skipped when one more comes,
//! so that a long inhibition of a frequent schedule costs no more memory than a short one.

use super::{Effects, Machine, What};
use crate::record::Skip;
use crate::{CatchUp, Moment, Schedule, ScheduleId};

impl Machine {
    /// Somebody holds an inhibitor, or nobody does any more.
    pub(super) fn inhibit(&mut self, now: Moment, inhibited: bool, effects: &mut Effects) {
        let ends = std::mem::replace(&mut self.inhibited, inhibited) && !inhibited;
        if !ends {
            return;
        }
        let mut due: Vec<(Moment, ScheduleId, Moment, u32)> = Vec::new();
        for (id, entry) in &self.entries {
            let over = entry.claims.iter().filter(|claim| claim.fire_at <= now);
            due.extend(over.map(|claim| (claim.fire_at, *id, claim.due_at, claim.generation)));
        }
        due.sort_unstable();
        if due.first().is_some_and(|(fire_at, ..)| self.is_late(now, *fire_at)) {
            self.planner.cause = Some((now, "inhibited"));
            self.plan_again(now, effects);
            return;
        }
        for (fire_at, id, due_at, generation) in due {
            let occurrence = self.occurrence(id, due_at);
            self.set_timer(fire_at, What::Fire { occurrence, generation });
        }
    }

    /// An instant has come that must not fire now. Its claim stays; what the policy would not make up is decided.
    pub(super) fn hold_back(&mut self, now: Moment, id: ScheduleId, effects: &mut Effects) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let schedule = entry.schedule.clone();
        let mut over: Vec<Moment> =
            entry.claims.iter().filter(|claim| claim.fire_at <= now).map(|claim| claim.due_at).collect();
        over.sort_unstable();
        over.truncate(over.len().saturating_sub(kept(&schedule)));
        entry.claims.retain(|claim| !over.contains(&claim.due_at));
        for due_at in over {
            let occurrence = self.occurrence(id, due_at);
            self.skip(now, &schedule, occurrence, Skip::CatchUp, effects);
        }
    }
}

/// How many missed instants of a schedule may run. One that is late by nothing may run whatever the policy.
fn kept(schedule: &Schedule) -> usize {
    match schedule.catch_up() {
        CatchUp::None | CatchUp::Latest => 1,
        CatchUp::All => (schedule.catch_up_max as usize).max(1),
    }
}
