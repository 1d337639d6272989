//! Layouts: names, strftime, and the reference form, for writing and reading.

use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

use super::reference::{Piece, pieces};

/// Layouts that have a name, in the reference form.
const NAMES: &[(&str, &str)] = &[
    ("RFC3339", "2006-01-02T15:04:05Z07:00"),
    ("ISO8601", "2006-01-02T15:04:05-0700"),
    ("RFC1123", "Mon, 02 Jan 2006 15:04:05 MST"),
    ("RFC1123Z", "Mon, 02 Jan 2006 15:04:05 -0700"),
    ("RFC822", "02 Jan 06 15:04 MST"),
    ("RFC2822", "Mon, 02 Jan 2006 15:04:05 -0700"),
    ("RFC850", "Monday, 02-Jan-06 15:04:05 MST"),
    ("ANSIC", "Mon Jan _2 15:04:05 2006"),
    ("UNIXDATE", "Mon Jan _2 15:04:05 MST 2006"),
    ("KITCHEN", "3:04PM"),
    ("DATETIME", "2006-01-02 15:04:05"),
    ("DATE", "2006-01-02"),
    ("TIME", "15:04:05"),
];

fn read(layout: &str) -> Vec<Piece> {
    let upper = layout.to_uppercase();
    match NAMES.iter().find(|(name, _)| *name == upper) {
        Some((_, reference)) => pieces(reference),
        None if layout.contains('%') => vec![Piece::Strftime(layout.to_owned())],
        None => pieces(layout),
    }
}

/// Writes an instant.
pub(super) fn format(at: &ZonedDateTime, layout: &str) -> Result<String, String> {
    let mut text = String::new();
    for piece in read(layout) {
        let format = match &piece {
            Piece::Strftime(format) => format.as_str(),
            Piece::Zulu { .. } if at.offset().is_zero() => "Z",
            Piece::Zulu { colon: true } => "%:z",
            Piece::Zulu { colon: false } => "%z",
        };
        text.push_str(&strtime::format(format, at).map_err(|error| format!("bad layout `{layout}`: {error}"))?);
    }
    Ok(text)
}

/// Layouts that are tried when none is given.
const USUAL: [&str; 6] = ["RFC3339", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "RFC1123"];

/// Reads an instant. What the text does not say about the zone is `zone`; a missing time is midnight, a missing date
/// today.
pub(super) fn parse(text: &str, layout: Option<&str>, zone: &TimeZone) -> Result<Timestamp, String> {
    let text = text.trim();
    let Some(layout) = layout else {
        return text.parse::<Timestamp>().ok().map_or_else(
            || {
                USUAL.iter().find_map(|layout| parse(text, Some(layout), zone).ok()).ok_or_else(|| {
                    format!("`{text}` is no date that is known without a layout, such as 2030-01-31 06:00:00")
                })
            },
            Ok,
        );
    };
    let mut format = String::new();
    let mut text = text.to_owned();
    for piece in read(layout) {
        match piece {
            Piece::Strftime(piece) => format.push_str(&piece),
            Piece::Zulu { colon } => {
                format.push_str(if colon { "%:z" } else { "%z" });
                if let Some(before) = text.strip_suffix(['Z', 'z']) {
                    text = format!("{before}{}", if colon { "+00:00" } else { "+0000" });
                }
            }
        }
    }
    if format.contains("%Z") {
        (format, text) = without_abbreviation(&format, &text)?;
    }
    let failed = |error: jiff::Error| format!("`{text}` does not fit the layout `{layout}`: {error}");
    instant(&strtime::parse(&format, &text).map_err(failed)?, zone).map_err(failed)
}

/// Abbreviations of zones mean different zones in different places; only those of UTC are read.
fn without_abbreviation(format: &str, text: &str) -> Result<(String, String), String> {
    let found = ["GMT", "UTC"].iter().find_map(|name| text.rfind(name).map(|at| (at, *name)));
    let (at, name) = found.ok_or_else(|| {
        format!("the abbreviation of a zone in `{text}` is ambiguous: only GMT and UTC are read, use an offset (-0700)")
    })?;
    Ok((format.replace("%Z", "%z"), format!("{}+0000{}", &text[..at], &text[at + name.len()..])))
}

fn instant(parsed: &BrokenDownTime, zone: &TimeZone) -> Result<Timestamp, jiff::Error> {
    if let Some(at) = parsed.timestamp() {
        return Ok(at);
    }
    if parsed.offset().is_some() && parsed.year().is_some() {
        return parsed.to_timestamp();
    }
    let has_date = parsed.year().is_some() || parsed.iso_week_year().is_some();
    let date = if has_date { first_day(parsed)? } else { Timestamp::now().to_zoned_datetime(zone.clone()).date() };
    let time = if parsed.hour().is_some() { parsed.to_time()? } else { jiff::civil::Time::midnight() };
    let civil = date.to_datetime(time);
    match parsed.offset() {
        Some(offset) => TimeZone::fixed(offset).to_timestamp(civil),
        None => zone.to_timestamp(civil),
    }
}

/// A year alone is its first day, a month too.
fn first_day(parsed: &BrokenDownTime) -> Result<jiff::civil::Date, jiff::Error> {
    let whole = parsed.to_date();
    let weekly = parsed.day_of_year().is_some() || parsed.iso_week().is_some();
    match (whole, parsed.year()) {
        (Err(_), Some(year)) if parsed.day().is_none() && !weekly => {
            jiff::civil::Date::new(year, parsed.month().unwrap_or(1), 1)
        }
        (whole, _) => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> ZonedDateTime {
        text.parse().unwrap()
    }

    /// "Layouts: strftime, reference form, or names".
    #[test]
    fn three_ways_to_say_the_same() {
        let moment = at("2026-08-02T15:04:05.25+02:00[Europe/Berlin]");
        for (layout, expected) in [
            ("%Y-%m-%d", "2026-08-02"),
            ("2006-01-02 15:04:05", "2026-08-02 15:04:05"),
            ("RFC3339", "2026-08-02T15:04:05+02:00"),
            ("rfc1123", "Sun, 02 Aug 2026 15:04:05 CEST"),
            ("ISO8601", "2026-08-02T15:04:05+0200"),
            ("KITCHEN", "3:04PM"),
            ("Jan _2 2006 at 15h04.000", "Aug  2 2026 at 15h04.250"),
        ] {
            assert_eq!(format(&moment, layout).unwrap(), expected, "{layout}");
        }
        assert_eq!(format(&at("2026-08-02T15:04:05+00:00[UTC]"), "RFC3339").unwrap(), "2026-08-02T15:04:05Z");
        assert!(format(&moment, "%!").unwrap_err().contains("bad layout"));
    }

    #[test]
    fn what_a_text_leaves_open() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        for (text, layout, expected) in [
            ("2026-08-02", Some("%Y-%m-%d"), "2026-08-02T00:00:00+02:00[Europe/Berlin]"),
            ("2026-08", Some("2006-01"), "2026-08-01T00:00:00+02:00[Europe/Berlin]"),
            ("2026-08-02 06:00", None, "2026-08-02T06:00:00+02:00[Europe/Berlin]"),
            ("2026-08-02T06:00:00Z", None, "2026-08-02T06:00:00Z[UTC]"),
            ("2026-08-02T06:00:00.5-03:00", None, "2026-08-02T06:00:00.5-03:00[-03:00]"),
            ("Sun, 02 Aug 2026 06:00:00 GMT", None, "2026-08-02T06:00:00Z[UTC]"),
            ("1785650400", Some("%s"), "2026-08-02T06:00:00Z[UTC]"),
        ] {
            assert_eq!(parse(text, layout, &zone).unwrap(), at(expected).timestamp(), "{text}");
        }
        let kitchen = parse("3:04PM", Some("KITCHEN"), &zone).unwrap().to_zoned_datetime(zone.clone());
        assert_eq!((kitchen.hour(), kitchen.minute()), (15, 4));
    }

    #[test]
    fn errors_name_text_and_layout() {
        let zone = TimeZone::UTC;
        let error = parse("02.08.2026", Some("2006-01-02"), &zone).unwrap_err();
        assert!(error.contains("02.08.2026") && error.contains("2006-01-02"), "{error}");
        assert!(parse("tomorrow", None, &zone).unwrap_err().contains("tomorrow"));
        assert!(parse("02 Jan 26 15:04 PST", Some("RFC822"), &zone).unwrap_err().contains("ambiguous"));
    }

    proptest! {
        /// What is written in a complete layout is read as the same second, in any zone.
        #[test]
        fn there_and_back(seconds in -60_000_000_000i64..200_000_000_000, zone in prop::sample::select(vec![
            "UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe",
        ])) {
            let at = Timestamp::from_second(seconds).unwrap();
            let moment = at.to_zoned_datetime(TimeZone::get(zone).unwrap());
            for layout in ["RFC3339", "RFC1123Z", "ISO8601", "%Y-%m-%dT%H:%M:%S%:z", "2006-01-02 15:04:05 -0700", "%s"] {
                let text = format(&moment, layout).unwrap();
                // Offsets of old local times have seconds, which these layouts cannot hold.
                if moment.offset().seconds() % 60 == 0 && moment.year() >= 1000 {
                    prop_assert_eq!(parse(&text, Some(layout), &TimeZone::UTC).unwrap(), at, "{} {}", layout, text);
                }
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}", layout in ".{0,40}") {
            let _ = parse(&text, Some(&layout), &TimeZone::UTC);
            let _ = format(&at("2026-08-02T15:04:05+02:00[Europe/Berlin]"), &layout);
        }
    }
}
