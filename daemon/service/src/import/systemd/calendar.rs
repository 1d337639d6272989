//! `OnCalendar=` of systemd.time(7) as a cron trigger. Both name wall times, so nearly all of them translate; days of
//! week and of month must both match, which cron says with a leading `+`.

/// A calendar event in the words of slothd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Calendar {
    /// A cron expression of 5 to 7 fields.
    pub(super) trigger: String,
    /// IANA name, when the event names one.
    pub(super) timezone: Option<String>,
}

const SHORTHANDS: [(&str, &str); 12] = [
    ("minutely", "* * * * *"),
    ("hourly", "0 * * * *"),
    ("daily", "0 0 * * *"),
    ("weekly", "0 0 * * MON"),
    ("monthly", "0 0 1 * *"),
    ("yearly", "0 0 1 1 *"),
    ("annually", "0 0 1 1 *"),
    ("quarterly", "0 0 1 1,4,7,10 *"),
    ("semiannually", "0 0 1 1,7 *"),
    ("semi-annually", "0 0 1 1,7 *"),
    ("biannually", "0 0 1 1,7 *"),
    ("bi-annually", "0 0 1 1,7 *"),
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const DAYS_SHORT: [&str; 7] = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];

/// A component of a date or time: its name and the values it can have.
struct Unit {
    name: &'static str,
    min: u32,
    max: u32,
}

const YEAR: Unit = Unit { name: "year", min: 1970, max: 2199 };
const MONTH: Unit = Unit { name: "month", min: 1, max: 12 };
const DAY: Unit = Unit { name: "day", min: 1, max: 31 };
const HOUR: Unit = Unit { name: "hour", min: 0, max: 23 };
const MINUTE: Unit = Unit { name: "minute", min: 0, max: 59 };
const SECOND: Unit = Unit { name: "second", min: 0, max: 59 };

/// Translates an event, or says what stands in the way.
pub(super) fn parse(text: &str) -> Result<Calendar, String> {
    let mut tokens: Vec<&str> = text.split_ascii_whitespace().collect();
    let is_zone = |token: &&str| token.starts_with(|c: char| c.is_ascii_alphabetic()) && weekdays(token).is_err();
    let timezone = if tokens.len() > 1 { tokens.pop_if(|token| is_zone(&&**token)).map(str::to_owned) } else { None };
    if timezone.as_deref().is_some_and(|zone| !crate::import::words::is_zone(zone)) {
        return Err("its time zone has no IANA name: write one like Europe/Lisbon".to_owned());
    }
    if let [word] = tokens.as_slice()
        && let Some((_, trigger)) = SHORTHANDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word))
    {
        return Ok(Calendar { trigger: (*trigger).to_owned(), timezone });
    }
    let (days, rest) = match tokens.as_slice() {
        [first, rest @ ..] if first.starts_with(|c: char| c.is_ascii_alphabetic()) => (Some(weekdays(first)?), rest),
        rest => (None, rest),
    };
    let (date, time) = match rest {
        [] if days.is_some() => (None, None),
        [date, time] if time.contains(':') && !date.contains(':') => (Some(*date), Some(*time)),
        [time] if time.contains(':') => (None, Some(*time)),
        [date] if date.contains(['-', '~']) => (Some(*date), None),
        _ => return Err("it is not one such as \"Mon..Fri *-*-* 09:00\"".to_owned()),
    };
    let (year, month, day) = date.map_or_else(|| Ok(stars()), read_date)?;
    let (hour, minute, second) = time.map_or_else(|| Ok(midnight()), read_time)?;
    let week = match days {
        None => "*".to_owned(),
        Some(days) if day == "*" => days,
        Some(days) => format!("+{days}"),
    };
    let five = format!("{minute} {hour} {day} {month} {week}");
    let trigger = match (second.as_str(), year.as_str()) {
        ("0", "*") => five,
        (second, "*") => format!("{second} {five}"),
        (second, year) => format!("{second} {five} {year}"),
    };
    Ok(Calendar { trigger, timezone })
}

type Fields = (String, String, String);

fn stars() -> Fields {
    ("*".to_owned(), "*".to_owned(), "*".to_owned())
}

fn midnight() -> Fields {
    ("0".to_owned(), "0".to_owned(), "0".to_owned())
}

fn read_date(text: &str) -> Result<Fields, String> {
    let (front, day, from_end) = match text.rsplit_once('~') {
        Some((front, day)) => (front, day, true),
        None => {
            let (front, day) = text.rsplit_once('-').ok_or("it has no date such as *-*-01")?;
            (front, day, false)
        }
    };
    let (year, month) = front.split_once('-').unwrap_or(("*", front));
    let year = YEAR.field(year)?;
    let day = if from_end { days_from_end(day)? } else { DAY.field(day)? };
    Ok((year, MONTH.field(month)?, day))
}

fn read_time(text: &str) -> Result<Fields, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (hour, minute, second) = match parts.as_slice() {
        [hour, minute] => (*hour, *minute, "0"),
        [hour, minute, second] => (*hour, *minute, *second),
        _ => return Err("it has no time such as 09:00 or 09:00:30".to_owned()),
    };
    if second.split(['/', ',']).any(|item| item.replace("..", "").contains('.')) {
        return Err("it names fractions of a second, which slothd does not: write whole seconds".to_owned());
    }
    Ok((HOUR.field(hour)?, MINUTE.field(minute)?, SECOND.field(second)?))
}

/// `~`: days counted from the end of the month, 1 being the last.
fn days_from_end(text: &str) -> Result<String, String> {
    let mut days = Vec::new();
    for item in text.split(',') {
        let (start, step) = match item.split_once('/') {
            Some((start, step)) => (
                start,
                Some(step.parse::<usize>().ok().filter(|step| *step > 0).ok_or("it has a step that is no number")?),
            ),
            None => (item, None),
        };
        let start = DAY
            .value(start)
            .map_err(|_| format!("the days {item:?} from the end of the month are not single days: list them"))?;
        // A step goes on towards the end of the month.
        let last = if step.is_some() { 1 } else { start };
        days.extend((last..=start).rev().step_by(step.unwrap_or(1)));
    }
    let name = |day: &u32| {
        if *day == 1 { "L".to_owned() } else { format!("L-{}", day - 1) }
    };
    Ok(days.iter().map(name).collect::<Vec<_>>().join(","))
}

fn weekdays(text: &str) -> Result<String, String> {
    let day = |name: &str| {
        let is =
            |day: &&str| day.eq_ignore_ascii_case(name) || (name.len() == 3 && day[..3].eq_ignore_ascii_case(name));
        DAYS.iter().position(is).ok_or_else(|| format!("{name:?} is not a day of the week"))
    };
    let mut items = Vec::new();
    for item in text.trim_end_matches(',').split(',') {
        items.push(match item.split_once("..").or_else(|| item.split_once('-')) {
            Some((first, last)) => {
                let (first, last) = (day(first)?, day(last)?);
                if last < first {
                    return Err(format!("the days {item:?} run backwards, which systemd refuses"));
                }
                format!("{}-{}", DAYS_SHORT[first], DAYS_SHORT[last])
            }
            None => DAYS_SHORT[day(item)?].to_owned(),
        });
    }
    Ok(items.join(","))
}

impl Unit {
    /// A component as a cron field.
    fn field(&self, text: &str) -> Result<String, String> {
        if text == "*" {
            return Ok("*".to_owned());
        }
        let items: Result<Vec<String>, String> = text.split(',').map(|item| self.item(item)).collect();
        Ok(items?.join(","))
    }

    fn item(&self, item: &str) -> Result<String, String> {
        let wrong = || format!("the {} {item:?} is not one that systemd reads", self.name);
        let (base, step) = match item.split_once('/') {
            Some((base, step)) => (base, Some(step.parse::<u32>().ok().filter(|step| *step > 0).ok_or_else(wrong)?)),
            None => (item, None),
        };
        let (first, last) = match base.split_once("..") {
            Some((first, last)) => (self.value(first)?, Some(self.value(last)?)),
            None => (self.value(base)?, None),
        };
        if last.is_some_and(|last| last < first) {
            return Err(wrong());
        }
        Ok(match (last, step) {
            (None, None) => first.to_string(),
            (None, Some(step)) if first == self.min => format!("*/{step}"),
            (None, Some(step)) => format!("{first}-{}/{step}", self.max),
            (Some(last), None) => format!("{first}-{last}"),
            (Some(last), Some(step)) => format!("{first}-{last}/{step}"),
        })
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        let number = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten();
        let number = number.map(|number| match number {
            // Two digits of a year.
            0..70 if self.max == YEAR.max => number + 2000,
            70..100 if self.max == YEAR.max => number + 1900,
            number => number,
        });
        number
            .filter(|number| (self.min..=self.max).contains(number))
            .ok_or_else(|| format!("the {} {text:?} is not a number from {} to {}", self.name, self.min, self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(event: &str, trigger: &str) {
        assert_eq!(parse(event).map(|calendar| calendar.trigger).as_deref(), Ok(trigger), "{event}");
    }

    #[test]
    fn events_become_cron_expressions() {
        check("daily", "0 0 * * *");
        check("Mon", "0 0 * * MON");
        check("Mon..Fri *-*-* 09:00", "0 9 * * MON-FRI");
        check("Sat,Sun 20:05:10", "10 5 20 * * SAT,SUN");
        check("*-*-* 6,18:00", "0 6,18 * * *");
        check("*:0/10", "*/10 * * * *");
        check("*:5/10", "5-59/10 * * * *");
        check("*-*-* *:*:0/15", "*/15 * * * * *");
        check("Sun *-*-1..7 04:00", "0 4 1-7 * +SUN");
        check("*-*~1", "0 0 L * *");
        check("Mon *-05~07/1", "0 0 L-6,L-5,L-4,L-3,L-2,L-1,L 5 +MON");
        check("*-1,4,7,10-01 00:00", "0 0 1 1,4,7,10 *");
        check("2030..2032-06-01 12:00", "0 0 12 1 6 * 2030-2032");
        check("06-01", "0 0 1 6 *");
    }

    #[test]
    fn zones_are_kept_and_the_rest_is_refused() {
        let zoned = parse("Mon *-*-* 09:00 Europe/Lisbon").expect("an event");
        assert_eq!((zoned.trigger.as_str(), zoned.timezone.as_deref()), ("0 9 * * MON", Some("Europe/Lisbon")));
        assert_eq!(parse("daily UTC").expect("an event").timezone.as_deref(), Some("UTC"));
        for event in
            ["*:*/10", "Sat..Mon", "25:00", "*:*:0.5", "whenever", "", "@1700000000", "*-*~03..01", "1..", "Mon Tue"]
        {
            assert!(parse(event).is_err(), "{event}");
        }
    }
}
