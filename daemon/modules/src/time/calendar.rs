//! Questions that need a calendar.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, ZonedDateTime};
use sloth_lua::{Data, Failure};

/// In UTC, with `Z`, and with a fraction only where there is one.
pub(super) fn rfc3339(at: Timestamp) -> String {
    at.to_string()
}

/// 1 (Monday) to 7, and the English name.
pub(super) fn weekday(at: &ZonedDateTime) -> Vec<Data> {
    let number = at.weekday().to_monday_one_offset();
    vec![Data::from(i64::from(number)), Data::text(at.strftime("%A").to_string())]
}

/// Everything about an instant.
pub(super) fn fields(at: &ZonedDateTime) -> Data {
    let number = |number: i64| Data::from(number);
    Data::map([
        ("year", number(at.year().into())),
        ("month", number(at.month().into())),
        ("day", number(at.day().into())),
        ("hour", number(at.hour().into())),
        ("minute", number(at.minute().into())),
        ("second", number(at.second().into())),
        ("weekday", number(at.weekday().to_monday_one_offset().into())),
        ("yearday", number(at.day_of_year().into())),
        ("zone", Data::text(at.time_zone().iana_name().unwrap_or("").to_owned())),
        ("abbreviation", Data::text(at.strftime("%Z").to_string())),
        ("offset", number(at.offset().seconds().into())),
        ("unix", number(at.timestamp().as_second())),
        ("rfc3339", Data::text(at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())),
    ])
}

/// Beginning of the unit that an instant is in.
pub(super) fn start_of(at: &ZonedDateTime, unit: &str) -> Result<ZonedDateTime, Failure> {
    let date = at.date();
    let day = match unit.trim_end_matches('s') {
        // Zones differ by whole minutes, or by what their offset says: civil time is cut, the offset stays.
        "second" => return time_of(at, |at| at.time().with().subsec_nanosecond(0).build()),
        "minute" => return time_of(at, |at| at.time().with().second(0).subsec_nanosecond(0).build()),
        "hour" => return time_of(at, |at| at.time().with().minute(0).second(0).subsec_nanosecond(0).build()),
        "day" => Some(date),
        "week" => date.checked_sub(i64::from(at.weekday().to_monday_zero_offset()).days()).ok(),
        "month" => Date::new(date.year(), date.month(), 1).ok(),
        "quarter" => Date::new(date.year(), (date.month() - 1) / 3 * 3 + 1, 1).ok(),
        "year" => Date::new(date.year(), 1, 1).ok(),
        _ => {
            let units = "second, minute, hour, day, week, month, quarter or year";
            return Err(Failure::argument("unit", format_args!("{units} expected, got {unit:?}")));
        }
    };
    day.and_then(|day| at.time_zone().to_ambiguous_zoned_datetime(day.at(0, 0, 0, 0)).compatible().ok())
        .ok_or_else(|| Failure::new(format!("the {unit} begins before the calendar")))
}

fn time_of(
    at: &ZonedDateTime,
    cut: fn(&ZonedDateTime) -> Result<jiff::civil::Time, jiff::Error>,
) -> Result<ZonedDateTime, Failure> {
    let failed = |error: jiff::Error| Failure::new(error.to_string());
    let cut = DateTime::from_parts(at.date(), cut(at).map_err(failed)?);
    let instant = TimeZone::fixed(at.offset()).to_timestamp(cut).map_err(failed)?;
    Ok(instant.to_zoned_datetime(at.time_zone().clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> ZonedDateTime {
        text.parse().unwrap()
    }

    #[test]
    fn units_begin_where_the_zone_says() {
        let begin = at("2026-08-12T15:04:05.5+02:00[Europe/Berlin]");
        for (unit, expected) in [
            ("second", "2026-08-12T15:04:05+02:00[Europe/Berlin]"),
            ("minute", "2026-08-12T15:04:00+02:00[Europe/Berlin]"),
            ("hour", "2026-08-12T15:00:00+02:00[Europe/Berlin]"),
            ("day", "2026-08-12T00:00:00+02:00[Europe/Berlin]"),
            ("week", "2026-08-10T00:00:00+02:00[Europe/Berlin]"),
            ("month", "2026-08-01T00:00:00+02:00[Europe/Berlin]"),
            ("quarter", "2026-07-01T00:00:00+02:00[Europe/Berlin]"),
            ("year", "2026-01-01T00:00:00+01:00[Europe/Berlin]"),
        ] {
            assert_eq!(start_of(&begin, unit).unwrap(), at(expected), "{unit}");
        }
        assert!(start_of(&begin, "fortnight").unwrap_err().message.contains("fortnight"));
    }

    /// The hour that is there twice begins twice.
    #[test]
    fn the_second_of_two_equal_hours_stays_the_second() {
        let second = at("2026-10-25T02:30:00+01:00[Europe/Berlin]");
        assert_eq!(start_of(&second, "hour").unwrap(), at("2026-10-25T02:00:00+01:00[Europe/Berlin]"));
    }

    #[test]
    fn the_week_and_the_fields() {
        let sunday = at("2026-11-29T12:00:00+00:00[UTC]");
        assert_eq!(weekday(&sunday), [Data::Num(7.0), Data::text("Sunday")]);
        let fields = fields(&at("2026-08-12T15:04:05+02:00[Europe/Berlin]"));
        assert_eq!(fields.get("offset"), Some(&Data::Num(7200.0)));
        assert_eq!(fields.get("abbreviation"), Some(&Data::text("CEST")));
        assert_eq!(fields.get("yearday"), Some(&Data::Num(224.0)));
        assert_eq!(fields.get("rfc3339"), Some(&Data::text("2026-08-12T15:04:05+02:00")));
    }
}
