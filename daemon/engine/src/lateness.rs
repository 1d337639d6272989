//! How late starts are: a histogram that anyone may read while the engine writes it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the buckets in microseconds; one more bucket holds the rest.
const BOUNDS_US: [u64; 22] = [
    50,
    100,
    200,
    300,
    500,
    750,
    1_000,
    1_500,
    2_000,
    3_000,
    5_000,
    7_500,
    10_000,
    15_000,
    25_000,
    50_000,
    100_000,
    250_000,
    1_000_000,
    5_000_000,
    60_000_000,
    3_600_000_000,
];

/// Lateness from the time a start was due (jitter included) to its order to the executor.
#[derive(Debug, Default)]
pub struct Lateness {
    counts: [AtomicU64; BOUNDS_US.len() + 1],
    max_us: AtomicU64,
}

/// A copy of the histogram.
#[derive(Clone, Debug, Default)]
pub struct LatenessSnapshot {
    /// Upper bound and count of each bucket that is not empty.
    pub buckets: Vec<(Duration, u64)>,
    /// All.
    pub count: u64,
    /// The worst.
    pub max: Duration,
}

impl Lateness {
    pub(crate) fn add(&self, late: Duration) {
        let us = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|bound| *bound < us);
        self.counts[bucket].fetch_add(1, Relaxed);
        self.max_us.fetch_max(us, Relaxed);
    }

    /// The present state.
    pub fn snapshot(&self) -> LatenessSnapshot {
        let max = Duration::from_micros(self.max_us.load(Relaxed));
        let mut snapshot = LatenessSnapshot { max, ..LatenessSnapshot::default() };
        for (i, count) in self.counts.iter().enumerate() {
            let count = count.load(Relaxed);
            if count > 0 {
                let bound = BOUNDS_US.get(i).map_or(max, |us| Duration::from_micros(*us));
                snapshot.buckets.push((bound.min(max), count));
                snapshot.count += count;
            }
        }
        snapshot
    }
}

impl LatenessSnapshot {
    /// An upper bound of the given quantile, as fine as the buckets.
    pub fn quantile(&self, q: f64) -> Duration {
        let rank = (self.count as f64 * q).ceil() as u64;
        let mut seen = 0;
        for (bound, count) in &self.buckets {
            seen += count;
            if seen >= rank {
                return *bound;
            }
        }
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_upper_bounds() {
        let lateness = Lateness::default();
        for us in [40, 90, 90, 4_000] {
            lateness.add(Duration::from_micros(us));
        }
        let snapshot = lateness.snapshot();
        assert_eq!(snapshot.count, 4);
        assert_eq!(snapshot.quantile(0.5), Duration::from_micros(100));
        assert_eq!(snapshot.quantile(0.99), Duration::from_micros(4_000));
    }
}
