//! Claims that cannot wait for their time: before a clock epoch or a trigger ends, every instant up to then gets its decision, so that
//! it keeps its meaning. One that is delayed by its jitter becomes a run at once, which starts when the delay is over.

use std::cmp::Reverse;

use super::{Claim, Effects, Machine, What};
use crate::record::{Occurrence, Record, Skip};
use crate::run::{Reason, RunTrigger};
use crate::{Moment, Overlap, ScheduleId};

impl Machine {
    /// Decides the claimed instants of a schedule up to a moment of the present epoch.
    pub(super) fn settle(&mut self, now: Moment, id: ScheduleId, until: Moment, effects: &mut Effects) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let mut claims: Vec<Claim> = entry.claims.extract_if(.., |claim| claim.due_at <= until).collect();
        claims.sort_unstable_by_key(|claim| claim.due_at);
        let reading = self.reading(now);
        for claim in claims {
            let occurrence = self.occurrence(id, claim.due_at);
            if claim.fire_at <= reading {
                self.decide(now, occurrence, self.on_present_clock(claim.fire_at), effects);
                continue;
            }
            let Some(schedule) = self.entries.get(&id).map(|entry| entry.schedule.clone()) else {
                return;
            };
            let start_at = self.on_present_clock(claim.fire_at);
            match self.veto(&schedule, claim.due_at, reading).or_else(|| self.in_the_way(id)) {
                Some(skip) => self.skip(now, &schedule, occurrence, skip, effects),
                None => {
                    if schedule.overlap == Overlap::Replace {
                        self.supersede_delayed(now, id, effects);
                    }
                    let by = "schedule".into();
                    self.make_run(now, occurrence, RunTrigger::Due, by, Some(start_at), effects);
                }
            }
            self.spent(now, id, effects);
        }
    }

    /// What the overlap policy says to one more run that will start later: those that will start before it count as well.
    fn in_the_way(&self, id: ScheduleId) -> Option<Skip> {
        let entry = self.entries.get(&id)?;
        let by = *entry.delayed.last().or(entry.going.first()).or(entry.waiting.first())?;
        let waiting = entry.waiting.len() + entry.delayed.len();
        match entry.schedule.overlap {
            Overlap::Skip => Some(Skip::Overlap { by }),
            Overlap::Queue if waiting > 0 => Some(Skip::Overlap { by }),
            Overlap::QueueAll if waiting >= entry.schedule.queue_limit as usize => Some(Skip::Limit),
            Overlap::Queue | Overlap::QueueAll | Overlap::Replace | Overlap::Allow => None,
        }
    }

    fn supersede_delayed(&mut self, now: Moment, id: ScheduleId, effects: &mut Effects) {
        let earlier = self.entries.get(&id).map(|entry| entry.delayed.clone());
        for run in earlier.unwrap_or_default().iter().copied() {
            let message = "replaced by a newer run";
            self.end_early(now, run, Reason::Superseded, message, false, effects);
        }
    }

    /// Settles all schedules up to a moment and takes back what is claimed beyond it. An edit that is on its way may change the meaning
    /// of what is claimed: that is taken back altogether and read again when the edit has ended.
    pub(super) fn take_back_after(&mut self, now: Moment, until: Moment, effects: &mut Effects) {
        let mut ids: Vec<ScheduleId> = self
            .entries
            .iter()
            .filter(|(id, entry)| !self.frozen.contains_key(id) && entry.claims.iter().any(|c| c.due_at <= until))
            .map(|(id, _)| *id)
            .collect();
        ids.sort_unstable();
        for id in ids {
            self.settle(now, id, until, effects);
        }
        let window = self.planner.window();
        self.unclaim_all(effects);
        if let Some(window) = window {
            self.planner.set_window(window.min(until));
        }
    }

    /// Takes all claims back, in memory as [`Record::Unplanned`] does on disk. Timers that are still on their way find no claim then.
    pub(super) fn unclaim_all(&mut self, effects: &mut Effects) {
        effects.records.push(Record::Unplanned);
        for entry in self.entries.values_mut() {
            let Some(first) = entry.claims.iter().map(|claim| claim.due_at).min() else {
                continue;
            };
            entry.mark = Moment::from_micros(first.micros() - 1);
            entry.claims.clear();
            entry.generation += 1;
            entry.touch(effects);
        }
        self.timers.retain(|Reverse(timer)| !matches!(timer.what, What::Fire { .. }));
        self.planner.forget_window();
    }

    pub(super) fn occurrence(&self, schedule: ScheduleId, due_at: Moment) -> Occurrence {
        Occurrence { schedule, due_at, epoch: self.epoch() }
    }
}
