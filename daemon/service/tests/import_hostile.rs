//! Text that nobody meant well: whatever comes in, the importer answers, names the line, and takes time in proportion.

use std::fmt::Write;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use sloth_api::{ImportRequest, ImportSource};
use sloth_service::import::{FORMATS, ImportContext, Planned, import};

fn plan(format: &str, sources: &[(&str, &str)]) -> Vec<Planned> {
    let sources = sources
        .iter()
        .map(|(name, text)| ImportSource { name: (*name).to_owned(), text: (*text).to_owned() })
        .collect();
    let request = ImportRequest {
        format: format.to_owned(),
        sources,
        user: Some("bob".to_owned()),
        dry_run: true,
        replace: false,
    };
    let context = ImportContext { default_user: "alice".to_owned(), local_zone: None };
    let planned = import(&request, &context);
    check_invariants(&planned);
    planned
}

/// What holds for every import.
fn check_invariants(planned: &[Planned]) {
    let mut names = std::collections::HashSet::new();
    for Planned { line, made } in planned {
        assert!(["made", "refused", "ignored"].contains(&line.outcome.as_str()));
        assert_eq!(line.outcome == "made", made.is_some());
        assert!(line.outcome == "made" || !line.notes.is_empty(), "line {} is not explained", line.line);
        assert!(line.text.chars().count() <= 2100, "a report stays readable");
        assert!(!line.text.contains(|c: char| c.is_control() && c != '\t'), "nothing in a report moves the cursor");
        assert!(
            line.notes.iter().all(|note| !note.contains(|c: char| c.is_control() && c != '\t')),
            "{:?}",
            line.notes
        );
        if let Some(made) = made {
            assert!(names.insert(made.name.clone()), "{} is given twice", made.name);
            let valid = made.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
            assert!(
                valid && made.name.len() <= 64 && made.name.starts_with(|c: char| c.is_ascii_alphanumeric()),
                "{:?}",
                made.name
            );
            assert!(made.spec.shell.is_some() != made.spec.command.is_some());
            assert_eq!(made.user.as_deref(), Some("bob"));
        }
    }
}

fn outcomes(planned: &[Planned]) -> Vec<(u32, &str)> {
    planned
        .iter()
        .filter(|planned| planned.line.line > 0)
        .map(|planned| (planned.line.line, planned.line.outcome.as_str()))
        .collect()
}

#[test]
fn a_byte_order_mark_crlf_tabs_and_a_missing_last_line_end_are_forgiven() {
    let planned = plan("crontab", &[("-", "\u{feff}\t# comment\r\n\r\n0\t3\t*\t*\t*\tfirst arg \r\n@daily second")]);
    assert_eq!(outcomes(&planned), [(3, "made"), (4, "made")]);
    let shell = |index: usize| planned[index].made.as_ref().and_then(|made| made.spec.shell.as_deref());
    assert_eq!((shell(1), shell(2)), (Some("first arg"), Some("second")));
}

#[test]
fn control_characters_are_refused_where_they_stand() {
    let planned = plan("crontab", &[("-", "0 3 * * * nul\0byte\n0 4 * * * fine\n0 5 * * * esc\u{1b}[2J\nX=\u{7}\n")]);
    assert_eq!(outcomes(&planned), [(1, "refused"), (2, "made"), (3, "refused"), (4, "refused")]);
    assert!(planned[1].line.notes[0].contains("U+0000 in column 14"), "{:?}", planned[1].line.notes);
    let units = [
        ("x.timer", "[Timer]\nOnCalendar=daily\n"),
        ("x.service", "[Service]\nExecStart=/bin/a\0b\nExecStart=/bin/true\n"),
    ];
    assert_eq!(outcomes(&plan("systemd", &units)), [(2, "refused")]);
}

#[test]
fn an_endless_line_is_refused_and_not_repeated() {
    let long = "x".repeat(16 << 20);
    let before = Instant::now();
    for (format, text) in
        [("crontab", format!("0 3 * * * {long}")), ("crontab", format!("A={long}")), ("crontab", long.clone())]
    {
        let planned = plan(format, &[("-", &text)]);
        assert_eq!(outcomes(&planned), [(1, "refused")]);
        assert!(planned[0].line.text.len() < 1000 && planned[0].line.notes[0].len() < 1000);
    }
    let unit = format!("[Service]\nExecStart=/bin/{long}\n[{long}]\n");
    plan("systemd", &[("x.timer", "[Timer]\nOnCalendar=daily\n"), ("x.service", &unit)]);
    plan(
        "systemd",
        &[
            ("x.timer", &format!("[Timer]\nOnCalendar={}\n", "1,".repeat(8 << 20))),
            ("x.service", "[Service]\nExecStart=/bin/a"),
        ],
    );
    plan("yaml", &[("x.yaml", &long)]);
    plan("script", &[(&format!("/etc/cron.daily/{}", &long[..1000]), "#!/bin/sh")]);
    plan("anacrontab", &[("x", &format!("1 1 {long} x"))]);
    assert!(before.elapsed() < Duration::from_secs(60), "took {:?}", before.elapsed());
}

#[test]
fn a_hundred_thousand_lines_take_time_in_proportion() {
    let mut same = String::new();
    let mut different = String::new();
    for number in 0..100_000 {
        same.push_str("* * * * * /usr/bin/job --all\n");
        let _ = writeln!(different, "V{}=x\n{} {} * * * job-{number}", number % 300, number % 60, number % 24);
    }
    let before = Instant::now();
    assert_eq!(plan("crontab", &[("-", &same)]).iter().filter(|planned| planned.made.is_some()).count(), 100_000);
    plan("crontab", &[("-", &different)]);
    let timer = format!("[Timer]\n{}", "OnCalendar=*:0/5\n".repeat(100_000));
    let service = format!("[Service]\nExecStart=/bin/true\n{}", "Environment=A=b\nNice=1\n".repeat(50_000));
    plan("systemd", &[("x.timer", &timer), ("x.service", &service)]);
    assert!(before.elapsed() < Duration::from_secs(60), "took {:?}", before.elapsed());
}

#[test]
fn the_same_texts_give_the_same_names() {
    let text = "0 1 * * * a\n0 2 * * * a\n0 3 * * * a-2\n";
    let names = || {
        plan("crontab", &[("-", text)])
            .into_iter()
            .filter_map(|planned| planned.made)
            .map(|made| made.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(), ["a", "a-2", "a-2-2"]);
    assert_eq!(names(), names());
}

#[test]
fn an_unknown_format_is_refused_with_those_that_are_known() {
    let planned = plan("fcrontab", &[("-", "x")]);
    assert_eq!(planned[0].line.outcome, "refused");
    assert!(FORMATS.iter().all(|format| planned[0].line.notes[0].contains(format)));
}

/// Text that is nearly right.
fn near_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("0 3 * * * ".to_owned()),
        Just("@daily ".to_owned()),
        Just("root ".to_owned()),
        Just("\n".to_owned()),
        Just("=".to_owned()),
        Just("%".to_owned()),
        Just("\\".to_owned()),
        Just("'".to_owned()),
        Just("\"".to_owned()),
        Just("CRON_TZ=".to_owned()),
        Just("[Timer]\n".to_owned()),
        Just("OnCalendar=".to_owned()),
        Just("*-*-* ".to_owned()),
        Just("..".to_owned()),
        Just("/".to_owned()),
        Just("[Service]\nExecStart=".to_owned()),
        Just("Environment=".to_owned()),
        Just("$".to_owned()),
        Just("${".to_owned()),
        Just("~".to_owned()),
        Just("OnBootSec=".to_owned()),
        Just("OnUnitActiveSec=".to_owned()),
        Just("ConditionPathExists=|!".to_owned()),
        Just("[Unit]\n".to_owned()),
        Just("scheduled_tasks:\n - name: ".to_owned()),
        Just("1 5 id run-parts ".to_owned()),
        "[0-9]{1,20}",
        "\\PC{0,8}",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_makes_the_importer_panic(text in near_text(), other in near_text(), name in "\\PC{0,30}") {
        for format in FORMATS {
            plan(format, &[(&name, &text), ("/etc/cron.daily/x", &other)]);
        }
        plan("systemd", &[("a@b.timer", &text), ("a@.service", &other), ("a@b.timer.d/x.conf", &other), ("a@b.service", &text)]);
        plan("systemd", &[("x.timer", &format!("[Timer]\nOnCalendar={text}\nOnBootSec={other}")), ("x.service", &format!("[Service]\nExecStart={other}"))]);
    }
}
