//! Schedules whose action is a workflow.

use std::fs;

use serde_json::{Value, json};
use sloth_tests::Instance;

use crate::support::{ctl, ended, file, task};

#[test]
fn a_schedule_runs_the_program_that_it_was_given() {
    let instance = Instance::start();
    let path = file(
        &instance,
        "night.sloth",
        "task('a'):command(function() return true, values.word .. ' ' .. params.p, { word = values.word } end) workflow.define('w'):tasks({'a'})",
    );
    let words = [
        "scheduler",
        "add",
        "night",
        "--manual",
        "-f",
        &path,
        "--stack",
        "lab",
        "--set",
        "word=good",
        "--param",
        "p=night",
    ];
    let added = ctl(&instance, &words);
    assert_eq!(added.code, 0, "{}{}", added.out, added.err);
    // What the file becomes later is not what was scheduled.
    fs::write(&path, "error('changed')").expect("writable");
    let id = instance.trigger("night");
    let summary = ended(&instance, &id);
    assert_eq!((&summary["status"], &summary["stack"]), (&json!("completed"), &json!("lab")), "{summary:#}");
    assert_eq!(task(&summary, "a")["message"], "good night");
    let view = instance.ok("GET", &format!("/runs/{id}"), Value::Null);
    assert_eq!((&view["schedule"], &view["kind"]), (&json!("night"), &json!("workflow")));
    let shown = ctl(&instance, &["scheduler", "show", "night"]);
    assert_eq!(shown.code, 0, "{}{}", shown.out, shown.err);
    let edited = ctl(&instance, &["scheduler", "edit", "night", "--", "true"]);
    assert_eq!(edited.code, 0, "{}{}", edited.out, edited.err);
    assert_eq!(instance.run("night")["kind"], "command");
}

#[test]
fn a_schedule_fires_a_saved_workflow() {
    let instance = Instance::start();
    let mark = instance.dir().join("mark");
    let path = file(&instance, "tick.sloth", &format!("task('a'):command('echo x >> {}')", mark.display()));
    assert_eq!(ctl(&instance, &["saved", "add", "tick", "-f", &path]).code, 0);
    let added = ctl(&instance, &["scheduler", "add", "every", "--every", "1s", "--saved", "tick"]);
    assert_eq!(added.code, 0, "{}{}", added.out, added.err);
    crate::support::holds(&mark, "x\nx");
    assert_eq!(instance.value("SELECT count(*) FROM runs WHERE status = 'failed'"), 0);
    let audit = ctl(&instance, &["scheduler", "audit", "every"]);
    assert_eq!(audit.code, 0, "{}{}", audit.out, audit.err);
}

#[test]
fn a_failed_workflow_fails_its_schedule_and_is_retried_by_it() {
    let instance = Instance::start();
    let path = file(&instance, "bad.sloth", "task('a'):command('exit 3')");
    assert_eq!(ctl(&instance, &["scheduler", "add", "bad", "--manual", "-f", &path]).code, 0);
    let ran = ctl(&instance, &["scheduler", "run", "bad", "--wait"]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("failed") && ran.out.contains("task_failed"), "{}", ran.out);
}
