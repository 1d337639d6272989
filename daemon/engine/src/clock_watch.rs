//! Notices that the wall clock was set, or that the host slept, by comparing three clocks.

use std::time::Duration;

use sloth_core::Moment;

/// All clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// `CLOCK_REALTIME`.
    pub wall: Moment,
    /// `CLOCK_BOOTTIME`: goes on in suspend, never set.
    pub boot: Duration,
    /// `CLOCK_MONOTONIC`: stands still in suspend, never set.
    pub monotonic: Duration,
}

/// What happened to the clock between two readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockChange {
    /// Set, from this to that.
    Set(Moment, Moment),
    /// The host slept for so long.
    Slept(Duration),
}

/// Smaller differences are adjustments (adjtime(3), NTP), which core does not notice: marks keep instants from repeating.
const STEP_MIN_US: i64 = 1_000_000;
const SLEEP_MIN: Duration = Duration::from_secs(2);

/// Remembers the last reading.
pub(crate) struct ClockWatch {
    last: Reading,
}

impl ClockWatch {
    pub(crate) fn new(first: Reading) -> Self {
        ClockWatch { last: first }
    }

    /// What happened since the last reading.
    pub(crate) fn compare(&mut self, now: Reading) -> Vec<ClockChange> {
        let last = std::mem::replace(&mut self.last, now);
        let elapsed = now.boot.saturating_sub(last.boot);
        let awake = now.monotonic.saturating_sub(last.monotonic);
        let expected = last.wall + elapsed;
        let mut changes = Vec::new();
        if elapsed.saturating_sub(awake) >= SLEEP_MIN {
            changes.push(ClockChange::Slept(elapsed - awake));
        }
        if (now.wall.micros() - expected.micros()).abs() >= STEP_MIN_US {
            changes.push(ClockChange::Set(expected, now.wall));
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(wall: i64, boot: u64, monotonic: u64) -> Reading {
        Reading {
            wall: Moment::from_secs(wall),
            boot: Duration::from_secs(boot),
            monotonic: Duration::from_secs(monotonic),
        }
    }

    #[test]
    fn time_that_passes_is_no_change() {
        let mut watch = ClockWatch::new(reading(1000, 10, 10));
        assert_eq!(watch.compare(reading(5000, 4010, 4010)), []);
    }

    #[test]
    fn a_set_clock_is_told_with_both_readings() {
        let mut watch = ClockWatch::new(reading(1000, 10, 10));
        let change = ClockChange::Set(Moment::from_secs(1010), Moment::from_secs(4610));
        assert_eq!(watch.compare(reading(4610, 20, 20)), [change]);
        assert_eq!(watch.compare(reading(4611, 21, 21)), []);
    }

    #[test]
    fn sleep_is_not_mistaken_for_a_set_clock() {
        let mut watch = ClockWatch::new(reading(1000, 10, 10));
        assert_eq!(watch.compare(reading(8200, 7210, 20)), [ClockChange::Slept(Duration::from_secs(7190))]);
    }
}
