//! The search for due instants against the naive model, near clock changes of many zones and over random expressions.

mod trigger_naive;

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, civil};
use proptest::prelude::*;
use sloth_core::Moment;
use sloth_core::trigger::Trigger;
use trigger_naive::{Clock, Expr, Field, Item};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// 1970 to the end of 2037.
const ERA: std::ops::Range<i64> = 2 * DAY..2_145_916_800;

const ZONES: [&str; 26] = [
    "UTC",
    "Africa/Casablanca",
    "Africa/Monrovia",
    "America/Caracas",
    "America/Havana",
    "America/New_York",
    "America/Nuuk",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Antarctica/Vostok",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Pyongyang",
    "Asia/Tehran",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Europe/Lisbon",
    "Europe/Moscow",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Enderbury",
    "Pacific/Kiritimati",
    "Pacific/Kwajalein",
];

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("the system has this zone")
}

fn stamp(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn transitions(tz: &TimeZone) -> Vec<i64> {
    let seconds = tz.following(stamp(ERA.start)).map(|t| t.timestamp().as_second());
    seconds.take_while(|at| *at < ERA.end).collect()
}

/// The instants after `from` up to `end`, by the search under test.
fn searched(trigger: &Trigger, tz: &TimeZone, from: i64, end: i64) -> Vec<i64> {
    let next = |after: &Moment| trigger.next_after(tz, *after);
    let all = std::iter::successors(next(&Moment::from_secs(from)), next);
    all.map(Moment::secs).take_while(|at| *at <= end).collect()
}

/// Compares both on `(from, end]`, with `clock` reaching over that range.
fn compare(expr: &Expr, name: &str, tz: &TimeZone, clock: &Clock, from: i64, end: i64) -> Result<(), String> {
    let text = expr.to_string();
    let trigger = Trigger::parse(&text, tz).map_err(|e| format!("{text}: {e}"))?;
    let found = searched(&trigger, tz, from, end);
    let expected: Vec<i64> = clock.due(expr).into_iter().filter(|at| (from + 1..=end).contains(at)).collect();
    if found == expected {
        return starts(expr, name, tz, &trigger, &expected, from);
    }
    let show = |list: &[i64]| {
        let odd = list.iter().filter(|at| !found.contains(at) || !expected.contains(at));
        odd.take(5).map(|at| stamp(*at).to_string()).collect::<Vec<_>>().join(" ")
    };
    Err(format!(
        "{text} ({:?}) in {name} from {}:\n only searched: {}\n only modelled: {}",
        expr.kind(),
        stamp(from),
        show(&found),
        show(&expected)
    ))
}

/// Asks from many instants in between, the second pass of an overlap among them, as a restart would.
fn starts(expr: &Expr, name: &str, tz: &TimeZone, trigger: &Trigger, due: &[i64], from: i64) -> Result<(), String> {
    let mut after = from;
    for due in due {
        while after < *due {
            let found = trigger.next_after(tz, Moment::from_secs(after));
            if found != Some(Moment::from_secs(*due)) {
                return Err(format!("{expr} in {name} after {}: {found:?} is not {}", stamp(after), stamp(*due)));
            }
            after += 660;
        }
    }
    Ok(())
}

/// Quick by default; `PROPTEST_CASES` asks for more.
fn cases(few: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig::with_cases(asked.unwrap_or(few))
}

/// A field of plain items between `min` and `max`.
fn plain(min: i64, max: i64) -> impl Strategy<Value = Field> {
    let value = move || min..=max;
    let item = prop_oneof![
        4 => value().prop_map(Item::One),
        1 => Just(Item::Star),
        2 => (1i64..=30).prop_map(Item::StarStep),
        2 => (value(), value()).prop_map(|(a, b)| Item::Range(a, b)),
        1 => (value(), value(), 1i64..=9).prop_map(|(a, b, n)| Item::RangeStep(a, b, n)),
        1 => (value(), 1i64..=9).prop_map(|(a, n)| Item::From(a, n)),
    ];
    prop::collection::vec(item, 1..=2)
}

/// Hours, most of them where the clocks change.
fn hours() -> impl Strategy<Value = Field> {
    let near = prop::collection::vec(prop_oneof![Just(23i64), 0i64..=4].prop_map(Item::One), 1..=2);
    prop_oneof![3 => near, 2 => plain(0, 23), 1 => Just(vec![Item::Star])]
}

fn days_of_month() -> impl Strategy<Value = Field> {
    let special = prop_oneof![
        Just(Item::Last),
        Just(Item::LastWeekday),
        (1i64..=31).prop_map(Item::Nearest),
        (0i64..=30).prop_map(Item::BeforeLast),
    ];
    prop_oneof![4 => Just(vec![Item::Star]), 2 => plain(1, 31), 2 => prop::collection::vec(special, 1..=2)]
}

fn days_of_week() -> impl Strategy<Value = Field> {
    let special = prop_oneof![
        (0i64..=7, 1i64..=5).prop_map(|(day, nth)| Item::Nth(day, nth)),
        (0i64..=7).prop_map(Item::HashLast),
        (0i64..=7).prop_map(Item::LastOf),
    ];
    prop_oneof![4 => Just(vec![Item::Star]), 2 => plain(0, 7), 2 => prop::collection::vec(special, 1..=2)]
}

fn months() -> impl Strategy<Value = Field> {
    prop_oneof![3 => Just(vec![Item::Star]), 1 => plain(1, 12)]
}

prop_compose! {
    fn expressions()(
        minute in plain(0, 59),
        hour in hours(),
        day in days_of_month(),
        month in months(),
        weekday in days_of_week(),
        plus in prop::bool::weighted(0.1),
    ) -> Expr {
        Expr { second: None, minute, hour, day, month, weekday, plus }
    }
}

/// A zone and an instant, mostly within a day of one of its clock changes.
fn places() -> impl Strategy<Value = (&'static str, i64)> {
    let near = (prop::sample::select(&ZONES[..]), any::<prop::sample::Index>(), -26 * HOUR..4 * HOUR);
    let near = near.prop_map(|(name, index, shift)| {
        let changes = transitions(&zone(name));
        let at = if changes.is_empty() { 1_000_000_000 } else { changes[index.index(changes.len())] };
        (name, (at + shift).max(ERA.start))
    });
    let anywhere = (prop::sample::select(&ZONES[..]), ERA);
    prop_oneof![5 => near, 1 => anywhere]
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn agrees_with_the_model_minute_by_minute(expr in expressions(), (name, from) in places()) {
        let tz = zone(name);
        prop_assume!(Trigger::parse(&expr.to_string(), &tz).is_ok());
        // The one clock change of this era that is not on a full minute.
        prop_assume!(name != "Africa/Monrovia" || from > 80_000_000);
        let end = from + 2 * DAY;
        let clock = Clock::new(&tz, from - 27 * HOUR, end, 60);
        prop_assert_eq!(compare(&expr, name, &tz, &clock, from, end), Ok(()));
    }

    #[test]
    fn agrees_with_the_model_on_days(expr in expressions(), year in 1970i16..=2037) {
        let expr = Expr { minute: vec![Item::One(0)], hour: vec![Item::One(12)], ..expr };
        let days = |date: civil::Date, count: usize| date.series(1.day()).take(count).filter(|date| expr.matches_day(*date));
        let Ok(trigger) = Trigger::parse(&expr.to_string(), &TimeZone::UTC) else {
            // Within 28 years every kind of year comes by.
            prop_assert_eq!(days(civil::date(1971, 1, 1), 28 * 366).next(), None, "{} was refused", expr);
            return Ok(());
        };
        let start = civil::date(year, 1, 1);
        let expected: Vec<i64> = days(start, 3 * 365).map(|d| d.at(12, 0, 0, 0).to_zoned_datetime(TimeZone::UTC).expect("in range").timestamp().as_second()).collect();
        let from = start.to_zoned_datetime(TimeZone::UTC).expect("in range").timestamp().as_second();
        prop_assert_eq!(searched(&trigger, &TimeZone::UTC, from, from + 3 * 365 * DAY - 1), expected, "{}", expr);
    }

    #[test]
    fn next_is_a_step_function_that_rises(expr in expressions(), (name, from) in places(), part in 0.0f64..1.0) {
        let tz = zone(name);
        let Ok(trigger) = Trigger::parse(&expr.to_string(), &tz) else { return Ok(()) };
        let mut after = Moment::from_secs(from);
        for _ in 0..20 {
            let Some(due) = trigger.next_after(&tz, after) else { break };
            prop_assert!(due > after, "{} in {}: {} is not after {}", expr, name, due, after);
            let between = after + Duration::from_micros((due.since(after).as_micros() as f64 * part) as u64);
            if between < due {
                prop_assert_eq!(trigger.next_after(&tz, between), Some(due), "{} in {} after {}", expr, name, between);
                prop_assert!(trigger.last_until(&tz, between).is_none_or(|last| last <= between));
            }
            prop_assert_eq!(trigger.last_until(&tz, due), Some(due));
            after = due;
        }
    }
}

proptest! {
    #![proptest_config(cases(30))]

    #[test]
    fn agrees_with_the_model_second_by_second(second in plain(0, 59), expr in expressions(), (name, from) in places(), monrovia in prop::bool::weighted(0.2)) {
        let expr = Expr { second: Some(second), day: vec![Item::Star], month: vec![Item::Star], weekday: vec![Item::Star], ..expr };
        let (name, from) = if monrovia { ("Africa/Monrovia", 63_593_070 - 2 * HOUR) } else { (name, from) };
        let tz = zone(name);
        let end = from + 4 * HOUR;
        let clock = Clock::new(&tz, from - 27 * HOUR, end, 1);
        prop_assert_eq!(compare(&expr, name, &tz, &clock, from, end), Ok(()));
    }
}

/// Ten forms whose instants lie around the hour `hour` of the wall clock, on the day `day` of the month.
fn forms(hour: i64, day: i64) -> Vec<Expr> {
    use Item::{From, One, Range, RangeStep, Star, StarStep};
    let hour_before = (hour + 23) % 24;
    let hour_after = (hour + 1) % 24;
    let daily = Expr::every_day;
    vec![
        daily(vec![One(30)], vec![One(hour)]),
        daily(vec![One(0), One(15)], vec![One(hour_before), One(hour)]),
        daily(vec![Range(0, 59)], vec![Range(hour_before, hour_after)]),
        daily(vec![StarStep(15)], vec![One(hour)]),
        daily(vec![Star], vec![Range(hour_before, hour)]),
        daily(vec![StarStep(20)], vec![Star]),
        daily(vec![One(7)], vec![StarStep(2)]),
        daily(vec![From(5, 25)], vec![RangeStep(hour_before, hour_after, 2)]),
        daily(vec![One(0)], vec![One(0)]),
        Expr { day: vec![One(day)], ..daily(vec![One(45)], vec![One(hour)]) },
    ]
}

/// Every clock change of half the zones above, or of all zones of the system with `SLOTH_TEST_ALL_ZONES=1`.
#[test]
fn agrees_with_the_model_around_every_transition() {
    let all = std::env::var_os("SLOTH_TEST_ALL_ZONES").is_some();
    let names: Vec<String> = if all {
        jiff::tz::db().available().map(|name| name.to_string()).collect()
    } else {
        ZONES.iter().skip(1).step_by(2).map(|name| (*name).to_owned()).collect()
    };
    let mut checked = 0;
    for name in &names {
        let tz = zone(name);
        for at in transitions(&tz).into_iter().filter(|at| at % 60 == 0) {
            // Where the wall time begins that is left out or repeated.
            let offset = [at - 1, at].map(|second| tz.to_offset(stamp(second))).into_iter().min().expect("of two");
            let local = offset.to_datetime(stamp(at));
            let (from, end) = (at - 3 * HOUR, at + 4 * HOUR);
            // Long enough before the change to have seen what the widest overlap, seven hours, repeats.
            let clock = Clock::new(&tz, at - 8 * HOUR, end, 60);
            for expr in forms(local.hour().into(), local.day().into()) {
                compare(&expr, name, &tz, &clock, from, end).expect("search and model agree");
                checked += 1;
            }
        }
    }
    assert!(checked > 5_000, "only {checked} comparisons");
}
