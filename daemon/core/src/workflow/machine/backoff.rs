//! How long to wait before the next attempt.

use super::super::policy::{Backoff, Retry};

/// Kinds of failure that no further attempt can mend.
const NEVER: [&str; 3] = ["cancelled", "definition", "denied"];

/// Milliseconds before retry `index` (from 1); `chance` in `[0, 1)` is used for jitter. The cap holds after jitter, too.
pub fn retry_delay(retry: &Retry, index: u32, chance: f64) -> u64 {
    let base = retry.delay_ms as f64;
    let step = f64::from(index.max(1));
    let grown = match retry.backoff {
        Backoff::Fixed => base,
        Backoff::Linear => base * step,
        Backoff::Exponential => base * retry.multiplier.max(1.0).powf(step - 1.0),
        Backoff::Fibonacci => base * fibonacci(index),
    };
    let cap = if retry.max_delay_ms == 0 { u64::MAX as f64 } else { retry.max_delay_ms as f64 };
    let jitter = retry.jitter.clamp(0.0, 1.0);
    let factor = 1.0 - jitter + 2.0 * jitter * chance;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates, and is not negative
    let delay = (grown.min(cap) * factor).min(cap).round() as u64;
    delay
}

/// Whether a failure of this kind may be tried again.
pub fn may_retry(retry: &Retry, kind: &str) -> bool {
    if NEVER.contains(&kind) {
        return false;
    }
    retry.kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|known| known == kind))
}

fn fibonacci(index: u32) -> f64 {
    let (mut a, mut b) = (0.0_f64, 1.0_f64);
    for _ in 1..index.clamp(1, 1000) {
        (a, b) = (b, a + b);
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(backoff: Backoff) -> Vec<u64> {
        let retry =
            Retry { backoff, delay_ms: 100, multiplier: 2.0, max_delay_ms: 700, max_attempts: 9, ..Retry::default() };
        (1..=5).map(|index| retry_delay(&retry, index, 0.5)).collect()
    }

    /// "delay before retry i: d, d·i, d·m^(i-1), d·fib(i) with fib 1,1,2,3,5", capped.
    #[test]
    fn delays_grow_as_written() {
        assert_eq!(delays(Backoff::Fixed), [100, 100, 100, 100, 100]);
        assert_eq!(delays(Backoff::Linear), [100, 200, 300, 400, 500]);
        assert_eq!(delays(Backoff::Exponential), [100, 200, 400, 700, 700]);
        assert_eq!(delays(Backoff::Fibonacci), [100, 100, 200, 300, 500]);
    }

    /// "delay is multiplied by a random factor in [1-j, 1+j]".
    #[test]
    fn jitter_stays_in_its_band() {
        let retry = Retry { backoff: Backoff::Fixed, delay_ms: 1000, jitter: 0.2, ..Retry::default() };
        assert_eq!(retry_delay(&retry, 1, 0.0), 800);
        assert_eq!(retry_delay(&retry, 1, 0.999_999), 1200);
    }

    /// "all but cancelled, definition, denied".
    #[test]
    fn some_kinds_are_never_retried() {
        let named = Retry { kinds: Some(vec!["exit".to_owned(), "denied".to_owned()]), ..Retry::default() };
        assert!(may_retry(&Retry::default(), "timeout") && may_retry(&named, "exit"));
        assert!(!may_retry(&Retry::default(), "cancelled") && !may_retry(&named, "denied") && !may_retry(&named, "error"));
    }
}
