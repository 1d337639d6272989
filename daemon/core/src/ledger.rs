//! The arithmetic of the ledger: which due instants there must be, from the history of a trigger and of the clock alone. The planner
//! makes rows instant by instant; `audit` recomputes them with this and compares.
//!
//! A step of the clock cuts the line: what was due up to the old reading has rows of the old epoch, what comes after it has rows of
//! the new one. From where on it comes depends on how a trigger reads a clock, see [`Class`].

use jiff::tz::TimeZone;

use crate::Moment;
use crate::machine::STEP_MAX;
use crate::record::{ClockEpoch, Rebase};
use crate::trigger::{Trigger, TriggerKind};

/// A stretch during which a schedule had one trigger.
#[derive(Clone, Debug)]
pub struct Period {
    /// The trigger; `@every` with its anchor.
    pub trigger: Trigger,
    /// Its zone.
    pub zone: TimeZone,
    /// Instants after this moment …
    pub from: Moment,
    /// … of this clock epoch belong to it …
    pub from_epoch: u32,
    /// … up to this one, `None`: it is the present trigger.
    pub to: Option<(Moment, u32)>,
}

/// One stretch of the UTC line in which all instants of a trigger must have a row with this epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Clock epoch of the rows.
    pub epoch: u32,
    /// Exclusive.
    pub after: Moment,
    /// Inclusive.
    pub until: Moment,
}

/// What a set clock means to a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Fixed cron triggers: an instant that is decided comes again only when the clock was wrong by hours.
    Fixed,
    /// `@at`: it never comes again.
    Once,
    /// Interval and anchored cron triggers: they go on at once on the new clock.
    Interval,
    /// `@every`: its line moves with the clock, so that it neither misses nor repeats anything.
    Every,
}

impl Class {
    /// `None`: the trigger has no instants.
    pub fn of(trigger: &Trigger) -> Option<Class> {
        match (trigger, trigger.kind()) {
            (Trigger::Every { .. }, _) => Some(Class::Every),
            (Trigger::At(_), _) => Some(Class::Once),
            (_, TriggerKind::Fixed) => Some(Class::Fixed),
            (_, TriggerKind::Interval | TriggerKind::Anchored) => Some(Class::Interval),
            (_, TriggerKind::Single) => None,
        }
    }
}

/// The anchor of `@every` keeps its distance in real time: it moves with each step of the clock since the trigger was set.
pub fn trigger_in_epoch(trigger: &Trigger, since_epoch: u32, epoch: u32, epochs: &[ClockEpoch]) -> Trigger {
    let shift = |number: u32| epochs.iter().find(|e| e.epoch == number).map_or(0, |e| e.shift_us);
    match trigger {
        Trigger::Every { period, anchor: Some(anchor) } => {
            let moved = anchor.micros() + shift(epoch) - shift(since_epoch);
            Trigger::Every { period: *period, anchor: Some(Moment::from_micros(moved)) }
        }
        other => other.clone(),
    }
}

/// The stretches of a period, up to `until` in the last epoch. `epochs` is complete and in order.
pub fn stretches(period: &Period, epochs: &[ClockEpoch], until: Moment) -> Vec<Stretch> {
    let Some(class) = Class::of(&period.trigger) else {
        return Vec::new();
    };
    // A time that had passed when it was set is over, also on a clock that is set back before it.
    if matches!(period.trigger, Trigger::At(at) if at <= period.from) {
        return Vec::new();
    }
    let mut list = Vec::new();
    let mut after = period.from;
    for (i, epoch) in epochs.iter().enumerate() {
        let number = epoch.epoch;
        if number < period.from_epoch {
            continue;
        }
        if number > period.from_epoch {
            after = begin(epoch, class, after);
        }
        let mut end = epochs.get(i + 1).map_or(until, |next| next.before);
        let last = period.to.filter(|(_, last)| *last <= number);
        if let Some((to, _)) = last {
            end = end.min(to);
        }
        if after < end {
            list.push(Stretch { epoch: number, after, until: end });
        }
        if last.is_some() {
            break;
        }
    }
    list
}

/// From where on instants belong to the epoch that a step began, when those of the epoch before it began after `decided`.
fn begin(step: &ClockEpoch, class: Class, decided: Moment) -> Moment {
    match class {
        Class::Fixed | Class::Once if is_small(step) => decided.max(step.before),
        Class::Once if step.after < step.before => decided.max(step.before),
        Class::Interval if is_small(step) && step.after > step.before => step.before,
        _ => step.after,
    }
}

/// How marks move with a step, when everything up to `before` is decided and what is not decided lies after every mark: where
/// [`stretches`] go on, marks stay.
pub fn rebase(step: &ClockEpoch, class: Class) -> Rebase {
    match class {
        Class::Fixed | Class::Once if is_small(step) => Rebase::AtMost(Moment::MAX),
        Class::Interval if is_small(step) && step.after > step.before => Rebase::AtMost(Moment::MAX),
        _ => Rebase::To(step.after),
    }
}

/// By more, the clock was wrong; by less, it jumped over real time.
fn is_small(step: &ClockEpoch) -> bool {
    step.after.since(step.before) <= STEP_MAX && step.before.since(step.after) <= STEP_MAX
}
