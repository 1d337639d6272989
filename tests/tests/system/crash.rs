//! What ends or goes on while slothd is away, and what it knows afterwards.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sloth_tests::process::{is_alive, wait_for};
use sloth_tests::random::{self, Random};
use sloth_tests::{Instance, Request};

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

#[test]
fn a_schedule_that_was_added_with_a_key_is_added_once_however_often_slothd_dies() {
    let mut instance = Instance::start();
    let mut random = Random::new(random::seed("adding with a key"));
    let mut early = 0;
    for n in 0..25 {
        let key = format!("key-{n}");
        let body = json!({ "name": format!("s{n}"), "trigger": "@every 1h", "shell": "true" });
        let request = Request::new("POST", "/schedules").json(&body).header("idempotency-key", &key);
        let (socket, first) = (instance.socket().to_owned(), request.clone());
        let asking = std::thread::spawn(move || first.send(&socket).ok().map(|reply| reply.status));
        std::thread::sleep(Duration::from_micros(random.between(0, 25_000)));
        instance.kill9();
        early += u32::from(asking.join().expect("no panic").is_none());
        instance.up();
        for _ in 0..2 {
            let reply = instance.send(&request);
            assert_eq!(reply.status, 201, "s{n}: {}", reply.text());
            let change = reply.json();
            assert_eq!(
                (&change["change"], &change["schedule"]["name"]),
                (&json!("created"), &body["name"]),
                "{change}"
            );
            assert_eq!(change["next"].as_array().map(Vec::len), Some(3), "{change}");
        }
        // It is still a key of that request and no other.
        let other =
            Request::new("POST", "/schedules").json(&json!({ "name": "other", "trigger": "manual", "shell": "x" }));
        assert_eq!(instance.send(&other.header("idempotency-key", &key)).status, 409);
    }
    println!("{early} of 25 requests got no answer the first time");
    let names = instance.ok("GET", "/schedules?limit=1000", Value::Null);
    assert_eq!(names["items"].as_array().map(Vec::len), Some(25));
    instance.ok("DELETE", "/schedules/s3", Value::Null);
    let body = json!({ "name": "s3", "trigger": "@every 1h", "shell": "true" });
    let reply = instance.send(&Request::new("POST", "/schedules").json(&body).header("idempotency-key", "key-3"));
    // The answer is that of the first time; nothing is made again.
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(instance.http("GET", "/schedules/s3", Value::Null).0, 404);
}
