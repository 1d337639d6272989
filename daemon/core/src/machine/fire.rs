//! The instant has come: what is decided about it.

use std::cmp::Reverse;
use std::sync::Arc;

use super::{Effects, Machine, Timer, What};
use crate::record::{Decision, Occurrence, Record, Skip};
use crate::run::RunTrigger;
use crate::trigger::Trigger;
use crate::{Enabled, Moment, Overlap, RunId, Schedule, ScheduleId};

/// Where a new run goes.
pub(super) enum Admission {
    /// It may start.
    Start,
    /// It waits for earlier runs of its schedule.
    Wait,
    /// It waits for this one, which is ended for it.
    Replace,
    /// It is not made.
    Refuse(Skip),
}

impl Machine {
    /// Everything that is due, in order.
    pub(super) fn fire_due(&mut self, now: Moment, effects: &mut Effects) {
        self.ask_refill(now, false, effects);
        while !self.blocked {
            match self.timers.peek() {
                Some(Reverse(timer)) if timer.at <= now => {}
                _ => break,
            }
            let Some(Reverse(timer)) = self.timers.pop() else { break };
            self.timer_fired(now, timer, effects);
        }
    }

    fn timer_fired(&mut self, now: Moment, timer: Timer, effects: &mut Effects) {
        match timer.what {
            What::Fire { occurrence, generation } => {
                let id = occurrence.schedule;
                let Some(entry) = self.entries.get_mut(&id) else { return };
                let claim = (occurrence.due_at, generation);
                let Some(place) = entry.claims.iter().position(|c| *c == claim) else {
                    return;
                };
                if self.frozen.contains(&id) && occurrence.due_at > entry.schedule.trigger_since {
                    // An edit of it is on its way to the disk, a matter of milliseconds: then the claim stands or is void.
                    self.set_timer(
                        now + std::time::Duration::from_millis(2),
                        What::Fire { occurrence, generation },
                    );
                    return;
                }
                entry.claims.swap_remove(place);
                self.decide(now, occurrence, timer.at, effects);
            }
            What::Begin { run } => self.begin(now, run, timer.at, effects),
            What::TooLate { run } => self.too_late(now, run, effects),
        }
    }

    /// One claimed instant: run, wait or skip.
    fn decide(&mut self, now: Moment, occurrence: Occurrence, fire_at: Moment, effects: &mut Effects) {
        let id = occurrence.schedule;
        self.wake_if_due(now, id, effects);
        let Some(entry) = self.entries.get(&id) else { return };
        let schedule = entry.schedule.clone();
        let veto = if self.quiesced.is_some() {
            Some(Skip::Quiesced)
        } else if schedule.enabled != Enabled::Yes {
            Some(Skip::Paused)
        } else if schedule
            .start_deadline
            .is_some_and(|limit| occurrence.due_at + limit < now)
        {
            Some(Skip::Deadline)
        } else {
            None
        };
        if let Some(skip) = veto {
            self.skip(now, &schedule, occurrence, skip, effects);
        } else {
            self.admit(
                now,
                &schedule,
                occurrence,
                RunTrigger::Due,
                "schedule".to_owned(),
                fire_at,
                effects,
            );
        }
        if let Trigger::At(_) = schedule.trigger {
            self.pause(now, id, "its one instant has passed".to_owned(), effects);
        }
    }

    /// Makes the run unless the overlap policy is against it. The run, if there is one.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn admit(
        &mut self,
        now: Moment,
        schedule: &Arc<Schedule>,
        occurrence: Occurrence,
        trigger: RunTrigger,
        asked_by: String,
        fire_at: Moment,
        effects: &mut Effects,
    ) -> Option<RunId> {
        match self.admission(schedule.id) {
            Admission::Refuse(skip) => {
                self.skip(now, schedule, occurrence, skip, effects);
                None
            }
            Admission::Replace => {
                self.supersede(now, schedule.id, effects);
                let run = self.make_run(now, occurrence, trigger, asked_by, None, effects);
                self.next_in_schedule(now, schedule.id, fire_at, effects);
                Some(run)
            }
            Admission::Start | Admission::Wait => {
                let run = self.make_run(now, occurrence, trigger, asked_by, None, effects);
                self.next_in_schedule(now, schedule.id, fire_at, effects);
                Some(run)
            }
        }
    }

    /// What the overlap policy says to one more run.
    pub(super) fn admission(&self, id: ScheduleId) -> Admission {
        let Some(entry) = self.entries.get(&id) else {
            return Admission::Start;
        };
        let by = match entry.going.first().or(entry.waiting.front()) {
            None => return Admission::Start,
            Some(by) => *by,
        };
        match entry.schedule.overlap {
            Overlap::Allow => Admission::Start,
            Overlap::Skip => Admission::Refuse(Skip::Overlap { by }),
            Overlap::Queue => match entry.waiting.front() {
                Some(waiting) => Admission::Refuse(Skip::Overlap { by: *waiting }),
                None => Admission::Wait,
            },
            Overlap::QueueAll if entry.waiting.len() < entry.schedule.queue_limit as usize => Admission::Wait,
            Overlap::QueueAll => Admission::Refuse(Skip::Limit),
            Overlap::Replace => Admission::Replace,
        }
    }

    pub(super) fn skip(
        &mut self,
        now: Moment,
        schedule: &Schedule,
        occurrence: Occurrence,
        skip: Skip,
        effects: &mut Effects,
    ) {
        self.count_skip(&skip, 1);
        self.note_skipped(now, schedule, occurrence.due_at, &skip, effects);
        effects
            .records
            .push(Record::Decided(occurrence, Decision::Skipped(skip)));
    }

    pub(super) fn count_skip(&mut self, skip: &Skip, n: u64) {
        let place = match skip {
            Skip::Paused => 0,
            Skip::Overlap { .. } => 1,
            Skip::Deadline => 2,
            Skip::CatchUp => 3,
            Skip::Quiesced => 4,
            Skip::Limit => 5,
        };
        self.counters.skipped[place] += n;
    }
}
