//! Times as people write them: `now`, `24h`, `2031-01-31`, `2031-01-31 06:00`, RFC 3339.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use sloth_core::{Moment, units};

use crate::ServiceError;

/// What a bare duration means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// So long ago.
    Ago,
    /// So long from now.
    Ahead,
}

/// Reads a time.
pub fn parse_time(field: &str, text: &str, zone: &TimeZone, now: Moment, span: Span) -> Result<Moment, ServiceError> {
    let text = text.trim();
    if text == "now" {
        return Ok(now);
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp.into());
    }
    let civil = text.parse::<DateTime>().ok().or_else(|| text.parse::<Date>().ok().map(|d| d.at(0, 0, 0, 0)));
    if let Some(civil) = civil.filter(|_| text.contains('-')) {
        return match zone.to_timestamp(civil) {
            Ok(timestamp) => Ok(timestamp.into()),
            Err(error) => Err(ServiceError::field(field, error)),
        };
    }
    match units::parse_duration(text) {
        Ok(length) if span == Span::Ago => Ok(now - length),
        Ok(length) => Ok(now + length),
        Err(_) => Err(ServiceError::field(field, format!("{text:?} is no time"))
            .hint("examples: now, 24h, 2031-01-31, 2031-01-31 06:00, 2031-01-31T06:00:00Z")),
    }
}

/// Reads a length of time.
pub fn parse_span(field: &str, text: &str) -> Result<std::time::Duration, ServiceError> {
    units::parse_duration(text).map_err(|error| ServiceError::field(field, error).hint("a duration such as 30s or 5m"))
}

/// A moment in a zone, with its offset: `2031-03-09 03:00:00 -04:00`.
pub fn local(at: Moment, zone: &TimeZone) -> String {
    let timestamp = at.timestamp();
    let minutes = zone.to_offset(timestamp).seconds() / 60;
    let (sign, size) = if minutes < 0 { ('-', -minutes) } else { ('+', minutes) };
    let civil = zone.to_datetime(timestamp).strftime("%Y-%m-%d %H:%M:%S").to_string();
    format!("{civil} {sign}{:02}:{:02}", size / 60, size % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let now = Moment::from_secs(1_900_000_000);
        let read = |text, span| parse_time("at", text, &TimeZone::UTC, now, span).expect("valid").secs();
        assert_eq!(read("now", Span::Ago), 1_900_000_000);
        assert_eq!(read("1h", Span::Ago), 1_900_000_000 - 3600);
        assert_eq!(read("1h", Span::Ahead), 1_900_000_000 + 3600);
        assert_eq!(read("1970-01-02", Span::Ago), 86_400);
        assert_eq!(read("1970-01-02 06:00", Span::Ago), 86_400 + 6 * 3600);
        assert_eq!(read("1970-01-02T06:00:00+01:00", Span::Ago), 86_400 + 5 * 3600);
        assert!(parse_time("at", "soon", &TimeZone::UTC, now, Span::Ago).is_err());
    }
}
