//! Names, ids and parameters that are none.

use serde_json::Value;
use sloth_tests::{Instance, Request};

use super::{asked, is_name, routes};

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
