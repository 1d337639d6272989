//! How answers look, as snapshots; the clock stands still.

use jiff::tz::TimeZone;
use serde_json::{Value, json};
use sloth_api::{
    AuditReport, NextInstant, OccurrenceView, RunView, ScheduleChange, ScheduleView, StatusView, ValidateReply,
};

use crate::output::details::Details;
use crate::output::time::Clock;
use crate::output::{Format, Screen};
use crate::session::{typed, typed_rows};
use crate::views;

#[path = "../../tests/support/canned.rs"]
#[allow(dead_code)]
mod canned;

fn clock() -> Clock {
    let now = "2026-03-08T01:26:00Z".parse().expect("a time");
    Clock { now, zone: TimeZone::fixed(jiff::tz::offset(1)) }
}

fn screen(format: Format) -> Screen {
    Screen {
        format,
        terminal: false,
        color: false,
        width: None,
        headers: true,
        columns: None,
        sort: None,
        limit: None,
        pager: false,
        clock: clock(),
    }
}

fn details(fill: impl FnOnce(&mut Details)) -> String {
    let mut out = Details::default();
    fill(&mut out);
    out.render(false)
}

fn schedules() -> Vec<Value> {
    let mut nightly = canned::schedule("nightly");
    nightly["next_due"] = "2026-03-08T01:30:00.000Z".into();
    nightly["last"]["ended_at"] = "2026-03-08T01:23:00.000Z".into();
    let mut probe = canned::schedule("probe");
    probe["trigger"] = "@every 90s".into();
    probe["paused"] = json!({"reason": "3 failed runs in a row", "until": null});
    probe["last"] = json!({"run_id": "r", "status": "failed", "reason": "timeout", "ended_at": "2026-03-07T01:00:00.000Z",
        "duration_ms": 60_000});
    let mut fresh = canned::schedule("fresh");
    fresh["last"] = Value::Null;
    fresh["next_due"] = Value::Null;
    fresh["shell"] = "echo 'hi' | tr a b".into();
    fresh.as_object_mut().expect("an object").shift_remove("command");
    vec![nightly, probe, fresh]
}

#[test]
fn a_list_of_schedules() {
    let rows = schedules();
    let views: Vec<ScheduleView> = typed_rows(&rows).expect("schedules");
    let text = |format: Format| {
        screen(format).list_text(views::schedules::list(&views, &clock()), rows.clone()).expect("a list")
    };
    insta::assert_snapshot!("schedules", text(Format::Table));
    insta::assert_snapshot!("schedules_wide", text(Format::Wide));
    insta::assert_snapshot!("schedules_csv", text(Format::Csv));
    let narrow = Screen { width: Some(60), color: true, ..screen(Format::Table) };
    let text = narrow.list_text(views::schedules::list(&views, &clock()), rows.clone()).expect("a list");
    insta::assert_snapshot!("schedules_terminal", text.replace('\x1b', "^"));
}

#[test]
fn one_schedule_and_a_change_of_it() {
    let mut raw = schedules().remove(1);
    raw["retries"] = json!({"max": 2, "delay": "1m"});
    raw["tags"] = json!(["db", "night"]);
    raw["warnings"] = json!(["this machine has no cgroup delegation; limits are not enforced"]);
    let view: ScheduleView = typed(&raw).expect("a schedule");
    insta::assert_snapshot!("schedule", details(|out| views::schedules::show(&view, &clock(), out)));
    let yaml = screen(Format::Yaml).document_text(&raw, |_| {}).expect("YAML");
    insta::assert_snapshot!("schedule_yaml", yaml);
    let mut raw = canned::change("created", "nightly");
    raw["next"] = json!([
        {"due_at": "2026-03-08T07:00:00.000Z", "local": "2026-03-08T03:00:00-04:00", "note": "02:30 does not exist this day"},
        {"due_at": "2026-03-09T06:30:00.000Z", "local": "2026-03-09T02:30:00-04:00", "note": null}]);
    let change: ScheduleChange = typed(&raw).expect("a change");
    insta::assert_snapshot!("change", details(|out| views::schedules::change(&change, &clock(), out)));
}

#[test]
fn instants_and_the_ledger() {
    let next = json!([{"due_at": "2026-03-08T07:00:00.000Z", "local": "2026-03-08T03:00:00-04:00", "note": "made up"}]);
    let next: Vec<NextInstant> = typed(&next).expect("instants");
    insta::assert_snapshot!("next", views::schedules::next_list(&next, &clock()).render(true, false, None));
    let row = |decision: &str, detail: Option<&str>, run: Value| {
        json!({"due_at": "2026-03-08T01:00:00.000Z", "local": "2026-03-07T20:00:00-05:00", "clock_epoch": 1, "decision": decision,
            "detail": detail, "run_id": if run.is_null() { None } else { Some("0192f0c1") }, "trigger": "due",
            "decided_at": "2026-03-08T00:59:58.000Z", "run": run})
    };
    let brief = |status: &str, code: i32| {
        json!({"status": status, "reason": null, "started_at": null, "duration_ms": 4012, "late_ms": 0.41, "exit_code": code,
            "attempts": 1})
    };
    let rows = json!([
        row("planned", None, Value::Null),
        row("run", None, brief("completed", 0)),
        row("run", None, brief("failed", 3)),
        row("skipped", Some("overlap"), Value::Null)
    ]);
    let rows: Vec<OccurrenceView> = typed(&rows).expect("occurrences");
    let history = views::schedules::history(&rows, &clock()).select(None, false).expect("columns");
    insta::assert_snapshot!("history", history.render(true, false, None));
    let report = json!({"clean": false, "schedules": 2, "instants": 10, "rows": 9, "folded": 0, "differences": [{"schedule": "ann/n",
        "due_at": "2026-03-08T01:00:00.000Z", "kind": "missing_row", "message": "no row for this instant"}]});
    let report: AuditReport = typed(&report).expect("a report");
    insta::assert_snapshot!("audit", details(|out| views::schedules::audited(&report, &clock(), out)));
    let reply = json!({"description": "at 02:30", "kind": "fixed", "remarks": ["runs once on days without 02:30"], "next": next});
    let reply: ValidateReply = typed(&reply).expect("a reply");
    insta::assert_snapshot!("validate", details(|out| views::schedules::validated(&reply, &clock(), out)));
}

#[test]
fn runs() {
    let mut failed = canned::run("0192f0c1-0000-7000-8000-0000000000aa", "failed", Some("task_failed"), Some(7));
    failed["stderr_tail"] = "cannot open \x1b[1m/x\x1b[0m\nbye\n".into();
    let attempt = |n: u32| {
        json!({"attempt": n, "started_at": "2026-03-08T02:30:00.002Z", "ended_at": null, "outcome": "exited", "exit_code": 7,
            "signal": null, "message": null, "pid": 4})
    };
    failed["tasks"] = json!([{"name": "command", "status": "failed", "attempts": [attempt(1), attempt(2)]}]);
    let run: RunView = typed(&failed).expect("a run");
    insta::assert_snapshot!("run", details(|out| views::runs::show(&run, &failed, &clock(), out)));
    let list = views::runs::list(&[run], &[failed], &clock()).select(None, false).expect("columns");
    insta::assert_snapshot!("runs", list.render(true, false, None));
}

#[test]
fn the_daemon() {
    let status = json!({"summary": "3 schedules, next nightly at 02:30", "state": "ready", "version": "0.1.0", "pid": 7,
        "started_at": "2026-03-07T23:21:00.000Z", "uptime_ms": 7_500_000, "data_dir": "/var/lib/slothd", "database_bytes": 1_572_864,
        "executor": "process", "schedules": 3, "next_due": "2026-03-08T01:30:00.000Z", "next_schedule": "nightly", "running": 1,
        "queued": 0, "maintenance": null, "event_seq": 42, "clock_epoch": 1, "lateness": {"count": 9, "p50_ms": 0.21, "p99_ms": 1.5,
        "max_ms": 2.0, "buckets": []}, "skipped": {"overlap": 2}, "rss_bytes": 20_971_520});
    let status: StatusView = typed(&status).expect("a status");
    insta::assert_snapshot!("status", details(|out| views::daemon::status(&status, &clock(), out)));
}
