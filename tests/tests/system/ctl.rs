//! slothctl against the real daemon: exit codes, files, crontabs, terminals.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use sloth_tests::Instance;
use sloth_tests::instance::texts;
use sloth_tests::paths::program;
use sloth_tests::skips::skip;

#[track_caller]
fn code(instance: &Instance, arguments: &[&str]) -> (i32, String, String) {
    let output = instance.ctl(arguments);
    let (out, err) = texts(&output);
    (output.status.code().unwrap_or(-1), out, err)
}

#[test]
fn the_life_of_a_schedule() {
    let instance = Instance::start();
    let out = instance.ctl_ok(&[
        "scheduler",
        "add",
        "nightly",
        "--cron",
        "30 2 * * *",
        "--tz",
        "Europe/Lisbon",
        "--tag",
        "x",
        "--",
        "/bin/echo",
        "hello",
    ]);
    assert!(out.matches("02:30").count() >= 3, "add prints the next three instants: {out}");
    assert_eq!(code(&instance, &["scheduler", "add", "nightly", "--manual", "--", "true"]).0, 9);
    let (_, out, _) = code(
        &instance,
        &[
            "scheduler",
            "add",
            "nightly",
            "--cron",
            "30 2 * * *",
            "--tz",
            "Europe/Lisbon",
            "--tag",
            "x",
            "--if-changed",
            "--",
            "/bin/echo",
            "hello",
        ],
    );
    assert!(out.contains("unchanged"), "{out}");
    let list: Value = serde_json::from_str(&instance.ctl_ok(&["scheduler", "list", "-o", "json"])).expect("JSON");
    assert!(list.to_string().contains("nightly"), "{list}");
    instance.ctl_ok(&["scheduler", "edit", "nightly", "--timeout", "5m"]);
    let show: Value =
        serde_json::from_str(&instance.ctl_ok(&["scheduler", "show", "nightly", "-o", "json"])).expect("JSON");
    assert_eq!((&show["timeout"], &show["revision"]), (&json!("5m"), &json!(2)), "{show}");
    instance.ctl_ok(&["scheduler", "disable", "nightly", "--reason", "holidays"]);
    assert!(instance.ctl_ok(&["scheduler", "show", "nightly"]).contains("holidays"));
    instance.ctl_ok(&["scheduler", "enable", "nightly"]);
    assert!(instance.ctl_ok(&["scheduler", "run", "nightly", "--follow"]).contains("hello"));
    instance.ctl_ok(&["scheduler", "history", "nightly"]);
    instance.ctl_ok(&["scheduler", "explain", "nightly"]);
    instance.ctl_ok(&["scheduler", "audit"]);
    instance.ctl_ok(&["scheduler", "next", "nightly", "-n", "3"]);
    let (status, _, err) = code(&instance, &["scheduler", "show", "nigthly"]);
    assert_eq!(status, 8);
    assert!(err.contains("did you mean nightly"), "{err}");
    instance.ctl_ok(&["scheduler", "delete", "nightly", "-y"]);
    assert_eq!(code(&instance, &["scheduler", "show", "nightly"]).0, 8);
}

#[test]
fn waiting_ends_with_the_result_of_the_run() {
    let instance = Instance::start();
    instance.add_shell("good", "true");
    instance.add_shell("bad", "exit 3");
    instance.add("slow", json!({ "trigger": "manual", "shell": "sleep 30", "timeout": "300ms", "kill_grace": "1s" }));
    for (name, expected) in [("good", 0), ("bad", 1), ("slow", 5)] {
        let (status, out, err) = code(&instance, &["scheduler", "run", name, "--wait"]);
        assert!(status == expected || (name == "slow" && status == 1), "{name}: {status} {out}{err}");
    }
    let run = instance.trigger("bad");
    assert_eq!(code(&instance, &["runs", "wait", &run]).0, 1);
    assert_eq!(code(&instance, &["runs", "show", &run]).0, 0);
    assert_eq!(code(&instance, &["runs", "show", "01a20d00-0000-7000-8000-000000000000"]).0, 8);
}

#[test]
fn arguments_that_are_none_name_their_flag() {
    let instance = Instance::start();
    let long = "x".repeat(4096);
    for (arguments, word) in [
        (vec!["scheduler", "add", "x", "--cron", "61 * * * *", "--", "true"], "61"),
        (vec!["scheduler", "add", "x", "--every", "soon", "--", "true"], "soon"),
        (vec!["scheduler", "add", "x", "--at", "2031-02-30", "--", "true"], "2031-02-30"),
        (vec!["scheduler", "add", "x", "--cron", "@daily", "--tz", "Mars/Olympus", "--", "true"], "Mars/Olympus"),
        (vec!["scheduler", "add", "x", "--cron", "@daily", "--every", "5s", "--", "true"], "--every"),
        (vec!["scheduler", "add", "x", "--cron", "@daily"], "command"),
        (vec!["scheduler", "add", "x", "--manual", "--timeout=-5s", "--", "true"], "timeout"),
        (vec!["scheduler", "add", "x", "--manual", "--retries", "many", "--", "true"], "retries"),
        (vec!["scheduler", "add", "x", "--manual", "--overlap", "sometimes", "--", "true"], "overlap"),
        (vec!["scheduler", "add", "x", "--manual", "--umask", "999", "--", "true"], "umask"),
        (vec!["scheduler", "add", "x", "--manual", "--limits", "memory=1Qi", "--", "true"], "memory"),
        (vec!["scheduler", "add", "x", "--manual", "--user", "no-such-user", "--", "true"], "no-such-user"),
        (vec!["scheduler", "add", "x", "--manual", "--tiemout", "5s", "--", "true"], "--timeout"),
        (vec!["scheduler", "add", ".x", "--manual", "--", "true"], "name"),
        (vec!["scheduler", "add", "a\nb", "--manual", "--", "true"], "name"),
        (vec!["scheduler", "add", &long, "--manual", "--", "true"], "name"),
        (vec!["scheduler", "next", "99 * * * *"], "99"),
        (vec!["runs", "list", "--status", "sleepy"], "sleepy"),
        (vec!["runs", "list", "--since", "yesterdayish"], "since"),
        (vec!["runs", "list", "--limit=-1"], "limit"),
        (vec!["scheduler", "frobnicate"], "frobnicate"),
        (vec!["--timeout", "soon", "status"], "timeout"),
    ] {
        let (status, out, err) = code(&instance, &arguments);
        assert_eq!(status, 2, "{arguments:?}: {out}{err}");
        assert!(err.to_lowercase().contains(&word.to_lowercase()), "{arguments:?}: {word} is not named: {err}");
        assert!(!err.contains("panicked"), "{err}");
    }
    let list: Value = serde_json::from_str(&instance.ctl_ok(&["scheduler", "list", "-o", "json"])).expect("JSON");
    assert!(!list.to_string().contains("\"name\""), "something was made: {list}");
    let mut stopped = instance;
    stopped.term();
    assert_eq!(code(&stopped, &["status"]).0, 10);
}

/// Names, messages and output of others must not steer the terminal of whoever looks.
#[test]
fn control_characters_do_not_reach_a_terminal() {
    let instance = Instance::start();
    let evil =
        "printf '\\033]0;owned\\007\\033[2J\\033[31mred\\n'; printf '\\033[5mblink\\r' >&2; printf '\\302\\233[31m\\n'";
    instance.add("evil", json!({ "trigger": "manual", "shell": evil }));
    let (status, reply) = instance.http("PATCH", "/schedules/evil", json!({ "description": "a\u{1b}[31mb\u{7}" }));
    assert_eq!(status, 400, "{reply}");
    let run = instance.run("evil")["id"].as_str().expect("an id").to_owned();
    if !Command::new("script").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return skip("control_characters_do_not_reach_a_terminal", "no script(1)");
    }
    for words in [
        format!("runs logs {run}"),
        format!("runs show {run}"),
        "scheduler show evil".to_owned(),
        "scheduler list -o wide".to_owned(),
        "scheduler list --columns name,description".to_owned(),
        "events list".to_owned(),
    ] {
        let line = format!("{} --socket {} {words}", program("slothctl").display(), instance.socket().display());
        let output = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .env("PAGER", "cat")
            .env("TERM", "xterm")
            .stdin(Stdio::null())
            .output()
            .expect("script runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        for bad in ["\u{1b}]0;", "\u{1b}[2J", "\u{1b}[5m", "\u{7}", "\u{9b}", "\u{1b}[31mred"] {
            assert!(!text.contains(bad), "{words}: {bad:?} reaches the terminal: {text:?}");
        }
    }
    // Raw where it is no terminal: what was written is what comes.
    let output = instance.ctl(&["runs", "logs", &run]);
    assert!(output.stdout.windows(4).any(|part| part == b"\x1b]0;"), "{:?}", texts(&output));
}

#[test]
fn a_crontab_is_imported_after_it_was_only_looked_at() {
    let instance = Instance::start();
    let file = instance.dir().join("tab");
    let text = "# my jobs\nMAILTO=me\nPATH=/usr/bin:/bin\nCRON_TZ=Europe/Lisbon\n30 2 * * * /usr/local/bin/backup --all % yes\n@reboot true\n61 * * * * broken\n";
    fs::write(&file, text).expect("writable");
    let file = file.display().to_string();
    let (_, out, err) = code(&instance, &["scheduler", "import", "crontab", &file, "--dry-run"]);
    assert!(out.contains("backup") && (out.contains("61") || err.contains("61")), "{out}{err}");
    let count = |instance: &Instance| instance.value("SELECT count(*) FROM schedules WHERE deleted_at IS NULL");
    assert_eq!(count(&instance), 0, "a dry run made something");
    let (status, out, err) = code(&instance, &["scheduler", "import", "crontab", &file]);
    assert_eq!(count(&instance), 2, "{status} {out}{err}");
    let rows =
        instance.rows("SELECT \"trigger\", timezone, stdin, env FROM schedules WHERE \"trigger\" = '30 2 * * *'");
    assert_eq!(rows[0][1], "Europe/Lisbon");
    assert!(rows[0][2].as_str().is_some_and(|text| text.contains("yes")), "{rows:?}");
    // Again: nothing is made twice.
    code(&instance, &["scheduler", "import", "crontab", &file]);
    assert_eq!(count(&instance), 2);
    let export = instance.ctl_ok(&["scheduler", "export"]);
    assert!(export.contains("[schedule."), "{export}");
}

#[test]
fn an_export_is_a_file_that_makes_the_same_again() {
    let instance = Instance::start();
    instance.add("a", json!({ "trigger": "30 2 * * *", "timezone": "Europe/Lisbon", "command": ["/bin/echo", "\"quoted\"", "a\nb", "ü"], "tags": ["x"], "retries": { "max": 2, "delay": "1m" } }));
    instance.add("b", json!({ "trigger": "@every 90s", "shell": "echo '''x'''", "env": { "A": "b\"c\\" }, "limits": { "nofile": 100 } }));
    let text = instance.ctl_ok(&["scheduler", "export"]);
    let mut second = Instance::prepare();
    second.make_root();
    fs::create_dir(second.root().join("schedules.d")).expect("writable");
    fs::write(second.root().join("schedules.d/all.toml"), &text).expect("writable");
    second.up();
    for name in ["a", "b"] {
        let mut views = [&instance, &second].map(|i| i.ok("GET", &format!("/schedules/{name}"), Value::Null));
        for view in &mut views {
            let view = view.as_object_mut().expect("an object");
            for key in ["id", "origin", "created_at", "next_due", "revision", "anchor", "trigger_text", "warnings"] {
                view.remove(key);
            }
        }
        assert_eq!(views[0], views[1], "{text}");
    }
}

#[test]
fn following_outlives_a_restart_of_the_daemon() {
    let mut instance = Instance::start();
    instance.add_shell("long", "i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); sleep 0.05; done; exit 3");
    let child = instance
        .ctl_command(&["scheduler", "run", "long", "--follow"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("slothctl runs");
    std::thread::sleep(Duration::from_millis(700));
    instance.restart();
    let output = child.wait_with_output().expect("it ends");
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    assert_eq!(out.lines().filter(|line| line.contains("line ")).count(), 40, "{out}{err}");
}
