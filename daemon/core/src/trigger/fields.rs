//! The grammar of one cron field: `*`, `a`, `a-b`, `a-b/n`, `*/n`, `a/n`, lists of them, names, and ranges that wrap.

use super::error::Span;
use super::{TriggerError, days::Days};

/// What a field counts.
pub(super) struct Unit {
    /// The field's name in errors.
    pub(super) name: &'static str,
    min: u32,
    max: u32,
    /// How many different values there are; a wrapped range goes on after so many. None forbids wrapping.
    cycle: Option<u32>,
    /// Names of the values from `min` on.
    names: &'static [&'static str],
    hint: &'static str,
}

pub(super) const SECOND: Unit =
    Unit { name: "second", min: 0, max: 59, cycle: Some(60), names: &[], hint: "example: \"15 30 2 * * *\"" };
pub(super) const MINUTE: Unit =
    Unit { name: "minute", min: 0, max: 59, cycle: Some(60), names: &[], hint: "example: \"30 2 * * *\"" };
pub(super) const HOUR: Unit =
    Unit { name: "hour", min: 0, max: 23, cycle: Some(24), names: &[], hint: "example: \"30 2 * * *\"" };
pub(super) const DAY_OF_MONTH: Unit = Unit {
    name: "day of month",
    min: 1,
    max: 31,
    cycle: Some(31),
    names: &[],
    hint: "example: \"0 9 1,15 * *\" or \"0 9 LW * *\"",
};
pub(super) const MONTH: Unit = Unit {
    name: "month",
    min: 1,
    max: 12,
    cycle: Some(12),
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    hint: "example: \"0 9 1 JAN,JUL *\"",
};
pub(super) const DAY_OF_WEEK: Unit = Unit {
    name: "day of week",
    min: 0,
    max: 7,
    cycle: Some(7),
    names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    hint: "example: \"0 9 * * MON-FRI\" or \"0 9 * * FRI#2\"",
};
pub(super) const YEAR: Unit = Unit {
    name: "year",
    min: super::cron::YEAR_MIN,
    max: super::cron::YEAR_MAX,
    cycle: None,
    names: &[],
    hint: "example: \"0 30 2 1 1 * 2030-2035\"",
};

impl Unit {
    /// Calls `add` for every value that `field` names.
    pub(super) fn values(&self, field: Span<'_>, mut add: impl FnMut(u32)) -> Result<(), TriggerError> {
        for item in items(field)? {
            self.range(item, &mut add)?;
        }
        Ok(())
    }

    /// The values of `field` as a bit mask; for units whose values are below 64.
    pub(super) fn mask(&self, field: Span<'_>) -> Result<u64, TriggerError> {
        let mut mask = 0;
        self.values(field, |value| mask |= 1 << value)?;
        Ok(mask)
    }

    /// One list item without the special letters of the day fields.
    fn range(&self, item: Span<'_>, add: &mut impl FnMut(u32)) -> Result<(), TriggerError> {
        let (base, step) = match item.text().split_once('/') {
            Some((base, step)) => (item.part(base), Some(self.step(item.part(step))?)),
            None => (item, None),
        };
        let (first, last) = if base.text() == "*" || (base.text() == "?" && self.is_day()) {
            (self.min, self.max)
        } else if let Some((first, last)) = base.text().split_once('-') {
            (self.value(base.part(first))?, self.value(base.part(last))?)
        } else {
            let first = self.value(base)?;
            (first, if step.is_some() { self.max } else { first })
        };
        let last = match self.cycle {
            _ if first <= last => last,
            Some(cycle) => last + cycle,
            None => return Err(base.refuse_with("runs backwards", self.hint)),
        };
        for value in (first..=last).step_by(step.unwrap_or(1)) {
            add(self.cycle.map_or(value, |cycle| (value - self.min) % cycle + self.min));
        }
        Ok(())
    }

    fn step(&self, text: Span<'_>) -> Result<usize, TriggerError> {
        match number(text.text()) {
            Some(0) => Err(text.refuse_with("a step of 0 goes nowhere", self.hint)),
            Some(step) => Ok(step as usize),
            None => Err(text.refuse_with("is not a step", self.hint)),
        }
    }

    /// One value, a number or a name.
    pub(super) fn value(&self, text: Span<'_>) -> Result<u32, TriggerError> {
        if let Some(at) = self.names.iter().position(|name| name.eq_ignore_ascii_case(text.text())) {
            return Ok(self.min + at as u32);
        }
        match number(text.text()) {
            Some(value) => self.check(value, text),
            None => Err(text.refuse_with(self.expectation(text.text()), self.hint)),
        }
    }

    fn check(&self, value: u32, text: Span<'_>) -> Result<u32, TriggerError> {
        if value < self.min {
            Err(text.refuse_with(format!("is below {}", self.min), self.hint))
        } else if value > self.max {
            Err(text.refuse_with(format!("is above {}", self.max), self.hint))
        } else {
            Ok(value)
        }
    }

    fn expectation(&self, text: &str) -> String {
        let (min, max) = (self.min, self.max);
        match (text, self.names) {
            ("", _) => "a value is missing".to_owned(),
            (_, [first, .., last]) => format!("is not a {} ({min} to {max}, or {first} to {last})", self.name),
            _ => format!("is not a number from {min} to {max}"),
        }
    }

    fn is_day(&self) -> bool {
        self.name == DAY_OF_MONTH.name || self.name == DAY_OF_WEEK.name
    }
}

/// Fills in the day-of-month half of `days`.
pub(super) fn days_of_month(field: Span<'_>, days: &mut Days) -> Result<(), TriggerError> {
    for item in items(field)? {
        let upper = item.text().to_ascii_uppercase();
        if upper == "L" {
            days.before_last |= 1;
        } else if upper == "LW" {
            days.last_weekday = true;
        } else if upper.starts_with("L-") {
            let text = item.part(&item.text()[2..]);
            match number(text.text()) {
                Some(before @ 0..=30) => days.before_last |= 1 << before,
                _ => return Err(text.refuse_with("is not a number of days from 0 to 30", "example: \"0 9 L-3 * *\"")),
            }
        } else if upper.ends_with('W') {
            let text = item.part(&item.text()[..upper.len() - 1]);
            days.nearest |= 1 << DAY_OF_MONTH.value(text)?;
        } else {
            DAY_OF_MONTH.range(item, &mut |day| days.dom |= 1 << day)?;
        }
    }
    Ok(())
}

/// Fills in the day-of-week half of `days`. The leading `+` is already gone.
pub(super) fn days_of_week(field: Span<'_>, days: &mut Days) -> Result<(), TriggerError> {
    for item in items(field)? {
        if let Some((day, which)) = item.text().split_once('#') {
            let day = 1 << (DAY_OF_WEEK.value(item.part(day))? % 7);
            let which = item.part(which);
            match number(which.text()) {
                Some(nth @ 1..=5) => days.nth[nth as usize - 1] |= day,
                None if which.text().eq_ignore_ascii_case("L") => days.last |= day,
                _ => return Err(which.refuse_with("is not 1 to 5 or L", DAY_OF_WEEK.hint)),
            }
        } else if let Some(day) = item.text().strip_suffix(['L', 'l']) {
            if day.is_empty() {
                return Err(item.refuse_with("names no day", "for the last Friday of a month write \"FRIL\""));
            }
            days.last |= 1 << (DAY_OF_WEEK.value(item.part(day))? % 7);
        } else {
            DAY_OF_WEEK.range(item, &mut |day| days.dow |= 1 << day)?;
        }
    }
    Ok(())
}

/// The items of a comma-separated list, none of them empty.
fn items<'a>(field: Span<'a>) -> Result<impl Iterator<Item = Span<'a>>, TriggerError> {
    if field.text().split(',').any(str::is_empty) {
        return Err(field.refuse("has an empty list item"));
    }
    Ok(field.text().split(',').map(move |item| field.part(item)))
}

/// A plain decimal number; one too large for any field is still a number.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}
