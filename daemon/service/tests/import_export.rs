//! What is exported reads back: TOML as the same specs, a crontab as jobs that do the same.

use std::collections::BTreeMap;
use std::process::Command;

use proptest::prelude::*;
use serde::Deserialize;
use sloth_api::{ImportRequest, ImportSource, LimitsSpec, Quantity, RetriesSpec, RetriesTable, ScheduleSpec};
use sloth_service::export::{to_crontab, to_toml};
use sloth_service::import::{ImportContext, Made, import};

#[derive(Deserialize)]
struct File {
    schedule: BTreeMap<String, ScheduleSpec>,
}

fn spec(trigger: &str, command: &[&str]) -> ScheduleSpec {
    let command = command.iter().map(|word| (*word).to_owned()).collect();
    ScheduleSpec { trigger: Some(trigger.to_owned()), command: Some(command), ..ScheduleSpec::default() }
}

fn imported(crontab: &str) -> Vec<Made> {
    let sources = vec![ImportSource { name: "-".to_owned(), text: crontab.to_owned() }];
    let request = ImportRequest { format: "crontab".to_owned(), sources, user: None, dry_run: true, replace: false };
    import(&request, &ImportContext::default()).into_iter().filter_map(|planned| planned.made).collect()
}

#[test]
fn toml_has_the_form_of_the_manual() {
    let nightly = ScheduleSpec {
        timezone: Some("Europe/Lisbon".to_owned()),
        retries: Some(RetriesSpec::Full(RetriesTable {
            max: Some(2),
            delay: Some(Quantity::Text("1m".to_owned())),
            ..RetriesTable::default()
        })),
        after: Some(BTreeMap::from([("mirror".to_owned(), "success".to_owned())])),
        ..spec("30 2 * * *", &["/usr/local/bin/backup", "--all"])
    };
    let dotted = spec("@daily", &["say", "\"hi\"\n"]);
    let text = to_toml(&[("nightly".to_owned(), nightly), ("a.b".to_owned(), dotted)]);
    assert_eq!(
        text,
        r#"[schedule.nightly]
trigger = "30 2 * * *"
timezone = "Europe/Lisbon"
command = ["/usr/local/bin/backup", "--all"]
retries = { max = 2, delay = "1m" }
after = { mirror = "success" }

[schedule."a.b"]
trigger = "@daily"
command = ["say", "\"hi\"\n"]
"#
    );
}

#[test]
fn a_crontab_holds_what_it_can_and_says_what_not() {
    let schedules = [
        ("plain", spec("30 2 * * *", &["/bin/backup", "100%", "it's"])),
        ("zoned", ScheduleSpec { timezone: Some("Asia/Tokyo".to_owned()), ..spec("@daily", &["open"]) }),
        ("seconds", spec("*/5 30 2 * * *", &["x"])),
        ("last-day", spec("0 0 L * *", &["x"])),
        ("by-hand", spec("manual", &["x"])),
        ("period", spec("@every 90s", &["x"])),
        (
            "limited",
            ScheduleSpec { timeout: Some(Quantity::Whole(60)), enabled: Some(false), ..spec("0 5 * * *", &["slow"]) },
        ),
        (
            "shell",
            ScheduleSpec {
                shell: Some("a; b".to_owned()),
                command: None,
                cwd: Some("/srv/my data".to_owned()),
                ..spec("0 6 * * *", &[])
            },
        ),
        (
            "fed",
            ScheduleSpec {
                stdin: Some("50%\nof it\n".to_owned()),
                env: Some(BTreeMap::from([("A".to_owned(), "b c".to_owned())])),
                ..spec("0 7 * * *", &["cat"])
            },
        ),
    ];
    let schedules: Vec<(String, ScheduleSpec)> =
        schedules.into_iter().map(|(name, spec)| (name.to_owned(), spec)).collect();
    assert_eq!(
        to_crontab(&schedules),
        r#"# plain
30 2 * * * /bin/backup 100\% 'it'\''s'
# limited (paused); cron has no timeout
#0 5 * * * slow
# shell
0 6 * * * cd '/srv/my data' && /bin/sh -c 'a; b'
# fed
0 7 * * * export A='b c' && cat%50\%%of it
CRON_TZ=Asia/Tokyo
# zoned
@daily open
# seconds: not expressible in a crontab: cron does not read the time "*/5 30 2 * * *"
# last-day: not expressible in a crontab: cron does not read the time "0 0 L * *"
# by-hand: not expressible in a crontab: it has no time of its own
# period: not expressible in a crontab: cron does not read the time "@every 90s"
"#
    );
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z %\\\\'\"$=;&|<>()*?~#-]{0,12}", "\\PC{0,12}"]
}

fn quantity() -> impl Strategy<Value = Quantity> {
    prop_oneof![
        text().prop_map(Quantity::Text),
        (0..=i64::MAX as u64).prop_map(Quantity::Whole),
        (0.0..1e9f64).prop_map(Quantity::Fraction),
    ]
}

prop_compose! {
    fn any_spec()(
        strings in prop::collection::vec(prop::option::of(any::<String>()), 10),
        quantities in prop::collection::vec(prop::option::of(quantity()), 6),
        command in prop::option::of(prop::collection::vec(any::<String>(), 0..4)),
        env in prop::option::of(prop::collection::btree_map(any::<String>(), any::<String>(), 0..4)),
        flags in prop::collection::vec(prop::option::of(any::<bool>()), 3),
        retries in prop::option::of(prop_oneof![
            any::<u32>().prop_map(RetriesSpec::Max),
            (prop::option::of(any::<u32>()), prop::option::of(quantity()), prop::option::of(0.0..1.0f64))
                .prop_map(|(max, delay, jitter)| RetriesSpec::Full(RetriesTable { max, delay, jitter, ..RetriesTable::default() })),
        ]),
        limits in prop::option::of((prop::option::of(quantity()), prop::option::of(any::<i8>()), prop::option::of(0..=i64::MAX as u64))),
        codes in prop::option::of(prop::collection::vec(any::<i32>(), 0..3)),
    ) -> ScheduleSpec {
        let mut strings = strings.into_iter();
        let mut quantities = quantities.into_iter();
        let mut flags = flags.into_iter();
        ScheduleSpec {
            trigger: strings.next().flatten(), timezone: strings.next().flatten(), shell: strings.next().flatten(),
            user: strings.next().flatten(), cwd: strings.next().flatten(), umask: strings.next().flatten(), stdin: strings.next().flatten(),
            overlap: strings.next().flatten(), catch_up: strings.next().flatten(), description: strings.next().flatten(),
            jitter: quantities.next().flatten(), timeout: quantities.next().flatten(), kill_grace: quantities.next().flatten(),
            catch_up_window: quantities.next().flatten(), output_limit: quantities.next().flatten(), start_deadline: quantities.next().flatten(),
            enabled: flags.next().flatten(), journal: flags.next().flatten(), retry_lost: flags.next().flatten(),
            limits: limits.map(|(memory, nice, nofile)| LimitsSpec { memory, nice, nofile, ..LimitsSpec::default() }),
            command, env: env.clone(), after: env, retries, success_codes: codes,
            ..ScheduleSpec::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn toml_reads_back_as_the_same_specs(specs in prop::collection::btree_map("[A-Za-z0-9][A-Za-z0-9._-]{0,12}", any_spec(), 1..4)) {
        let schedules: Vec<(String, ScheduleSpec)> = specs.clone().into_iter().collect();
        let text = to_toml(&schedules);
        let file: File = toml::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(file.schedule, specs);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// The arguments, variables and input that the job sees are those that the schedule had.
    #[test]
    fn a_crontab_line_does_what_the_schedule_did(words in prop::collection::vec(text(), 0..4), value in text(), input in prop::option::of("[a-z%\\\\ \n]{0,9}")) {
        let script = r#"printf '<%s>' "$VALUE" "$@"; cat"#;
        let mut argv: Vec<&str> = vec!["/bin/sh", "-c", script, "sh"];
        argv.extend(words.iter().map(String::as_str));
        let stdin = input.map(|input| input + "\n");
        let env = Some(BTreeMap::from([("VALUE".to_owned(), value.clone())]));
        let schedule = ScheduleSpec { stdin: stdin.clone(), env, ..spec("0 1 * * *", &argv) };
        let crontab = to_crontab(&[("job".to_owned(), schedule)]);
        let made = imported(&crontab);
        if crontab.contains("not expressible") {
            prop_assert!(made.is_empty());
            return Ok(());
        }
        prop_assert_eq!(made.len(), 1, "{}", crontab);
        prop_assert_eq!(&made[0].spec.stdin, &stdin);
        let shell = made[0].spec.shell.as_deref().expect("sh runs it");
        let output = Command::new("/bin/sh").args(["-c", shell]).stdin(std::process::Stdio::null()).output().expect("there is a shell");
        let expected: String = std::iter::once(&value).chain(&words).map(|word| format!("<{word}>")).collect();
        prop_assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{}", crontab);
    }
}
