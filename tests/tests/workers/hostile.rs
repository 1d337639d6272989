//! Nothing that comes over the socket of workers hurts slothd or another run.

use std::io::Write;

use serde_json::{Value, json};

use crate::{House, Link, finished, note, records};

fn refused(house: &House, hello: Value) -> String {
    let errand = json!({ "socket": house.instance.root().join("worker.sock").display().to_string() });
    let mut link = Link::open(&errand);
    link.send(&hello);
    let answer = link.receive().expect("an answer");
    assert_eq!(answer["type"], "refused", "{answer}");
    assert!(link.receive().is_none(), "the connection is closed");
    answer["code"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn only_the_worker_of_a_run_gets_through() {
    let house = House::start();
    let (run, other) = (house.run(), house.run());
    let (errand, other) = (house.errand(&run, 1), house.errand(&other, 1));
    let hello = |run: &Value, worker: u32, token: &Value| json!({ "type": "hello", "protocol": 1, "run": run, "worker": worker, "token": token, "fresh": true });
    assert_eq!(refused(&house, hello(&errand["run"], 1, &other["token"])), "denied", "another run's token");
    assert_eq!(refused(&house, hello(&errand["run"], 2, &errand["token"])), "denied", "another worker's token");
    assert_eq!(refused(&house, hello(&json!("x"), 1, &errand["token"])), "denied");
    assert_eq!(refused(&house, hello(&errand["run"], 1, &json!(""))), "denied");
    assert_eq!(refused(&house, records(1, &[note(1)])), "invalid_argument", "hello comes first");
    let old = json!({ "type": "hello", "protocol": 99, "run": errand["run"], "worker": 1, "token": errand["token"], "fresh": true });
    assert_eq!(refused(&house, old), "incompatible_version");
    assert_eq!(Link::hello(&errand, true).1["type"], "begin", "the right one still does");
}

#[test]
fn a_worker_that_breaks_the_rules_loses_its_connection_and_nothing_else() {
    let house = House::start();
    let run = house.run();
    let errand = house.errand(&run, 1);
    let task = |status: &str| {
        let mut record = crate::task_finished("completed");
        record["end"]["status"] = status.into();
        record
    };
    let big = json!({ "kind": "checkpoint", "id": "c", "name": "n", "workflow": "w", "task": "t", "state": "x".repeat(2 << 20) });
    let name = json!({ "kind": "task_started", "workflow": "w", "task": "t".repeat(5000), "attempt": 1 });
    let of_slothd = json!({ "kind": "event", "name": "run.completed", "data": {} });
    for (what, message) in [
        ("a gap", records(5, &[note(1)])),
        ("no records", json!({ "type": "records", "records": [] })),
        ("an unknown state", records(1, &[json!({ "kind": "status", "status": "splendid" })])),
        ("an unknown end of a task", records(1, &[task("splendid")])),
        ("an unknown end", records(1, &[finished("splendid")])),
        ("a large state", records(1, &[big])),
        ("a long name", records(1, &[name])),
        ("an event of slothd's own", records(1, &[of_slothd])),
        ("an unknown message", json!({ "type": "please" })),
    ] {
        let (mut link, _) = Link::hello(&errand, true);
        link.send(&message);
        let answer = link.receive().unwrap_or_default();
        assert_eq!(answer["type"], "refused", "{what}: {answer}");
        assert!(link.receive().is_none(), "{what}");
    }
    assert_eq!(house.journal(&run), [] as [u64; 0]);
    let (mut link, _) = Link::hello(&errand, true);
    link.send(&records(1, &[finished("completed")]));
    link.acknowledged(1);
    house.exit(&run, 1, 0);
    assert_eq!(house.ended(&run)["status"], "completed");
}

#[test]
fn a_promise_of_gigabytes_costs_nothing() {
    let house = House::start();
    let run = house.run();
    let errand = house.errand(&run, 1);
    for _ in 0..50 {
        let mut link = Link::open(&errand);
        link.0.write_all(&[0xff, 0xff, 0xff, 0x7f, b'{']).expect("sent");
        assert_eq!(link.receive().map(|m| m["type"].clone()), Some(json!("refused")));
    }
    let silent: Vec<Link> = (0..100).map(|_| Link::open(&errand)).collect();
    let (mut link, begin) = Link::hello(&errand, true);
    assert_eq!(begin["type"], "begin", "those who say nothing are in nobody's way");
    link.0.write_all(&(32_u32 << 20).to_le_bytes()).expect("sent");
    drop((link, silent));
    assert_eq!(house.status(&run), "starting");
}

#[test]
fn a_newer_connection_takes_over() {
    let house = House::start();
    let errand = house.errand(&house.run(), 1);
    let (mut first, _) = Link::hello(&errand, true);
    first.send(&records(1, &[note(1)]));
    first.acknowledged(1);
    let (mut second, welcome) = Link::hello(&errand, false);
    assert_eq!(welcome["upto"], 1);
    second.send(&records(2, &[note(2)]));
    second.acknowledged(2);
    assert!(first.receive().is_none(), "the older one is closed");
}

#[test]
fn what_workers_share_is_asked_for_by_scope() {
    let house = House::start();
    let errand = house.errand(&house.run(), 1);
    let (mut link, _) = Link::hello(&errand, true);
    let mut ask = |id: u64, what: &str, body: Value| {
        link.send(&json!({ "type": "ask", "id": id, "what": what, "body": body }));
        loop {
            let message = link.receive().expect("an answer");
            if message["type"] == "answer" && message["id"] == id {
                return message;
            }
        }
    };
    let limits =
        json!({ "name": "api", "failure_threshold": 1, "recovery_timeout_ms": 60_000, "half_open_requests": 1 });
    assert_eq!(ask(1, "circuit.enter", limits.clone())["ok"]["granted"], true);
    assert_eq!(ask(2, "circuit.result", json!({ "name": "api", "success": false }))["ok"]["state"], "open");
    assert_eq!(ask(3, "circuit.enter", limits)["ok"]["granted"], false);
    assert_eq!(ask(4, "rate.take", json!({ "key": "k", "rps": 1 }))["ok"]["wait_ms"], 0);
    assert!(ask(5, "rate.take", json!({ "key": "k", "rps": 1 }))["ok"]["wait_ms"].as_u64() > Some(900));
    assert_eq!(ask(6, "throttle.take", json!({ "key": "k", "interval_ms": 60_000 }))["ok"]["granted"], true);
    assert_eq!(ask(7, "key.acquire", json!({ "key": "db", "n": 1, "task": "t" }))["ok"], json!({}));
    assert_eq!(ask(8, "rate.take", json!({ "key": "k", "rps": 0 }))["refused"]["code"], "invalid_argument");
    assert_eq!(ask(9, "make.coffee", json!({}))["refused"]["code"], "not_supported");
}
