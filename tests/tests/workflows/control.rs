//! Cancel, pause, resume, rerun.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;
use sloth_tests::Instance;
use sloth_tests::process::{signal, wait_for, with_argument};

use crate::support::{ctl, ended, file, holds, list, start, task, text};

/// "`run cancel ID`: nothing new starts, running attempts get the kill sequence, tasks `cancelled` … Idempotent; a terminal run answers
/// `already <status>` with exit code 0"
#[test]
fn a_cancelled_run_ends_its_processes_and_starts_nothing() {
    let instance = Instance::start();
    let mark = instance.dir().join("mark");
    let program = format!(
        "task('long'):command('echo begun >> {0}; exec sleep 4711.25')
         task('after'):depends_on('long'):command('echo after >> {0}')",
        mark.display()
    );
    let id = start(&instance, &program, &[]);
    holds(&mark, "begun");
    assert_eq!(ctl(&instance, &["run", "cancel", &id, "--reason", "wrong host"]).code, 0);
    let summary = ended(&instance, &id);
    assert_eq!((&summary["status"], &summary["reason"]), (&json!("cancelled"), &json!("user")), "{summary:#}");
    assert_eq!(task(&summary, "long")["status"], "cancelled");
    assert_ne!(task(&summary, "after")["status"], "completed");
    assert_eq!(text(&mark), "begun\n");
    wait_for("the command is gone", || with_argument("4711.25").is_empty());
    let again = ctl(&instance, &["cancel", &id]);
    assert_eq!(again.code, 0);
    assert!(again.out.contains("already cancelled"), "{}", again.out);
}

#[test]
fn one_task_can_be_cancelled_alone() {
    let instance = Instance::start();
    let mark = instance.dir().join("mark");
    let program = format!(
        "task('stuck'):command('echo begun >> {0}; sleep 60'):ignore_errors()
         task('other'):command('while ! grep -q go {0}; do sleep 0.05; done')",
        mark.display()
    );
    let id = start(&instance, &program, &[]);
    holds(&mark, "begun");
    assert_eq!(ctl(&instance, &["runs", "cancel", &id, "--task", "stuck"]).code, 0);
    wait_for("the task is cancelled", || {
        list(&instance, &id, "tasks").iter().any(|task| task["name"] == "stuck" && task["status"] == "cancelled")
    });
    fs::write(&mark, "begun\ngo\n").expect("writable");
    assert_eq!(task(&ended(&instance, &id), "other")["status"], "completed");
}

/// "`run pause`: nothing new starts, running tasks go on … a pause survives restarts"
#[test]
fn a_pause_holds_new_tasks_back_over_a_restart() {
    let mut instance = Instance::start();
    let mark = instance.dir().join("mark");
    let program = format!(
        "task('one'):command('echo one >> {0}; sleep 0.7; echo ended >> {0}')
         task('two'):depends_on('one'):command('echo two >> {0}')",
        mark.display()
    );
    let id = start(&instance, &program, &[]);
    holds(&mark, "one");
    assert_eq!(ctl(&instance, &["runs", "pause", &id]).code, 0);
    holds(&mark, "ended");
    instance.restart();
    std::thread::sleep(Duration::from_millis(700));
    assert!(!text(&mark).contains("two"), "a paused run has started a task");
    assert_eq!(instance.reaches(&id, "paused")["status"], "paused");
    assert_eq!(ctl(&instance, &["runs", "unpause", &id]).code, 0);
    assert_eq!(ended(&instance, &id)["status"], "completed");
    assert_eq!(text(&mark), "one\nended\ntwo\n");
}

/// "`completed` and condition-skipped tasks are not run again; their outputs come from the journal"
#[test]
fn a_failed_run_is_resumed_behind_what_it_has_done() {
    let instance = Instance::start();
    let (mark, gate) = (instance.dir().join("mark"), instance.dir().join("gate"));
    let program = format!(
        "task('first'):command(function() fs.append('{0}', 'first\\n') return true, 'ok', {{ n = 41 }} end)
         task('gate'):depends_on('first'):command('test -e {1}')
         task('last'):depends_on('first', 'gate'):command(function(this, params, deps)
           fs.append('{0}', 'last ' .. (deps.first.n + 1) .. '\\n') return true end)",
        mark.display(),
        gate.display()
    );
    let id = start(&instance, &program, &[]);
    let summary = ended(&instance, &id);
    assert_eq!((&summary["status"], &task(&summary, "gate")["status"]), (&json!("failed"), &json!("failed")));
    fs::write(&gate, "").expect("writable");
    let resumed = ctl(&instance, &["run", "--resume", &id, "-o", "json"]);
    assert_eq!(resumed.code, 0, "{}{}", resumed.out, resumed.err);
    let summary = resumed.summary();
    assert_eq!(summary["run_id"], id.as_str(), "the same run");
    assert_eq!(text(&mark), "first\nlast 42\n");
    assert_eq!(task(&summary, "gate")["attempts"], 2, "the attempt counter continues");
    // A rerun is another run of the same program, from its beginning.
    let rerun = ctl(&instance, &["run", "--rerun", &id, "-o", "json"]);
    assert_eq!(rerun.code, 0, "{}{}", rerun.out, rerun.err);
    assert_ne!(rerun.summary()["run_id"], id.as_str());
    assert_eq!(text(&mark), "first\nlast 42\nfirst\nlast 42\n");
}

/// "`--from TASK` re-runs that task and everything after it"
#[test]
fn resuming_from_a_task_repeats_it_and_what_follows() {
    let instance = Instance::start();
    let mark = instance.dir().join("mark");
    let program = format!(
        "for _, n in ipairs({{'a', 'b', 'c', 'd'}}) do task(n):command('echo ' .. n .. ' >> {0}; test ' .. n .. ' != d') end
         workflow.define('w'):tasks(chain({{'a', 'b', 'c', 'd'}}))",
        mark.display()
    );
    let id = start(&instance, &program, &[]);
    ended(&instance, &id);
    let resumed = ctl(&instance, &["runs", "resume", &id, "--from", "c", "--follow"]);
    assert_eq!(resumed.code, 1);
    assert_eq!(text(&mark).replace('\n', ""), "abcdcd");
}

/// "Ctrl-C once asks to cancel"
#[test]
fn an_interrupt_at_the_terminal_cancels_the_run() {
    let instance = Instance::start();
    let mark = instance.dir().join("mark");
    let path =
        file(&instance, "long.sloth", &format!("task('long'):command('echo begun >> {}; sleep 60')", mark.display()));
    let mut command = instance.ctl_command(&["run", &path, "-o", "json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("slothctl runs");
    holds(&mark, "begun");
    signal(i32::try_from(child.id()).expect("a pid"), Signal::SIGINT);
    let began = Instant::now();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(5));
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"status\":\"cancelled\""));
}

/// "`--attach-lifetime` ties the run to the client"
#[test]
fn a_run_can_end_with_its_client() {
    let instance = Instance::start();
    let mark = instance.dir().join("mark");
    let path =
        file(&instance, "long.sloth", &format!("task('long'):command('echo begun >> {}; sleep 60')", mark.display()));
    let mut command = instance.ctl_command(&["run", &path, "--attach-lifetime", "-o", "json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("slothctl runs");
    holds(&mark, "begun");
    signal(i32::try_from(child.id()).expect("a pid"), Signal::SIGTERM);
    assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(5));
    assert_eq!(instance.value("SELECT count(*) FROM runs WHERE status = 'cancelled'"), 1);
}
