//! From text to a trigger. Every refusal names the field, the offending text and its column.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::cron::{Cron, Stars, Years};
use super::days::{DayRule, Days};
use super::error::Span;
use super::fields::{self, Unit};
use super::{Trigger, TriggerError, search};
use crate::{Moment, units};

/// Longest trigger text, in bytes.
const TEXT_MAX: usize = 1024;
const BLANKS: [char; 2] = [' ', '\t'];
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

pub(super) fn trigger(input: &str, tz: &TimeZone) -> Result<Trigger, TriggerError> {
    let text = Span::trimmed(input);
    if input.len() > TEXT_MAX {
        return Err(text.refuse(format!("is {} bytes long, at most {TEXT_MAX} are allowed", input.len())));
    }
    if let Some(at) = input.find(|c: char| c.is_control() && c != '\t') {
        let rest = &input[at..];
        let character = &rest[..rest.chars().next().map_or(0, char::len_utf8)];
        return Err(Span::whole(input).part(character).refuse("is a control character"));
    }
    let (word, rest) = text.text().split_once(BLANKS).unwrap_or((text.text(), &text.text()[text.text().len()..]));
    let rest = text.part(rest.trim_ascii_start());
    let word = text.part(word);
    match word.text().to_ascii_lowercase().as_str() {
        "" => Err(text.refuse("is empty")),
        "@every" => every(rest.named("period")),
        "@at" => at(rest.named("time"), tz).map(Trigger::At),
        "@reboot" => alone(Trigger::Reboot, rest),
        "@manual" | "manual" | "none" => alone(Trigger::Manual, rest),
        nickname if nickname.starts_with('@') => match NICKNAMES.iter().find(|(name, _)| *name == nickname) {
            Some((_, expression)) => alone(Trigger::Cron(cron(Span::trimmed(expression))?), rest),
            None => Err(word.refuse_with(
                "is not a known nickname",
                "known are @yearly, @monthly, @weekly, @daily, @hourly, @reboot, @every 90s, @at 2031-01-01T09:00",
            )),
        },
        other if other.starts_with("calendar:") => Err(word.refuse("calendar events are not available yet")),
        _ => cron(text).map(Trigger::Cron),
    }
}

fn alone(trigger: Trigger, rest: Span<'_>) -> Result<Trigger, TriggerError> {
    if rest.text().is_empty() {
        Ok(trigger)
    } else {
        Err(rest.refuse_with("is not expected here", "the word before it stands alone"))
    }
}

fn every(text: Span<'_>) -> Result<Trigger, TriggerError> {
    const HINT: &str = "example: \"@every 90s\"";
    let period = units::parse_duration(text.text()).map_err(|e| text.refuse_with(e.problem, HINT))?;
    if period < Duration::from_secs(1) {
        Err(text.refuse_with("is below 1s", HINT))
    } else if period.subsec_nanos() % 1000 != 0 {
        Err(text.refuse_with("is finer than a microsecond", HINT))
    } else {
        Ok(Trigger::Every { period, anchor: None })
    }
}

/// A point in time: RFC 3339, or local time of `tz`. A local time that happens twice means its first pass; one that a
/// clock change leaves out means the first instant after the gap, as for every fixed trigger.
fn at(text: Span<'_>, tz: &TimeZone) -> Result<Moment, TriggerError> {
    const HINT: &str = "example: \"@at 2031-01-01T09:00\" or \"@at 2031-01-01T09:00:00Z\"";
    let (date, time) = text.text().split_at_checked(10).unwrap_or((text.text(), ""));
    let is_date = date.len() == 10
        && date.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
    let is_time = time.is_empty()
        || time.starts_with(['T', 't', ' '])
            && time.contains(':')
            && time[1..].bytes().all(|b| b"0123456789:.+-Zz".contains(&b));
    if !is_date || !is_time {
        return Err(text.refuse_with("is not a point in time", HINT));
    }
    let wrong = |error: jiff::Error| text.refuse_with(format!("is not a point in time: {error}"), HINT);
    let moment = if time.contains(['Z', 'z', '+', '-']) {
        text.text().parse::<Timestamp>().map_err(wrong)?.into()
    } else {
        local(text.text().parse::<DateTime>().map_err(wrong)?, tz)
            .ok_or_else(|| text.refuse_with("does not exist in this time zone: its calendar leaves it out", HINT))?
    };
    if (Moment::MIN..=Moment::MAX).contains(&moment) {
        Ok(moment)
    } else {
        Err(text.refuse_with("is outside 1900 to 2199", HINT))
    }
}

fn local(wall: DateTime, tz: &TimeZone) -> Option<Moment> {
    let ambiguous = tz.to_ambiguous_timestamp(wall);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { before, .. } => search::end_of_gap(tz, before.to_timestamp(wall).ok()?.into()),
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => {
            ambiguous.earlier().ok().map(Moment::from)
        }
    }
}

fn cron(text: Span<'_>) -> Result<Cron, TriggerError> {
    let tokens: Vec<Span<'_>> = text.text().split(BLANKS).filter(|t| !t.is_empty()).map(|t| text.part(t)).collect();
    let (second, rest, year) = match tokens.as_slice() {
        rest @ [_, _, _, _, _] => (None, rest, None),
        [second, rest @ ..] if rest.len() == 5 => (Some(*second), rest, None),
        [second, rest @ .., year] if rest.len() == 5 => (Some(*second), rest, Some(*year)),
        other => return Err(text.refuse(format!("has {} fields, a cron expression has 5, 6 or 7", other.len()))),
    };
    let [minute, hour, day_of_month, month, day_of_week] = rest else {
        return Err(text.refuse("is not a cron expression"));
    };
    let of = |token: Span<'_>, unit: &Unit| unit.mask(token.named(unit.name));
    let starred = |token: &Span<'_>| token.text().starts_with('*');
    // In the order of the text, so that the first fault is the one that is told.
    let seconds = second.map_or(Ok(1), |token| of(token, &fields::SECOND))?;
    let minutes = of(*minute, &fields::MINUTE)?;
    let hours = of(*hour, &fields::HOUR)? as u32;
    let mut days = Days::NONE;
    fields::days_of_month(day_of_month.named(fields::DAY_OF_MONTH.name), &mut days)?;
    let months = of(*month, &fields::MONTH)? as u16;
    let week = day_of_week.named(fields::DAY_OF_WEEK.name);
    let (forced, week) = week.text().strip_prefix('+').map_or((false, week), |rest| (true, week.part(rest)));
    fields::days_of_week(week, &mut days)?;
    let unrestricted = |token: &Span<'_>| token.text().starts_with(['*', '?']);
    if !forced && !unrestricted(day_of_month) && !unrestricted(&week) {
        days.rule = DayRule::Either;
    }
    let stars = Stars { second: second.as_ref().is_some_and(starred), minute: starred(minute), hour: starred(hour) };
    let cron = Cron { seconds, minutes, hours, days, months, stars, years: year.map_or(Ok(None), years)? };
    if !cron.can_match() {
        return Err(never(cron, *day_of_month, year));
    }
    Ok(cron)
}

fn years(token: Span<'_>) -> Result<Option<Box<Years>>, TriggerError> {
    if token.text() == "*" {
        return Ok(None);
    }
    let mut years = Box::<Years>::default();
    fields::YEAR.values(token.named(fields::YEAR.name), |year| years.insert(year))?;
    Ok(Some(years))
}

/// Blames the years when the days alone would match, else the day of month.
fn never(mut cron: Cron, day_of_month: Span<'_>, year: Option<Span<'_>>) -> TriggerError {
    let had_years = cron.years.take().is_some();
    match year {
        Some(year) if had_years && cron.can_match() => year
            .named(fields::YEAR.name)
            .refuse_with("never matches: no such day in these years", "example: \"0 0 0 29 2 * 2028\""),
        _ => day_of_month.named(fields::DAY_OF_MONTH.name).refuse_with(
            "never matches: no month of this expression has such a day",
            "example: \"0 0 28 2 *\" or \"0 0 L 2 *\"",
        ),
    }
}
