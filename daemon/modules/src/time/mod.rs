//! The module `time`. Instants are seconds since 1970 as numbers; calendars and zones are those of the host's database.
//! Without a zone, the host's is meant, as in `os.date`.

mod calendar;
mod layout;
mod reference;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use sloth_lua::{Args, Body, BoxFuture, Call, Data, Failure, Family, Function, Module, Param, Reply, Tier, Type};

use crate::describe::{also, family, give, luau, may, named, need, number, options, pure, value};

/// The module `time`.
pub const MODULE: Module = Module {
    name: "time",
    aliases: &[],
    tier: Tier::Here,
    about: "Instants, durations, calendars, time zones.",
    functions: FUNCTIONS,
    prelude: include_str!("time.luau"),
};

const TS: Param = Param { aliases: &["ts", "time"], ..may("at", Type::Num, "time.now()") };
const AT: &[Param] = &[TS];
const ZONE: &[Param] = &[Param { aliases: &["location", "tz"], ..may("zone", Type::Str, "") }];
const PAIR: &[Param] = &[need("a", Type::Num), need("b", Type::Num)];
const STEP: &[Param] = &[named("at", &["ts", "time"], Type::Num), named("duration", &["dur"], Type::Any)];

const FUNCTIONS: &[Function] = &[
    also(pure("now", &[], "number", "Seconds since 1970, whole.", |_| give(Timestamp::now().as_second())), &["unix"]),
    pure("unix_milli", &[], "number", "Milliseconds since 1970.", |_| give(Timestamp::now().as_millisecond())),
    pure("unix_nano", &[], "number", "Nanoseconds since 1970, as exact as a double.", |_| {
        give(nanos_as_number(Timestamp::now().as_nanosecond()))
    }),
    pure("rfc3339", AT, "string", "As RFC 3339 in UTC.", |a| give(calendar::rfc3339(at(a)?))),
    options(
        pure(
            "format",
            &[named("at", &["ts", "time"], Type::Num), may("layout", Type::Str, "\"RFC3339\"")],
            "string",
            "As text: strftime, the reference form, or a name such as `RFC1123`.",
            |a| {
                let layout = a.opt_text("layout").unwrap_or_else(|| "RFC3339".into());
                give(layout::format(&zoned(a)?, &layout).map_err(Failure::new)?)
            },
        ),
        ZONE,
    ),
    options(
        pure(
            "parse",
            &[named("text", &["s"], Type::Str), may("layout", Type::Str, "")],
            "number",
            "From text; without a layout: RFC 3339, or date and time, or a date.",
            |a| {
                let instant = layout::parse(&a.text("text")?, a.opt_text("layout").as_deref(), &zone(a)?);
                give(seconds(instant.map_err(Failure::new)?))
            },
        ),
        ZONE,
    ),
    pure("add", STEP, "number", "Later by a duration, which may be negative.", |a| {
        give(number(a, "at")? + duration(a, "duration")?)
    }),
    pure("sub", PAIR, "number", "Seconds from b to a.", |a| give(number(a, "a")? - number(a, "b")?)),
    pure("duration", &[named("text", &["s"], Type::Any)], "number", "Seconds of a duration such as `1h30m`.", |a| {
        give(read_duration(&crate::describe::any(a, "text")).map_err(Failure::new)?)
    }),
    pure("since", AT, "number", "Seconds that have passed since.", |a| {
        give(seconds(Timestamp::now()) - seconds(at(a)?))
    }),
    pure("until", AT, "number", "Seconds until then.", |a| give(seconds(at(a)?) - seconds(Timestamp::now()))),
    family(
        value(
            "sleep",
            &[named("duration", &["seconds", "s"], Type::Duration)],
            "()",
            "Waits; ends early with the task.",
            Body::Async(sleep),
        ),
        Family::Raw,
    ),
    options(pure("year", AT, "number", "Year.", |a| give(i64::from(zoned(a)?.year()))), ZONE),
    options(pure("month", AT, "number", "Month, 1 to 12.", |a| give(i64::from(zoned(a)?.month()))), ZONE),
    options(pure("day", AT, "number", "Day of the month.", |a| give(i64::from(zoned(a)?.day()))), ZONE),
    options(pure("hour", AT, "number", "Hour, 0 to 23.", |a| give(i64::from(zoned(a)?.hour()))), ZONE),
    options(pure("minute", AT, "number", "Minute.", |a| give(i64::from(zoned(a)?.minute()))), ZONE),
    options(pure("second", AT, "number", "Second.", |a| give(i64::from(zoned(a)?.second()))), ZONE),
    options(
        pure("weekday", AT, "(number, string)", "Day of the week: 1 (Monday) to 7, and its name.", |a| {
            Ok(calendar::weekday(&zoned(a)?))
        }),
        ZONE,
    ),
    pure("utc", AT, "{year: number, month: number, day: number}", "Fields of the calendar in UTC.", |a| {
        give(calendar::fields(&at(a)?.to_zoned_datetime(TimeZone::UTC)))
    }),
    also(
        pure("local", AT, "{year: number, month: number, day: number}", "Fields of the calendar of the host.", |a| {
            give(calendar::fields(&at(a)?.to_zoned_datetime(TimeZone::system())))
        }),
        &["local_", "localtime"],
    ),
    pure(
        "in_location",
        &[named("at", &["ts", "time"], Type::Num), named("zone", &["location", "tz"], Type::Str)],
        "{year: number, month: number, day: number}",
        "Fields of the calendar of a zone such as `Europe/Lisbon`.",
        |a| give(calendar::fields(&zoned(a)?)),
    ),
    pure("before", PAIR, "boolean", "Whether a is before b.", |a| give(number(a, "a")? < number(a, "b")?)),
    pure("after", PAIR, "boolean", "Whether a is after b.", |a| give(number(a, "a")? > number(a, "b")?)),
    #[allow(clippy::float_cmp)] // "equal" is what is asked for
    pure("equal", PAIR, "boolean", "Whether both are the same instant.", |a| give(number(a, "a")? == number(a, "b")?)),
    pure("truncate", STEP, "number", "Down to a multiple of a duration since 1970.", |a| step(a, f64::floor)),
    pure("round", STEP, "number", "To the nearest multiple of a duration since 1970.", |a| step(a, f64::round)),
    options(
        pure(
            "start_of",
            &[named("at", &["ts", "time"], Type::Num), need("unit", Type::Str)],
            "number",
            "Beginning of the minute, hour, day, week (Monday), month, quarter or year.",
            |a| give(calendar::start_of(&zoned(a)?, &a.text("unit")?).map(|at| seconds(at.timestamp()))?),
        ),
        ZONE,
    ),
    pure("is_leap", &[may("year", Type::Int, "this year")], "boolean", "Whether a year has 366 days.", |a| {
        let year = a.int("year").unwrap_or_else(|| i64::from(ZonedDateTime::now().year()));
        give(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
    }),
    luau("timer", &[], "{elapsed: (self: any) -> number}", "A stop watch: `:elapsed()` seconds, `:reset()`."),
    pure("_ticks", &[], "number", "Seconds of a clock that is never set.", |_| give(ticks())),
];

static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

fn ticks() -> f64 {
    BEGIN.elapsed().as_secs_f64()
}

#[allow(clippy::cast_precision_loss)] // Lua has doubles only
fn nanos_as_number(nanos: i128) -> f64 {
    nanos as f64
}

/// Seconds since 1970, with their fraction.
pub(crate) fn seconds(at: Timestamp) -> f64 {
    nanos_as_number(at.as_nanosecond()) / 1e9
}

/// The instant of the argument `at`, or now.
fn at(args: &Args) -> Result<Timestamp, Failure> {
    match args.num("at") {
        None => Ok(Timestamp::now()),
        Some(seconds) => {
            instant(seconds).ok_or_else(|| Failure::argument("at", format_args!("{seconds} is no instant")))
        }
    }
}

/// Microseconds are as exact as a double of this size can be.
#[allow(clippy::cast_possible_truncation)] // saturates, and is then refused
fn instant(seconds: f64) -> Option<Timestamp> {
    if !seconds.is_finite() {
        return None;
    }
    Timestamp::from_microsecond((seconds * 1e6).round() as i64).ok()
}

fn zone(args: &Args) -> Result<TimeZone, Failure> {
    match args.opt_text("zone").as_deref() {
        None | Some("" | "local" | "Local") => Ok(TimeZone::system()),
        Some("UTC" | "utc" | "Z") => Ok(TimeZone::UTC),
        Some(name) => TimeZone::get(name).map_err(|_| {
            Failure::new(format!("unknown time zone `{name}`: a name such as Europe/Lisbon expected (package tzdata?)"))
        }),
    }
}

fn zoned(args: &Args) -> Result<ZonedDateTime, Failure> {
    Ok(at(args)?.to_zoned_datetime(zone(args)?))
}

/// Seconds of a number, or of a text such as `1h30m` or `-90s`.
fn read_duration(value: &Data) -> Result<f64, String> {
    if let Data::Num(seconds) = value {
        return Ok(*seconds);
    }
    let text = value.to_text().ok_or_else(|| format!("duration expected, got {}", value.type_name()))?;
    let text = text.trim();
    let (sign, size) = match text.strip_prefix('-') {
        Some(size) => (-1.0, size),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let length = sloth_core::units::parse_duration(size).map_err(|error| error.to_string())?;
    Ok(sign * length.as_secs_f64())
}

fn duration(args: &Args, name: &'static str) -> Result<f64, Failure> {
    read_duration(&crate::describe::any(args, name)).map_err(|error| Failure::argument(name, error))
}

fn step(args: &Args, rounding: fn(f64) -> f64) -> Reply {
    let (at, length) = (number(args, "at")?, duration(args, "duration")?);
    if length <= 0.0 || length.is_nan() {
        return Err(Failure::argument("duration", "more than 0 expected"));
    }
    give(rounding(at / length) * length)
}

fn sleep(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let wanted = number(&call.args, "duration")?.max(0.0);
        let time =
            Duration::try_from_secs_f64(wanted / 1000.0).map_err(|_| Failure::argument("duration", "too long"))?;
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(Vec::new()),
            kind = call.ctx.cancel.cancelled() => Err(crate::ended(&kind)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Caller;
    use sloth_lua::CancelKind;

    fn args(at: f64) -> Args {
        Args::default().with("at", at)
    }

    #[test]
    fn arithmetic() {
        let add = |step: Data| number(&Args::default().with("x", 1000.0 + read_duration(&step).unwrap()), "x").unwrap();
        assert_eq!(add("1h30m".into()), 6400.0);
        assert_eq!(add("-90s".into()), 910.0);
        assert_eq!(add(Data::Num(-1.5)), 998.5);
        assert!(read_duration(&"soon".into()).is_err());
        let steps = |at: f64, by: &str, how: fn(f64) -> f64| step(&args(at).with("duration", by), how).unwrap();
        assert_eq!(steps(3700.0, "1h", f64::floor), [Data::Num(3600.0)]);
        assert_eq!(steps(5500.0, "1h", f64::round), [Data::Num(7200.0)]);
        assert!(step(&args(1.0).with("duration", 0.0), f64::floor).unwrap_err().raise);
    }

    #[test]
    fn instants_that_no_calendar_has_are_refused() {
        for seconds in [f64::NAN, f64::INFINITY, 1e18] {
            assert!(at(&args(seconds)).unwrap_err().raise, "{seconds}");
        }
        assert!(zone(&Args::default().with("zone", "Mars/Base")).unwrap_err().message.contains("Mars/Base"));
    }

    #[tokio::test]
    async fn a_sleep_ends_with_its_task() {
        let caller = Caller::new();
        let call = caller.call(Args::default().with("duration", 3_600_000.0));
        caller.ctx.cancel.cancel(CancelKind::Cancelled("enough".into()));
        let failure = sleep(call).await.unwrap_err();
        assert_eq!(failure.kind, Some("cancelled"));
        assert_eq!(sleep(Caller::new().call(Args::default().with("duration", 1.0))).await, Ok(vec![]));
    }
}
