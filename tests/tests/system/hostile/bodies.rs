//! Bodies that are none, and fields with what does not belong there.

use serde_json::{Value, json};
use sloth_tests::{Instance, Request};

use super::{asked, routes};

#[test]
fn bodies_that_are_none() {
    let instance = Instance::start();
    instance.add_shell("x", "true");
    let run = instance.trigger("x");
    instance.finished(&run);
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_object = format!("{}1{}", "{\"a\":".repeat(50_000), "}".repeat(50_000));
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("an array", b"[]".to_vec()),
        ("text", b"\"x\"".to_vec()),
        ("a number", b"5".to_vec()),
        ("null", b"null".to_vec()),
        ("true", b"true".to_vec()),
        ("an unknown field", br#"{"surprise":1}"#.to_vec()),
        ("half of it", br#"{"name":"#.to_vec()),
        ("more behind it", b"{} {}".to_vec()),
        ("no UTF-8", b"{\"name\":\"\xff\xfe\"}".to_vec()),
        ("half a surrogate", br#"{"name":"\ud800"}"#.to_vec()),
        ("TOML", b"name = 1".to_vec()),
        ("zeros", vec![0; 1000]),
        ("depth", deep.into_bytes()),
        ("depth of objects", deep_object.into_bytes()),
        ("17 MiB", vec![b'['; 17 << 20]),
    ];
    let mut asked = asked(&instance);
    for (method, path, operation) in &routes(&instance) {
        if operation["requestBody"].is_null() {
            continue;
        }
        let target = path.replace("{name}", "x").replace("{id}", &run);
        for (what, body) in &bodies {
            // RFC 7396: what is no object replaces everything, so it is refused as a patch.
            asked.ask(&format!("{method} {target}: {what}"), &Request::new(method, &target).body(body.clone()), false);
        }
    }
    asked.done();
}

#[test]
fn fields_of_a_schedule_that_are_none() {
    let instance = Instance::start();
    let text = "a".repeat(300_000);
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e308),
        json!(0.1),
        json!([]),
        json!([1]),
        json!([""]),
        json!({}),
        json!({ "a": 1 }),
        json!(""),
        json!("\u{0}"),
        json!("a\nb"),
        json!("\u{1b}[31m"),
        json!("\u{202e}"),
        json!("../.."),
        json!("%n"),
        json!(text),
        json!("-1s"),
        json!("1e400"),
        json!(u64::MAX),
        json!("999999999999999999999d"),
        json!(["a\u{0}b"]),
        json!({ "A=B": "c" }),
        json!({ "A": "b\u{0}" }),
        json!({ "": "x" }),
        json!({ "max": -1 }),
        json!({ "max": 4294967296u64 }),
        json!({ "x": "sometimes" }),
        json!({ "memory": "1Qi" }),
        json!({ "runs": 0 }),
        json!("8888"),
        json!("root\nroot"),
    ];
    let document = instance.ok("GET", "/openapi.json", Value::Null);
    let fields = document["components"]["schemas"]["ScheduleSpec"]["properties"].as_object().expect("fields").clone();
    assert!(fields.len() >= 30, "{} fields", fields.len());
    let mut asked = asked(&instance);
    for field in fields.keys().map(String::as_str).chain(["name", "workflow", "http", "exclude", "notify"]) {
        for value in &values {
            let mut spec = json!({ "name": "x", "trigger": "manual", "shell": "true" });
            spec[field] = value.clone();
            let what = format!("{field} = {:.60}", value.to_string());
            asked.ask(&what, &Request::new("POST", "/schedules").json(&spec), true);
            // Whatever was accepted can be shown, exported, recomputed and deleted.
            for (method, path) in [
                ("GET", "/schedules/x"),
                ("GET", "/schedules/-/export"),
                ("GET", "/schedules/x/explain"),
                ("GET", "/schedules/x/next"),
            ] {
                let reply = instance.send(&Request::new(method, path));
                if reply.status >= 500 {
                    asked.wrong.push(format!("{what}, then {method} {path}: {} {}", reply.status, reply.text()));
                }
            }
            instance.send(&Request::new("DELETE", "/schedules/x"));
        }
    }
    asked.done();
}
