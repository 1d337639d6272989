//! Rate limits and throttles, shared by all runs of one scope. Token buckets of one token: the first call is free, later ones get their
//! turn in the order in which they asked. Idle ones are dropped after ten minutes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sloth_core::Moment;

const IDLE: Duration = Duration::from_secs(600);
/// Names at once; above that idle ones are looked for at each call.
const NAMES: usize = 1_000;
/// A turn further ahead than this is refused: whoever waited so long has forgotten why.
const AHEAD_MAX: Duration = Duration::from_secs(24 * 3600);

#[derive(Default)]
pub(super) struct Pace(Mutex<HashMap<String, Moment>>);

impl Pace {
    /// Reserves the next turn. How long to wait for it; `None`: more than a day.
    pub(super) fn take(&self, name: &str, rps: f64, now: Moment) -> Option<Duration> {
        let between = Duration::try_from_secs_f64(1.0 / rps).map_or(AHEAD_MAX, |between| between.min(AHEAD_MAX));
        let mut turns = self.lock(now);
        let at = turns.get(name).copied().unwrap_or(now).max(now);
        if at > now + AHEAD_MAX {
            return None;
        }
        turns.insert(name.to_owned(), at + between);
        Some(at.since(now))
    }

    /// Whether the last grant is this long ago.
    pub(super) fn throttle(&self, name: &str, interval: Duration, now: Moment) -> bool {
        let mut turns = self.lock(now);
        let free = turns.get(name).is_none_or(|at| *at <= now);
        if free {
            turns.insert(name.to_owned(), now + interval);
        }
        free
    }

    fn lock(&self, now: Moment) -> std::sync::MutexGuard<'_, HashMap<String, Moment>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() > NAMES {
            turns.retain(|_, at| *at + IDLE > now);
        }
        turns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_call_is_free_and_later_ones_stand_in_line() {
        let (pace, now) = (Pace::default(), Moment::from_secs(1000));
        let waits: Vec<u128> = (0..3).filter_map(|_| pace.take("api", 10.0, now)).map(|w| w.as_millis()).collect();
        assert_eq!(waits, [0, 100, 200]);
        assert_eq!(pace.take("other", 10.0, now), Some(Duration::ZERO));
        assert_eq!(
            pace.take("api", 10.0, now + Duration::from_secs(60)),
            Some(Duration::ZERO),
            "unused turns are lost"
        );
    }

    #[test]
    fn a_throttle_grants_once_per_interval() {
        let (pace, now) = (Pace::default(), Moment::from_secs(1000));
        let minute = Duration::from_secs(60);
        assert!(pace.throttle("mail", minute, now));
        assert!(!pace.throttle("mail", minute, now + Duration::from_secs(59)));
        assert!(pace.throttle("mail", minute, now + minute));
    }

    #[test]
    fn nobody_is_sent_away_for_days() {
        let (pace, now) = (Pace::default(), Moment::from_secs(1000));
        assert!(pace.take("slow", 1e-12, now).is_some());
        assert!(pace.take("slow", 1e-12, now).is_some());
        assert_eq!(pace.take("slow", 1e-12, now), None);
    }
}
