//! How events become lines; time stands still unless a test moves it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::event::RunEvent;
use super::logline::LogLine;
use super::summary::{self, Paper};
use super::text::{LATE_LINES, Look, TextView};

fn event(kind: &str, task: &str, data: Value) -> RunEvent {
    RunEvent::read(
        &json!({"seq": 1, "type": kind, "task": task, "timestamp": "2026-03-08T02:30:00.000Z", "data": data}),
    )
    .expect("an event")
}

fn story() -> Vec<RunEvent> {
    vec![
        event("workflow.started", "", json!({"workflow": "site"})),
        event("task.started", "lint", json!({"workflow": "site", "attempt": 1})),
        event("task.started", "pack", json!({"workflow": "site", "attempt": 1})),
        event("task.progress", "pack", json!({"workflow": "site", "percent": 40.0, "text": "half"})),
        event("task.completed", "lint", json!({"workflow": "site", "changed": false, "duration_ms": 85})),
        event("task.completed", "pack", json!({"workflow": "site", "changed": true, "duration_ms": 1200})),
        event("task.started", "ship", json!({"workflow": "site", "attempt": 1})),
        event("task.retrying", "ship", json!({"workflow": "site", "attempt": 1, "max_attempts": 3, "delay": 2.0})),
        event("task.started", "ship", json!({"workflow": "site", "attempt": 2})),
        event("task.failed", "ship", json!({"workflow": "site", "message": "exit status 3", "duration_ms": 900})),
        event("task.skipped", "tell", json!({"workflow": "site", "message": "condition \"x\" is false"})),
        event("task.cancelled", "late", json!({"workflow": "other"})),
        event("workflow.compensating", "", json!({"workflow": "site"})),
        event("saga.progress", "", json!({"step": "compensation_done", "message": "order: compensation_done pack"})),
    ]
}

fn told(look: Look) -> String {
    let now = Instant::now();
    let mut view = TextView::new(look);
    let mut out = String::new();
    for n in 0..30 {
        let line = LogLine {
            task: Some("ship".to_owned()),
            stream: "stdout".to_owned(),
            msg: format!("line {n}"),
            ..LogLine::default()
        };
        out.push_str(&view.log(&line));
    }
    for event in story() {
        out.push_str(&view.event(&event, now));
    }
    out + &view.settle(None)
}

#[test]
fn a_story_in_symbols_and_in_words() {
    let symbols = told(Look { symbols: true, color: true, verbose: false }).replace('\u{1b}', "^");
    insta::assert_snapshot!("story_terminal", symbols);
    let words = told(Look { symbols: false, color: false, verbose: false });
    assert!(words.is_ascii());
    insta::assert_snapshot!("story_plain", words);
}

/// "log lines indented under their task with `--verbose` or when the task failed (last 20 lines)"
#[test]
fn a_failure_waits_for_its_last_lines() {
    let start = Instant::now();
    let mut view = TextView::new(Look { symbols: false, color: false, verbose: false });
    let failed = event("task.failed", "ship", json!({"message": "no"}));
    assert_eq!(view.event(&failed, start), "");
    assert_eq!(view.settle(Some(start)), "");
    let line = LogLine {
        task: Some("ship".to_owned()),
        stream: "stdout".to_owned(),
        msg: "late".to_owned(),
        ..LogLine::default()
    };
    view.log(&line);
    assert_eq!(view.next_due(), Some(start + LATE_LINES));
    assert_eq!(view.settle(Some(start + LATE_LINES)), "fail   ship failed: no\n    late\n");
    assert_eq!(view.settle(None), "");
}

#[test]
fn what_runs_now_fits_the_terminal() {
    let start = Instant::now();
    let mut view = TextView::new(Look { symbols: true, color: false, verbose: false });
    for event in &story()[..4] {
        view.event(event, start);
    }
    view.running.total = Some(5);
    let later = start + Duration::from_secs(75);
    assert_eq!(view.running.line(start, later, 80), "  2 running, 0 of 5 done, 1m15s: lint, pack");
    assert_eq!(view.running.line(start, later, 20), "  2 running, 0 of 5");
    assert_eq!(
        view.running.table(start, later, 80),
        ["  lint    1m15s", "  pack    1m15s  40% half", "  0 of 5 done, 1m15s"]
    );
}

#[test]
fn the_end_of_a_run() {
    let task = |name: &str, status: &str, changed: bool, message: &str| {
        json!({"workflow": "w", "name": name, "status": status, "changed": changed, "message": message, "error": null, "attempts": 1,
               "agent": "local", "duration_ms": 1200})
    };
    let mut failed = task("ship", "failed", true, "exit status 3\nsecond line \u{1b}[2J");
    failed["error"] = "traceback\n  at x".into();
    let summary = json!({"run_id": "0192f0c1", "status": "failed", "reason": "task_failed", "duration_ms": 5312, "compensation": "compensated",
        "counts": {"total": 4, "completed": 2, "unchanged": 1, "failed": 1, "skipped": 1, "cancelled": 0, "ignored": 0},
        "tasks": [task("pack", "completed", true, "bundled"), task("lint", "completed", false, ""), failed, task("tell", "skipped", false, "condition \"x\" is false")],
        "outputs": {"endpoint": "https://x"},
        "diagnostics": [{"code": "W110", "level": "warning", "message": "task replaced", "file": "site.sloth", "line": 7}]});
    let plain = Paper { terminal: false, color: false, width: None };
    insta::assert_snapshot!("end", summary::text(&summary, plain));
    let many: Vec<Value> =
        (0..200).map(|n| task(&format!("t{n}"), if n == 7 { "failed" } else { "completed" }, true, "")).collect();
    let mut summary = summary;
    summary["tasks"] = many.into();
    let lines = |paper: Paper| summary::text(&summary, paper).lines().filter(|line| line.starts_with('t')).count();
    assert_eq!(lines(plain), 200 + 1, "nothing is left out of a pipe");
    assert!(lines(Paper { terminal: true, ..plain }) < 5);
}
