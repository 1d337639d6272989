//! Requests about schedules, and what global flags do to them.

use serde_json::{Value, json};

use crate::canned::{change, page, schedule};
use crate::code;
use crate::support::{Mock, text};

#[test]
fn add_sends_the_fields_and_shows_the_next_instants() {
    let mock = Mock::start();
    mock.on("POST /schedules", 201, change("created", "nightly"));
    mock.on("PUT /schedules/ann%2Fnightly?if_changed=true", 200, change("unchanged", "nightly"));
    let added = mock.run(&[
        "scheduler",
        "add",
        "nightly",
        "--cron",
        "30 2 * * *",
        "--timeout",
        "2h",
        "--",
        "/bin/x",
        "-o",
        "a b",
    ]);
    assert_eq!(code(&added), 0);
    let expected =
        json!({"name": "nightly", "trigger": "30 2 * * *", "command": ["/bin/x", "-o", "a b"], "timeout": "2h"});
    assert_eq!(mock.asked()[0].body, expected);
    assert!(text(&added.stdout).starts_with("created nightly: at 02:30\n  NEXT"), "{}", text(&added.stdout));
    let same =
        mock.run(&["scheduler", "add", "ann/nightly", "--if-changed", "--manual", "--shell", "true", "-o", "json"]);
    assert_eq!(serde_json::from_slice::<Value>(&same.stdout).expect("JSON")["change"], "unchanged");
    assert_eq!(mock.asked()[1].body, json!({"trigger": "manual", "shell": "true"}));
}

#[test]
fn global_flags_stand_before_or_after_and_the_commands_own_win_after_it() {
    let mock = Mock::start();
    mock.on("POST /schedules", 201, change("created", "n"));
    let words = [
        "--timeout",
        "9s",
        "--debug",
        "scheduler",
        "add",
        "n",
        "--every",
        "1m",
        "--timeout",
        "5m",
        "--user",
        "bob",
        "--",
        "x",
    ];
    let both = mock.run(&words);
    assert_eq!(code(&both), 0, "{}", text(&both.stderr));
    assert_eq!(mock.asked()[0].body["timeout"], "5m");
    assert_eq!(mock.asked()[0].body["user"], "bob");
    assert!(text(&both.stderr).starts_with("debug: POST /schedules -> 201 in "), "{}", text(&both.stderr));
    mock.on("GET /schedules?", 200, page(vec![schedule("n")], None));
    for words in
        [["-o", "name", "scheduler", "list"], ["scheduler", "-o", "name", "list"], ["scheduler", "list", "-o", "name"]]
    {
        assert_eq!(text(&mock.run(&words).stdout), "n\n");
    }
}

#[test]
fn imports_send_texts_and_fail_when_a_line_was_refused() {
    let mock = Mock::start();
    let line = |outcome: &str, notes: Value| json!({"source": "f", "line": 1, "text": "x", "outcome": outcome, "schedule": "s", "notes": notes, "spec": null});
    mock.on(
        "POST /schedules/-/import",
        200,
        json!({"lines": [line("made", json!([])), line("refused", json!(["why"]))],
        "made": 1, "refused": 1, "dry_run": true}),
    );
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("my.cron");
    std::fs::write(&file, "* * * * * x\n").expect("a file");
    let file = file.to_str().expect("UTF-8");
    let done = mock.run(&["scheduler", "import", "crontab", file, "--user", "ann", "--dry-run"]);
    assert_eq!(code(&done), 1);
    let expected = json!({"format": "crontab", "sources": [{"name": file, "text": "* * * * * x\n"}], "user": "ann",
        "dry_run": true, "replace": false});
    assert_eq!(mock.asked()[0].body, expected);
    let shown = text(&done.stdout);
    assert!(shown.contains("would make") && shown.contains("- why"), "{shown}");
    assert!(shown.ends_with("1 would be made, 1 refused; nothing was stored\n"), "{shown}");
}

#[test]
fn health_and_audit_say_it_with_the_exit_code() {
    let mock = Mock::start();
    let health = |status: &str| {
        json!({"status": status, "checks": [
        {"check": "disk", "status": status, "value": "9%", "threshold": "10%", "hint": "free some"}]})
    };
    mock.on("GET /health", 200, health("warn")).on("GET /health", 200, health("warn")).on(
        "GET /health",
        200,
        health("critical"),
    );
    assert_eq!(code(&mock.run(&["sysadmin", "health", "check"])), 0);
    assert_eq!(code(&mock.run(&["sysadmin", "health", "--strict"])), 1);
    assert_eq!(code(&mock.run(&["sysadmin", "health", "-o", "json"])), 1);
    mock.on("GET /schedules/-/audit?since=2d", 200, json!({"clean": false, "schedules": 1, "instants": 2, "rows": 1, "folded": 0,
        "differences": [{"schedule": "ann/n", "due_at": "2026-03-08T02:30:00.000Z", "kind": "missing_row", "message": "m"}]}));
    let audit = mock.run(&["scheduler", "audit", "--since", "2d"]);
    assert_eq!(code(&audit), 1);
    assert!(text(&audit.stdout).contains("missing_row"));
}

#[test]
fn next_prints_exactly_what_the_daemon_says() {
    let mock = Mock::start();
    let rows = r#"[{"due_at":"2031-03-09T07:00:00.000Z","local":"2031-03-09T03:00:00-04:00","note":null}]"#;
    mock.on("GET /schedules/-/next?expr=%40daily&tz=America%2FNew_York&n=10", 200, rows);
    let next = mock.run(&["scheduler", "next", "@daily", "--tz", "America/New_York", "-o", "json"]);
    assert_eq!(text(&next.stdout), format!("{rows}\n"));
    mock.on("GET /schedules/nightly/next?n=2&from=2031-03-08", 200, rows);
    let named = mock.run(&["scheduler", "next", "nightly", "-n", "2", "--from", "2031-03-08"]);
    assert!(text(&named.stdout).contains("2031-03-09T03:00:00-04:00"));
    assert!(mock.asked().iter().all(|asked| asked.line.starts_with("GET /schedules/")));
}
