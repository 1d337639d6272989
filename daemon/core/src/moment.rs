//! A point on the UTC line, the only notion of time that the core has. It is always handed in, never asked for.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// Microseconds since 1970-01-01T00:00:00Z, leap seconds invisible (as in `CLOCK_REALTIME`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(i64);

impl Moment {
    /// The earliest moment that a schedule can name: year 1900.
    pub const MIN: Moment = Moment(-2_208_988_800_000_000);
    /// The latest moment that a schedule can name: end of year 2199.
    pub const MAX: Moment = Moment(7_258_118_399_000_000);

    /// From microseconds since the Unix epoch.
    pub const fn from_micros(us: i64) -> Self {
        Moment(us)
    }

    /// From whole seconds since the Unix epoch.
    pub const fn from_secs(s: i64) -> Self {
        Moment(s * 1_000_000)
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the Unix epoch, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// How far `earlier` lies before this moment; zero when it does not.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0).max(0) as u64)
    }

    /// The jiff timestamp of this moment (`Moment` is always within jiff's range when it is within `MIN..=MAX`).
    pub fn timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0.clamp(Self::MIN.0, Self::MAX.0)).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// RFC 3339 in UTC with milliseconds, as JSON shows it: `2031-03-09T07:00:00.000Z`.
    pub fn rfc3339(self) -> String {
        // By hand: each run writes a handful of these, and ten thousand may be due at one instant.
        let ms = self.clamped().millis();
        let (second, (year, month, day)) = (ms.div_euclid(1000).rem_euclid(86_400), self.date());
        let mut text = String::with_capacity(24);
        for (number, digits, end) in [
            (year, 4, '-'),
            (month, 2, '-'),
            (day, 2, 'T'),
            (second / 3600, 2, ':'),
            (second / 60 % 60, 2, ':'),
            (second % 60, 2, '.'),
            (ms.rem_euclid(1000), 3, 'Z'),
        ] {
            push_number(&mut text, number, digits);
            text.push(end);
        }
        text
    }

    /// Year, month and day in UTC (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
    pub(crate) fn date(self) -> (i64, i64, i64) {
        let days = self.clamped().secs().div_euclid(86_400) + 719_468;
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        (era * 400 + year_of_era + i64::from(month <= 2), month, day)
    }

    fn clamped(self) -> Moment {
        self.clamp(Self::MIN, Self::MAX)
    }
}

/// The last `digits` decimal digits of a number that is not negative.
fn push_number(text: &mut String, number: i64, digits: u32) {
    for place in (0..digits).rev() {
        text.push(char::from(b'0' + (number / 10i64.pow(place) % 10) as u8));
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;
    fn add(self, d: Duration) -> Moment {
        Moment(self.0.saturating_add(i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Moment {
    type Output = Moment;
    fn sub(self, d: Duration) -> Moment {
        Moment(self.0.saturating_sub(i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl From<jiff::Timestamp> for Moment {
    fn from(t: jiff::Timestamp) -> Moment {
        Moment(t.as_microsecond())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}
