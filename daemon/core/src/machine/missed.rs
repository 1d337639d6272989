//! Instants that were found late: because the daemon was down, the host slept or the clock jumped over them.

use std::collections::HashMap;

use super::{Effects, Machine};
use crate::record::{Decision, Fold, Occurrence, Record, Skip};
use crate::run::RunTrigger;
use crate::{CatchUp, Enabled, Moment, RunId, ScheduleId, random};

/// Of the missed instants of one schedule, so many at most get a row each when they will not run; older ones are folded.
const ROWS_MAX: usize = 1000;

impl Machine {
    /// Decides missed instants (in order) by the catch-up policy. Those that run are made now and start spread over a while.
    pub(super) fn missed(&mut self, now: Moment, id: ScheduleId, mut instants: Vec<Moment>, effects: &mut Effects) {
        let Some(entry) = self.entries.get(&id) else { return };
        let schedule = entry.schedule.clone();
        let cause = match self.planner.cause {
            Some((boundary, cause)) if instants.first().is_some_and(|first| *first <= boundary) => cause,
            _ => "overload",
        };
        self.counters.missed += instants.len() as u64;
        self.note_missed(now, &schedule, &instants, cause, effects);

        let paused = match &schedule.enabled {
            Enabled::Yes => false,
            Enabled::Paused { until, .. } => until.is_none_or(|until| until > now),
        };
        let veto = if self.quiesced.is_some() {
            Some(Skip::Quiesced)
        } else if paused {
            Some(Skip::Paused)
        } else {
            None
        };
        let oldest = now - schedule.catch_up_window;
        let in_time = |due: Moment| due >= oldest && schedule.start_deadline.is_none_or(|limit| due + limit >= now);
        let candidates = instants.iter().rev().take_while(|due| in_time(**due)).count();
        let runs = match schedule.catch_up() {
            _ if veto.is_some() => 0,
            CatchUp::None => 0,
            CatchUp::Latest => candidates.min(1),
            CatchUp::All => candidates.min(schedule.catch_up_max as usize),
        };
        let made_up = instants.split_off(instants.len() - runs);
        let mut made: HashMap<Moment, RunId> = HashMap::new();
        for due_at in made_up {
            let occurrence = Occurrence {
                schedule: id,
                due_at,
                epoch: self.epoch(),
            };
            let run = self.make_catch_up(now, occurrence, effects);
            made.insert(due_at, run);
        }
        let absorbing = match schedule.catch_up() {
            CatchUp::Latest => made.values().next().copied(),
            CatchUp::None | CatchUp::All => None,
        };

        let folded = instants.len().saturating_sub(ROWS_MAX);
        if let (Some(from), Some(to)) = (instants.first(), folded.checked_sub(1).map(|last| instants[last])) {
            effects.records.push(Record::Folded(Fold {
                schedule: id,
                from: *from,
                to,
                skipped: folded as u64,
            }));
            self.count_skip(veto.as_ref().unwrap_or(&Skip::CatchUp), folded as u64);
        }
        for due_at in instants.drain(folded..) {
            let occurrence = Occurrence {
                schedule: id,
                due_at,
                epoch: self.epoch(),
            };
            let late_for = !in_time(due_at) && due_at >= oldest;
            let decision = match (&veto, absorbing) {
                (Some(skip), _) => Decision::Skipped(skip.clone()),
                (None, Some(run)) if in_time(due_at) => Decision::Coalesced { run },
                _ if late_for && schedule.catch_up() != CatchUp::None => Decision::Skipped(Skip::Deadline),
                _ => Decision::Skipped(Skip::CatchUp),
            };
            match &decision {
                Decision::Skipped(skip) => self.count_skip(skip, 1),
                _ => self.counters.coalesced += 1,
            }
            effects.records.push(Record::Decided(occurrence, decision));
        }
    }

    /// A run for a missed instant, durable now, starting at a time of its own so that a host does not do everything at once.
    fn make_catch_up(&mut self, now: Moment, occurrence: Occurrence, effects: &mut Effects) -> RunId {
        let id = occurrence.schedule.uuid();
        let spread = u64::try_from(self.config.catch_up_spread.as_micros()).unwrap_or(0);
        let hash = random::stable_hash(&[id.as_bytes(), b"catch-up"]);
        let delay = std::time::Duration::from_micros(((u128::from(hash) * u128::from(spread)) >> 64) as u64);
        let start_at = now.max(self.planner.catch_up_not_before) + delay;
        self.make_run(
            now,
            occurrence,
            RunTrigger::CatchUp,
            "schedule".to_owned(),
            Some(start_at),
            effects,
        )
    }
}
