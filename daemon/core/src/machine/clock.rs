//! The wall clock was set, or stood still while the host slept.

use std::cmp::Reverse;
use std::time::Duration;

use super::{Effects, Machine, What};
use crate::record::{ClockEpoch, Rebase, Record};
use crate::trigger::{Trigger, TriggerKind};
use crate::{Moment, Schedule};

/// A clock that is set by more than this was wrong before; by less, it jumped over real time.
pub const STEP_MAX: Duration = Duration::from_secs(3 * 3600);

impl Machine {
    /// A new clock epoch begins.
    pub(super) fn clock_set(&mut self, before: Moment, after: Moment, effects: &mut Effects) {
        if self.epochs.is_empty() {
            return;
        }
        let step = after.micros() - before.micros();
        let shift = self.epochs.last().map_or(0, |epoch| epoch.shift_us) + step;
        let epoch = ClockEpoch {
            epoch: self.epoch() + 1,
            before,
            after,
            shift_us: shift,
            cause: "clock_step",
        };
        effects.records.push(Record::Epoch(epoch.clone()));
        self.note_clock_set(after, &epoch, step, effects);
        self.unclaim_all(effects);
        self.epochs.push(epoch);

        let (fixed, interval, every) = rebases(before, after);
        effects.records.push(Record::Rebased { fixed, interval, every });
        for entry in self.entries.values_mut() {
            let rebase = match class(&entry.schedule) {
                Some(Class::Fixed) => fixed,
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
        self.shift_timers(step, effects);
        self.planner.cause = Some((after, "clock_step"));
        self.ask_refill(after, true, effects);
    }

    /// Pauses are lengths of time: their ends move with the clock.
    fn shift_timers(&mut self, step: i64, effects: &mut Effects) {
        let moved = |at: Moment| Moment::from_micros(at.micros().saturating_add(step));
        let timers = std::mem::take(&mut self.timers);
        for Reverse(mut timer) in timers {
            timer.at = moved(timer.at);
            self.timers.push(Reverse(timer));
        }
        for timer in &mut effects.arms.timers {
            if matches!(timer.what, What::Begin { .. } | What::TooLate { .. }) {
                timer.at = moved(timer.at);
            }
        }
        for active in self.runs.values_mut() {
            active.fire_at = moved(active.fire_at);
            if let Some(at) = active.run.retry_at {
                active.run.retry_at = Some(moved(at));
                effects.records.push(Record::RunChanged(Box::new(active.run.clone())));
            }
        }
    }

    /// The host slept: what would have fired meanwhile was missed.
    pub(super) fn resumed(&mut self, now: Moment, slept: Duration, effects: &mut Effects) {
        if self.epochs.is_empty() {
            return;
        }
        self.note_resumed(now, slept, effects);
        self.unclaim_all(effects);
        self.planner.cause = Some((now, "suspend"));
        self.ask_refill(now, true, effects);
    }
}

enum Class {
    Fixed,
    Interval,
    Every,
}

fn class(schedule: &Schedule) -> Option<Class> {
    match (&schedule.trigger, schedule.trigger.kind()) {
        (Trigger::Every { .. }, _) => Some(Class::Every),
        (_, TriggerKind::Fixed) => Some(Class::Fixed),
        (_, TriggerKind::Interval | TriggerKind::Anchored) => Some(Class::Interval),
        (_, TriggerKind::Single) => None,
    }
}

/// How marks move. What lies between mark and clock afterwards is found by the next refill, as missed or as yet to come.
fn rebases(before: Moment, after: Moment) -> (Rebase, Rebase, Rebase) {
    let small = after.since(before) <= STEP_MAX && before.since(after) <= STEP_MAX;
    match (small, after > before) {
        // Jumped over: those instants are missed. The line of `@every` moves with the clock and misses nothing.
        (true, true) => (Rebase::AtMost(before), Rebase::AtMost(before), Rebase::To(after)),
        // Set back a little: fixed triggers wait until the clock is where it was, interval ones go on at once.
        (true, false) => (Rebase::AtMost(before), Rebase::To(after), Rebase::To(after)),
        // The clock was wrong.
        (false, _) => (Rebase::To(after), Rebase::To(after), Rebase::To(after)),
    }
}
