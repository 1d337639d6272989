//! What programs rely on: the document of the API, the error table, and one form of refusal everywhere. `SLOTH_BLESS=1` writes anew.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use sloth_tests::paths::project;
use sloth_tests::{Instance, Reply, Request};

#[track_caller]
fn golden(path: PathBuf, text: &str) {
    if std::env::var_os("SLOTH_BLESS").is_some() {
        fs::write(&path, text).expect("writable");
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    let differs = stored.lines().zip(text.lines()).enumerate().find(|(_, (old, new))| old != new);
    assert!(
        stored == text,
        "{} is not current (SLOTH_BLESS=1 writes it); first difference: {differs:?}",
        path.display()
    );
}

#[test]
fn the_document_of_the_api_is_the_one_in_the_project() {
    let instance = Instance::start();
    let document = instance.ok("GET", "/openapi.json", Value::Null);
    let text = serde_json::to_string_pretty(&document).expect("JSON") + "\n";
    golden(project().join("docs/openapi.json"), &text);
    let mut table = String::new();
    for row in document["x-error-table"].as_array().into_iter().flatten() {
        let code = row["code"].as_str().unwrap_or_default();
        let dbus = row["dbus"].as_str().unwrap_or_default();
        table += &format!("{code:<24} {} {:>2} {dbus}\n", row["http"], row["exit"].to_string());
    }
    golden(project().join("tests/golden/errors.txt"), &table);
}

/// Every reference of the document leads somewhere, and every route has what a client needs.
#[test]
fn the_document_is_whole() {
    let instance = Instance::start();
    let document = instance.ok("GET", "/openapi.json", Value::Null);
    assert_eq!(document["openapi"], "3.1.0");
    let mut open = vec![&document];
    let mut references = 0;
    while let Some(value) = open.pop() {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    references += 1;
                    assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference} leads nowhere");
                }
                open.extend(map.values());
            }
            Value::Array(list) => open.extend(list),
            _ => {}
        }
    }
    assert!(references > 50, "only {references} references");
    let mut ids = std::collections::BTreeSet::new();
    for operation in
        document["paths"].as_object().into_iter().flatten().flat_map(|(_, path)| path.as_object().into_iter().flatten())
    {
        let id = operation.1["operationId"].as_str().unwrap_or_default();
        assert!(!id.is_empty() && ids.insert(id.to_owned()), "operationId {id:?} is missing or there twice");
        assert!(!operation.1["summary"].as_str().unwrap_or_default().is_empty());
    }
}

#[test]
fn every_route_knows_its_methods_and_refuses_others_in_the_one_form() {
    let instance = Instance::start();
    instance.add_shell("x", "true");
    let run = instance.trigger("x");
    instance.finished(&run);
    let bundle = json!({ "main": "/x.sloth", "files": { "/x.sloth": "task('x')" } });
    instance.ok("PUT", "/workflows/x", json!({ "bundle": bundle }));
    let document = instance.ok("GET", "/openapi.json", Value::Null);
    let mut count = 0;
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        let target = path.trim_start_matches("/api/v1").replace("{name}", "x").replace("{id}", &run);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let known = methods.get(method.to_lowercase()).is_some();
            // What takes the objects away that the others need, or the daemon.
            if known && (method == "DELETE" || target.ends_with("restore")) {
                continue;
            }
            let (reply, _) = Request::new(method, &target).open(instance.socket()).expect("an answer");
            count += 1;
            if known {
                let events = target.starts_with("/events/") && reply.status == 404;
                assert!(
                    events || !matches!(reply.status, 404 | 405 | 501) && reply.status < 500,
                    "{method} {path}: {}",
                    reply.status
                );
                if !events {
                    continue;
                }
            }
            let reply = instance.send(&Request::new(method, &target));
            is_refusal(&format!("{method} {path}"), &reply);
        }
    }
    println!("{count} combinations");
}

/// One form: status and code from one row of the table, a message, the id of the request in body and header.
#[track_caller]
pub fn is_refusal(what: &str, reply: &Reply) {
    let error = &reply.json()["error"];
    let code = error["code"].as_str().unwrap_or_default();
    let table = fs::read_to_string(project().join("tests/golden/errors.txt")).expect("the table");
    let row = table.lines().find(|line| line.split_whitespace().next() == Some(code));
    let status = row.and_then(|row| row.split_whitespace().nth(1)).unwrap_or("none");
    assert_eq!(reply.status.to_string(), status, "{what}: code {code:?}: {}", reply.text());
    assert!(!error["message"].as_str().unwrap_or_default().is_empty(), "{what}: {}", reply.text());
    let id = error["request_id"].as_str().unwrap_or_default();
    assert!(!id.is_empty() && reply.header("x-request-id") == Some(id), "{what}: {}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/json"), "{what}");
}

#[test]
fn refusals_have_one_form_everywhere() {
    let instance = Instance::start();
    let mut outside = Request::new("GET", "");
    for target in [
        "/",
        "/nothing",
        "/api/v1",
        "/api/v1/",
        "/api/v2/status",
        "/api/v1/schedules/",
        "//",
        "/api/v1/schedules/x/y/z",
    ] {
        outside.target = target.to_owned();
        let reply = instance.send(&outside);
        assert_eq!(reply.status, 404, "{target}");
        is_refusal(target, &reply);
    }
    let huge = Request::new("POST", "/schedules").body(vec![b' '; 17 << 20]);
    let reply = instance.send(&huge);
    assert_eq!((reply.status, reply.code().as_str()), (413, "payload_too_large"));
    is_refusal("17 MiB", &reply);
    // The id that a client sends is kept when it is harmless.
    let reply = instance.send(&Request::new("GET", "/schedules/none").header("x-request-id", "mine-1"));
    assert_eq!(reply.header("x-request-id"), Some("mine-1"));
    let reply = instance.send(&Request::new("GET", "/schedules/none").header("x-request-id", "a b, c!"));
    assert!(reply.header("x-request-id").is_some_and(|id| id.starts_with("r-")), "{:?}", reply.headers);
    is_refusal("other id", &reply);
}

#[test]
fn a_key_makes_a_request_safe_to_repeat() {
    let mut instance = Instance::start();
    instance.add("x", json!({ "trigger": "manual", "shell": "true", "overlap": "allow" }));
    instance.add("y", json!({ "trigger": "manual", "shell": "true", "overlap": "allow" }));
    let ask = |instance: &Instance, name: &str, key: &str| {
        instance.send(
            &Request::new("POST", &format!("/schedules/{name}/trigger")).body("{}").header("idempotency-key", key),
        )
    };
    let first = ask(&instance, "x", "k1");
    assert_eq!(first.status, 202);
    assert_eq!(ask(&instance, "x", "k1").json(), first.json());
    instance.restart();
    assert_eq!(ask(&instance, "x", "k1").json(), first.json());
    let other = ask(&instance, "y", "k1");
    assert_eq!((other.status, other.code().as_str()), (409, "conflict"));
    assert_ne!(ask(&instance, "x", "k2").json(), first.json());
    for bad in ["", &"k".repeat(201)] {
        let reply = ask(&instance, "x", bad);
        assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_argument"), "{bad:?}");
    }
    // Many at once with the same key: one run.
    let replies: Vec<Value> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(|| ask(&instance, "x", "k3").json())).collect();
        asked.into_iter().map(|asked| asked.join().expect("no panic")).collect()
    });
    assert!(replies.iter().all(|reply| *reply == replies[0]), "{replies:?}");
    assert_eq!(instance.value("SELECT count(*) FROM runs"), 3);
}
