//! Scripts that want to do harm. Whatever they do, the run ends with a reason, and the daemon never notices.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sloth_tests::Instance;

use crate::support::{completes, file, run, start};

/// The daemon answers at once, and its memory has not grown with the script's.
#[track_caller]
fn is_well(instance: &Instance) {
    let began = Instant::now();
    let status = instance.ok("GET", "/status", Value::Null);
    assert!(began.elapsed() < Duration::from_secs(2), "the daemon is slow: {:?}", began.elapsed());
    assert!(status["rss_bytes"].as_u64().is_some_and(|bytes| bytes < 200 << 20), "{status}");
}

fn limited() -> Instance {
    let instance = Instance::prepare();
    instance.config("[lua]\nmemory_max = \"64Mi\"\ndefinition_timeout = \"2s\"\n");
    let mut instance = instance;
    instance.up();
    instance
}

#[test]
fn a_definition_that_never_ends_is_ended() {
    let instance = limited();
    for program in [
        "while true do end",
        "local function f() return f() end f()",
        "repeat until false",
        "while true do pcall(function() while true do end end) end",
        "local co = coroutine.wrap(function() while true do end end) co()",
    ] {
        let began = Instant::now();
        let (code, summary) = run(&instance, program, &[]);
        assert_eq!((code, summary["reason"].as_str()), (2, Some("definition")), "{program}: {summary:#}");
        assert!(began.elapsed() < Duration::from_secs(20), "{program}: {:?}", began.elapsed());
    }
    is_well(&instance);
}

#[test]
fn a_task_that_never_ends_meets_its_timeout() {
    let instance = limited();
    for body in [
        "while true do end",
        "while true do pcall(error, 'x') end",
        "pcall(function() while true do end end) while true do end",
        "string.rep('a', 50):find(string.rep('a*', 30) .. 'b')",
        "table.sort({3,1,2}, function() while true do end end)",
    ] {
        let program = format!(
            "task('evil'):timeout('500ms'):command(function() {body} end)\ntask('good'):command('true')
            workflow.define('w'):config({{ continue_on_error = true }}):tasks({{'evil', 'good'}})"
        );
        let began = Instant::now();
        let (_, summary) = run(&instance, &program, &[]);
        let evil = crate::support::task(&summary, "evil");
        assert!(evil["status"] == "failed" || body.contains("find"), "{body}: {summary:#}");
        assert_eq!(crate::support::task(&summary, "good")["status"], "completed", "{body}: {summary:#}");
        assert!(began.elapsed() < Duration::from_secs(40), "{body}: {:?}", began.elapsed());
    }
    is_well(&instance);
}

#[test]
fn memory_bombs_fail_the_run_alone() {
    let instance = limited();
    for body in [
        "local t = {} while true do t[#t+1] = string.rep('x', 1e6) .. #t end",
        "local s = 'x' while true do s = s .. s end",
        "local s = string.rep('x', 1e9)",
        "local t = table.create(1e9, 0)",
        "local function f(...) return f(1, ...) end f()",
        "local b = buffer.create(1073741824)",
    ] {
        let (code, summary) =
            run(&instance, &format!("task('bomb'):timeout('20s'):command(function() {body} end)"), &[]);
        assert_eq!((code, summary["status"].as_str()), (1, Some("failed")), "{body}: {summary:#}");
    }
    is_well(&instance);
    completes(&instance, "task('fine'):command('true')", &[]);
}

#[test]
fn deep_recursion_and_deep_tables_are_errors() {
    let instance = limited();
    for (body, says) in [
        ("local function f(n) return 1 + f(n + 1) end return f(1)", "stack overflow"),
        ("local t = {} for i = 1, 1000 do t = { t } end return true, 'x', t", ""),
        ("local t = {} t.t = t return true, 'x', t", ""),
        ("return true, 'x', { s = string.rep('x', 2 * 1024 * 1024) }", "E301"),
    ] {
        let (_, summary) = run(&instance, &format!("task('deep'):command(function() {body} end)"), &[]);
        let text = summary.to_string();
        assert!(text.contains(says), "{body}: {summary:#}");
        assert!(text.len() < 8 << 20);
    }
    is_well(&instance);
}

/// "attempts at the host through metatables, `debug`, `load`, environment"
#[test]
fn there_is_no_way_out_of_the_sandbox() {
    let instance = limited();
    for body in [
        "return debug.getregistry ~= nil or debug.sethook ~= nil or debug.setmetatable ~= nil",
        "return pcall(function() getmetatable('').__index = nil end) and (('x').upper == nil)",
        "return loadstring('\\27Lua') ~= nil",
        "return getfenv ~= nil and getfenv(0).os ~= nil and pcall(setfenv, 0, {})",
        "return package.loadlib ~= nil or package.cpath ~= nil",
        "return pcall(function() rawset(exec, 'run', print) end) and exec.run == print and task.list == nil",
        "return os.getenv('SLOTHD_ROOT') ~= nil or os.getenv('SLOTH_TOKEN') ~= nil",
        "return newproxy ~= nil and getmetatable(newproxy(true)).__gc ~= nil",
    ] {
        let program = format!(
            "task('way'):command(function() local found = (function() {body} end)() return not found, 'a way out' end)"
        );
        let (code, summary) = run(&instance, &program, &[]);
        assert_eq!(code, 0, "{body}: {}", crate::support::task(&summary, "way")["message"]);
    }
    is_well(&instance);
}

/// "huge strings", log floods, and output that nobody reads: the daemon's files stay bounded.
#[test]
fn floods_are_bounded() {
    let instance = Instance::prepare();
    instance.config("[engine]\nlog_max = \"4Mi\"\n");
    let mut instance = instance;
    instance.up();
    let program = "task('flood'):timeout('20s'):command(function()
        for i = 1, 2000 do log.info(string.rep('x', 20000)) end
        return true end)";
    let (_, summary) = run(&instance, program, &[]);
    let id = summary["run_id"].as_str().expect("an id");
    let stored = instance.ok("GET", &format!("/runs/{id}"), Value::Null)["output_bytes"].as_u64().unwrap_or(0);
    let size = dir_size(instance.root());
    assert!(size < 64 << 20, "{size} bytes on disk after {stored} bytes of output");
    is_well(&instance);
}

#[test]
fn a_worker_that_is_killed_by_its_own_script_is_lost_once_and_resumed() {
    let instance = limited();
    let mark = instance.dir().join("mark");
    let program = format!(
        "task('suicide'):command('echo x >> {0}; if [ $(wc -l < {0}) = 1 ]; then kill -9 $PPID; sleep 5; fi')",
        mark.display()
    );
    let (_, summary) = run(&instance, &program, &[]);
    assert!(["completed", "failed"].contains(&summary["status"].as_str().unwrap_or_default()), "{summary:#}");
    is_well(&instance);
}

#[test]
fn a_fork_bomb_under_limits_ends_with_its_run() {
    let instance = limited();
    let program = "task('forks'):timeout('2s'):command('for i in $(seq 200); do sleep 4713.5 & done; wait')";
    let id = start(&instance, program, &[]);
    let view = instance.finished(&id);
    assert_eq!(view["status"], "failed", "{view}");
    sloth_tests::process::wait_for("nothing is left", || sloth_tests::process::with_argument("4713.5").is_empty());
    is_well(&instance);
}

/// "4 MiB files, invalid UTF-8: diagnostics, never a panic"
#[test]
fn strange_files_are_diagnosed() {
    let instance = limited();
    let check = |bytes: &[u8]| {
        let path = instance.dir().join("strange.sloth");
        std::fs::write(&path, bytes).expect("writable");
        let ran = crate::support::ctl(&instance, &["run", &path.display().to_string(), "-o", "json"]);
        assert!(!ran.err.contains("panicked") && !ran.out.contains("panicked"), "{}{}", ran.out, ran.err);
        ran.code
    };
    assert_eq!(check(b"\xff\xfe\x00\x01"), 2);
    assert_eq!(check(b""), 2);
    assert_eq!(check(&[0; 100]), 2);
    assert_eq!(check(&vec![b'('; 1 << 20]), 2);
    assert_eq!(check(&vec![b' '; (4 << 20) + 1]), 2);
    assert_eq!(check(b"\xef\xbb\xbf#!/usr/bin/env slothctl\ntask('a'):command('true')"), 0);
    assert_eq!(check(b"local s = '\xff' task('a'):command(function() return #s == 1 end)"), 0);
    is_well(&instance);
}

#[test]
fn requests_that_are_no_programs_are_refused() {
    let instance = limited();
    for body in [
        json!({}),
        json!({ "source": {} }),
        json!({ "source": { "bundle": { "main": "/x", "files": {} } } }),
        json!({ "source": { "bundle": { "main": "", "files": { "": "x" } } } }),
        json!({ "source": { "saved": "nobody" } }),
        json!({ "source": { "bundle": { "main": "/x", "files": { "/x": "task('a')" } } }, "mode": "sideways" }),
        json!({ "source": { "bundle": { "main": "/x", "files": { "/x": "task('a')" } } }, "options": { "unknown": 1 } }),
        json!({ "source": { "bundle": { "main": "/x", "files": { "/x": "task('a')" } } }, "values": [] }),
        json!({ "source": { "bundle": { "main": "/x", "files": { "/x": "task('a')" } } }, "user": "no-such-user" }),
    ] {
        let (status, answer) = instance.http("POST", "/runs", body.clone());
        assert!((400..500).contains(&status), "{body}: {status} {answer}");
        assert!(answer["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{body}: {answer}");
    }
    assert_eq!(instance.value("SELECT count(*) FROM runs"), 0);
    let _ = file(&instance, "unused", "");
}

fn dir_size(dir: &std::path::Path) -> u64 {
    let mut total = 0;
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(about) = entry.metadata() else { continue };
        total += if about.is_dir() { dir_size(&entry.path()) } else { about.len() };
    }
    total
}
