//! A second opinion on when a cron expression is due: it walks the clock step by step and asks of every wall time
//! whether it matches. Slow, and written from the rules alone; it shares nothing with the search that it checks.

use std::collections::HashSet;
use std::fmt;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// One item of a field's list.
#[derive(Clone, Copy, Debug)]
pub enum Item {
    Star,
    StarStep(i64),
    One(i64),
    Range(i64, i64),
    RangeStep(i64, i64, i64),
    From(i64, i64),
    /// Day of month: `L`, `LW`, `nW`, `L-n`.
    Last,
    LastWeekday,
    Nearest(i64),
    BeforeLast(i64),
    /// Day of week: `n#k`, `n#L`, `nL`.
    Nth(i64, i64),
    HashLast(i64),
    LastOf(i64),
}

pub type Field = Vec<Item>;

/// A cron expression that knows how it is written and what it means.
#[derive(Clone, Debug)]
pub struct Expr {
    pub second: Option<Field>,
    pub minute: Field,
    pub hour: Field,
    pub day: Field,
    pub month: Field,
    pub weekday: Field,
    pub plus: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Fixed,
    Interval,
    Anchored,
}

impl Expr {
    pub fn every_day(minute: Field, hour: Field) -> Expr {
        let star = || vec![Item::Star];
        Expr { second: None, minute, hour, day: star(), month: star(), weekday: star(), plus: false }
    }

    pub fn kind(&self) -> Kind {
        let starred = |field: &Field| text(field).starts_with('*');
        if starred(&self.hour) {
            Kind::Interval
        } else if starred(&self.minute) || self.second.as_ref().is_some_and(starred) {
            Kind::Anchored
        } else {
            Kind::Fixed
        }
    }

    pub fn matches(&self, wall: DateTime) -> bool {
        let time = wall.time();
        let clock =
            |field: &Field, value: i8, cycle: i64| field.iter().any(|i| cyclic(*i, value.into(), 0, cycle - 1, cycle));
        let second = self.second.as_ref().map_or(time.second() == 0, |field| clock(field, time.second(), 60));
        second
            && clock(&self.minute, time.minute(), 60)
            && clock(&self.hour, time.hour(), 24)
            && self.matches_day(wall.date())
    }

    pub fn matches_day(&self, date: Date) -> bool {
        let month = self.month.iter().any(|i| cyclic(*i, date.month().into(), 1, 12, 12));
        let day = self.day.iter().any(|i| is_day(*i, date));
        let weekday = self.weekday.iter().any(|i| is_weekday(*i, date));
        let unrestricted = text(&self.day).starts_with('*') || text(&self.weekday).starts_with('*');
        month && if unrestricted || self.plus { day && weekday } else { day || weekday }
    }
}

/// The wall clock of a zone, second by second or minute by minute.
pub struct Clock {
    start: i64,
    step: i64,
    walls: Vec<i64>,
}

impl Clock {
    pub fn new(tz: &TimeZone, start: i64, end: i64, step: i64) -> Clock {
        let start = start.div_euclid(step) * step;
        let wall = |at| at + i64::from(tz.to_offset(Timestamp::from_second(at).expect("in range")).seconds());
        let walls = (start..=end).step_by(step as usize).map(wall).collect();
        Clock { start, step, walls }
    }

    /// All due instants on this clock. The first day or so only teaches it which wall times have been seen.
    pub fn due(&self, expr: &Expr) -> Vec<i64> {
        let kind = expr.kind();
        let mut seen = HashSet::new();
        let mut due = Vec::new();
        for (index, &wall) in self.walls.iter().enumerate() {
            let at = self.start + index as i64 * self.step;
            let first_pass = kind != Kind::Fixed || seen.insert(wall);
            let natural = first_pass && expr.matches(civil(wall));
            if natural || (kind != Kind::Interval && self.lost_before(index).any(|lost| expr.matches(civil(lost)))) {
                due.push(at);
            }
        }
        due
    }

    /// The wall times that the clock left out just before the step `index`, unless it moved by more than three hours.
    fn lost_before(&self, index: usize) -> impl Iterator<Item = i64> {
        let wall = self.walls[index];
        let expected = if index == 0 { wall } else { self.walls[index - 1] + self.step };
        let end = if wall - expected <= 3 * 3600 { wall } else { expected };
        (expected..end).step_by(self.step as usize)
    }
}

fn civil(wall: i64) -> DateTime {
    jiff::tz::Offset::UTC.to_datetime(Timestamp::from_second(wall).expect("in range"))
}

/// Whether `item` names `value`, in a field that counts from `min` to `max` and starts again after `cycle` values.
fn cyclic(item: Item, value: i64, min: i64, max: i64, cycle: i64) -> bool {
    match item {
        Item::Star => true,
        Item::StarStep(step) => (value - min) % step == 0,
        Item::One(one) => value == one,
        Item::Range(first, last) => cyclic(Item::RangeStep(first, last, 1), value, min, max, cycle),
        Item::RangeStep(first, last, step) => {
            let length = if first <= last { last - first } else { last - first + cycle };
            let place = (value - first).rem_euclid(cycle);
            place <= length && place % step == 0
        }
        Item::From(first, step) => value >= first && value <= max && (value - first) % step == 0,
        _ => unreachable!("a day item in another field"),
    }
}

fn is_day(item: Item, date: Date) -> bool {
    let day = i64::from(date.day());
    let length = i64::from(date.days_in_month());
    let workday = |day: i64| {
        let date = date.with().day(day as i8).build().expect("within the month");
        date.weekday().to_monday_one_offset() <= 5
    };
    match item {
        Item::Last => day == length,
        Item::BeforeLast(before) => day == length - before,
        Item::LastWeekday => Some(day) == (1..=length).rev().find(|day| workday(*day)),
        Item::Nearest(wanted) => {
            wanted <= length
                && Some(day) == (1..=length).filter(|day| workday(*day)).min_by_key(|day| (day - wanted).abs())
        }
        plain => cyclic(plain, day, 1, 31, 31),
    }
}

fn is_weekday(item: Item, date: Date) -> bool {
    let today = i64::from(date.weekday().to_sunday_zero_offset());
    let is_last = date.checked_add(7.days()).expect("in range").month() != date.month();
    match item {
        Item::Nth(weekday, nth) => today == weekday % 7 && (i64::from(date.day()) + 6) / 7 == nth,
        Item::HashLast(weekday) | Item::LastOf(weekday) => today == weekday % 7 && is_last,
        // Sunday is 0 as well as 7, so it may be named either way.
        Item::One(_) | Item::StarStep(_) | Item::Star => {
            cyclic(item, today, 0, 7, 7) || (today == 0 && cyclic(item, 7, 0, 7, 7))
        }
        Item::From(first, step) => is_weekday(Item::RangeStep(first, 7, step), date),
        Item::Range(first, last) => is_weekday(Item::RangeStep(first, last, 1), date),
        Item::RangeStep(first, last, step) => {
            let last = if first <= last { last } else { last + 7 };
            (first..=last).step_by(step as usize).any(|named| named % 7 == today)
        }
        _ => unreachable!("a day-of-month item in the day of week"),
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Star => write!(f, "*"),
            Item::StarStep(step) => write!(f, "*/{step}"),
            Item::One(one) => write!(f, "{one}"),
            Item::Range(first, last) => write!(f, "{first}-{last}"),
            Item::RangeStep(first, last, step) => write!(f, "{first}-{last}/{step}"),
            Item::From(first, step) => write!(f, "{first}/{step}"),
            Item::Last => write!(f, "L"),
            Item::LastWeekday => write!(f, "LW"),
            Item::Nearest(day) => write!(f, "{day}W"),
            Item::BeforeLast(before) => write!(f, "L-{before}"),
            Item::Nth(weekday, nth) => write!(f, "{weekday}#{nth}"),
            Item::HashLast(weekday) => write!(f, "{weekday}#L"),
            Item::LastOf(weekday) => write!(f, "{weekday}L"),
        }
    }
}

fn text(field: &Field) -> String {
    field.iter().map(Item::to_string).collect::<Vec<_>>().join(",")
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(second) = &self.second {
            write!(f, "{} ", text(second))?;
        }
        let plus = if self.plus { "+" } else { "" };
        let [minute, hour, day, month, weekday] =
            [&self.minute, &self.hour, &self.day, &self.month, &self.weekday].map(text);
        write!(f, "{minute} {hour} {day} {month} {plus}{weekday}")
    }
}
