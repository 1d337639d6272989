//! The instant has come: what is decided about it.

use std::borrow::Cow;
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

/// Timers that go off in one go.
const TIMERS_PER_WAKE: usize = 1000;
/// So many at once, and more will follow.
const BURST: usize = 100;
/// The decision, the run, and what is said about it.
const RECORDS_PER_RUN: usize = 4;

impl Machine {
    /// What is due, in order. Of a burst, some: while the driver hands on what they asked for, the next deadline has passed already.
    pub(super) fn fire_due(&mut self, now: Moment, effects: &mut Effects) {
        self.ask_refill(now, false, effects);
        for fired in 0..TIMERS_PER_WAKE {
            if self.blocked {
                return;
            }
            if fired == BURST {
                // Growing step by step would copy all of it again and again.
                let more = TIMERS_PER_WAKE - BURST;
                effects.records.reserve(more * RECORDS_PER_RUN);
                effects.early.reserve(more);
                effects.arms.touched.reserve(more);
            }
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
            What::Fire { occurrence, generation } => self.claim_fired(now, occurrence, generation, timer, effects),
            What::Begin { run } => self.begin(now, run, timer.at, effects),
            What::TooLate { run } => self.too_late(now, run, effects),
            What::Insist { key, finished } => self.insist(now, key, finished, effects),
        }
    }

    fn claim_fired(
        &mut self,
        now: Moment,
        occurrence: Occurrence,
        generation: u32,
        timer: Timer,
        effects: &mut Effects,
    ) {
        let id = occurrence.schedule;
        if occurrence.epoch != self.epoch() {
            return;
        }
        let late = self.is_late(now, timer.at);
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let claim = (occurrence.due_at, generation);
        let Some(place) = entry.claims.iter().position(|c| (c.due_at, c.generation) == claim) else {
            return;
        };
        if let Some(frozen) = self.frozen.get_mut(&id) {
            frozen.held.push(timer);
        } else if self.inhibited {
            self.hold_back(now, id, effects);
        } else if late {
            // Storage trouble or a stopped process: as much was missed as if it had not been claimed.
            self.plan_again(now, effects);
        } else {
            entry.claims.swap_remove(place);
            self.decide(now, occurrence, timer.at, effects);
        }
    }

    /// One claimed instant: run, wait or skip.
    pub(super) fn decide(&mut self, now: Moment, occurrence: Occurrence, fire_at: Moment, effects: &mut Effects) {
        let id = occurrence.schedule;
        self.wake_if_due(now, id, occurrence.due_at, effects);
        let Some(entry) = self.entries.get(&id) else { return };
        let schedule = entry.schedule.clone();
        match self.veto(&schedule, occurrence.due_at, self.reading(now)) {
            Some(skip) => self.skip(now, &schedule, occurrence, skip, effects),
            None => {
                let by = "schedule".into();
                self.admit(now, &schedule, occurrence, RunTrigger::Due, by, fire_at, effects);
            }
        }
        self.spent(now, id, effects);
    }

    /// Why an instant does not run, whatever else is going on.
    pub(super) fn veto(&self, schedule: &Schedule, due: Moment, reading: Moment) -> Option<Skip> {
        let too_late = |limit| due + limit < reading;
        // While an inhibitor is held only what cannot wait for its end is decided: before an edit, or a step of the clock.
        if self.quiesced.is_some() || self.inhibited {
            Some(Skip::Quiesced)
        } else if pauses(&schedule.enabled, due) {
            Some(Skip::Paused)
        } else if schedule.start_deadline.is_some_and(too_late) {
            Some(Skip::Deadline)
        } else {
            None
        }
    }

    /// The one instant of `@at` is decided: the schedule is kept, paused.
    pub(super) fn spent(&mut self, now: Moment, id: ScheduleId, effects: &mut Effects) {
        let unfinished = self.entries.get(&id).is_some_and(|entry| {
            matches!(entry.schedule.trigger, Trigger::At(_))
                && !matches!(entry.schedule.enabled, Enabled::Paused { until: None, .. })
        });
        if unfinished {
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
        asked_by: Cow<'static, str>,
        fire_at: Moment,
        effects: &mut Effects,
    ) -> Option<RunId> {
        match self.admission(schedule.id) {
            Admission::Refuse(skip) => {
                self.skip(now, schedule, occurrence, skip, effects);
                None
            }
            Admission::Replace => {
                self.supersede(now, schedule.id, None, effects);
                let run = self.make_run(now, occurrence, trigger, asked_by, None, effects);
                self.next_in_schedule(schedule.id, fire_at, effects);
                Some(run)
            }
            Admission::Start | Admission::Wait => {
                let run = self.make_run(now, occurrence, trigger, asked_by, None, effects);
                self.next_in_schedule(schedule.id, fire_at, effects);
                Some(run)
            }
        }
    }

    /// What the overlap policy says to one more run.
    pub(super) fn admission(&self, id: ScheduleId) -> Admission {
        let Some(entry) = self.entries.get(&id) else {
            return Admission::Start;
        };
        let by = match entry.going.first().or(entry.waiting.first()) {
            None => return Admission::Start,
            Some(by) => *by,
        };
        match entry.schedule.overlap {
            Overlap::Allow => Admission::Start,
            Overlap::Skip => Admission::Refuse(Skip::Overlap { by }),
            Overlap::Queue => match entry.waiting.first() {
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
        if let Some(entry) = self.entries.get_mut(&schedule.id) {
            entry.touch(effects);
        }
        effects.records.push(Record::Decided(occurrence, Decision::Skipped(skip)));
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

/// Whether an instant of this nominal time is paused.
pub(super) fn pauses(enabled: &Enabled, due: Moment) -> bool {
    match enabled {
        Enabled::Yes => false,
        Enabled::Paused { until, .. } => until.is_none_or(|until| due < until),
    }
}
