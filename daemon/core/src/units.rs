//! Reads and writes the quantities of configuration and commands, durations, sizes and CPU shares, exactly: what is
//! written reads back as the same value, and nothing is rounded on the way.

use std::fmt;
use std::time::Duration;

/// Why a quantity was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}: {problem}; {hint}")]
pub struct UnitError {
    /// The offending text, shortened when it is long.
    pub text: String,
    /// What is wrong with it.
    pub problem: String,
    /// A remedy or an example.
    pub hint: &'static str,
}

/// The longest duration, about 292 years: it fits an `i64` of nanoseconds, and so every column and counter.
pub const DURATION_MAX: Duration = Duration::from_nanos(i64::MAX as u64);

/// The largest size: it fits a column of the database.
pub const SIZE_MAX: u64 = i64::MAX as u64;

const DURATION_HINT: &str = "example: \"90s\", \"1h30m\" or \"850ms\"";
const SIZE_HINT: &str = "example: \"512Mi\", \"10GB\" or plain bytes";
const CPU_HINT: &str = "example: \"2\", \"0.5\" or \"500m\"";

/// Largest first, because that is the order of printing.
const DURATION_UNITS: [(&str, u64); 8] = [
    ("w", 7 * 86_400_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

const SIZE_UNITS: [(&str, u64); 8] = [
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("K", 1_000),
];

/// Reads `1h30m`, `1.5h`, `850ms`; a bare number is seconds. Zero is allowed, at most [`DURATION_MAX`].
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let refuse = |problem: Problem| problem.about(text, DURATION_HINT);
    let whole = text.trim_ascii();
    let mut rest = whole;
    let mut total: u64 = 0;
    loop {
        let (number, after) = Decimal::take(rest).map_err(refuse)?;
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let unit = match unit {
            "" if number.text == whole => "s",
            "" => return Err(refuse(Problem::NoUnit)),
            named => named,
        };
        let scale = scale_of(unit, &DURATION_UNITS).ok_or_else(|| refuse(Problem::UnknownUnit(unit.to_owned())))?;
        let part = number.times(scale).map_err(refuse)?;
        total = total.checked_add(part).filter(|t| *t <= i64::MAX as u64).ok_or_else(|| refuse(Problem::TooLarge))?;
        if next.is_empty() {
            return Ok(Duration::from_nanos(total));
        }
        rest = next;
    }
}

/// Writes the shortest form that reads back as the same duration: `1h30m`, `1m30s`, `850ms`, `0s`.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = duration.as_nanos();
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, scale) in DURATION_UNITS.into_iter().filter(|(unit, _)| *unit != "w") {
        let count = rest / u128::from(scale);
        rest %= u128::from(scale);
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    text
}

/// Reads bytes: a number with `Ki Mi Gi Ti` (1024) or `K M G T` (1000) and an optional `B`. At most [`SIZE_MAX`].
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let refuse = |problem: Problem| problem.about(text, SIZE_HINT);
    let (number, unit) = Decimal::take(text.trim_ascii()).map_err(refuse)?;
    let scale = match unit.strip_suffix('B').unwrap_or(unit) {
        "" => 1,
        named => scale_of(named, &SIZE_UNITS).ok_or_else(|| refuse(Problem::UnknownUnit(unit.to_owned())))?,
    };
    let bytes = number.times(scale).map_err(refuse)?;
    if bytes > SIZE_MAX { Err(refuse(Problem::TooLarge)) } else { Ok(bytes) }
}

/// Writes a size in the largest binary unit that divides it: `10Mi`, else plain bytes.
pub fn format_size_exact(bytes: u64) -> String {
    let unit = SIZE_UNITS[..4].iter().find(|(_, scale)| bytes > 0 && bytes.is_multiple_of(*scale));
    match unit {
        Some((unit, scale)) => format!("{}{unit}", bytes / scale),
        None => bytes.to_string(),
    }
}

/// Reads cores (`2`, `0.5`) or millicores (`500m`) as millicores.
pub fn parse_cpu(text: &str) -> Result<u32, UnitError> {
    let refuse = |problem: Problem| problem.about(text, CPU_HINT);
    let (number, unit) = Decimal::take(text.trim_ascii()).map_err(refuse)?;
    let scale = match unit {
        "" => 1000,
        "m" => 1,
        other => return Err(refuse(Problem::UnknownUnit(other.to_owned()))),
    };
    u32::try_from(number.times(scale).map_err(refuse)?).map_err(|_| refuse(Problem::TooLarge))
}

/// Writes millicores as whole cores (`2`) or millicores (`500m`).
pub fn format_cpu(millicores: u32) -> String {
    if millicores.is_multiple_of(1000) { (millicores / 1000).to_string() } else { format!("{millicores}m") }
}

fn scale_of(unit: &str, units: &[(&str, u64)]) -> Option<u64> {
    units.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale)
}

/// A number with an optional fraction, kept as text until the unit is known, so that `1.1h` is exact.
struct Decimal<'a> {
    text: &'a str,
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Decimal<'a> {
    /// The number at the start of `text`, and what follows it.
    fn take(text: &'a str) -> Result<(Self, &'a str), Problem> {
        if text.is_empty() {
            return Err(Problem::Empty);
        }
        if text.starts_with('-') {
            return Err(Problem::Negative);
        }
        let (whole, rest) = split_digits(text);
        let (fraction, rest) = match rest.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", rest),
        };
        let number = &text[..text.len() - rest.len()];
        if whole.is_empty() || number.ends_with('.') {
            return Err(Problem::NotANumber);
        }
        Ok((Decimal { text: number, whole, fraction }, rest))
    }

    /// The number of smallest units, when it is whole and fits.
    fn times(&self, scale: u64) -> Result<u64, Problem> {
        let whole: u64 = self.whole.parse().map_err(|_| Problem::TooLarge)?;
        let whole = whole.checked_mul(scale).ok_or(Problem::TooLarge)?;
        let fraction = self.fraction.trim_end_matches('0');
        let power =
            u32::try_from(fraction.len()).ok().and_then(|digits| 10u128.checked_pow(digits)).ok_or(Problem::TooFine)?;
        let part: u128 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| Problem::TooFine)? };
        let part = part.checked_mul(u128::from(scale)).ok_or(Problem::TooFine)?;
        if !part.is_multiple_of(power) {
            return Err(Problem::TooFine);
        }
        let part = u64::try_from(part / power).map_err(|_| Problem::TooLarge)?;
        whole.checked_add(part).ok_or(Problem::TooLarge)
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

enum Problem {
    Empty,
    Negative,
    NotANumber,
    NoUnit,
    UnknownUnit(String),
    TooLarge,
    TooFine,
}

impl Problem {
    fn about(self, text: &str, hint: &'static str) -> UnitError {
        UnitError { text: text.chars().take(40).collect(), problem: self.to_string(), hint }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Empty => f.write_str("is empty"),
            Problem::Negative => f.write_str("is negative"),
            Problem::NotANumber => f.write_str("is not a number"),
            Problem::NoUnit => f.write_str("ends with a number that has no unit"),
            Problem::UnknownUnit(unit) => write!(f, "unknown unit {:?}", unit.chars().take(20).collect::<String>()),
            Problem::TooLarge => f.write_str("is too large"),
            Problem::TooFine => f.write_str("is finer than the smallest unit"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ns(text: &str) -> u64 {
        u64::try_from(parse_duration(text).expect(text).as_nanos()).expect(text)
    }

    #[test]
    fn durations_are_read_exactly() {
        assert_eq!(ns("90"), 90_000_000_000);
        assert_eq!(ns("1.5"), 1_500_000_000);
        assert_eq!(ns("1h30m"), 5_400_000_000_000);
        assert_eq!(ns("1.5h"), 5_400_000_000_000);
        assert_eq!(ns(" 850ms "), 850_000_000);
        assert_eq!(ns("2w1d"), 15 * 86_400_000_000_000);
        assert_eq!(ns("1us1ns"), 1_001);
        assert_eq!(ns("1m1.001s"), 61_001_000_000);
        assert_eq!(ns("0"), 0);
    }

    #[test]
    fn durations_are_refused_with_the_reason() {
        for (text, problem) in [
            ("", "is empty"),
            ("  ", "is empty"),
            ("-5s", "is negative"),
            ("abc", "is not a number"),
            ("1.s", "is not a number"),
            (".5s", "is not a number"),
            ("1h30", "ends with a number that has no unit"),
            ("5y", "unknown unit \"y\""),
            ("1h 30m", "unknown unit \"h \""),
            ("1hé", "unknown unit \"hé\""),
            ("0.1ns", "is finer than the smallest unit"),
            ("99999999999999999999s", "is too large"),
            ("300000000000h", "is too large"),
            ("15000w300w", "is too large"),
        ] {
            assert_eq!(parse_duration(text).expect_err(text).problem, problem, "{text:?}");
        }
    }

    #[test]
    fn durations_read_back_as_written() {
        for (text, printed) in
            [("90s", "1m30s"), ("90m", "1h30m"), ("850ms", "850ms"), ("0", "0s"), ("1w", "7d"), ("1.5s", "1s500ms")]
        {
            let duration = parse_duration(text).expect(text);
            assert_eq!(format_duration(duration), printed);
            assert_eq!(parse_duration(printed), Ok(duration));
        }
        assert_eq!(parse_duration(&format_duration(DURATION_MAX)), Ok(DURATION_MAX));
    }

    #[test]
    fn sizes_and_shares() {
        assert_eq!(parse_size("10Mi"), Ok(10 << 20));
        assert_eq!(parse_size("10MiB"), Ok(10 << 20));
        assert_eq!(parse_size("1.5KB"), Ok(1500));
        assert_eq!(parse_size("7B"), Ok(7));
        assert_eq!(parse_size("0"), Ok(0));
        assert_eq!(parse_size("1.5").map_err(|e| e.problem), Err("is finer than the smallest unit".into()));
        assert_eq!(parse_size("10mb").map_err(|e| e.problem), Err("unknown unit \"mb\"".into()));
        assert_eq!(parse_size("9999999Ti").map_err(|e| e.problem), Err("is too large".into()));
        assert_eq!(format_size_exact(10 << 20), "10Mi");
        assert_eq!(format_size_exact(1500), "1500");
        assert_eq!(format_size_exact(0), "0");
        assert_eq!(parse_cpu("0.5"), Ok(500));
        assert_eq!(parse_cpu("500m"), Ok(500));
        assert_eq!(parse_cpu("2"), Ok(2000));
        assert_eq!(parse_cpu("0.0001").map_err(|e| e.problem), Err("is finer than the smallest unit".into()));
        assert_eq!(parse_cpu("5000000").map_err(|e| e.problem), Err("is too large".into()));
        assert_eq!(format_cpu(500), "500m");
        assert_eq!(format_cpu(2000), "2");
    }

    #[test]
    fn an_error_is_one_line() {
        let error = parse_duration("5y").expect_err("no such unit");
        assert_eq!(error.to_string(), "\"5y\": unknown unit \"y\"; example: \"90s\", \"1h30m\" or \"850ms\"");
    }
}
