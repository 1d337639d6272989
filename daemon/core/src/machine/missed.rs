//! Instants that were found late: because the daemon was down, the host slept or the clock jumped over them.

use super::fire::pauses;
use super::{Effects, Machine};
use crate::record::{Decision, Fold, Record, Skip};
use crate::run::RunTrigger;
use crate::{CatchUp, Enabled, Moment, RunId, Schedule, ScheduleId, random};

/// Of the missed instants of one schedule, so many at most get a row each when they will not run; older ones are folded.
const ROWS_MAX: usize = 1000;

/// What holds for all instants that are found late together.
struct Lateness {
    policy: CatchUp,
    quiesced: bool,
    enabled: Enabled,
    /// Older ones are not made up.
    oldest: Moment,
    /// Older ones can no longer start in time.
    deadline: Moment,
}

impl Lateness {
    /// Why an instant is not made up; `None` when it may be.
    fn objection(&self, due: Moment) -> Option<Skip> {
        if self.quiesced {
            Some(Skip::Quiesced)
        } else if pauses(&self.enabled, due) {
            Some(Skip::Paused)
        } else if self.policy == CatchUp::None || due < self.oldest {
            Some(Skip::CatchUp)
        } else if due < self.deadline {
            Some(Skip::Deadline)
        } else {
            None
        }
    }
}

impl Machine {
    /// Decides missed instants (in order) by the catch-up policy. Those that run are made now and start spread over a while. Unless
    /// these are `all`, newer ones are looked at next: then none of these is made up.
    pub(super) fn missed(
        &mut self,
        now: Moment,
        id: ScheduleId,
        mut instants: Vec<Moment>,
        all: bool,
        effects: &mut Effects,
    ) {
        let (Some(first), Some(last)) = (instants.first().copied(), instants.last().copied()) else {
            return;
        };
        let Some(entry) = self.entries.get(&id) else { return };
        let schedule = entry.schedule.clone();
        let cause = match self.planner.cause {
            Some((boundary, cause)) if first <= boundary => cause,
            _ => "overload",
        };
        self.counters.missed += instants.len() as u64;
        self.note_missed(now, &schedule, &instants, cause, effects);

        let lateness = self.lateness(now, &schedule);
        let candidates = instants.iter().rev().take_while(|due| lateness.objection(**due).is_none());
        let runs = match lateness.policy {
            _ if !all => 0,
            CatchUp::None => 0,
            CatchUp::Latest => candidates.take(1).count(),
            CatchUp::All => candidates.take(schedule.catch_up_max as usize).count(),
        };
        let mut newest = None;
        for due_at in instants.split_off(instants.len() - runs) {
            newest = Some(self.make_catch_up(now, &schedule, due_at, effects));
        }
        let absorbing = newest.filter(|_| lateness.policy == CatchUp::Latest);
        let rows = if all { ROWS_MAX } else { 0 };
        let (folded, rest) = instants.split_at(instants.len().saturating_sub(rows));
        self.fold(id, folded, effects);
        self.not_made_up(id, rest, &lateness, absorbing, effects);
        self.wake_if_due(now, id, last, effects);
        self.spent(now, id, effects);
    }

    fn lateness(&self, now: Moment, schedule: &Schedule) -> Lateness {
        let reading = self.reading(now);
        Lateness {
            policy: schedule.catch_up(),
            quiesced: self.quiesced.is_some(),
            enabled: schedule.enabled.clone(),
            oldest: reading - schedule.catch_up_window,
            deadline: schedule.start_deadline.map_or(Moment::MIN, |limit| reading - limit),
        }
    }

    /// Instants that are kept as a number only.
    fn fold(&mut self, id: ScheduleId, folded: &[Moment], effects: &mut Effects) {
        let (Some(from), Some(to)) = (folded.first(), folded.last()) else {
            return;
        };
        effects.records.push(Record::Folded(Fold { schedule: id, from: *from, to: *to, skipped: folded.len() as u64 }));
        self.count_skip(&Skip::CatchUp, folded.len() as u64);
    }

    /// Rows of the instants that do not run.
    fn not_made_up(
        &mut self,
        id: ScheduleId,
        rows: &[Moment],
        lateness: &Lateness,
        absorbing: Option<RunId>,
        effects: &mut Effects,
    ) {
        for due_at in rows {
            let decision = match (lateness.objection(*due_at), absorbing) {
                (None, Some(run)) => Decision::Coalesced { run },
                (objection, _) => Decision::Skipped(objection.unwrap_or(Skip::CatchUp)),
            };
            match &decision {
                Decision::Skipped(skip) => self.count_skip(skip, 1),
                _ => self.counters.coalesced += 1,
            }
            let occurrence = self.occurrence(id, *due_at);
            effects.records.push(Record::Decided(occurrence, decision));
        }
    }

    /// A run for a missed instant, durable now, starting at a time of its own so that a host does not do everything at once.
    fn make_catch_up(&mut self, now: Moment, schedule: &Schedule, due_at: Moment, effects: &mut Effects) -> RunId {
        let id = schedule.id;
        let spread = u64::try_from(self.config.catch_up_spread.as_micros()).unwrap_or(0);
        let hash = random::stable_hash(&[id.uuid().as_bytes(), b"catch-up"]);
        let delay = std::time::Duration::from_micros(((u128::from(hash) * u128::from(spread)) >> 64) as u64);
        let spread_to = now.max(self.planner.catch_up_not_before) + delay;
        // The spreading alone makes nothing too late.
        let deadline = schedule.start_deadline.map(|limit| self.on_present_clock(due_at) + limit);
        let start_at = deadline.map_or(spread_to, |deadline| spread_to.min(deadline).max(now));
        let (occurrence, by) = (self.occurrence(id, due_at), "schedule".into());
        self.make_run(now, occurrence, RunTrigger::CatchUp, by, Some(start_at), effects)
    }
}
