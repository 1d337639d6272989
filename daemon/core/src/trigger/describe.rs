//! Says in one English sentence what a trigger does. It reads the compiled masks, so it describes what will happen and
//! not how it was written.

use super::Trigger;
use super::cron::{Cron, YEAR_MAX, YEAR_MIN};
use super::days::{DayRule, Days};
use crate::units;

const MONTHS: [&str; 13] = [
    "",
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ORDINALS: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];

/// More times of day than this are described by their pattern, not listed.
const TIMES_MAX: u32 = 6;
const EVERY_60: u64 = (1 << 60) - 1;
const EVERY_HOUR: u64 = (1 << 24) - 1;
const EVERY_MONTH: u64 = 0x1ffe;

pub(super) fn sentence(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Cron(cron) => expression(cron),
        Trigger::Every { period, anchor: None } => format!("every {}", units::format_duration(*period)),
        Trigger::Every { period, anchor: Some(anchor) } => {
            format!("every {}, counted from {anchor}", units::format_duration(*period))
        }
        Trigger::At(at) => format!("once at {at}"),
        Trigger::Reboot => "once per boot of the host".to_owned(),
        Trigger::Manual => "by hand, after another schedule, by a hook or through the API only".to_owned(),
    }
}

fn expression(cron: &Cron) -> String {
    let (listed, time) = match listed_times(cron) {
        Some(times) => (true, times),
        None => (false, pattern(cron)),
    };
    let one_date = one_date(cron);
    let days = match (&one_date, days(&cron.days)) {
        (Some(date), _) => Some(format!("on {date}")),
        (None, None) if listed => Some("every day".to_owned()),
        (None, days) => days,
    };
    let months = (one_date.is_none() && u64::from(cron.months) != EVERY_MONTH).then(|| months(cron.months));
    [Some(time), days, months, years(cron)].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// `at 02:30 and 14:30`, when there are few of them.
fn listed_times(cron: &Cron) -> Option<String> {
    let count = cron.seconds.count_ones() * cron.minutes.count_ones() * cron.hours.count_ones();
    if count > TIMES_MAX {
        return None;
    }
    let mut times = Vec::new();
    for hour in bits(cron.hours.into()) {
        for minute in bits(cron.minutes) {
            for second in bits(cron.seconds) {
                let seconds = if cron.seconds == 1 { String::new() } else { format!(":{second:02}") };
                times.push(format!("{hour:02}:{minute:02}{seconds}"));
            }
        }
    }
    Some(format!("at {}", list(&times)))
}

/// `every 15 minutes from 09:00 to 17:59`, `every 2 hours`, `at minutes 5 and 10 of every hour`.
fn pattern(cron: &Cron) -> String {
    let hours = u64::from(cron.hours);
    let second =
        (cron.seconds != 1).then(|| every(cron.seconds, 60, "second").unwrap_or_else(|| named(cron.seconds, "second")));
    let minute = every(cron.minutes, 60, "minute");
    match (second, minute) {
        (None, None)
            if cron.minutes == 1
                && let Some(hour) = every(hours, 24, "hour") =>
        {
            hour
        }
        (None, None) => format!("at {} of {}", named(cron.minutes, "minute"), hours_of(hours)),
        (None, Some(minute)) => format!("{minute}{}", within(hours)),
        (Some(second), None) => format!("{} of {} of {}", at(second), named(cron.minutes, "minute"), hours_of(hours)),
        (Some(second), Some(_)) if cron.minutes == EVERY_60 && second.starts_with("every") => {
            format!("{second}{}", within(hours))
        }
        (Some(second), Some(minute)) => format!("{} {minute}{}", at(second), within(hours)),
    }
}

fn at(what: String) -> String {
    if what.starts_with("every") { what } else { format!("at {what}") }
}

fn hours_of(hours: u64) -> String {
    if hours == EVERY_HOUR { "every hour".to_owned() } else { named(hours, "hour") }
}

fn within(hours: u64) -> String {
    if hours == EVERY_HOUR {
        return String::new();
    }
    match run(hours) {
        Some((first, last)) => format!(" from {first:02}:00 to {last:02}:59"),
        None => format!(" in {}", named(hours, "hour")),
    }
}

fn days(days: &Days) -> Option<String> {
    let number = (!days.any_number()).then(|| format!("on {} of the month", list(&numbers(days))));
    let week = (!days.any_weekday()).then(|| weekdays(days));
    match (number, week, days.rule) {
        (Some(number), Some(week), DayRule::Either) => Some(format!("{number} or {week}")),
        (Some(number), Some(week), DayRule::Both) => Some(format!("{number} if {week}")),
        // A field that leaves out no day makes the other one pointless when either may match.
        (_, _, DayRule::Either) => None,
        (number, week, DayRule::Both) => number.or(week),
    }
}

fn numbers(days: &Days) -> Vec<String> {
    let mut parts = Vec::new();
    if days.dom != 0 {
        parts.push(named(days.dom.into(), "day"));
    }
    parts.extend(bits(days.nearest.into()).map(|day| format!("the weekday nearest to day {day}")));
    if days.last_weekday {
        parts.push("the last weekday".to_owned());
    }
    parts.extend(bits(days.before_last.into()).map(|before| match before {
        0 => "the last day".to_owned(),
        1 => "the day before the last".to_owned(),
        _ => format!("the day {before} days before the last"),
    }));
    parts
}

fn weekdays(days: &Days) -> String {
    let plain: Vec<String> = bits(days.dow.into()).map(|day| WEEKDAYS[day as usize].to_owned()).collect();
    let mut parts = Vec::new();
    for (nth, week) in ORDINALS.iter().zip(days.nth).chain([(&"last", days.last)]) {
        parts.extend(bits(week.into()).map(|day| format!("the {nth} {} of the month", WEEKDAYS[day as usize])));
    }
    if parts.is_empty() {
        return match week_run(days.dow) {
            Some((first, last)) => format!("from {} to {}", WEEKDAYS[first], WEEKDAYS[last]),
            None => format!("on {}", list(&plain)),
        };
    }
    format!("on {}", list(&[plain, parts].concat()))
}

/// First and last of at least three days of the week in a row, also over the week's end.
fn week_run(week: u8) -> Option<(usize, usize)> {
    let length = week.count_ones() as usize;
    let mut starts = (0..7).filter(|day| week >> day & 1 == 1 && week >> ((day + 6) % 7) & 1 == 0);
    match (starts.next(), starts.next()) {
        (Some(first), None) if length >= 3 => Some((first, (first + length - 1) % 7)),
        _ => None,
    }
}

/// `29 February`, when the expression names one day of one month and nothing else.
fn one_date(cron: &Cron) -> Option<String> {
    let days = &cron.days;
    let only = Days { dom: days.dom, dow: days.dow, rule: days.rule, ..Days::NONE };
    let single = *days == only && days.any_weekday() && days.rule == DayRule::Both;
    (single && days.dom.count_ones() == 1 && cron.months.count_ones() == 1)
        .then(|| format!("{} {}", days.dom.trailing_zeros(), MONTHS[cron.months.trailing_zeros() as usize]))
}

fn months(months: u16) -> String {
    match run(months.into()) {
        Some((first, last)) if last > first + 1 => {
            format!("from {} to {}", MONTHS[first as usize], MONTHS[last as usize])
        }
        _ => format!(
            "in {}",
            list(&bits(months.into()).map(|month| MONTHS[month as usize].to_owned()).collect::<Vec<_>>())
        ),
    }
}

fn years(cron: &Cron) -> Option<String> {
    let years = cron.years.as_ref()?;
    let named: Vec<u32> = (YEAR_MIN..=YEAR_MAX).filter(|year| years.contains(i64::from(*year))).collect();
    Some(format!("in {}", sequence(&named)))
}

/// `every minute`, `every 15 minutes`: only where the step divides the cycle, so that the sentence is true.
fn every(mask: u64, cycle: u32, unit: &str) -> Option<String> {
    let step = cycle / mask.count_ones();
    let even = mask.count_ones() > 1 && (0..cycle).all(|value| (mask >> value & 1 == 1) == (value % step == 0));
    even.then(|| if step == 1 { format!("every {unit}") } else { format!("every {step} {unit}s") })
}

/// `day 1`, `days 1, 15 and 20`, `minutes 0 to 56 in steps of 7`.
fn named(mask: u64, unit: &str) -> String {
    let values: Vec<u32> = bits(mask).collect();
    format!("{unit}{} {}", if values.len() == 1 { "" } else { "s" }, sequence(&values))
}

fn sequence(values: &[u32]) -> String {
    if let [first, second, _, .., last] = values {
        let step = second - first;
        if values.windows(2).all(|pair| pair[1] - pair[0] == step) {
            return if step == 1 {
                format!("{first} to {last}")
            } else {
                format!("{first} to {last} in steps of {step}")
            };
        }
    }
    list(&values.iter().map(u32::to_string).collect::<Vec<_>>())
}

/// First and last value when they follow each other without a hole.
fn run(mask: u64) -> Option<(u32, u32)> {
    let first = mask.trailing_zeros();
    let length = mask.count_ones();
    (mask >> first == (1 << length) - 1).then(|| (first, first + length - 1))
}

fn list(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

fn bits(mask: u64) -> impl Iterator<Item = u32> {
    (0..64).filter(move |bit| mask >> bit & 1 == 1)
}
