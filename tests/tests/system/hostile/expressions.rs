//! Expressions from a generator: each is understood or refused, quickly, and what was understood has instants.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sloth_tests::random::{self, Random};
use sloth_tests::{Instance, Request};

use crate::contract::is_refusal;

#[test]
fn expressions_from_a_generator() {
    let instance = Instance::start();
    let mut random = Random::new(random::seed("expressions"));
    let parts = [
        "*",
        "?",
        "1",
        "0",
        "7",
        "59",
        "60",
        "31",
        "32",
        "99999999999",
        "-1",
        "a",
        "MON",
        "fri",
        "JAN",
        "L",
        "LW",
        "5W",
        "31W",
        "L-3",
        "L-31",
        "5#3",
        "5#6",
        "FRI#L",
        "1-5",
        "22-3",
        "5-1",
        "*/5",
        "*/0",
        "1/7",
        "1-30/2",
        "/",
        "-",
        ",",
        "1,2,3",
        "1,,2",
        "+5",
        "@daily",
        "@every",
        "@at",
        "5s",
        "-5s",
        "0s",
        "1000000000000000h",
        "2031-01-01T09:00",
        "2026",
        "1969",
        "9999",
        "99999",
        "manual",
        "@reboot",
        "%",
        "\u{0}",
        "é",
        "\u{202e}",
        "calendar:Mon",
        "*-*",
        "((((((",
        "1-1-1",
        "*/*",
        "#",
        "##",
        "\n",
        "\t",
        "0x10",
        "1e3",
        "٣",
    ];
    let zones = [
        "UTC",
        "America/New_York",
        "Pacific/Apia",
        "Mars/Olympus",
        "../../etc/passwd",
        "/etc/passwd",
        "",
        "utc",
        "Europe/Lisbon\n",
    ];
    let mut slowest = (Duration::ZERO, String::new());
    let (mut accepted, mut refused) = (0, 0);
    let batch: Vec<(String, &str)> = (0..3000)
        .map(|_| {
            let good = random.chance(40);
            let count = if good { 5 } else { random.between(1, 9) };
            let fields: Vec<&str> = (0..count)
                .map(|at| match good {
                    true if at < 3 => {
                        *random.pick(&["*", "1", "0", "7", "*/5", "1-5", "22-3", "1,2,3", "LW", "5W", "L-3", "?"])
                    }
                    true => *random.pick(&["*", "1", "5", "MON", "JAN", "1-5", "*/2", "FRI#L", "5#3"]),
                    false => *random.pick(&parts),
                })
                .collect();
            let zone = if random.chance(70) { "UTC" } else { random.pick(&zones) };
            (fields.join(if random.chance(95) { " " } else { "" }), zone)
        })
        .collect();
    for (n, (text, zone)) in batch.iter().enumerate() {
        let body = json!({ "expr": text, "timezone": zone });
        let begin = Instant::now();
        let reply = instance.send(&Request::new("POST", "/schedules/-/validate").json(&body));
        let took = begin.elapsed();
        if took > slowest.0 {
            slowest = (took, text.clone());
        }
        match reply.status {
            200 => accepted += 1,
            400 | 501 => {
                refused += 1;
                is_refusal(text, &reply);
                let error = &reply.json()["error"];
                assert!(
                    !error["details"]["field"].is_null() || reply.status == 501,
                    "{text:?} in {zone:?}: no field: {error}"
                );
                let message = error["message"].as_str().unwrap_or_default();
                assert!(!message.chars().any(|c| c.is_control()), "{text:?}: control characters in {message:?}");
            }
            other => panic!("{text:?} in {zone:?}: {other} {}", reply.text()),
        }
        if n % 10 == 0 {
            let reply = instance.send(
                &Request::new("POST", "/schedules")
                    .json(&json!({ "name": "x", "trigger": text, "timezone": zone, "shell": "true" })),
            );
            assert!(matches!(reply.status, 201 | 400 | 501), "{text:?}: {} {}", reply.status, reply.text());
            if reply.status == 201 {
                instance.ok("DELETE", "/schedules/x", Value::Null);
            }
        }
    }
    println!("{accepted} accepted, {refused} refused, slowest {slowest:?}");
    assert!(accepted > 50 && refused > 1000, "{accepted} accepted, {refused} refused");
    assert!(slowest.0 < Duration::from_secs(2), "{slowest:?}");
    instance.ok("GET", "/status", Value::Null);
}
