//! Times and durations for people.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::failure::Failure;

/// Now, and the zone of whoever reads.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    pub(crate) now: Timestamp,
    pub(crate) zone: TimeZone,
}

impl Clock {
    /// Of this machine; UTC when its zone is unknown or not wanted.
    pub(crate) fn of_the_host(utc: bool) -> Clock {
        let zone = if utc { None } else { zone_of_the_host(std::env::var("TZ").ok().as_deref()) };
        Clock { now: Timestamp::now(), zone: zone.unwrap_or(TimeZone::UTC) }
    }

    /// `2026-03-08 02:30:00`; the text itself when it is no time.
    pub(crate) fn absolute(&self, time: &str) -> String {
        match time.parse::<Timestamp>() {
            Ok(time) => time.to_zoned_datetime(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
            Err(_) => time.to_owned(),
        }
    }

    /// `in 4 min (02:30)`: relative, and the local time with as much of the date as is needed.
    pub(crate) fn coming(&self, time: &str) -> String {
        let Ok(time) = time.parse::<Timestamp>() else {
            return time.to_owned();
        };
        format!("{} ({})", self.relative(time), self.short(time))
    }

    /// `3 min ago`.
    pub(crate) fn ago(&self, time: &str) -> String {
        time.parse::<Timestamp>().map_or_else(|_| time.to_owned(), |time| self.relative(time))
    }

    fn relative(&self, time: Timestamp) -> String {
        let ms = time.as_millisecond() - self.now.as_millisecond();
        let seconds = ms.unsigned_abs() / 1000;
        let amount = match seconds {
            0..=59 => format!("{seconds} s"),
            60..=3599 => format!("{} min", seconds / 60),
            3600..=172_799 => format!("{} h", seconds / 3600),
            _ => format!("{} d", seconds / 86_400),
        };
        if ms > 0 { format!("in {amount}") } else { format!("{amount} ago") }
    }

    fn short(&self, time: Timestamp) -> String {
        let local = time.to_zoned_datetime(self.zone.clone());
        let today = self.now.to_zoned_datetime(self.zone.clone()).date();
        let days = local.date().duration_since(today).as_hours() / 24;
        let clock = if local.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
        let format = match days {
            0 => clock.to_owned(),
            1..=6 => format!("%a {clock}"),
            _ => format!("%Y-%m-%d {clock}"),
        };
        local.strftime(&format).to_string()
    }
}

/// The zone of `TZ`, or of the machine, from its file alone: jiff's own search lists the whole directory of zones first, which takes
/// longer than everything else that slothctl does.
fn zone_of_the_host(tz: Option<&str>) -> Option<TimeZone> {
    let read = |path: &Path| TimeZone::tzif("", &std::fs::read(path).ok()?).ok();
    match tz.map(|tz| tz.trim_start_matches(':')) {
        None => read(Path::new("/etc/localtime")),
        Some("") => None,
        Some(name) if name.contains("..") => None,
        Some(name) => read(&Path::new("/usr/share/zoneinfo").join(name)).or_else(|| TimeZone::posix(name).ok()),
    }
}

/// `850ms`, `12.3s`, `4m10s`, `2h05m`, `3d04h`.
pub(crate) fn duration(ms: i64) -> String {
    let ms = ms.max(0);
    let seconds = ms / 1000;
    match ms {
        0..=999 => format!("{ms}ms"),
        1000..=59_949 => format!("{:.1}s", ms as f64 / 1000.0),
        59_950..=3_599_999 => format!("{}m{:02}s", seconds.max(60) / 60, seconds.max(60) % 60),
        3_600_000..=86_399_999 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// `512 B`, `1.5 KiB`, `10.0 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut amount = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        if amount < 1024.0 {
            break;
        }
        amount /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{amount:.1} {unit}") }
}

/// A duration of the command line: numbers with `ns us ms s m h d w`, joined; a bare number is seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, Failure> {
    let wrong = || Failure::usage(format!("\"{text}\" is no duration; write it as 30s, 5m or 1h30m"));
    let mut rest = text.trim();
    if let Ok(seconds) = rest.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| wrong());
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let amount: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        let after = &rest[digits..];
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let unit = match &after[..end] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            _ => return Err(wrong()),
        };
        let part = Duration::try_from_secs_f64(amount * unit).map_err(|_| wrong())?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = &after[end..];
    }
    if text.trim().is_empty() { Err(wrong()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_printed_and_read() {
        let printed: Vec<String> = [850, 12_340, 59_949, 59_960, 250_000, 7_500_000, 273_600_000].map(duration).into();
        assert_eq!(printed, ["850ms", "12.3s", "59.9s", "1m00s", "4m10s", "2h05m", "3d04h"]);
        for (text, ms) in
            [("30", 30_000), ("1.5h", 5_400_000), ("1h30m", 5_400_000), ("250ms", 250), ("2d", 172_800_000)]
        {
            assert_eq!(parse_duration(text).expect(text).as_millis(), ms, "{text}");
        }
        for text in ["", "-1s", "1x", "h", "1h30", "nan", "99999999999999999999w"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn zones_are_read_without_a_search() {
        let hour = |tz: &str| {
            let zone = zone_of_the_host(Some(tz)).unwrap_or(TimeZone::UTC);
            Clock { now: Timestamp::UNIX_EPOCH, zone }.absolute("2026-07-01T00:00:00Z")
        };
        assert_eq!(hour("EST5EDT,M3.2.0,M11.1.0"), "2026-06-30 20:00:00");
        assert_eq!(hour("../../etc/passwd"), "2026-07-01 00:00:00");
        assert_eq!(hour(""), "2026-07-01 00:00:00");
        if Path::new("/usr/share/zoneinfo/Asia/Tokyo").exists() {
            assert_eq!(hour(":Asia/Tokyo"), "2026-07-01 09:00:00");
        }
    }

    #[test]
    fn times_are_relative_and_absolute() {
        let now = "2026-03-06T01:26:00Z".parse().expect("a time");
        let clock = Clock { now, zone: TimeZone::fixed(jiff::tz::offset(1)) };
        assert_eq!(clock.coming("2026-03-06T01:30:00.000Z"), "in 4 min (02:30)");
        assert_eq!(clock.coming("2026-03-07T01:30:15.000Z"), "in 24 h (Sat 02:30:15)");
        assert_eq!(clock.coming("2026-03-30T01:30:00.000Z"), "in 24 d (2026-03-30 02:30)");
        assert_eq!(clock.ago("2026-03-06T01:25:48.000Z"), "12 s ago");
        assert_eq!(clock.absolute("2026-03-06T01:25:48.999Z"), "2026-03-06 02:25:48");
        assert_eq!(clock.ago("never"), "never");
    }
}
