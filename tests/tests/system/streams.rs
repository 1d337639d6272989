//! Streams: events and output arrive in order, and go on where they were after slothd was killed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sloth_tests::client::Messages;
use sloth_tests::process::wait_for;
use sloth_tests::{Instance, Request};

#[test]
fn events_resume_over_a_kill_without_gap_or_repetition() {
    let mut instance = Instance::start();
    instance.add("tick", json!({ "trigger": "* * * * * *", "shell": "true" }));
    let mut seen: Vec<i64> = Vec::new();
    for round in 0..3 {
        let mut request = Request::new("GET", "/stream?topics=events").patience(Duration::from_secs(10));
        if let Some(last) = seen.last() {
            request = request.header("last-event-id", &last.to_string());
        }
        let messages = Messages::open(&request, instance.socket()).expect("a stream");
        let until = Instant::now() + Duration::from_secs(2);
        for message in messages {
            let body: Value = serde_json::from_str(&message.data).expect("JSON");
            assert_eq!(body["seq"].to_string(), message.id);
            seen.push(body["seq"].as_i64().expect("a number"));
            if Instant::now() > until {
                break;
            }
        }
        if round < 2 {
            instance.restart();
        }
    }
    let (first, last) = (seen[0], seen[seen.len() - 1]);
    let stored = instance.rows(&format!("SELECT seq FROM events WHERE seq BETWEEN {first} AND {last} ORDER BY seq"));
    let stored: Vec<i64> = stored.iter().filter_map(|row| row[0].as_i64()).collect();
    assert_eq!(seen, stored, "the stream is not the feed");
    assert!(seen.len() > 20, "{}", seen.len());
}

#[test]
fn output_is_followed_over_a_kill_to_the_end() {
    let mut instance = Instance::start();
    instance.add_shell("long", "i=0; while [ $i -lt 60 ]; do echo line $i; i=$((i+1)); sleep 0.05; done; exit 6");
    let run = instance.trigger("long");
    wait_for("it has begun", || instance.output(&run, "stdout").contains("line 1"));
    let (mut text, mut offset, mut end) = (String::new(), 0.to_string(), Value::Null);
    let mut killed = false;
    while end.is_null() {
        let request =
            Request::new("GET", &format!("/runs/{run}/logs/stream?offset={offset}")).patience(Duration::from_secs(20));
        let messages = Messages::open(&request, instance.socket()).expect("a stream");
        for message in messages {
            let body: Value = serde_json::from_str(&message.data).expect("JSON");
            match message.event.as_str() {
                "log" => text.push_str(body["text"].as_str().unwrap_or_default()),
                "end" => end = body,
                other => panic!("{other}"),
            }
            offset = message.id;
            if !killed && text.contains("line 10\n") {
                killed = true;
                break;
            }
            if !end.is_null() {
                break;
            }
        }
        if killed && end.is_null() && !text.contains("line 59\n") {
            instance.restart();
        }
    }
    let expected: String = (0..60).map(|n| format!("line {n}\n")).collect();
    assert_eq!(text, expected);
    assert_eq!((&end["status"], &end["exit_code"]), (&json!("failed"), &json!(6)), "{end}");
}

#[test]
fn topics_are_what_they_say() {
    let instance = Instance::start();
    instance.add_shell("a", "true");
    let run = instance.run("a")["id"].as_str().expect("an id").to_owned();
    for (topics, expected) in [
        ("runs", vec!["run.queued", "run.started", "task.started", "task.completed", "run.completed"]),
        (&format!("runs/{run}"), vec!["run.queued", "run.started", "task.started", "task.completed", "run.completed"]),
        ("events:run.c*", vec!["run.completed"]),
        ("schedules", vec!["schedule.created", "schedule.triggered"]),
    ] {
        let request =
            Request::new("GET", &format!("/stream?topics={topics}&after=0")).patience(Duration::from_millis(500));
        let messages = Messages::open(&request, instance.socket()).expect("a stream");
        let kinds: Vec<String> = messages
            .filter_map(|message| serde_json::from_str::<Value>(&message.data).ok())
            .map(|body| body["data"]["type"].as_str().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(kinds, expected, "{topics}");
    }
}

#[test]
fn a_stop_ends_the_streams() {
    let mut instance = Instance::start();
    instance.add_shell("a", "sleep 30");
    let run = instance.trigger("a");
    let paths = ["/stream?topics=events".to_owned(), format!("/runs/{run}/logs/stream")];
    let streams: Vec<Messages> = paths
        .iter()
        .map(|path| Messages::open(&Request::new("GET", path), instance.socket()).expect("a stream"))
        .collect();
    let begin = Instant::now();
    assert_eq!(instance.term(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(4), "open streams hold up the stop: {:?}", begin.elapsed());
    for stream in streams {
        assert!(stream.count() < 20);
    }
}
