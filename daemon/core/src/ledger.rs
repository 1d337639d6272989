//! The arithmetic of the ledger: which due instants there must be, from the history of a trigger and of the clock alone. The planner
//! makes rows instant by instant; `audit` recomputes them with this and compares.

use jiff::tz::TimeZone;

use crate::Moment;
use crate::machine::STEP_MAX;
use crate::record::ClockEpoch;
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

/// The anchor of `@every` keeps its distance in real time: it moves with each step of the clock since the trigger was set.
pub fn trigger_in_epoch(trigger: &Trigger, since_epoch: u32, epoch: u32, epochs: &[ClockEpoch]) -> Trigger {
    let shift = |number: u32| epochs.iter().find(|e| e.epoch == number).map_or(0, |e| e.shift_us);
    match trigger {
        Trigger::Every {
            period,
            anchor: Some(anchor),
        } => {
            let moved = anchor.micros() + shift(epoch) - shift(since_epoch);
            Trigger::Every {
                period: *period,
                anchor: Some(Moment::from_micros(moved)),
            }
        }
        other => other.clone(),
    }
}

/// The stretches of a period, up to `until` in the last epoch. `epochs` is complete and in order.
pub fn stretches(period: &Period, epochs: &[ClockEpoch], until: Moment) -> Vec<Stretch> {
    let every = matches!(period.trigger, Trigger::Every { .. });
    let fixed = period.trigger.kind() == TriggerKind::Fixed;
    let mut list = Vec::new();
    for (i, epoch) in epochs.iter().enumerate() {
        let number = epoch.epoch;
        if number < period.from_epoch || period.to.is_some_and(|(_, last)| number > last) {
            continue;
        }
        let mut after = if i == 0 {
            Moment::MIN
        } else {
            begin(epoch, every, fixed)
        };
        let mut end = epochs.get(i + 1).map_or(until, |next| next.before);
        if number == period.from_epoch {
            after = after.max(period.from);
        }
        if let Some((to, last)) = period.to
            && number == last
        {
            end = end.min(to);
        }
        if after < end {
            list.push(Stretch {
                epoch: number,
                after,
                until: end,
            });
        }
    }
    list
}

/// From where on instants belong to an epoch that began with a step.
fn begin(epoch: &ClockEpoch, every: bool, fixed: bool) -> Moment {
    let (before, after) = (epoch.before, epoch.after);
    let small = after.since(before) <= STEP_MAX && before.since(after) <= STEP_MAX;
    match (small, after > before) {
        _ if every => after,
        (true, true) => before,
        (true, false) if fixed => before,
        _ => after,
    }
}
