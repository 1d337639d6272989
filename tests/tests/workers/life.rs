//! A worker's life: what was acknowledged is there once, whoever dies in between.

use std::time::Duration;

use serde_json::{Value, json};
use sloth_tests::Request;

use crate::{House, Link, finished, graph, note, records, task_finished};

#[test]
fn a_run_is_what_its_worker_recorded() {
    let house = House::start();
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
    let mut house = House::start();
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
    let house = House::start();
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
    let house = House::start();
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
    let house = House::start();
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

/// A schedule keeps its program, by its sum; `show` gives fields that make the same schedule again.
#[test]
fn a_schedule_runs_a_workflow() {
    let house = House::start();
    let bundle = json!({ "main": "/srv/report.sloth", "files": { "/srv/report.sloth": "-- nothing" } });
    let workflow = json!({ "bundle": bundle, "stack": "edge", "values": { "a": 1 } });
    let added = house.instance.add("report", json!({ "trigger": "manual", "workflow": workflow }));
    let known = &added["schedule"]["workflow"];
    assert_eq!((&known["file"], &known["bundle"]), (&json!("/srv/report.sloth"), &Value::Null));
    let again = json!({ "trigger": "manual", "workflow": known });
    let put = house.instance.ok("PUT", "/schedules/report?if_changed=true", again);
    assert_eq!(put["change"], "unchanged");
    let run = house.instance.trigger("report");
    let (mut link, begin) = Link::hello(&house.errand(&run, 1), true);
    let given = &begin["assignment"];
    assert_eq!((&given["stack"], &given["values"], &given["bundle"]), (&json!("edge"), &json!({ "a": 1 }), &bundle));
    link.send(&records(1, &[finished("completed")]));
    link.acknowledged(1);
    house.exit(&run, 1, 0);
    let view = house.ended(&run);
    assert_eq!(
        (&view["status"], &view["schedule"], &view["workflow"]),
        (&json!("completed"), &json!("report"), &json!("report"))
    );
    for (field, spec) in [
        ("command", json!({ "trigger": "manual", "workflow": known, "command": ["/bin/true"] })),
        ("retries", json!({ "trigger": "manual", "workflow": known, "retries": 3 })),
        ("workflow", json!({ "trigger": "manual", "workflow": { "file": "/x" } })),
        ("workflow.sha256", json!({ "trigger": "manual", "workflow": { "sha256": "0" } })),
    ] {
        let (status, body) = house.instance.http("PUT", "/schedules/report", spec);
        assert_eq!((status, &body["error"]["details"]["field"]), (400, &json!(field)), "{body}");
    }
}

#[test]
fn a_saved_workflow_is_run_by_its_name() {
    let house = House::start();
    let bundle = json!({ "main": "a.sloth", "files": { "a.sloth": "-- one" } });
    let saved = house.instance.ok("PUT", "/workflows/report", json!({ "bundle": bundle, "description": "d" }));
    assert_eq!((&saved["version"], &saved["active"], &saved["description"]), (&json!(1), &json!(true), &json!("d")));
    let run = house.instance.ok("POST", "/runs", json!({ "source": { "saved": "report" } }));
    assert_eq!((&run["saved"], &run["workflow"]), (&json!("report"), &json!("report")));
    let other = json!({ "main": "a.sloth", "files": { "a.sloth": "-- two" } });
    let saved = house.instance.ok("PUT", "/workflows/report", json!({ "bundle": other, "active": false }));
    assert_eq!((&saved["version"], &saved["description"], &saved["last_run"]), (&json!(2), &json!("d"), &run["id"]));
    let (status, body) = house.instance.http("POST", "/runs", json!({ "source": { "saved": "report" } }));
    assert_eq!((status, &body["error"]["code"]), (409, &json!("conflict")), "it is not active");
    let kept =
        house.instance.ok("GET", &format!("/runs/{}/bundle", run["id"].as_str().unwrap_or_default()), Value::Null);
    assert_eq!(kept["bundle"], bundle, "a run keeps its program");
    house.instance.ok("DELETE", "/workflows/report", Value::Null);
    assert_eq!(house.instance.http("GET", "/workflows/report", Value::Null).0, 404);
}

/// Every refusal of `POST /runs` names the place.
#[test]
fn what_is_wrong_with_a_request_is_said() {
    let house = House::start();
    let good = json!({ "bundle": { "main": "a", "files": { "a": "x" } } });
    for (status, word, body) in [
        (400, "source.bundle", json!({ "source": { "bundle": { "main": "b", "files": { "a": "x" } } } })),
        (
            413,
            "source.bundle",
            json!({ "source": { "bundle": { "main": "a", "files": { "a": "x".repeat(13 << 20) } } } }),
        ),
        (400, "priority", json!({ "source": good, "priority": 101 })),
        (400, "mode", json!({ "source": good, "mode": "plan" })),
        (400, "stack", json!({ "source": good, "stack": "a b" })),
        (400, "user", json!({ "source": good, "user": "nobody-of-that-name" })),
        (400, "env", json!({ "source": good, "env": { "SLOTH_X": "1" } })),
        (400, "labels", json!({ "source": good, "labels": { "a b": "1" } })),
        (400, "invocation_dir", json!({ "source": good, "invocation_dir": "x" })),
        (400, "unknown field", json!({ "source": good, "speed": 9 })),
        (400, "unknown field", json!({ "source": good, "options": { "speed": 9 } })),
        (404, "report", json!({ "source": { "saved": "report" } })),
    ] {
        let (got, answer) = house.instance.http("POST", "/runs", body);
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(got == status && message.contains(word), "{got} {message}, expected {status} {word}");
    }
}

/// one's own runs, and as oneself; the rest needs an administrator.
#[test]
fn others_runs_are_out_of_reach() {
    if !sloth_tests::skips::root_or_skip("others_runs_are_out_of_reach") {
        return;
    }
    let mut house = House::start();
    let run = house.run();
    house.instance.term();
    house.instance.open_to_all();
    house.instance.config(&format!(
        "[socket]\nmode = \"0666\"\npath = {:?}\n[engine]\nworker = \"/bin/false\"\n",
        house.instance.socket().display().to_string()
    ));
    house.instance.up();
    let source = json!({ "bundle": { "main": "a", "files": { "a": "x" } } });
    let asked = [
        ("GET", format!("/runs/{run}/summary"), Value::Null),
        ("GET", format!("/runs/{run}/values"), Value::Null),
        ("POST", format!("/runs/{run}/pause"), json!({})),
        ("POST", format!("/runs/{run}/resume"), json!({})),
        ("POST", format!("/runs/{run}/rerun"), json!({})),
        ("POST", format!("/runs/{run}/cancel"), json!({})),
        ("POST", "/runs".to_owned(), json!({ "source": source, "user": "root" })),
        ("GET", "/workflows?all_users=true".to_owned(), Value::Null),
        ("PUT", "/workflows/root/x".replace("root/x", "root%2Fx"), json!({ "bundle": source["bundle"] })),
    ];
    for (n, (status, body)) in house.instance.as_user(65534, &asked).into_iter().enumerate() {
        assert_eq!(status, 403, "{:?}: {body}", asked[n]);
    }
    let own = [("POST", "/runs".to_owned(), json!({ "source": source }))];
    let (status, body) = house.instance.as_user(65534, &own).remove(0);
    assert_eq!((status, &body["user"]), (201, &json!("nobody")), "{body}");
    let journal = [("GET", format!("/runs/{}/journal", body["id"].as_str().unwrap_or_default()), Value::Null)];
    assert_eq!(house.instance.as_user(65534, &journal)[0].0, 403, "the journal is for administrators");
}
