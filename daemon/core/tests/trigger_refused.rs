//! What trigger texts are refused, and where the refusal points; whatever comes in, it is answered.

use jiff::tz::TimeZone;
use proptest::prelude::*;
use sloth_core::Moment;
use sloth_core::trigger::Trigger;

/// The refusal without its hint.
fn refusal(text: &str) -> String {
    let error = Trigger::parse(text, &TimeZone::UTC).map(|trigger| trigger.describe()).expect_err(text);
    error.to_string().split("; ").next().unwrap_or_default().to_owned()
}

#[test]
fn errors_name_field_text_and_column() {
    for (text, expected) in [
        ("61 * * * *", r#"minute: "61" at column 1: is above 59"#),
        ("  0 24 * * *", r#"hour: "24" at column 5: is above 23"#),
        ("0 0 0 * *", r#"day of month: "0" at column 5: is below 1"#),
        ("0 0 1,32 * *", r#"day of month: "32" at column 7: is above 31"#),
        ("0 0 * 13 *", r#"month: "13" at column 7: is above 12"#),
        ("0 0 * 0 *", r#"month: "0" at column 7: is below 1"#),
        ("0 0 * FOO *", r#"month: "FOO" at column 7: is not a month (1 to 12, or JAN to DEC)"#),
        ("0 0 * JANUARY *", r#"month: "JANUARY" at column 7: is not a month (1 to 12, or JAN to DEC)"#),
        ("0 0 * MON *", r#"month: "MON" at column 7: is not a month (1 to 12, or JAN to DEC)"#),
        ("0 0 * * 8", r#"day of week: "8" at column 9: is above 7"#),
        ("0 0 * * MON-FOO", r#"day of week: "FOO" at column 13: is not a day of week (0 to 7, or SUN to SAT)"#),
        ("0 0 * * MON#6", r#"day of week: "6" at column 13: is not 1 to 5 or L"#),
        ("0 0 * * MON#", r#"day of week: "" at column 13: is not 1 to 5 or L"#),
        ("0 0 * * L", r#"day of week: "L" at column 9: names no day"#),
        ("0 0 * * 1-5L", r#"day of week: "1-5" at column 9: is not a day of week (0 to 7, or SUN to SAT)"#),
        ("0 0 L-31 * *", r#"day of month: "31" at column 7: is not a number of days from 0 to 30"#),
        ("0 0 32W * *", r#"day of month: "32" at column 5: is above 31"#),
        ("0 0 W * *", r#"day of month: "" at column 5: a value is missing"#),
        ("0 0 L3 * *", r#"day of month: "L3" at column 5: is not a number from 1 to 31"#),
        ("*/0 * * * *", r#"minute: "0" at column 3: a step of 0 goes nowhere"#),
        ("*/x * * * *", r#"minute: "x" at column 3: is not a step"#),
        ("*/ * * * *", r#"minute: "" at column 3: is not a step"#),
        ("1-*/2 * * * *", r#"minute: "*" at column 3: is not a number from 0 to 59"#),
        ("5- * * * *", r#"minute: "" at column 3: a value is missing"#),
        ("-5 * * * *", r#"minute: "" at column 1: a value is missing"#),
        ("1,,2 * * * *", r#"minute: "1,,2" at column 1: has an empty list item"#),
        ("? * * * *", r#"minute: "?" at column 1: is not a number from 0 to 59"#),
        ("0 0 * * +", r#"day of week: "" at column 10: has an empty list item"#),
        ("99999999999999999999 * * * *", r#"minute: "99999999999999999999" at column 1: is above 59"#),
        ("5 30 2 * * MON 1969", r#"year: "1969" at column 16: is below 1970"#),
        ("5 30 2 * * MON 2200", r#"year: "2200" at column 16: is above 2199"#),
        ("5 30 2 * * MON 2030-2025", r#"year: "2030-2025" at column 16: runs backwards"#),
        ("x 30 2 * * MON", r#"second: "x" at column 1: is not a number from 0 to 59"#),
        ("é 2 * * *", r#"minute: "é" at column 1: is not a number from 0 to 59"#),
        ("0 2 * é 9", r#"month: "é" at column 7: is not a month (1 to 12, or JAN to DEC)"#),
        ("0\u{a0}2 * * * *", r#"minute: "0\u{a0}2" at column 1: is not a number from 0 to 59"#),
        ("* * * *", r#""* * * *" at column 1: has 4 fields, a cron expression has 5, 6 or 7"#),
        ("1 2 3 4 5 6 7 8", r#""1 2 3 4 5 6 7 8" at column 1: has 8 fields, a cron expression has 5, 6 or 7"#),
        ("", r#""" at column 1: is empty"#),
        (" \t ", r#""" at column 4: is empty"#),
        ("0 0 * * *\n0 1 * * *", r#""\n" at column 10: is a control character"#),
        ("é\0 0 * * *", r#""\0" at column 2: is a control character"#),
        ("@fortnightly", r#""@fortnightly" at column 1: is not a known nickname"#),
        ("@daily 5", r#""5" at column 8: is not expected here"#),
        ("manual please", r#""please" at column 8: is not expected here"#),
        ("@every", r#"period: "" at column 7: is empty"#),
        ("@every 0", r#"period: "0" at column 8: is below 1s"#),
        ("@every 999ms", r#"period: "999ms" at column 8: is below 1s"#),
        ("@every 1s1ns", r#"period: "1s1ns" at column 8: is finer than a microsecond"#),
        ("@every -1h", r#"period: "-1h" at column 8: is negative"#),
        ("@every 99999999999999999999h", r#"period: "99999999999999999999h" at column 8: is too large"#),
        ("@every 5 fortnights", r#"period: "5 fortnights" at column 8: unknown unit " fortnights""#),
        ("@at", r#"time: "" at column 4: is not a point in time"#),
        ("@at tomorrow", r#"time: "tomorrow" at column 5: is not a point in time"#),
        ("@at 2031-01-01T09", r#"time: "2031-01-01T09" at column 5: is not a point in time"#),
        (
            "@at 2031-01-01 09:00[Europe/Lisbon]",
            r#"time: "2031-01-01 09:00[Europe/Lisbon]" at column 5: is not a point in time"#,
        ),
        ("@at 2200-01-01", r#"time: "2200-01-01" at column 5: is outside 1900 to 2199"#),
        ("calendar:Mon..Fri *-*-* 09:00", r#""calendar:Mon..Fri" at column 1: calendar events are not available yet"#),
    ] {
        assert_eq!(refusal(text), expected, "{text:?}");
    }
    assert!(refusal("@at 2031-02-30").starts_with(r#"time: "2031-02-30" at column 5: is not a point in time: "#));
    assert!(refusal(&"1,".repeat(600)).ends_with("at column 1: is 1200 bytes long, at most 1024 are allowed"));
    let error = Trigger::parse("61 * * * *", &TimeZone::UTC).expect_err("there is no such minute");
    assert_eq!(error.to_string(), r#"minute: "61" at column 1: is above 59; example: "30 2 * * *""#);
    assert_eq!((error.field, error.column), (Some("minute"), 1));
}

#[test]
fn what_can_never_match_is_refused() {
    for (text, field, column) in [
        ("0 0 30 2 *", "day of month", 5),
        ("0 0 31 4,6,9,11 *", "day of month", 5),
        ("0 0 L-29 2 *", "day of month", 5),
        ("0 0 31W 2 *", "day of month", 5),
        ("0 0 8-31 * +MON#1", "day of month", 5),
        ("0 0 1-7 * +MON#2", "day of month", 5),
        ("0 0 */30 2 +TUE#2", "day of month", 5),
        ("0 0 30 2 +*", "day of month", 5),
        ("0 0 0 29 2 * 2030", "year", 14),
        ("0 0 0 29 2 * 2100", "year", 14),
        ("0 0 0 29 2 +MON 2032-2043", "year", 17),
        ("0 0 0 30 2 * 2030", "day of month", 7),
    ] {
        let error = Trigger::parse(text, &TimeZone::UTC).expect_err(text);
        assert_eq!((error.field, error.column), (Some(field), column), "{text:?}: {error}");
        assert!(error.problem.starts_with("never matches"), "{text:?}: {error}");
    }
    // Either day field may match, so one that never does costs nothing.
    for text in ["0 0 30 2 MON", "0 0 0 29 2 * 2096", "0 0 0 1 1 * 1999"] {
        assert!(Trigger::parse(text, &TimeZone::UTC).is_ok(), "{text:?}");
    }
}

/// Anything at all, and things that look like a trigger.
fn texts() -> impl Strategy<Value = String> {
    let any = prop::collection::vec(any::<char>(), 0..300).prop_map(String::from_iter);
    let alphabet: Vec<char> = "0123456789*,-/LW#?+@ \tJANMONFRIevery:TZé\n".chars().collect();
    let like = prop::collection::vec(prop::sample::select(alphabet), 0..60).prop_map(String::from_iter);
    let word = prop::sample::select(
        &[
            "*",
            "*/5",
            "0",
            "59",
            "L",
            "LW",
            "15W",
            "MON",
            "FRI#5",
            "JAN",
            "1-3",
            "2099",
            "7/7",
            "é",
            "@at",
            "@every",
            "1h",
            "2031-01-01",
            "",
        ][..],
    );
    let words = prop::collection::vec(word, 0..9).prop_map(|words| words.join(" "));
    prop_oneof![any, like, words]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_upsets_the_parser(text in texts()) {
        let tz = TimeZone::get("Europe/Lisbon").expect("the system has this zone");
        match Trigger::parse(&text, &tz) {
            Err(error) => {
                prop_assert!((1..=text.chars().count() + 1).contains(&error.column), "{:?}: {}", text, error);
                prop_assert!(!error.to_string().contains(char::is_control), "{:?}: {}", text, error);
                prop_assert!(error.to_string().len() < 600);
            }
            Ok(trigger) => {
                let trigger = trigger.with_anchor(Moment::from_secs(0));
                prop_assert!(!trigger.describe().is_empty());
                let due = trigger.next_after(&tz, Moment::MIN);
                prop_assert!(due.is_none_or(|due| due > Moment::MIN && trigger.next_after(&tz, due).is_none_or(|next| next > due)));
            }
        }
    }
}
