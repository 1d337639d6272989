//! When a schedule is due: trigger expressions and the search for their instants. `next_after` is a pure function of
//! expression, zone, zone data and the previous nominal instant, so that an audit can repeat every answer.

mod cron;
mod days;
mod describe;
mod error;
mod every;
mod fields;
mod parse;
mod search;

use std::time::Duration;

use jiff::tz::TimeZone;

pub use cron::Cron;
pub use error::TriggerError;
pub use every::every_next;

use crate::Moment;

/// When a schedule is due. Compiled: at most 64 bytes, the text is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// A cron expression, evaluated on the wall clock of the schedule's zone.
    Cron(Cron),
    /// A fixed period on the UTC line. Due at `anchor` and every period after it; zones do not matter.
    Every {
        /// At least a second, in whole microseconds.
        period: Duration,
        /// Where counting starts. Filled in with the schedule's creation when it is added; until then nothing is due.
        anchor: Option<Moment>,
    },
    /// Once.
    At(Moment),
    /// Once per boot of the host. The boot is the due instant, so there is nothing to search.
    Reboot,
    /// By hand, by another schedule, by a hook or through the API only.
    Manual,
}

/// How a trigger treats gaps and overlaps of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TriggerKind {
    /// No second, minute or hour field begins with `*`: made up after a gap, first pass of an overlap only.
    Fixed,
    /// Keeps its cadence: nothing in a gap, both passes of an overlap.
    Interval,
    /// An interval within hours that are named: made up after a gap, both passes of an overlap.
    Anchored,
    /// Has no instants to search: at boot, or by hand.
    Single,
}

impl Trigger {
    /// Reads a trigger text: a cron expression of 5, 6 or 7 fields, a nickname, `@every 90s`, `@at 2031-01-01T09:00`,
    /// `@reboot`, or `manual` (also `@manual`, `none`). `tz` is the zone of a local `@at` time; a time in the past is fine.
    pub fn parse(text: &str, tz: &TimeZone) -> Result<Trigger, TriggerError> {
        parse::trigger(text, tz)
    }

    /// How the trigger treats gaps and overlaps.
    pub fn kind(&self) -> TriggerKind {
        match self {
            Trigger::Cron(cron) => cron.kind(),
            Trigger::Every { .. } => TriggerKind::Interval,
            Trigger::At(_) => TriggerKind::Fixed,
            Trigger::Reboot | Trigger::Manual => TriggerKind::Single,
        }
    }

    /// The same trigger; one with a period and no anchor yet counts from `anchor`.
    pub fn with_anchor(self, anchor: Moment) -> Trigger {
        match self {
            Trigger::Every { period, anchor: None } => Trigger::Every { period, anchor: Some(anchor) },
            other => other,
        }
    }

    /// The first due instant strictly after `after`, a nominal instant. None when there is none up to [`Moment::MAX`].
    pub fn next_after(&self, tz: &TimeZone, after: Moment) -> Option<Moment> {
        match self {
            Trigger::Cron(cron) => search::next(cron, tz, after),
            Trigger::Every { period, anchor } => every_next(*period, (*anchor)?, after),
            Trigger::At(at) => (*at > after).then_some(*at),
            Trigger::Reboot | Trigger::Manual => None,
        }
    }

    /// The last due instant at or before `at`. Costs up to about a hundred searches of [`Trigger::next_after`].
    pub fn last_until(&self, tz: &TimeZone, at: Moment) -> Option<Moment> {
        let at = at.min(Moment::MAX);
        let next = |after: Moment| self.next_after(tz, after).filter(|due| *due <= at);
        // Steps back, twice as far each time, until something is due in between; then halves the rest.
        let mut step = Duration::from_secs(60);
        let mut found = loop {
            let from = (at - step).max(Moment::MIN);
            match next(from) {
                Some(due) => break due,
                None if from == Moment::MIN => return None,
                None => step *= 2,
            }
        };
        let mut end = at;
        while found < end {
            let middle = found + end.since(found) / 2;
            match next(middle) {
                Some(due) => found = due,
                None => end = middle,
            }
        }
        Some(found)
    }

    /// One English sentence without a full stop: `at 02:30 every day`, `every 15 minutes from Monday to Friday`.
    pub fn describe(&self) -> String {
        describe::sentence(self)
    }
}

/// What a reader should know about a due instant near a clock change, such as `02:30 does not exist on this day: made up
/// at 03:00` or `01:30 happens twice: first pass`. None for most instants, and for triggers that no zone moves.
pub fn remark(trigger: &Trigger, tz: &TimeZone, due: Moment) -> Option<String> {
    match trigger {
        Trigger::Cron(cron) => search::remark(cron, tz, due),
        _ => None,
    }
}
