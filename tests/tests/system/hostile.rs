//! Input that nobody sends by accident, at every endpoint: refused with a reason, never answered with a defect or a closed connection.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sloth_tests::random::{self, Random};
use sloth_tests::{Instance, Request};

use crate::contract::is_refusal;

/// Names and ids, encoded as they stand in a path.
const SEGMENTS: &[&str] = &[
    "..",
    "%2e%2e",
    "%2E%2E%2F%2E%2E%2Fetc%2Fpasswd",
    "%00",
    "a%00b",
    "a%0Ab",
    "a%1B%5B31mb",
    "%E2%80%AEevil",
    "%FF%FE",
    "%C3%28",
    "-",
    "--help",
    "%20",
    "a%20b",
    "a%2F",
    "%2Fa",
    "a%2Fb%2Fc",
    "root%2F..",
    "nobody%2F%00",
    "%25%32%65",
    "con",
    "a;b",
    "a'b",
    "%22",
    "%5C",
    "*",
    "%F0%9F%92%A9",
    "ａ",
    "0",
    "-1",
    "-9223372036854775808",
    "9223372036854775807",
    "99999999999999999999",
    "00000000",
    "%",
    "%zz",
    "a%2",
];

/// Values of parameters, encoded.
const VALUES: &[&str] = &[
    "",
    "%00",
    "-1",
    "0",
    "1001",
    "4294967296",
    "99999999999999999999999",
    "1e9",
    "NaN",
    "true",
    "null",
    "%27%20OR%201=1--",
    "%FF",
    "%0A",
    "..%2F..",
    "9223372036854775807",
    "-9223372036854775808",
    "%F0%9F%92%A9",
    "2026-13-45",
    "9999-12-31T23:59:60Z",
    "-262144-01-01T00:00:00Z",
    "999999999h",
    "0000-00-00T00:00:00Z",
    "%2B",
    "*",
    "%25",
    "(",
    "runs/",
    "events:",
    "a,b,,c",
];

/// What may name a schedule.
fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=64).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
}

struct Asked<'a> {
    instance: &'a Instance,
    count: u32,
    wrong: Vec<String>,
}

impl Asked<'_> {
    /// Sends it; a status of success is fine when `may_succeed`, everything else must be a refusal in the one form.
    fn ask(&mut self, what: &str, request: &Request, may_succeed: bool) {
        self.count += 1;
        let request = request.clone().patience(Duration::from_secs(10));
        let opened = request.open(self.instance.socket());
        let (mut reply, mut rest) = match opened {
            Ok(opened) => opened,
            Err(error) => return self.wrong.push(format!("{what}: no answer: {error}")),
        };
        if reply.header("content-type") == Some("text/event-stream") {
            if !may_succeed {
                self.wrong.push(format!("{what}: a stream was opened"));
            }
            return;
        }
        if let Err(error) = rest.read_to_end(&mut reply.body) {
            return self.wrong.push(format!("{what}: cut off: {error}"));
        }
        if (200..300).contains(&reply.status) {
            if !may_succeed {
                self.wrong.push(format!("{what}: accepted with {}", reply.status));
            }
            return;
        }
        if reply.status >= 500 && reply.status != 501 {
            return self.wrong.push(format!("{what}: {} {}", reply.status, reply.text()));
        }
        is_refusal(what, &reply);
    }

    #[track_caller]
    fn done(self) {
        println!("{} requests", self.count);
        let all = self.wrong.len();
        let shown = self.wrong.into_iter().take(40).map(|line| line.chars().take(300).collect::<String>());
        assert!(all == 0, "{all} of {} answers are wrong:\n{}", self.count, shown.collect::<Vec<_>>().join("\n"));
        let status = self.instance.ok("GET", "/status", Value::Null);
        assert_eq!(status["state"], "ready", "{status}");
        assert!(!self.instance.log().contains("panicked"), "a task of slothd panicked:\n{}", self.instance.log());
    }
}

fn asked(instance: &Instance) -> Asked<'_> {
    Asked { instance, count: 0, wrong: Vec::new() }
}

/// Method, path and operation of every route, without those that end or change the daemon as a whole.
fn routes(instance: &Instance) -> Vec<(String, String, Value)> {
    let document = instance.ok("GET", "/openapi.json", Value::Null);
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            found.push((method.to_uppercase(), path.trim_start_matches("/api/v1").to_owned(), operation.clone()));
        }
    }
    found
}

#[test]
fn names_and_ids_that_are_none() {
    let instance = Instance::start();
    let long = "a".repeat(4096);
    let mut asked = asked(&instance);
    for (method, path, _) in routes(&instance).iter().filter(|(_, path, _)| path.contains('{')) {
        for segment in SEGMENTS.iter().copied().chain([long.as_str()]) {
            let target = path.replace("{name}", segment).replace("{id}", segment);
            let body = if *method == "PUT" { r#"{"trigger":"manual","shell":"true"}"# } else { "{}" };
            let request = Request::new(method, &target).body(if *method == "GET" { "" } else { body });
            // These are names.
            let fine = is_name(segment) || segment == "-";
            asked.ask(&format!("{method} {target:.80}"), &request, fine);
        }
    }
    let made = instance.ok("GET", "/schedules", Value::Null);
    for item in made["items"].as_array().into_iter().flatten() {
        assert!(item["name"].as_str().is_some_and(is_name), "made: {}", item["name"]);
    }
    asked.done();
}

#[test]
fn parameters_that_are_none() {
    let instance = Instance::start();
    instance.add_shell("x", "true");
    let run = instance.trigger("x");
    instance.finished(&run);
    let mut asked = asked(&instance);
    for (method, path, operation) in routes(&instance).iter().filter(|(method, ..)| method == "GET" || method == "PUT")
    {
        let path = path.replace("{name}", "x").replace("{id}", &run);
        let body = if *method == "PUT" { r#"{"trigger":"manual","shell":"true"}"# } else { "" };
        let named: Vec<&str> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "query")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        for name in &named {
            for value in VALUES {
                // `wait` with a large value really waits.
                let target = format!("{path}?{name}={value}");
                asked.ask(&format!("{method} {target}"), &Request::new(method, &target).body(body), true);
            }
            let twice = format!("{path}?{name}=1&{name}=2");
            asked.ask(&format!("{method} {twice}"), &Request::new(method, &twice).body(body), false);
        }
        if !named.is_empty() {
            for unknown in ["surprise=1", "Limit=1", "limit%00=1", "%FF=1"] {
                let target = format!("{path}?{unknown}");
                asked.ask(&format!("{method} {target}"), &Request::new(method, &target).body(body), false);
            }
        }
    }
    asked.done();
}

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

#[test]
fn statements_that_are_not_for_reading() {
    let instance = Instance::start();
    instance.add_shell("x", "true");
    let mut asked = asked(&instance);
    for sql in [
        "DELETE FROM schedules",
        "UPDATE schedules SET owner = 0",
        "DROP TABLE runs",
        "ATTACH '/tmp/x.db' AS x",
        "VACUUM INTO '/tmp/x.db'",
        "PRAGMA writable_schema = 1",
        "PRAGMA journal_mode = DELETE",
        "SELECT load_extension('x')",
        "SELECT 1; DELETE FROM runs",
        "BEGIN",
        "",
        "SELECT",
        "SELECT readfile('/etc/shadow')",
        "SELECT writefile('/tmp/x', 'x')",
        "\u{0}",
        "WITH x AS (SELECT 1) DELETE FROM runs",
        "--",
        "EXPLAIN DELETE FROM runs; DELETE FROM runs",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
        "SELECT zeroblob(1000000000)",
        "SELECT randomblob(1000000000)",
        "CREATE TEMP TABLE t (a)",
        "REINDEX",
        "ANALYZE",
        "DETACH main",
    ] {
        let request = Request::new("POST", "/db/query").json(&json!({ "sql": sql }));
        asked.ask(sql, &request.patience(Duration::from_secs(30)), false);
    }
    instance.ok("GET", "/schedules/x", Value::Null);
    asked.done();
}

#[test]
fn connections_that_are_none() {
    let instance = Instance::start();
    let mut random = Random::new(random::seed("connections"));
    let pieces: Vec<Vec<u8>> = vec![
        b"GET".to_vec(), b"\0\0\0\0\r\n\r\n".to_vec(), b"GET / HTTP/9.9\r\n\r\n".to_vec(), b"GET /api/v1/status HTTP/1.1\r\n\r\n".to_vec(),
        format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(1 << 20)).into_bytes(),
        format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(1 << 20)).into_bytes(),
        format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(5000)).into_bytes(),
        b"POST /api/v1/schedules HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{".to_vec(),
        b"POST /api/v1/schedules HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n{}".to_vec(),
        b"POST /api/v1/schedules HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n".to_vec(),
        b"POST /api/v1/schedules HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), b"CONNECT / HTTP/1.1\r\n\r\n".to_vec(), b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"GET http://[::1/ HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), b"GET /api/v1/../../etc HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), (0..=255).collect(),
    ];
    for piece in &pieces {
        let mut stream = UnixStream::connect(instance.socket()).expect("connected");
        let _ = stream.write_all(piece);
        stream.set_read_timeout(Some(Duration::from_millis(50))).expect("set");
        let mut answer = [0; 4096];
        let _ = stream.read(&mut answer);
        instance.ok("GET", "/version", Value::Null);
    }
    for _ in 0..300 {
        let mut stream = UnixStream::connect(instance.socket()).expect("connected");
        let mut bytes = random.pick(&pieces).clone();
        bytes.truncate(5000);
        let at = random.between(0, bytes.len() as u64) as usize;
        bytes[at] ^= 1 << random.between(0, 8);
        let _ = stream.write_all(&bytes);
    }
    // People who connect and say nothing do not keep others out.
    let idle: Vec<_> = (0..400).filter_map(|_| UnixStream::connect(instance.socket()).ok()).collect();
    instance.ok("GET", "/status", Value::Null);
    drop(idle);
    assert!(!instance.log().contains("panicked"), "{}", instance.log());
    instance.ok("GET", "/status", Value::Null);
}
