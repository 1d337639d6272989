//! Input that nobody sends by accident, at every endpoint: refused with a reason, never answered with a defect or a closed connection.

mod bodies;
mod connections;
mod expressions;
mod paths;

use std::io::Read;
use std::time::Duration;

use serde_json::Value;
use sloth_tests::{Instance, Request};

use crate::contract::is_refusal;

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
