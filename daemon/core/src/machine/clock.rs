//! The wall clock was set, or stood still while the host slept.
//!
//! A step ends a clock epoch. That takes effect only when every instant up to the old reading is decided in the old epoch, so that an
//! audit can say from the epochs alone which rows there must be. As a rule the planner is ahead and this is so at once; when it is
//! behind, the step waits for a refill up to the old reading, and for edits that are on their way.

use std::cmp::Reverse;
use std::time::Duration;

use super::{Effects, Machine, What};
use crate::Moment;
use crate::ledger::{self, Class};
use crate::record::{ClockEpoch, Rebase, Record};

/// A clock that is set by more than this was wrong before; by less, it jumped over real time.
pub const STEP_MAX: Duration = Duration::from_secs(3 * 3600);

/// A step whose epoch has not begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// Everything up to here belongs to the old epoch.
    pub(super) before: Moment,
    after: Moment,
    /// By how much the clock was set, microseconds.
    length: i64,
}

impl Machine {
    /// The clock was set.
    pub(super) fn clock_set(&mut self, before: Moment, after: Moment, effects: &mut Effects) {
        if self.epochs.is_empty() || before == after {
            return;
        }
        let length = after.micros() - before.micros();
        // A clock that was set back by less than anybody notices, while the daemon was down, is behind what was decided.
        let before = before.max(std::mem::replace(&mut self.decided_until, Moment::MIN));
        let step = Step { before, after, length };
        self.shift_timers(length, effects);
        self.steps.push_back(step);
        self.planner.void();
        if self.steps.len() == 1 {
            self.take_back_after(after, before, effects);
        }
        self.advance_steps(after, effects);
    }

    /// Begins the epochs of those steps before which everything is decided.
    pub(super) fn advance_steps(&mut self, now: Moment, effects: &mut Effects) {
        while let Some(step) = self.steps.front().copied() {
            if self.blocked || !self.frozen.is_empty() {
                return;
            }
            if !self.planner.is_complete(step.before) {
                self.ask_refill(now, true, effects);
                return;
            }
            self.steps.pop_front();
            self.begin_epoch(step, effects);
        }
        self.ask_refill(now, true, effects);
    }

    fn begin_epoch(&mut self, step: Step, effects: &mut Effects) {
        let epoch = ClockEpoch {
            epoch: self.epoch() + 1,
            before: step.before,
            after: step.after,
            shift_us: self.epochs.last().map_or(0, |epoch| epoch.shift_us) + step.length,
            cause: "clock_step",
        };
        effects.records.push(Record::Epoch(epoch.clone()));
        self.note_clock_set(step.after, &epoch, step.length, effects);
        let [fixed, interval, every] =
            [Class::Fixed, Class::Interval, Class::Every].map(|class| ledger::rebase(&epoch, class));
        effects.records.push(Record::Rebased { fixed, interval, every });
        for entry in self.entries.values_mut() {
            let rebase = match Class::of(&entry.schedule.trigger) {
                Some(Class::Fixed | Class::Once) => fixed,
                Some(Class::Interval) => interval,
                Some(Class::Every) => every,
                None => continue,
            };
            entry.mark = match rebase {
                Rebase::To(mark) => mark,
                Rebase::AtMost(mark) => entry.mark.min(mark),
            };
            entry.touch(effects);
        }
        self.epochs.push(epoch);
        self.last_asked = Moment::MIN;
        self.planner.forget_window();
        self.planner.cause = Some((step.after, "clock_step"));
    }

    /// The reading of the clock in the epoch in which instants are decided: while a step waits, the last one of the old epoch.
    pub(super) fn reading(&self, now: Moment) -> Moment {
        self.steps.front().map_or(now, |step| step.before)
    }

    /// What a time of that epoch is on the present clock.
    pub(super) fn on_present_clock(&self, at: Moment) -> Moment {
        let steps: i64 = self.steps.iter().map(|step| step.length).sum();
        Moment::from_micros(at.micros().saturating_add(steps))
    }

    /// Pauses are lengths of time: their ends move with the clock.
    fn shift_timers(&mut self, step: i64, effects: &mut Effects) {
        let moved = |at: Moment| Moment::from_micros(at.micros().saturating_add(step));
        let timers = std::mem::take(&mut self.timers);
        for Reverse(mut timer) in timers {
            if !matches!(timer.what, What::Fire { .. }) {
                timer.at = moved(timer.at);
            }
            self.timers.push(Reverse(timer));
        }
        self.shift_us += step;
        self.shift_arms(&mut effects.arms);
        if self.planner.catch_up_not_before > Moment::MIN {
            self.planner.catch_up_not_before = moved(self.planner.catch_up_not_before);
        }
        let mut changed = Vec::new();
        for active in self.runs.values_mut() {
            active.fire_at = moved(active.fire_at);
            if let Some(at) = active.run.retry_at {
                active.run().retry_at = Some(moved(at));
                changed.push(active.run.clone());
            }
        }
        changed.sort_unstable_by_key(|run| run.id);
        let changed = changed.into_iter().map(Record::RunChanged);
        effects.records.extend(changed);
    }

    /// Timers that were on their way to the store when the clock was set.
    pub(super) fn shift_arms(&self, arms: &mut super::Arms) {
        let step = self.shift_us - arms.shift_us;
        arms.shift_us = self.shift_us;
        if step == 0 {
            return;
        }
        for timer in &mut arms.timers {
            if !matches!(timer.what, What::Fire { .. }) {
                timer.at = Moment::from_micros(timer.at.micros().saturating_add(step));
            }
        }
    }

    /// The host slept: what would have fired meanwhile was missed.
    pub(super) fn resumed(&mut self, now: Moment, slept: Duration, effects: &mut Effects) {
        if self.epochs.is_empty() {
            return;
        }
        self.note_resumed(now, slept, effects);
        if self.steps.is_empty() {
            self.planner.cause = Some((now, "suspend"));
        }
        self.plan_again(now, effects);
    }
}
