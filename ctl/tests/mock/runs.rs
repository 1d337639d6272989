//! Waiting, following and tailing, also when the daemon breaks off.

use serde_json::{Value, json};

use crate::canned::{chunk, event, page, refusal, run, sse};
use crate::support::{Mock, text};
use crate::{RUN, code};

#[test]
fn waiting_and_running_exit_with_the_result() {
    for (status, reason, exit, expected) in [
        ("completed", None, Some(0), 0),
        ("failed", Some("task_failed"), Some(3), 1),
        ("failed", Some("timeout"), None, 5),
        ("cancelled", Some("cancelled"), None, 5),
        ("failed", Some("lost"), None, 1),
        ("failed", Some("denied"), None, 7),
    ] {
        let mock = Mock::start();
        let target = format!("GET /runs/{RUN}?wait=");
        mock.on(&target, 503, refusal("not_ready", "starting"));
        mock.on(&target, 200, run(RUN, "running", None, None));
        mock.on(&target, 200, run(RUN, status, reason, exit));
        mock.on("POST /schedules/nightly/trigger", 200, json!({"run_id": RUN, "status": "starting"}));
        let ran = mock.run(&["scheduler", "run", "nightly", "--wait"]);
        assert_eq!(code(&ran), expected, "{status} {reason:?}");
        assert!(text(&ran.stdout).starts_with(&format!("run {RUN} of nightly {status} after 4.0s")));
        let asked = &mock.asked()[0];
        assert_eq!(asked.body, json!({"by": "manual"}));
        assert_eq!(asked.idempotency_key.as_ref().map(String::len), Some(32));
        let waited = mock.run(&["wait", RUN, "-o", "json"]);
        assert_eq!(code(&waited), expected);
        assert_eq!(serde_json::from_slice::<Value>(&waited.stdout).expect("JSON")["status"], status);
    }
}

#[test]
fn waiting_has_a_limit_of_its_own() {
    let mock = Mock::start();
    mock.on(&format!("GET /runs/{RUN}?wait="), 200, run(RUN, "running", None, None));
    let late = mock.run(&["runs", "wait", RUN, "--timeout", "50ms"]);
    assert_eq!(code(&late), 5);
    assert!(text(&late.stderr).contains("has not ended yet"));
}

#[test]
fn following_output_goes_on_after_a_break_without_loss_or_repetition() {
    let mock = Mock::start();
    let at = |offset: u64| format!("GET /runs/{RUN}/logs/stream?offset={offset}");
    mock.on_stream(&at(0), &(sse("log", 10, &chunk(10, "one\n")) + &sse("log", 20, &chunk(20, "two \x1b[1mbold\n"))));
    mock.on_stream(
        &at(20),
        &(": hello\n\n".to_owned() + &sse("log", 30, &chunk(30, "three\n")) + "event: log\nid: 40\ndata: {\"cut"),
    );
    mock.on_stream(&at(30), &sse("end", 30, &run(RUN, "failed", Some("task_failed"), Some(7))));
    mock.on("POST /schedules/nightly/trigger", 200, json!({"run_id": RUN, "status": "starting"}));
    let followed = mock.run(&["scheduler", "run", "nightly", "--follow"]);
    assert_eq!(code(&followed), 1, "{}", text(&followed.stderr));
    assert_eq!(text(&followed.stdout), "one\ntwo \x1b[1mbold\nthree\n");
    assert!(text(&followed.stderr).ends_with("failed after 4.0s: task_failed (exit 7)\n"));
    let ids: Vec<_> = mock.asked()[1..].iter().map(|asked| asked.last_event_id.clone().unwrap_or_default()).collect();
    assert_eq!(ids, ["0", "20", "30"]);
}

#[test]
fn output_is_exact_in_a_pipe_and_one_object_a_line_as_json() {
    let mock = Mock::start();
    let mut binary = chunk(9, "\u{fffd}\u{fffd}");
    binary["bytes"] = "//4AG1sx".into();
    let first =
        json!({"chunks": [chunk(5, "a\x1b[2Jb\n"), binary], "next_offset": 9, "dropped_bytes": 0, "complete": true});
    let rest = json!({"chunks": [], "next_offset": 9, "dropped_bytes": 0, "complete": true});
    mock.on(&format!("GET /runs/{RUN}/logs?offset=0"), 200, first);
    mock.on(&format!("GET /runs/{RUN}/logs?offset=9"), 200, rest);
    mock.on(&format!("GET /runs/{RUN}"), 200, run(RUN, "completed", None, Some(0)));
    assert_eq!(mock.run(&["logs", RUN]).stdout, b"a\x1b[2Jb\n\xff\xfe\x00\x1b[1");
    let json = text(&mock.run(&["runs", "logs", RUN, "-o", "json"]).stdout);
    assert_eq!(json.lines().count(), 2);
    assert!(!json.contains('\x1b'));
    let timed = text(&mock.run(&["runs", "logs", RUN, "-t"]).stdout);
    assert!(timed.starts_with("2026-03-08 02:30:01 stdout a"), "{timed:?}");
}

#[test]
fn a_tail_of_events_resumes_and_shows_nothing_twice() {
    let mock = Mock::start();
    mock.on("GET /events?limit=1", 200, page(vec![event(7, "run.failed", "seven")], None));
    mock.on(
        "GET /events?type=run.%2A&limit=2",
        200,
        page(vec![event(7, "run.failed", "seven"), event(5, "run.queued", "five")], None),
    );
    let message = |seq: i64, text: &str| {
        let seq_id = u64::try_from(seq).expect("positive");
        let data = event(seq, "run.started", text);
        sse("event", seq_id, &json!({"seq": seq, "topic": "events", "type": "event", "timestamp": "", "data": data}))
    };
    mock.on_stream(
        "GET /stream?topics=events%3Arun.%2A",
        &(sse("gap", 6, &json!({"type": "gap", "from": 1, "to": 6}))
            + &message(7, "seven")
            + &message(8, "eight\x1b[0m")),
    );
    mock.on_stream("GET /stream?topics=events%3Arun.%2A", &message(9, "nine"));
    mock.on("GET /stream?topics=events%3Arun.%2A", 403, refusal("denied", "enough"));
    mock.on("GET /stream?topics=events%3Arun.%2A", 403, refusal("denied", "enough"));
    let tail = mock.run(&["events", "tail", "-f", "-t", "run.*", "-n", "2"]);
    assert_eq!(code(&tail), 7, "{}", text(&tail.stderr));
    let messages: Vec<String> =
        text(&tail.stdout).lines().map(|line| line.rsplit("  ").next().unwrap_or_default().to_owned()).collect();
    assert_eq!(messages, ["five", "seven", "eight\\x1b[0m", "nine"]);
    let ids: Vec<_> = mock.asked()[2..].iter().filter_map(|asked| asked.last_event_id.clone()).collect();
    assert_eq!(ids, ["7", "8", "9"]);
}
