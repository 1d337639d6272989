//! What trigger texts mean, and how they are described.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use sloth_core::Moment;
use sloth_core::trigger::{Trigger, TriggerKind, every_next, remark};

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("the system has this zone")
}

fn moment(text: &str) -> Moment {
    Moment::from(text.parse::<Timestamp>().expect("the test uses RFC 3339"))
}

fn parse(text: &str) -> Trigger {
    Trigger::parse(text, &TimeZone::UTC).map_err(|e| format!("{text:?}: {e}")).expect("the test uses valid triggers")
}

#[test]
fn a_trigger_is_small() {
    assert!(size_of::<Trigger>() <= 64, "{} bytes", size_of::<Trigger>());
}

#[test]
fn different_texts_mean_the_same() {
    for (one, other) in [
        ("0 2 * * *", "00 02 ? * ?"),
        ("0 0 * * 0", "0 0 * * 7"),
        ("0 0 * * SUN", "0 0 * * 7-7"),
        ("0 0 * * fri-Mon", "0 0 * * 5,6,0,1"),
        ("0 0 * * 5-7", "0 0 * * FRI-SUN"),
        ("0 0 * * 7-2", "0 0 * * 0-2"),
        ("0 0 * * FRI-MON/2", "0 0 * * 5,0"),
        ("0 0 * * 1/2", "0 0 * * 1,3,5,7"),
        ("0 22-3 * * *", "0 22,23,0-3 * * *"),
        ("0 22-3/2 * * *", "0 22,0,2 * * *"),
        ("50-10/5 * * * *", "50,55,0,5,10 * * * *"),
        ("0 0 28-3 * *", "0 0 28-31,1-3 * *"),
        ("0 0 1 nov-FEB *", "0 0 1 11,12,1,2 *"),
        ("5/20 * * * *", "5,25,45 * * * *"),
        ("0 0 20/5 * *", "0 0 20,25,30 * *"),
        ("0 0 L * *", "0 0 l-0 * *"),
        ("0 0 lw * *", "0 0 LW * *"),
        ("0 0 * * FRIL", "0 0 * * 5#L"),
        ("0 0 * * 7l", "0 0 * * sun#l"),
        ("0 30 2 * * *", "30 2 * * *"),
        ("0 30 2 * * * *", "30 2 * * *"),
        ("\t30  2 * *\t* ", "30 2 * * *"),
        ("@Yearly", "@annually"),
        ("@midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * SUN"),
        ("@every 1h30m", "@EVERY  90m"),
        ("none", "@manual"),
        ("@at 2031-01-01 09:00", "@at 2031-01-01T09:00:00Z"),
    ] {
        assert_eq!(parse(one), parse(other), "{one:?} and {other:?}");
    }
}

#[test]
fn kinds_go_by_how_the_fields_begin() {
    use TriggerKind::{Anchored, Fixed, Interval, Single};
    for (text, kind) in [
        ("30 2 * * *", Fixed),
        ("0-59 0-23 * * *", Fixed),
        ("5,*/10 2 * * *", Fixed),
        ("*/10,5 2 * * *", Anchored),
        ("* 30 2 * * *", Anchored),
        ("30 * * * *", Interval),
        ("30 */2 * * *", Interval),
        ("* * * * *", Interval),
        ("@hourly", Interval),
        ("@daily", Fixed),
        ("@every 5m", Interval),
        ("@at 2031-01-01", Fixed),
        ("@reboot", Single),
        ("manual", Single),
    ] {
        assert_eq!(parse(text).kind(), kind, "{text:?}");
    }
}

#[test]
fn a_point_in_time_is_local_or_has_an_offset() {
    let new_york = zone("America/New_York");
    for (text, tz, expected) in [
        ("@at 2031-01-01T09:00", &new_york, "2031-01-01T14:00:00Z"),
        ("@at 2031-01-01 09:00:30", &new_york, "2031-01-01T14:00:30Z"),
        ("@at 2031-01-01", &new_york, "2031-01-01T05:00:00Z"),
        ("@at 2031-01-01T09:00Z", &new_york, "2031-01-01T09:00:00Z"),
        ("@at 2031-01-01T09:00:00.25+02:00", &new_york, "2031-01-01T07:00:00.25Z"),
        ("@at 1999-12-31t23:59:59z", &new_york, "1999-12-31T23:59:59Z"),
        // Left out by the clock: the first instant after the gap. Twice: the first pass.
        ("@at 2031-03-09T02:30", &new_york, "2031-03-09T07:00:00Z"),
        ("@at 2031-11-02T01:30", &new_york, "2031-11-02T05:30:00Z"),
    ] {
        let trigger = Trigger::parse(text, tz).expect(text);
        assert_eq!(trigger, Trigger::At(moment(expected)), "{text:?}");
    }
    let error = Trigger::parse("@at 2011-12-30T12:00", &zone("Pacific/Apia")).expect_err("this day never was");
    assert_eq!(error.problem, "does not exist in this time zone: its calendar leaves it out");
    let once = parse("@at 2031-01-01");
    let due = moment("2031-01-01T00:00:00Z");
    assert_eq!(once.next_after(&TimeZone::UTC, Moment::from_secs(0)), Some(due));
    assert_eq!(once.next_after(&TimeZone::UTC, due), None);
}

#[test]
fn a_period_counts_from_its_anchor() {
    let anchor = Moment::from_micros(1_000_500_000);
    let every = parse("@every 90s");
    assert_eq!(every.next_after(&TimeZone::UTC, anchor), None, "no anchor yet");
    let every = every.with_anchor(anchor);
    let due = |k: u32| anchor + Duration::from_secs(90) * k;
    assert_eq!(every.next_after(&TimeZone::UTC, anchor), Some(due(1)));
    assert_eq!(every.next_after(&TimeZone::UTC, due(7)), Some(due(8)));
    assert_eq!(every.next_after(&TimeZone::UTC, due(7) - Duration::from_micros(1)), Some(due(7)));
    assert_eq!(
        every.next_after(&TimeZone::UTC, Moment::from_secs(0)),
        Some(anchor),
        "an anchor ahead is the first instant"
    );
    assert_eq!(every.clone().with_anchor(due(3)), every, "an anchor once set stays");
    assert_eq!(every_next(Duration::from_secs(90), anchor, Moment::MAX), None);
    assert_eq!(every_next(Duration::MAX, anchor, due(1)), None);
    assert_eq!(every_next(Duration::ZERO, anchor, due(1)), None);
}

#[test]
fn what_has_no_instants_has_none() {
    for text in ["@reboot", "manual"] {
        assert_eq!(parse(text).next_after(&TimeZone::UTC, Moment::MIN), None);
        assert_eq!(parse(text).last_until(&TimeZone::UTC, Moment::MAX), None);
    }
    let past = parse("0 0 0 1 1 * 1999");
    assert_eq!(past.next_after(&TimeZone::UTC, moment("1999-01-01T00:00:00Z")), None);
    assert_eq!(past.last_until(&TimeZone::UTC, moment("2030-01-01T00:00:00Z")), Some(moment("1999-01-01T00:00:00Z")));
    assert_eq!(parse("* * * * *").next_after(&TimeZone::UTC, Moment::MAX), None);
}

#[test]
fn a_second_pass_is_found_after_the_last_wall_time() {
    let every_half_hour = parse("0 */30 1 2 11 * 2025");
    let tz = zone("America/New_York");
    let after = moment("2025-11-02T05:30:00Z");
    assert_eq!(every_half_hour.next_after(&tz, after), Some(moment("2025-11-02T06:00:00Z")));
    assert_eq!(every_half_hour.next_after(&tz, moment("2025-11-02T06:30:00Z")), None);
}

#[test]
fn remarks_tell_of_clock_changes() {
    for (text, name, due, expected) in [
        (
            "30 2 * * *",
            "America/New_York",
            "2025-03-09T07:00:00Z",
            Some("02:30 does not exist on this day: made up at 03:00"),
        ),
        (
            "*/15 2 * * *",
            "America/New_York",
            "2025-03-09T07:00:00Z",
            Some("02:00 to 02:45 do not exist on this day: made up once at 03:00"),
        ),
        (
            "15 30 2 * * *",
            "Europe/Paris",
            "2025-03-30T01:00:00Z",
            Some("02:30:15 does not exist on this day: made up at 03:00"),
        ),
        ("0 * * * *", "America/New_York", "2025-03-09T07:00:00Z", None),
        ("0 3 * * *", "America/New_York", "2025-03-09T07:00:00Z", None),
        ("30 1 * * *", "America/New_York", "2025-11-02T05:30:00Z", Some("01:30 happens twice: first pass")),
        ("*/30 * * * *", "America/New_York", "2025-11-02T06:30:00Z", Some("01:30 happens twice: second pass")),
        ("0 2 * * *", "America/New_York", "2025-11-02T07:00:00Z", None),
        ("30 2 * * *", "UTC", "2025-03-09T02:30:00Z", None),
        ("0 12 * * *", "Pacific/Apia", "2011-12-30T22:00:00Z", None),
    ] {
        assert_eq!(remark(&parse(text), &zone(name), moment(due)).as_deref(), expected, "{text:?} at {due}");
    }
    assert_eq!(remark(&parse("@reboot"), &TimeZone::UTC, Moment::from_secs(0)), None);
}

#[test]
fn descriptions_say_what_will_happen() {
    for (text, expected) in [
        ("30 2 * * *", "at 02:30 every day"),
        ("0,30 2,14 * * *", "at 02:00, 02:30, 14:00 and 14:30 every day"),
        ("15 30 2 * * *", "at 02:30:15 every day"),
        ("* * * * *", "every minute"),
        ("* * * * * *", "every second"),
        ("*/15 * * * * *", "every 15 seconds"),
        ("*/15 * * * MON-FRI", "every 15 minutes from Monday to Friday"),
        ("*/15 9-17 * * *", "every 15 minutes from 09:00 to 17:59"),
        ("*/10 2,14 * * *", "every 10 minutes in hours 2 and 14"),
        ("*/7 * * * *", "at minutes 0 to 56 in steps of 7 of every hour"),
        ("0 * * * *", "every hour"),
        ("0 */2 * * *", "every 2 hours"),
        ("30 * * * *", "at minute 30 of every hour"),
        ("5,10 */2 * * *", "at minutes 5 and 10 of hours 0 to 22 in steps of 2"),
        ("*/20 30 * * * *", "every 20 seconds of minute 30 of every hour"),
        ("5 */10 * * * *", "at second 5 every 10 minutes"),
        ("0 9 1,15 * *", "at 09:00 on days 1 and 15 of the month"),
        ("0 9 L * *", "at 09:00 on the last day of the month"),
        (
            "0 9 LW,15W,L-3 * *",
            "at 09:00 on the weekday nearest to day 15, the last weekday and the day 3 days before the last of the month",
        ),
        ("0 9 * * MON,WED", "at 09:00 on Monday and Wednesday"),
        ("0 9 * * FRI-MON", "at 09:00 from Friday to Monday"),
        ("0 9 * * FRI#2,MONL", "at 09:00 on the second Friday of the month and the last Monday of the month"),
        ("0 9 1 * MON", "at 09:00 on day 1 of the month or on Monday"),
        ("0 9 13 * +FRI", "at 09:00 on day 13 of the month if on Friday"),
        ("0 9 1-31 * MON", "at 09:00 every day"),
        ("0 0 29 2 *", "at 00:00 on 29 February"),
        ("0 0 1 JUN-AUG *", "at 00:00 on day 1 of the month from June to August"),
        ("0 0 1 */6 *", "at 00:00 on day 1 of the month in January and July"),
        ("0 0 9 1 1 * 2030", "at 09:00 on 1 January in 2030"),
        ("0 0 9 * * MON 2030-2035", "at 09:00 on Monday in 2030 to 2035"),
        ("@every 90s", "every 1m30s"),
        ("@at 2031-01-01T09:00", "once at 2031-01-01T09:00:00.000Z"),
        ("@reboot", "once per boot of the host"),
        ("manual", "by hand, after another schedule, by a hook or through the API only"),
    ] {
        assert_eq!(parse(text).describe(), expected, "{text:?}");
    }
}

proptest! {
    #[test]
    fn a_period_is_never_late_or_early(secs in 1u64..10_000_000, micros in 0u32..1_000_000, anchor in -1_000_000_000_000i64..1_000_000_000_000, elapsed in 0i64..1_000_000_000_000) {
        let period = Duration::from_secs(secs) + Duration::from_micros(micros.into());
        let (anchor, after) = (Moment::from_micros(anchor), Moment::from_micros(anchor + elapsed));
        let due = every_next(period, anchor, after).expect("far from the end of time");
        prop_assert!(due > after && due - period <= after);
        prop_assert_eq!(due.since(anchor).as_micros() % period.as_micros(), 0);
    }
}
