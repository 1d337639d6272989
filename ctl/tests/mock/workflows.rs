//! `run` and what belongs to workflows: what is sent, what is followed, with which code it ends.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::canned::{chunk, page, refusal, run, sse};
use crate::support::{Mock, text};
use crate::{RUN, code};

/// An event of a task of the workflow `w`.
fn event(seq: i64, kind: &str, task: &str, data: Value) -> Value {
    let mut data = data;
    data["workflow"] = "w".into();
    json!({"seq": seq, "id": format!("e-{seq}"), "type": kind, "severity": "info", "source": "run", "message": data["message"],
           "timestamp": "2026-03-08T02:30:00.000Z", "stack": "site", "agent": null, "run_id": RUN,
           "task": if task.is_empty() { Value::Null } else { task.into() }, "user": "ann", "data": data, "trace_id": null})
}

fn update(event: &Value) -> String {
    let seq = event["seq"].as_u64().expect("a number");
    sse(
        "workflow_execution_update",
        seq,
        &json!({"seq": seq, "topic": format!("runs/{RUN}"),
        "type": "workflow_execution_update", "timestamp": "2026-03-08T02:30:00.000Z", "data": event}),
    )
}

fn log_line(task: &str, msg: &str) -> String {
    json!({"ts": 1, "workflow": "w", "task": task, "attempt": 1, "stream": "stdout", "level": "info", "msg": msg})
        .to_string()
        + "\n"
}

fn summary(status: &str, reason: Option<&str>) -> Value {
    json!({"type": "summary", "run_id": RUN, "stack": "site", "workflow": "w", "status": status, "reason": reason, "exit_code": 0,
        "started_at": "2026-03-08T02:30:00.000Z", "finished_at": "2026-03-08T02:30:05.312Z", "duration_ms": 5312,
        "counts": {"total": 2, "completed": 1, "unchanged": 0, "failed": 1, "skipped": 0, "cancelled": 0, "ignored": 0},
        "compensation": "none", "outputs": {"endpoint": "https://x"}, "resources": {}, "diagnostics": [],
        "tasks": [{"workflow": "w", "name": "pack", "status": "completed", "message": "bundled", "changed": true, "attempts": 1,
                   "agent": "local", "duration_ms": 1200},
                  {"workflow": "w", "name": "ship", "status": "failed", "kind": "exit", "message": "exit status 3", "error": "trace\nback",
                   "changed": true, "attempts": 2, "agent": "local", "duration_ms": 900}]})
}

/// A daemon that takes one run, which then ends so.
fn daemon(status: &str, reason: Option<&str>) -> Mock {
    let mock = Mock::start();
    mock.on("POST /runs ", 201, Value::Null); // never asked: the line has no blank
    mock.on(&format!("POST /runs/{RUN}/"), 200, json!({"run_id": RUN, "status": "cancelling"}));
    mock.on("POST /runs", 201, json!({"id": RUN, "status": "queued"}));
    let events = |after: i64| format!("GET /runs/{RUN}/events?after={after}");
    mock.on(&events(0), 200, page(vec![event(5, "run.queued", "", json!({}))], None));
    mock.on(&events(5), 200, page(vec![], None));
    // The stream breaks off in the middle of it; the next one goes on behind the last message.
    let first = [
        event(6, "run.started", "", json!({})),
        event(7, "task.started", "pack", json!({"attempt": 1})),
        event(8, "task.completed", "pack", json!({"duration_ms": 1200, "changed": true})),
    ];
    mock.on_stream("GET /stream?topics=runs", &first.iter().map(update).collect::<String>());
    let second = [
        event(8, "task.completed", "pack", json!({"duration_ms": 1200, "changed": true})),
        event(9, "task.started", "ship", json!({"attempt": 1})),
        event(10, "task.retrying", "ship", json!({"attempt": 1, "delay": 2.0, "error": "exit status 3"})),
        event(11, "task.failed", "ship", json!({"message": "exit status 3", "duration_ms": 900})),
        event(12, &format!("run.{status}"), "", json!({})),
    ];
    mock.on_stream("GET /stream?topics=runs", &second.iter().map(update).collect::<String>());
    let lines = log_line("pack", "packing") + &log_line("ship", "no \x1b[31mroute") + &log_line("ship", "giving up");
    let (one, two) = lines.split_at(40);
    let at = |offset: usize| format!("GET /runs/{RUN}/logs/stream?offset={offset}");
    mock.on_stream(&at(0), &sse("log", 40, &chunk(40, one)));
    mock.on_stream(&at(40), &(sse("log", 99, &chunk(99, two)) + &sse("end", 99, &run(RUN, status, reason, None))));
    mock.on(&format!("GET /runs/{RUN}/summary"), 200, summary(status, reason));
    mock
}

fn file(dir: &tempfile::TempDir, name: &str, content: &str) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, content).expect("a file");
    path
}

/// The exit codes of cli.md: "of the run (0; 1 `task_failed` …; 2 `definition` …; 3 `lock_held`; 5 `timeout` or cancelled; 7 `denied`)".
#[test]
fn the_exit_code_is_that_of_the_run() {
    for (status, reason, expected) in [
        ("completed", None, 0),
        ("failed", Some("task_failed"), 1),
        ("failed", Some("compensation_failed"), 1),
        ("failed", Some("worker_lost"), 1),
        ("failed", Some("definition"), 2),
        ("failed", Some("unresolved"), 2),
        ("failed", Some("lock_held"), 3),
        ("failed", Some("agent_unreachable"), 4),
        ("failed", Some("timeout"), 5),
        ("cancelled", Some("user"), 5),
        ("failed", Some("denied"), 7),
    ] {
        let mock = daemon(status, reason);
        let ran = mock.run(&["run", "--saved", "w", "--summary-only"]);
        assert_eq!(code(&ran), expected, "{status} {reason:?}: {}", text(&ran.stderr));
        assert_eq!(text(&ran.stderr), format!("run {RUN}\n"));
    }
}

#[test]
fn a_followed_run_is_told_once_and_in_words_without_a_terminal() {
    let mock = daemon("failed", Some("task_failed"));
    let dir = tempfile::tempdir().expect("a directory");
    let site = file(&dir, "site.sloth", "task('pack')");
    let ran =
        mock.run(&["run", site.to_str().expect("UTF-8"), "--set", "a.b=1", "--param", "p=x", "--label", "team=web"]);
    assert_eq!(code(&ran), 1, "{}", text(&ran.stderr));
    insta::assert_snapshot!("followed", text(&ran.stdout));
    assert!(text(&ran.stdout).is_ascii());
    let asked = mock.asked();
    let posts: Vec<_> = asked.iter().filter(|asked| asked.line == "POST /runs").collect();
    assert_eq!(posts.len(), 1);
    let mut body = posts[0].body.clone();
    assert!(posts[0].idempotency_key.is_some());
    assert!(!body["invocation_dir"].as_str().expect("text").is_empty());
    body["invocation_dir"].take();
    let name = site.to_str().expect("UTF-8");
    let expected = json!({"stack": "site", "source": {"bundle": {"main": name, "files": {name: "task('pack')"}}},
        "values": {"a": {"b": 1}}, "params": {"p": "x"}, "mode": "normal", "options": {}, "invocation_dir": null,
        "labels": {"team": "web"}});
    assert_eq!(body, expected);
    let ids: Vec<_> = asked
        .iter()
        .filter(|asked| asked.line.starts_with("GET /stream"))
        .map(|asked| asked.last_event_id.clone())
        .collect();
    assert_eq!(ids[..2], [Some("5".to_owned()), Some("8".to_owned())]);
}

#[test]
fn json_is_one_object_a_line_and_the_summary_last() {
    let mock = daemon("failed", Some("task_failed"));
    let ran = mock.run(&["run", "--saved", "w", "-o", "json"]);
    assert_eq!(code(&ran), 1);
    let lines: Vec<Value> =
        text(&ran.stdout).lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    assert!(lines.iter().all(|line| line["type"].is_string() && line["run_id"] == RUN), "{lines:?}");
    assert_eq!(lines.last().expect("lines")["type"], "summary");
    assert_eq!(lines.last().expect("lines")["status"], "failed");
    let logs: Vec<&Value> = lines.iter().filter(|line| line["type"] == "log").collect();
    assert_eq!(logs.len(), 3);
    assert_eq!((&logs[1]["task"], &logs[1]["msg"]), (&json!("ship"), &json!("no \u{1b}[31mroute")));
    assert!(!text(&ran.stdout).contains('\u{1b}'));
    let done = lines.iter().filter(|line| line["type"] == "task.completed");
    assert_eq!(done.count(), 1, "nothing is told twice");
    let yaml = daemon("completed", None).run(&["run", "--saved", "w", "-o", "yaml"]);
    assert!(text(&yaml.stdout).starts_with("type: summary\nrun_id: "), "{}", text(&yaml.stdout));
}

#[test]
fn log_lines_are_shown_with_verbose() {
    let ran = daemon("completed", None).run(&["run", "--saved", "w", "--verbose"]);
    let out = text(&ran.stdout);
    assert!(out.contains("    pack | packing\n") && out.contains("    ship | no \\x1b[31mroute\n"), "{out}");
}

#[test]
fn a_detached_run_is_its_id() {
    let mock = daemon("completed", None);
    let ran =
        mock.run(&["run", "--detach", "--saved", "w", "--check", "--task", "a,b", "--sequential", "--timeout", "1m"]);
    assert_eq!((code(&ran), text(&ran.stdout)), (0, format!("{RUN}\n")));
    assert_eq!(mock.asked().len(), 1);
    let body = &mock.asked()[0].body;
    assert_eq!(body["source"], json!({"saved": "w"}));
    assert_eq!(body["mode"], "check");
    assert_eq!(body["options"], json!({"tasks": ["a", "b"], "max_parallel": 1, "timeout_ms": 60_000}));
}

#[test]
fn resume_and_rerun_go_to_the_run() {
    let mock = daemon("completed", None);
    mock.on("POST", 200, Value::Null);
    let resume = Mock::start();
    resume.on(&format!("POST /runs/{RUN}/resume"), 200, json!({"id": RUN, "status": "queued"}));
    let ran = resume.run(&["run", "--resume", RUN, "--from", "publish", "--detach"]);
    assert_eq!((code(&ran), text(&ran.stdout)), (0, format!("{RUN}\n")));
    assert_eq!(resume.asked()[0].body, json!({"from": "publish"}));
    resume.on(&format!("POST /runs/{RUN}/rerun"), 201, json!({"id": "other", "status": "queued"}));
    assert_eq!(text(&resume.run(&["runs", "rerun", RUN]).stdout), "run other queued\n");
    assert_eq!(code(&resume.run(&["run", "--resume", RUN, "x.sloth"])), 2);
}

/// "Flags … that do not exist yet answer `not_supported`"
#[test]
fn what_is_not_built_says_so_before_anything_is_sent() {
    let mock = Mock::start();
    for flag in
        [&["-d", "web01"][..], &["--no-lock"], &["--diff"], &["--interactive"], &["--no-cache"], &["--wait-hooks"]]
    {
        let ran = mock.run(&[&["run", "--saved", "w", "-o", "json"], flag].concat());
        assert_eq!(code(&ran), 1, "{flag:?}");
        let said: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
        assert_eq!(said["error"]["code"], "not_supported", "{flag:?}");
        assert!(said["error"]["hint"].is_string());
    }
    assert!(mock.asked().is_empty());
}

#[test]
fn sub_commands_of_run_are_those_of_runs() {
    let mock = Mock::start();
    mock.on("GET /runs?", 200, page(vec![run(RUN, "completed", None, Some(0))], None));
    let listed = mock.run(&["run", "list", "--workflow", "w", "--label", "a=b", "-o", "name"]);
    assert_eq!(text(&listed.stdout), format!("{RUN}\n"), "{}", text(&listed.stderr));
    assert!(mock.asked()[0].line.contains("workflow=w&label=a%3Db"), "{:?}", mock.asked()[0].line);
    mock.on(&format!("POST /runs/{RUN}/pause"), 200, json!({"run_id": RUN, "status": "paused"}));
    assert_eq!(text(&mock.run(&["run", "pause", RUN]).stdout), format!("run {RUN}: paused\n"));
    mock.on(&format!("POST /runs/{RUN}/cancel"), 200, json!({"run_id": RUN, "status": "cancelling"}));
    mock.run(&["run", "cancel", RUN, "--task", "t", "--no-compensate"]);
    let body = mock.asked().last().expect("asked").body.clone();
    assert_eq!(body, json!({"reason": null, "force": false, "task": "t", "no_compensate": true}));
}

#[test]
fn logs_of_a_workflow_are_its_lines() {
    let mock = Mock::start();
    let lines = log_line("a", "one\x1b[2J") + &log_line("b", "two") + &log_line("a", "three");
    let all = json!({"chunks": [chunk(9, &lines)], "next_offset": 9, "dropped_bytes": 0, "complete": true});
    let rest = json!({"chunks": [], "next_offset": 9, "dropped_bytes": 0, "complete": true});
    mock.on(&format!("GET /runs/{RUN}/logs?offset=0"), 200, all);
    mock.on(&format!("GET /runs/{RUN}/logs?offset=9"), 200, rest);
    let mut view = run(RUN, "completed", None, None);
    view["kind"] = "workflow".into();
    mock.on(&format!("GET /runs/{RUN}"), 200, view);
    let plain = |words: &[&str]| text(&mock.run(&[&["logs", RUN], words].concat()).stdout);
    assert_eq!(plain(&[]), "a | one\x1b[2J\nb | two\na | three\n");
    assert_eq!(plain(&["--task", "a"]), "one\x1b[2J\nthree\n");
    assert_eq!(plain(&["--task", "a", "--tail", "1"]), "three\n");
    assert_eq!(plain(&["--stream", "stderr"]), "");
    assert_eq!(plain(&["--raw"]), lines);
    let json: Value = serde_json::from_str(plain(&["-o", "json", "--task", "b"]).trim()).expect("JSON");
    assert_eq!((&json["type"], &json["msg"]), (&json!("log"), &json!("two")));
}

/// "Ctrl-C once asks to cancel, twice detaches"
#[test]
fn the_first_interrupt_cancels_and_the_second_leaves() {
    let mock = Mock::start();
    mock.on(&format!("POST /runs/{RUN}/cancel"), 200, json!({"run_id": RUN, "status": "cancelling"}));
    mock.on("POST /runs", 201, json!({"id": RUN, "status": "queued"}));
    mock.on(&format!("GET /runs/{RUN}/events"), 200, page(vec![], None));
    mock.on_stream("GET /stream", ": nothing yet\n\n");
    mock.on_stream(&format!("GET /runs/{RUN}/logs/stream"), ": nothing yet\n\n");
    let mut child = mock
        .command(&["run", "--saved", "w"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("slothctl starts");
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while mock.asked().len() < 4 && std::time::Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    let interrupt = |id: u32| {
        let kill = Command::new("kill").args(["-INT", &id.to_string()]).status().expect("kill");
        assert!(kill.success());
    };
    let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    stderr.read_line(&mut line).expect("text");
    assert_eq!(line, format!("run {RUN}\n"));
    interrupt(child.id());
    line.clear();
    stderr.read_line(&mut line).expect("text");
    assert_eq!(line, "cancelling; Ctrl-C again leaves it alone\n");
    interrupt(child.id());
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(rest.ends_with(&format!("see it with slothctl attach {RUN}\n")), "{rest}");
    let cancels = mock.asked().iter().filter(|asked| asked.line == format!("POST /runs/{RUN}/cancel")).count();
    assert_eq!(cancels, 1);
}

#[test]
fn saved_workflows_are_kept_by_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let night = file(&dir, "night.sloth", "task('a')");
    let name = night.to_str().expect("UTF-8");
    let mock = Mock::start();
    mock.on("PUT /workflows/night", 200, json!({"change": "created", "name": "night"}));
    let added = mock.run(&["saved", "add", "night", "-f", name, "-d", "Night jobs"]);
    assert_eq!(
        (code(&added), text(&added.stdout)),
        (0, "created workflow night\n".to_owned()),
        "{}",
        text(&added.stderr)
    );
    let bundle = json!({"main": name, "files": {name: "task('a')"}});
    let body = json!({"description": "Night jobs", "bundle": bundle, "active": true});
    assert_eq!(mock.asked().last().expect("asked").body, body);
    mock.on("GET /workflows/night", 200, body);
    assert_eq!(code(&mock.run(&["workflow", "add", "night", "-f", name])), 9);
    assert_eq!(code(&mock.run(&["workflow", "add", "night", "-f", name, "--replace"])), 0);
    assert_eq!(text(&mock.run(&["saved", "get", "night", "-c", "content"]).stdout), "task('a')");
    assert_eq!(text(&mock.run(&["saved", "deactivate", "night"]).stdout), "workflow night is inactive\n");
    assert_eq!(mock.asked().last().expect("asked").body["active"], false);
    assert_eq!(code(&mock.run(&["saved", "update", "other", "-f", name])), 8);
    mock.on("POST /runs", 409, refusal("conflict", "saved workflow \"night\" is inactive"));
    let refused = mock.run(&["run", "--saved", "night"]);
    assert_eq!(
        (code(&refused), text(&refused.stderr)),
        (9, "error: saved workflow \"night\" is inactive\nhint: look again\n".to_owned())
    );
}

/// A stand-in for sloth-worker that answers what a test wants, and keeps what it was asked.
fn worker(dir: &tempfile::TempDir, answer: &str, exit: i32) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(dir.path().join("answer"), answer).expect("a file");
    let here = dir.path().display();
    let script = file(
        dir,
        "worker",
        &format!("#!/bin/sh\necho \"$@\" > {here}/argv\ncat > {here}/asked\ncat {here}/answer\nexit {exit}\n"),
    );
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    script
}

#[test]
fn mistakes_are_shown_with_their_places() {
    let dir = tempfile::tempdir().expect("a directory");
    let bad = file(&dir, "bad.sloth", "x");
    let finding = json!({"code": "E201", "level": "error", "message": "unresolved task reference \"shipp\"", "file": "bad.sloth", "line": 3,
        "column": 15, "excerpt": "  depends_on(\"shipp\")", "hint": "did you mean \"ship\"?"});
    let answer = json!({"file": "bad.sloth", "ok": false, "diagnostics": [finding], "workflows": ["bad"]});
    let worker = worker(&dir, &answer.to_string(), 2);
    let mock = Mock::start();
    let validate =
        |words: &[&str]| mock.command(words).arg(&bad).env("SLOTHD_WORKER", &worker).output().expect("slothctl starts");
    let shown = validate(&["validate"]);
    assert_eq!(code(&shown), 2, "{}", text(&shown.stderr));
    insta::assert_snapshot!("diagnostics", text(&shown.stdout).replace(&dir.path().display().to_string(), ""));
    assert_eq!(std::fs::read_to_string(dir.path().join("argv")).expect("asked"), "validate --json --assignment\n");
    let asked: Value = serde_json::from_slice(&std::fs::read(dir.path().join("asked")).expect("asked")).expect("JSON");
    assert_eq!(asked["bundle"]["files"][bad.to_str().expect("UTF-8")], "x");
    let json = validate(&["check", "-o", "json"]);
    assert_eq!(code(&json), 2);
    assert_eq!(serde_json::from_slice::<Value>(&json.stdout).expect("JSON")["diagnostics"][0]["code"], "E201");
    assert!(mock.asked().is_empty(), "no daemon is needed");
}

#[test]
fn a_plan_is_shown_and_can_tell_by_its_exit_code() {
    let dir = tempfile::tempdir().expect("a directory");
    let site = file(&dir, "site.sloth", "x");
    let plan = json!({"workflows": [{"name": "site", "tasks": [{"name": "conf", "depends_on": []},
        {"name": "tell", "depends_on": ["conf"], "condition": "conf.changed", "condition_value": null}]}],
        "resources": [{"action": "create", "id": "file /x"}, {"action": "update", "id": "file /y", "changes": [{"field": "mode", "old": "0600", "new": "0644"}]}],
        "totals": {"create": 1, "update": 1, "destroy": 0, "unchanged": 4, "unknown": 0}, "diagnostics": []});
    let worker = worker(&dir, &plan.to_string(), 0);
    let mock = Mock::start();
    let out = dir.path().join("plan.json");
    let mut command = mock.command(&["run", "--plan", "--exit-code", "--out"]);
    let ran = command.arg(&out).arg(&site).env("SLOTHD_WORKER", &worker).output().expect("slothctl starts");
    assert_eq!(code(&ran), 6, "{}", text(&ran.stderr));
    insta::assert_snapshot!("plan", text(&ran.stdout));
    assert_eq!(serde_json::from_slice::<Value>(&std::fs::read(&out).expect("a plan")).expect("JSON"), plan);
    assert!(mock.asked().is_empty());
}
