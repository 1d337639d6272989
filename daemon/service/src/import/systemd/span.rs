//! Time spans of systemd.time(7), exactly.

use std::time::Duration;

const UNITS: [(&[&str], u64); 10] = [
    (&["usec", "us", "μs", "µs"], 1),
    (&["msec", "ms"], 1_000),
    (&["seconds", "second", "sec", "s"], 1_000_000),
    (&["minutes", "minute", "min", "m"], 60_000_000),
    (&["hours", "hour", "hr", "h"], 3_600_000_000),
    (&["days", "day", "d"], 86_400_000_000),
    (&["weeks", "week", "w"], 7 * 86_400_000_000),
    (&["months", "month", "M"], 2_629_800_000_000),
    (&["years", "year", "y"], 31_557_600_000_000),
    (&["nsec", "ns"], 0),
];

/// Longest span, about a thousand years.
const MICROS_MAX: u64 = 1000 * 31_557_600_000_000;

/// Reads `5min 20s`, `1.5h`, `2w`; a bare number is seconds. `None`: not a time span, or longer than is sensible.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim_ascii();
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let after = after.trim_ascii_start();
        let end = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let micros = if unit.is_empty() { 1_000_000 } else { UNITS.iter().find(|(names, _)| names.contains(&unit))?.1 };
        total = total.checked_add(times(number, micros)?).filter(|total| *total <= MICROS_MAX)?;
        rest = next.trim_ascii_start();
    }
    Some(Duration::from_micros(total))
}

fn times(number: &str, micros: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 6 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<u64>().ok()?.checked_mul(micros)? / 10u64.pow(fraction.len() as u32)
    };
    whole.parse::<u64>().ok()?.checked_mul(micros)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        let cases = [
            ("15min", 900),
            ("1d", 86_400),
            ("1h 30min", 5400),
            ("1h30m", 5400),
            ("90", 90),
            ("0", 0),
            ("1.5h", 5400),
            ("2 weeks", 1_209_600),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "infinity", "1x", "-5", "h", "99999999y", "."] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
