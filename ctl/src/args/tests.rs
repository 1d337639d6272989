//! Every flag becomes its field; the whole help stands in a file.

use clap::FromArgMatches;
use serde_json::{Value, json};
use sloth_api::ScheduleSpec;

use super::scheduler::SchedulerCommand;
use super::{Cli, Command, globals};
use crate::commands::change::{added, edited};
use crate::commands::look::next_of;
use crate::tree;

fn parse(words: &[&str]) -> SchedulerCommand {
    let words = ["slothctl", "scheduler"].iter().chain(words);
    let matches = tree().try_get_matches_from(words).unwrap_or_else(|error| panic!("{error}"));
    match Cli::from_arg_matches(&matches).expect("a command").command {
        Command::Scheduler(command) => command,
        other => panic!("{other:?}"),
    }
}

/// The body of `scheduler add n …`, without the name.
fn add(words: &[&str]) -> Value {
    let SchedulerCommand::Add(args) = parse(&[&["add", "n"], words].concat()) else { panic!("not add") };
    let mut body = added(&args, &|_| None).unwrap_or_else(|failure| panic!("{failure:?}")).2;
    body.as_object_mut().expect("an object").shift_remove("name");
    body
}

fn edit(words: &[&str]) -> Result<Value, String> {
    let SchedulerCommand::Edit(args) = parse(&[&["edit", "n"], words].concat()) else { panic!("not edit") };
    edited(&args, &|_| None).map_err(|failure| failure.message.clone())
}

/// Words, and the JSON that they become.
fn table() -> Vec<(&'static [&'static str], Value)> {
    vec![
        (&["--cron", "30 2 * * *"], json!({"trigger": "30 2 * * *"})),
        (&["--every", "90s"], json!({"trigger": "@every 90s"})),
        (&["--at", "2031-01-01T09:00"], json!({"trigger": "@at 2031-01-01T09:00"})),
        (&["--reboot"], json!({"trigger": "@reboot"})),
        (&["--manual"], json!({"trigger": "manual"})),
        (&["--trigger", "@daily"], json!({"trigger": "@daily"})),
        (&["--anchor", "2026-01-01T00:00:00Z"], json!({"anchor": "2026-01-01T00:00:00Z"})),
        (&["--timezone", "Europe/Lisbon"], json!({"timezone": "Europe/Lisbon"})),
        (&["--tz", "UTC"], json!({"timezone": "UTC"})),
        (&["--", "/bin/x", "--flag", "a b"], json!({"command": ["/bin/x", "--flag", "a b"]})),
        (&["--shell", "a | b"], json!({"shell": "a | b"})),
        (&["--saved", "x"], json!({"workflow": {"saved": "x"}})),
        (&["--user", "1000"], json!({"user": "1000"})),
        (&["--group", "adm"], json!({"group": "adm"})),
        (&["--cwd", "/srv"], json!({"cwd": "/srv"})),
        (&["--env", "A=1", "--env", "B=x=y", "--env", "C="], json!({"env": {"A": "1", "B": "x=y", "C": ""}})),
        (&["--umask", "027"], json!({"umask": "027"})),
        (&["--stdin", "a\nb"], json!({"stdin": "a\nb"})),
        (&["--disabled"], json!({"enabled": false})),
        (&["--enabled=no"], json!({"enabled": false})),
        (&["--enabled"], json!({"enabled": true})),
        (&["--overlap", "queue_all"], json!({"overlap": "queue_all"})),
        (&["--queue-limit", "5"], json!({"queue_limit": 5})),
        (&["--catch-up", "all"], json!({"catch_up": "all"})),
        (&["--catch-up-max", "7"], json!({"catch_up_max": 7})),
        (&["--catch-up-window", "2d"], json!({"catch_up_window": "2d"})),
        (&["--start-deadline", "5m"], json!({"start_deadline": "5m"})),
        (&["--jitter", "30"], json!({"jitter": 30})),
        (&["--jitter-mode", "host"], json!({"jitter_mode": "host"})),
        (&["--timeout", "1.5"], json!({"timeout": 1.5})),
        (&["--kill-grace", "20s"], json!({"kill_grace": "20s"})),
        (&["--retries", "3"], json!({"retries": 3})),
        (&["--retry-lost"], json!({"retry_lost": true})),
        (
            &[
                "--retries",
                "3",
                "--retry-delay",
                "1m",
                "--retry-backoff",
                "exponential",
                "--retry-max-delay",
                "1h",
                "--retry-jitter",
                "0.2",
            ],
            json!({"retries": {"max": 3, "delay": "1m", "backoff": "exponential", "max_delay": "1h", "jitter": 0.2}}),
        ),
        (
            &["--limits", "memory=256Mi", "--limits", "nofile=1024", "--limits", "cpu=0.5", "--limits", "nice=-5"],
            json!({"limits": {"memory": "256Mi", "nofile": 1024, "cpu": 0.5, "nice": -5}}),
        ),
        (&["--success-codes", "0,75"], json!({"success_codes": [0, 75]})),
        (&["--pause-after-failures", "4"], json!({"pause_after_failures": 4})),
        (&["--after", "a=success", "--after", "ann/b=any"], json!({"after": {"a": "success", "ann/b": "any"}})),
        (&["--keep-runs", "10", "--keep-age", "7d"], json!({"keep": {"runs": 10, "age": "7d"}})),
        (&["--sandbox", "none"], json!({"sandbox": "none"})),
        (&["--output-limit", "1Mi"], json!({"output_limit": "1Mi"})),
        (&["--journal=true"], json!({"journal": true})),
        (&["--tag", "a", "--tag", "b,c"], json!({"tags": ["a", "b", "c"]})),
        (&["-d", "text"], json!({"description": "text"})),
        (
            &["--saved", "nightly", "--workflow", "w", "--stack", "s", "--set", "a.b=1", "--param", "p=x"],
            json!({"workflow": {
                "saved": "nightly", "stack": "s", "workflow": "w", "values": {"a": {"b": 1}}, "params": {"p": "x"},
            }}),
        ),
    ]
}

#[test]
fn every_flag_becomes_its_field() {
    for (words, expected) in table() {
        let body = add(words);
        assert_eq!(body, expected, "{words:?}");
        serde_json::from_value::<ScheduleSpec>(body).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    }
}

#[test]
fn every_field_has_a_flag() {
    let schema = serde_json::to_value(schemars::schema_for!(ScheduleSpec)).expect("JSON");
    let covered: Vec<String> = table()
        .iter()
        .flat_map(|(_, body)| body.as_object().expect("an object").keys().cloned().collect::<Vec<_>>())
        .collect();
    for field in schema["properties"].as_object().expect("an object").keys() {
        assert!(covered.contains(field), "{field} has no flag in the table");
    }
}

#[test]
fn edit_is_a_merge_patch() {
    assert_eq!(edit(&["--timeout", "2h"]), Ok(json!({"timeout": "2h"})));
    assert_eq!(edit(&["--retries", "2"]), Ok(json!({"retries": {"max": 2}})));
    assert_eq!(
        edit(&["--clear", "timeout,tags", "--clear", "kill-grace"]),
        Ok(json!({"timeout": null, "tags": null, "kill_grace": null}))
    );
    assert_eq!(edit(&["--shell", "x"]), Ok(json!({"shell": "x", "command": null, "workflow": null})));
    assert_eq!(edit(&["--", "x"]), Ok(json!({"command": ["x"], "shell": null, "workflow": null})));
    assert!(edit(&[]).is_err());
    assert!(edit(&["--timeout", "1h", "--clear", "timeout"]).is_err());
}

#[test]
fn a_workflow_as_action_is_read_when_it_is_added() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("x.sloth").display().to_string();
    std::fs::write(&file, "task('a')").expect("a file");
    let body = add(&[
        "--cron",
        "@daily",
        "-f",
        &file,
        "--stack",
        "lab",
        "--workflow",
        "w",
        "--set",
        "a.b=1",
        "--param",
        "p=q",
    ]);
    let bundle = json!({"main": file, "files": {file.as_str(): "task('a')"}});
    let action =
        json!({"bundle": bundle, "stack": "lab", "workflow": "w", "values": {"a": {"b": 1}}, "params": {"p": "q"}});
    assert_eq!(body, json!({"trigger": "@daily", "workflow": action}));
    assert_eq!(add(&["--manual", "--saved", "x"]), json!({"trigger": "manual", "workflow": {"saved": "x"}}));
    assert_eq!(edit(&["--saved", "y"]), Ok(json!({"workflow": {"saved": "y"}, "command": null, "shell": null})));
    for words in [&["--saved", "x", "--", "true"][..], &["-f", "x", "--saved", "y"], &["-f", "x", "--shell", "y"]] {
        let all = [&["slothctl", "scheduler", "add", "n"], words].concat();
        assert!(tree().try_get_matches_from(all).is_err(), "{words:?}");
    }
}

#[test]
fn what_cannot_be_written_is_refused_before_the_daemon_is_asked() {
    for words in [&["--cron", "x", "--every", "1m"][..], &["--shell", "a", "--", "b"], &["--enabled", "--disabled"]] {
        let all = [&["slothctl", "scheduler", "add", "n"], words].concat();
        assert!(tree().try_get_matches_from(all).is_err(), "{words:?}");
    }
    for words in [["--env", "A"], ["--after", "a"], ["--limits", "=1"], ["--file", "x"], ["--stack", "s"]] {
        let SchedulerCommand::Add(args) = parse(&[&["add", "n"], &words[..]].concat()) else { panic!("not add") };
        assert!(added(&args, &|_| None).is_err(), "{words:?}");
    }
}

#[test]
fn next_knows_names_from_expressions() {
    let target = |words: &[&str]| {
        let SchedulerCommand::Next(args) = parse(&[&["next"], words].concat()) else { panic!("not next") };
        next_of(&args).map_or_else(|failure| failure.message.clone(), |target| target.to_string())
    };
    assert_eq!(target(&["nightly"]), "/schedules/nightly/next?n=10");
    assert_eq!(target(&["ann/nightly", "-n", "1"]), "/schedules/ann%2Fnightly/next?n=1");
    assert_eq!(target(&["@daily", "--tz", "UTC"]), "/schedules/-/next?expr=%40daily&tz=UTC&n=10");
    assert_eq!(target(&["0 1 * * *"]), "/schedules/-/next?expr=0%201%20%2A%20%2A%20%2A&n=10");
    assert!(target(&["nightly", "--tz", "UTC"]).contains("--tz is for expressions"));
}

#[test]
fn global_flags_are_taken_from_the_nearest_word() {
    let take =
        |words: &[&str]| globals::take(&tree().try_get_matches_from(words).unwrap_or_else(|error| panic!("{error}")));
    let given = take(&[
        "slothctl",
        "-o",
        "json",
        "--user",
        "scheduler",
        "-y",
        "list",
        "-o",
        "yaml",
        "--system",
        "--sort",
        "-runs",
    ]);
    assert_eq!(given.output.as_deref(), Some("yaml"));
    assert_eq!(given.sort.as_deref(), Some("-runs"));
    assert!(given.user && given.yes && !given.system, "--system after list is the list's own: {given:?}");
    let own = take(&["slothctl", "--timeout", "1s", "runs", "wait", "r", "--timeout", "9s"]);
    assert_eq!(own.timeout.as_deref(), Some("1s"));
}

#[test]
fn the_tree_is_sound_and_every_command_has_an_example() {
    fn look(command: &clap::Command, path: &str) {
        for sub in command.get_subcommands() {
            let path = format!("{path} {}", sub.get_name());
            if sub.has_subcommands() {
                look(sub, &path);
            } else if !sub.get_name().starts_with("__") {
                let after = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(after.starts_with("Examples:\n  "), "{path} has no example");
            }
        }
    }
    let mut tree = tree();
    tree.build();
    tree.clone().debug_assert();
    look(&tree, "slothctl");
}

/// `SLOTH_BLESS=1 cargo test -p slothctl` writes the file anew.
#[test]
fn the_help_of_every_command_is_as_it_stands_in_the_file() {
    fn write(command: &mut clap::Command, path: &str, out: &mut String) {
        out.push_str(&format!("### {path} --help\n\n{}\n", command.render_help()));
        for sub in command.get_subcommands_mut().filter(|sub| !sub.is_hide_set()) {
            let path = format!("{path} {}", sub.get_name());
            write(sub, &path, out);
        }
    }
    let mut tree = tree().term_width(100);
    tree.build();
    let mut help = String::new();
    write(&mut tree, "slothctl", &mut help);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/help.txt");
    if std::env::var_os("SLOTH_BLESS").is_some() {
        std::fs::write(file, &help).expect("writable");
    }
    let golden = std::fs::read_to_string(file).unwrap_or_default();
    assert!(golden == help, "the help changed; look at it and run SLOTH_BLESS=1 cargo test -p slothctl");
}
