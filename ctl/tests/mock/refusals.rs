//! Refusals, wrong words, confirmations: what is said, where, and with which exit code.

use serde_json::{Value, json};

use crate::canned::{change, page, refusal, schedule};
use crate::code;
use crate::support::{Mock, slothctl, text};

#[test]
fn every_refusal_has_the_exit_code_of_the_table() {
    for code_of in sloth_api::ErrorCode::ALL {
        let mock = Mock::start();
        mock.on("GET /schedules/x", code_of.http_status(), refusal(code_of.as_str(), "no\x1b[31m"));
        let plain = mock.run(&["scheduler", "show", "x"]);
        assert_eq!(code(&plain), i32::from(code_of.exit_code()), "{code_of:?}");
        assert_eq!(text(&plain.stderr), "error: no\\x1b[31m\nhint: look again\n");
        assert!(plain.stdout.is_empty());
        let json = mock.run(&["scheduler", "show", "x", "-o", "json"]);
        let said: Value = serde_json::from_slice(&json.stdout).expect("JSON");
        assert_eq!(said["error"]["code"], code_of.as_str());
        assert_eq!(said["error"]["exit_code"], code_of.exit_code());
        assert_eq!(said["error"]["details"]["field"], "x");
        assert!(json.stderr.is_empty());
    }
}

#[test]
fn a_daemon_that_is_away_or_strange_is_exit_code_10() {
    let away = slothctl().args(["--root", "/nonexistent", "status"]).output().expect("slothctl starts");
    assert_eq!(code(&away), 10);
    assert!(
        text(&away.stderr).starts_with("error: cannot reach slothd: /nonexistent/slothd.sock: no such socket\nhint: ")
    );
    let mock = Mock::start();
    mock.on("GET /status", 200, "<html>");
    assert_eq!(code(&mock.run(&["status"])), 10);
    mock.on("GET /version", 200, json!({"version": "9", "commit": "c", "build_date": "d", "protocol": "2.0"}));
    assert_eq!(code(&mock.run(&["version"])), 10);
    mock.on("GET /whoami", 502, "bad gateway");
    assert_eq!(code(&mock.run(&["whoami"])), 4);
}

#[test]
fn wrong_words_are_exit_code_2_also_as_json() {
    let wrong = slothctl().args(["scheduler", "lisst", "-o", "json"]).output().expect("slothctl starts");
    assert_eq!(code(&wrong), 2);
    let said: Value = serde_json::from_slice(&wrong.stdout).expect("JSON");
    assert_eq!(said["error"]["code"], "invalid_argument");
    assert!(said["error"]["message"].as_str().expect("text").contains("'list'"), "{said}");
    for words in
        [["stack", "list"], ["scheduler", "simulate"], ["runs", "approve"], ["run", "reject"], ["daemon", "start"]]
    {
        let later = slothctl().args(words).args(["-o", "json"]).output().expect("slothctl starts");
        assert_eq!(code(&later), 1, "{words:?}");
        let said: Value = serde_json::from_slice(&later.stdout).expect("JSON");
        assert_eq!(said["error"]["code"], "not_supported", "{words:?}");
    }
}

#[test]
fn several_names_are_each_tried() {
    let mock = Mock::start();
    mock.on("DELETE /schedules/a", 200, change("deleted", "a"));
    mock.on("DELETE /schedules/c", 200, change("deleted", "c"));
    let some = mock.run(&["scheduler", "rm", "a", "b", "c"]);
    assert_eq!(code(&some), 8);
    assert_eq!(text(&some.stdout), "deleted a\ndeleted c\n");
    assert!(text(&some.stderr).starts_with("error: b: "));
}

#[test]
fn what_needs_a_confirmation_does_nothing_without_one() {
    let mock = Mock::start();
    mock.on("POST /schedules/-/pause-all", 200, json!({"change": "quiesced"}));
    for words in
        [&["scheduler", "pause-all"][..], &["runs", "delete", "a", "b"], &["sysadmin", "backup", "restore", "x"]]
    {
        assert_eq!(code(&mock.run(words)), 2, "{words:?}");
    }
    assert!(mock.asked().is_empty());
    assert_eq!(text(&mock.run(&["scheduler", "pause-all", "--reason", "r", "-y"]).stdout), "quiesced\n");
    assert_eq!(mock.asked()[0].body, json!({"reason": "r"}));
}

#[test]
fn output_that_nobody_reads_ends_quietly() {
    let mock = Mock::start();
    mock.on("GET /schedules?", 200, page((0..2000).map(|n| schedule(&format!("s{n}"))).collect(), None));
    let line = format!("{} scheduler list --limit 0 | head -1", env!("CARGO_BIN_EXE_slothctl"));
    let piped =
        std::process::Command::new("sh").args(["-c", &line]).env("SLOTHD_SOCKET", mock.socket()).output().expect("sh");
    assert!(piped.stderr.is_empty(), "{}", text(&piped.stderr));
}
