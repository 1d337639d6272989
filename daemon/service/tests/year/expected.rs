//! A second opinion on when a trigger is due: walks the time line and asks of every wall time whether it matches. Written from the
//! rules (`docs/guide/time.md`), for the forms that the fixtures have; it shares nothing with the search of the core.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use sloth_core::trigger::Trigger;
use sloth_core::{Moment, Schedule};

/// All instants after `from`, up to `to`, in seconds; `None`: its instants are not of the clock (`@reboot`).
pub fn instants(schedule: &Schedule, from: Moment, to: Moment) -> Option<BTreeSet<i64>> {
    let (from, to) = (from.secs(), to.secs());
    if let Trigger::Every { period, .. } = &schedule.trigger {
        let period = i64::try_from(period.as_secs()).expect("a period");
        return Some((1..).map(|k| from + k * period).take_while(|due| *due <= to).collect());
    }
    let text = match schedule.trigger_text.as_str() {
        "@reboot" => return None,
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        other => other,
    };
    Some(Cron::read(text).walk(&schedule.zone, from, to))
}

struct Cron {
    second: Vec<i8>,
    minute: Vec<i8>,
    hour: Vec<i8>,
    day: Day,
    month: Vec<i8>,
    weekday: Vec<i8>,
    both: bool,
    repeats: bool,
    fixed: bool,
}

enum Day {
    Of(Vec<i8>),
    Last,
}

impl Cron {
    fn read(text: &str) -> Cron {
        let mut fields: Vec<&str> = text.split_ascii_whitespace().collect();
        if fields.len() == 5 {
            fields.insert(0, "0");
        }
        let [second, minute, hour, day, month, weekday] = fields[..] else { panic!("{text}") };
        let starred = |field: &str| field.starts_with('*');
        Cron {
            second: numbers(second, 0, 59, &[]),
            minute: numbers(minute, 0, 59, &[]),
            hour: numbers(hour, 0, 23, &[]),
            day: if day == "L" { Day::Last } else { Day::Of(numbers(day, 1, 31, &[])) },
            month: numbers(month, 1, 12, &MONTHS),
            weekday: numbers(weekday.trim_start_matches('+'), 0, 7, &DAYS).iter().map(|day| day % 7).collect(),
            both: starred(day) || starred(weekday) || weekday.starts_with('+'),
            repeats: starred(second) || starred(minute) || starred(hour),
            fixed: !(starred(second) || starred(minute) || starred(hour)),
        }
        .with_anchor(hour)
    }

    /// An hour that is named makes up what falls into a gap, however often it repeats within the hour.
    fn with_anchor(mut self, hour: &str) -> Cron {
        self.repeats &= hour.starts_with('*');
        self
    }

    fn walk(&self, zone: &TimeZone, from: i64, to: i64) -> BTreeSet<i64> {
        let step = if self.second == [0] { 60 } else { 1 };
        let mut due = BTreeSet::new();
        let mut changes = changes(zone, from - 4 * 3600, to).into_iter().peekable();
        let mut offset = offset_at(zone, from);
        let mut repeated_until = i64::MIN;
        let mut at = from + 1;
        while at <= to {
            while let Some((when, before, after)) = changes.next_if(|(when, ..)| *when <= at) {
                offset = after;
                if after < before {
                    repeated_until = when + (before - after);
                } else if !self.repeats && when > from && self.within(when + before, when + after) {
                    due.insert(when);
                }
            }
            if at.rem_euclid(step) != 0 {
                at += 1;
                continue;
            }
            if self.matches(wall(at + offset)) && !(self.fixed && at < repeated_until) {
                due.insert(at);
            }
            at += step;
        }
        due
    }

    /// Whether a wall time of the gap matches.
    fn within(&self, from: i64, to: i64) -> bool {
        (from..to).any(|second| self.matches(wall(second)))
    }

    fn matches(&self, wall: DateTime) -> bool {
        self.second.contains(&wall.second())
            && self.minute.contains(&wall.minute())
            && self.hour.contains(&wall.hour())
            && self.month.contains(&wall.month())
            && self.matches_day(wall.date())
    }

    fn matches_day(&self, date: Date) -> bool {
        let by_day = match &self.day {
            Day::Of(days) => days.contains(&date.day()),
            Day::Last => date == date.last_of_month(),
        };
        let by_week = self.weekday.contains(&(date.weekday().since(Weekday::Sunday)));
        if self.both { by_day && by_week } else { by_day || by_week }
    }
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

fn numbers(field: &str, min: i8, max: i8, names: &[&str]) -> Vec<i8> {
    let first_name = if names.len() == 12 { 1 } else { 0 };
    let number = |word: &str| {
        let named = names.iter().position(|name| word.eq_ignore_ascii_case(name));
        named.map_or_else(|| word.parse().expect(field), |place| place as i8 + first_name)
    };
    let mut all = Vec::new();
    for item in field.split(',') {
        let (range, step) = item.split_once('/').map_or((item, 1), |(range, step)| (range, step.parse().expect(item)));
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (min, max),
            Some((from, to)) => (number(from), number(to)),
            None if item.contains('/') => (number(range), max),
            None => (number(range), number(range)),
        };
        all.extend((from..=to).step_by(step));
    }
    all
}

fn wall(local: i64) -> DateTime {
    TimeZone::UTC.to_datetime(Timestamp::from_second(local).expect("a time"))
}

fn offset_at(zone: &TimeZone, at: i64) -> i64 {
    zone.to_offset(Timestamp::from_second(at).expect("a time")).seconds().into()
}

/// When the offset changes, from what to what.
fn changes(zone: &TimeZone, from: i64, to: i64) -> Vec<(i64, i64, i64)> {
    let start = Timestamp::from_second(from).expect("a time");
    let times = zone.following(start).map(|change| change.timestamp().as_second());
    times.take_while(|when| *when <= to).map(|when| (when, offset_at(zone, when - 1), offset_at(zone, when))).collect()
}
