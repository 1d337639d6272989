//! A compiled cron expression, and the search for the next wall time that it names. Time zones come in only in `search`.

use jiff::Timestamp;
use jiff::tz::Offset;

use super::TriggerKind;
use super::days::Days;

/// The years that an expression can name.
pub(super) const YEAR_MIN: u32 = 1970;
pub(super) const YEAR_MAX: u32 = 2199;
const DAY: i64 = 86_400;

/// A compiled cron expression: bit masks, no text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cron {
    pub(super) seconds: u64,
    pub(super) minutes: u64,
    pub(super) hours: u32,
    pub(super) days: Days,
    /// Bit `m` is month `m`, 1 to 12.
    pub(super) months: u16,
    pub(super) stars: Stars,
    /// None means every year.
    pub(super) years: Option<Box<Years>>,
}

/// Which of the clock fields begin with `*`: this, and not what they match, decides the kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Stars {
    pub(super) second: bool,
    pub(super) minute: bool,
    pub(super) hour: bool,
}

/// A set of years, `YEAR_MIN` to `YEAR_MAX`. Boxed in [`Cron`] because few expressions name years.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Years([u64; 4]);

impl Years {
    pub(super) fn insert(&mut self, year: u32) {
        let bit = year - YEAR_MIN;
        self.0[(bit / 64) as usize] |= 1 << (bit % 64);
    }

    pub(super) fn contains(&self, year: i64) -> bool {
        let bit = year - i64::from(YEAR_MIN);
        (0..256).contains(&bit) && self.0[(bit / 64) as usize] >> (bit % 64) & 1 == 1
    }
}

impl Cron {
    /// How the trigger treats gaps and overlaps.
    pub fn kind(&self) -> TriggerKind {
        match self.stars {
            Stars { second: false, minute: false, hour: false } => TriggerKind::Fixed,
            Stars { hour: false, .. } => TriggerKind::Anchored,
            _ => TriggerKind::Interval,
        }
    }

    /// The first matching wall time strictly after `after`, both in seconds since 1970-01-01 00:00 on the wall clock.
    ///
    /// The cost is bounded by the number of months until `YEAR_MAX`, a few nanoseconds each.
    pub(super) fn next_wall(&self, after: i64) -> Option<i64> {
        let from = after + 1;
        let date = Offset::UTC.to_datetime(Timestamp::from_second(from).ok()?).date();
        let today = from.div_euclid(DAY);
        let day = date.day() as u32;
        let mut month =
            Month { year: i64::from(date.year()), month: date.month() as u32, first: today - i64::from(day) + 1 };
        let days = self.days_of(&month) >> day << day;
        if days >> day & 1 == 1
            && let Some(time) = self.time_at_or_after(from.rem_euclid(DAY) as u32)
        {
            return Some(today * DAY + i64::from(time));
        }
        let mut days = days & !(1u32 << day);
        while days == 0 {
            month.advance();
            if month.year > i64::from(YEAR_MAX) {
                return None;
            }
            days = self.days_of(&month);
        }
        let day = month.first + i64::from(days.trailing_zeros()) - 1;
        Some(day * DAY + i64::from(self.first_time()))
    }

    /// Whether there is any wall time that matches.
    pub(super) fn can_match(&self) -> bool {
        self.next_wall(-1).is_some()
    }

    fn days_of(&self, month: &Month) -> u32 {
        if self.months >> month.month & 1 == 0 || self.years.as_ref().is_some_and(|years| !years.contains(month.year)) {
            return 0;
        }
        self.days.in_month(month.length(), month.first_weekday())
    }

    fn first_time(&self) -> u32 {
        self.hours.trailing_zeros() * 3600 + self.minutes.trailing_zeros() * 60 + self.seconds.trailing_zeros()
    }

    /// The first matching second of a day at or after the given one.
    fn time_at_or_after(&self, time: u32) -> Option<u32> {
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        if self.hours >> hour & 1 == 1 {
            if self.minutes >> minute & 1 == 1 {
                let seconds = self.seconds >> second;
                if seconds != 0 {
                    return Some(time + seconds.trailing_zeros());
                }
            }
            let minutes = self.minutes >> minute >> 1;
            if minutes != 0 {
                let minute = minute + 1 + minutes.trailing_zeros();
                return Some(hour * 3600 + minute * 60 + self.seconds.trailing_zeros());
            }
        }
        let hours = self.hours >> hour >> 1;
        (hours != 0)
            .then(|| self.first_time() + (hour + 1 + hours.trailing_zeros() - self.hours.trailing_zeros()) * 3600)
    }
}

/// A month of the search.
struct Month {
    year: i64,
    /// 1 to 12.
    month: u32,
    /// Its first day, in days since 1970-01-01.
    first: i64,
}

impl Month {
    fn length(&self) -> u32 {
        match self.month {
            2 => 28 + u32::from(self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0)),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    /// 0 is Sunday; 1970-01-01 was a Thursday.
    fn first_weekday(&self) -> u32 {
        (self.first + 4).rem_euclid(7) as u32
    }

    fn advance(&mut self) {
        self.first += i64::from(self.length());
        self.month += 1;
        if self.month > 12 {
            self.month = 1;
            self.year += 1;
        }
    }
}
