//! What ends or goes on while slothd is away, and what it knows afterwards.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sloth_tests::Instance;
use sloth_tests::process::{is_alive, wait_for};

#[test]
fn a_run_that_ended_while_slothd_was_dead_keeps_its_exit_code_and_output() {
    let mut instance = Instance::start();
    instance.add_shell(
        "long",
        "echo begun; sleep 1; i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; exit 7",
    );
    let run = instance.trigger("long");
    instance.reaches(&run, "running");
    instance.kill9();
    std::thread::sleep(Duration::from_millis(2500));
    instance.up();
    let view = instance.finished(&run);
    assert_eq!((&view["status"], &view["exit_code"]), (&json!("failed"), &json!(7)), "{view}");
    assert_eq!(view["attempts"], 1);
    let output = instance.output(&run, "stdout");
    assert_eq!(output.lines().count(), 2001);
    assert!(output.ends_with("line 1999\n"));
}

#[test]
fn a_run_goes_on_through_a_kill_and_its_end_is_recorded() {
    let mut instance = Instance::start();
    instance.add_shell("long", "echo $$; sleep 3; exit 5");
    let run = instance.trigger("long");
    let pid = instance.reaches(&run, "running")["pid"].as_i64().expect("a pid") as i32;
    instance.restart();
    assert!(is_alive(pid), "the job died with slothd");
    let view = instance.ok("GET", &format!("/runs/{run}"), Value::Null);
    assert_eq!(view["status"], "running", "{view}");
    let view = instance.finished(&run);
    assert_eq!(view["exit_code"], 5, "{view}");
    assert_eq!(instance.output(&run, "stdout").trim(), pid.to_string());
}

#[test]
fn an_orderly_stop_leaves_runs_going_and_takes_them_up_again() {
    let mut instance = Instance::start();
    instance.add_shell("long", "sleep 3; exit 9");
    let run = instance.trigger("long");
    let pid = instance.reaches(&run, "running")["pid"].as_i64().expect("a pid") as i32;
    let stop = Instant::now();
    assert_eq!(instance.term(), Some(0));
    assert!(stop.elapsed() < Duration::from_secs(5), "the stop took {:?}", stop.elapsed());
    assert!(is_alive(pid), "the job died with slothd");
    assert!(!instance.socket().exists(), "the socket is left behind");
    instance.up();
    assert_eq!(instance.finished(&run)["exit_code"], 9);
    wait_for("the job is gone", || !is_alive(pid));
}
