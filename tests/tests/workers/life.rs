//! A worker's life: what was acknowledged is there once, whoever dies in between (engine.md §12).

use std::time::Duration;

use serde_json::{Value, json};
use sloth_tests::Request;

use crate::{House, Link, finished, graph, note, records, task_finished};

#[test]
fn a_run_is_what_its_worker_recorded() {
    let house = House::new();
    let run = house.run();
    let (mut link, begin) = Link::hello(&house.errand(&run, 1), true);
    assert_eq!(begin["type"], "begin");
    assert_eq!(
        (&begin["assignment"]["next_seq"], &begin["assignment"]["bundle"]["main"]),
        (&json!(1), &json!("a.sloth"))
    );
    let started = json!({ "kind": "task_started", "workflow": "w", "task": "t", "attempt": 1 });
    let running = json!({ "kind": "status", "status": "running" });
    link.send(&records(1, &[graph(), running, started, task_finished("completed"), finished("completed")]));
    link.acknowledged(5);
    house.exit(&run, 1, 0);
    let view = house.ended(&run);
    assert_eq!(
        (&view["status"], &view["kind"], &view["counts"]["completed"]),
        (&json!("completed"), &json!("workflow"), &json!(1))
    );
    let summary = house.instance.ok("GET", &format!("/runs/{run}/summary"), Value::Null);
    assert_eq!(
        (&summary["exit_code"], &summary["outputs"], &summary["tasks"][0]["output"]),
        (&json!(0), &json!({"o": 2}), &json!({"x": 1}))
    );
    let events = house.instance.ok("GET", &format!("/runs/{run}/events"), Value::Null);
    let kinds: Vec<&str> =
        events["items"].as_array().into_iter().flatten().filter_map(|e| e["type"].as_str()).collect();
    let expected = [
        "run.queued",
        "run.started",
        "workflow.started",
        "task.started",
        "task.completed",
        "workflow.completed",
        "run.completed",
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn what_is_sent_again_counts_once_over_every_crash_of_slothd() {
    let mut house = House::new();
    let run = house.run();
    let errand = house.errand(&run, 1);
    let (mut link, _) = Link::hello(&errand, true);
    for round in 0..4_u64 {
        let first = round * 10 + 1;
        let batch: Vec<Value> = (first..first + 10).map(note).collect();
        link.send(&records(first, &batch));
        link.acknowledged(first + 9);
        link.send(&records(first + 10, &[note(0)]));
        house.instance.kill9();
        house.instance.up();
        let (again, welcome) = Link::hello(&errand, false);
        link = again;
        let upto = welcome["upto"].as_u64().expect("a number");
        assert!(welcome["type"] == "welcome" && (first + 9..=first + 10).contains(&upto), "{welcome}");
        link.send(&records(first + 5, &batch[5..].iter().cloned().chain([note(0)]).collect::<Vec<_>>()));
        link.acknowledged(first + 9);
    }
    assert_eq!(house.journal(&run), (1..=41).collect::<Vec<u64>>());
    assert_eq!(house.ended_soon(&run), "starting");
}

#[test]
fn a_worker_that_dies_is_followed_by_one_that_knows_everything() {
    let house = House::new();
    let run = house.run();
    let (mut link, _) = Link::hello(&house.errand(&run, 1), true);
    link.send(&records(1, &[graph(), task_finished("completed")]));
    link.acknowledged(2);
    house.exit(&run, 1, 0);
    let (mut second, begin) = Link::hello(&house.errand(&run, 2), true);
    let told: Vec<&Value> =
        begin["assignment"]["journal"].as_array().into_iter().flatten().map(|r| &r["record"]["kind"]).collect();
    assert_eq!(told, [&json!("graph"), &json!("task_finished")]);
    assert_eq!(begin["assignment"]["next_seq"], 3);
    second.send(&records(3, &[finished("failed")]));
    second.acknowledged(3);
    house.exit(&run, 2, 0);
    let view = house.ended(&run);
    assert_eq!(
        (&view["status"], &view["reason"], &view["attempts"]),
        (&json!("failed"), &json!("task_failed"), &json!(2))
    );
}

#[test]
fn pause_cancel_and_resume_reach_the_worker() {
    let house = House::new();
    let run = house.run();
    let (mut link, _) = Link::hello(&house.errand(&run, 1), true);
    link.send(&records(1, &[json!({ "kind": "status", "status": "running" })]));
    link.acknowledged(1);
    let paused = house.instance.ok("POST", &format!("/runs/{run}/pause"), json!({}));
    assert_eq!(
        (paused["status"].as_str(), link.receive().map(|m| m["type"].clone())),
        (Some("paused"), Some(json!("pause")))
    );
    assert_eq!(house.status(&run), "paused");
    house.instance.ok("POST", &format!("/runs/{run}/unpause"), json!({}));
    assert_eq!(link.receive().map(|m| m["type"].clone()), Some(json!("unpause")));
    house.instance.ok("POST", &format!("/runs/{run}/cancel"), json!({ "reason": "enough", "no_compensate": true }));
    let order = link.receive().expect("an order");
    assert_eq!((&order["type"], &order["compensate"]), (&json!("cancel"), &json!(false)));
    link.send(&records(2, &[finished("cancelled")]));
    link.acknowledged(2);
    house.exit(&run, 1, 0);
    let view = house.ended(&run);
    assert_eq!((&view["status"], &view["reason"]), (&json!("cancelled"), &json!("user")));
    house.instance.ok("POST", &format!("/runs/{run}/resume"), json!({}));
    let (_, begin) = Link::hello(&house.errand(&run, 2), true);
    assert_eq!(begin["assignment"]["next_seq"], 3);
}

#[test]
fn the_same_key_makes_one_run() {
    let house = House::new();
    let body = json!({ "source": { "bundle": { "main": "a", "files": { "a": "x" } } } });
    let post = || {
        let request = Request::new("POST", "/runs").json(&body).header("Idempotency-Key", "k");
        request.send(house.instance.socket()).expect("an answer")
    };
    let (first, again) = (post(), post());
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.json()["id"], again.json()["id"]);
}

impl House {
    /// Where the run is after a moment.
    fn ended_soon(&self, run: &str) -> String {
        std::thread::sleep(Duration::from_millis(300));
        self.status(run)
    }
}
