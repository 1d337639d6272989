//! The socket of workers as a worker, a broken worker and a hostile one see it. The worker's program is a script that only writes down
//! its errand; the test plays the worker.

#![allow(missing_docs, clippy::panic)]

mod hostile;
mod life;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sloth_tests::Instance;

/// An instance whose workers leave their errand and wait for a file with their exit code.
pub struct House {
    pub instance: Instance,
    dir: PathBuf,
}

impl House {
    pub fn start() -> House {
        let mut instance = Instance::prepare();
        let dir = instance.dir().join("errands");
        fs::create_dir(&dir).expect("writable");
        let program = instance.dir().join("worker.sh");
        let d = dir.display();
        let script = format!(
            "#!/bin/sh\ncat > {d}/new.$$ && mv {d}/new.$$ {d}/$SLOTH_RUN_ID.$SLOTH_ATTEMPT\n\
             while [ ! -e {d}/$SLOTH_RUN_ID.$SLOTH_ATTEMPT.exit ]; do sleep 0.02; done\n\
             exit $(cat {d}/$SLOTH_RUN_ID.$SLOTH_ATTEMPT.exit)\n"
        );
        fs::write(&program, script).expect("writable");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("ours");
        instance.make_root();
        instance.config(&format!("[engine]\nworker = {:?}\n", program.display().to_string()));
        instance.up();
        House { instance, dir }
    }

    /// A run of nothing in particular.
    pub fn run(&self) -> String {
        let body = json!({ "source": { "bundle": { "main": "a.sloth", "files": { "a.sloth": "-- nothing" } } } });
        let run = self.instance.ok("POST", "/runs", body);
        run["id"].as_str().expect("an id").to_owned()
    }

    pub fn errand(&self, run: &str, worker: u32) -> Value {
        let path = self.dir.join(format!("{run}.{worker}"));
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            if let Ok(text) = fs::read(&path) {
                return serde_json::from_slice(&text).expect("an errand is JSON");
            }
            assert!(Instant::now() < end, "no worker {worker} of {run} was started:\n{}", self.instance.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The process of the worker ends.
    pub fn exit(&self, run: &str, worker: u32, code: i32) {
        let path = self.dir.join(format!("{run}.{worker}.exit"));
        fs::write(path, code.to_string()).expect("writable");
    }

    pub fn status(&self, run: &str) -> String {
        let view = self.instance.ok("GET", &format!("/runs/{run}"), Value::Null);
        view["status"].as_str().unwrap_or_default().to_owned()
    }

    pub fn ended(&self, run: &str) -> Value {
        self.instance.ok("GET", &format!("/runs/{run}?wait=30s"), Value::Null)
    }

    pub fn journal(&self, run: &str) -> Vec<u64> {
        let page = self.instance.ok("GET", &format!("/runs/{run}/journal"), Value::Null);
        page["items"].as_array().into_iter().flatten().filter_map(|record| record["seq"].as_u64()).collect()
    }
}

/// One end of a connection.
pub struct Link(pub UnixStream);

impl Link {
    /// Connects as soon as somebody listens.
    pub fn open(errand: &Value) -> Link {
        let path = errand["socket"].as_str().expect("a path");
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            match UnixStream::connect(path) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
                    return Link(stream);
                }
                Err(error) => assert!(Instant::now() < end, "{path}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn hello(errand: &Value, fresh: bool) -> (Link, Value) {
        let mut link = Link::open(errand);
        link.send(&json!({
            "type": "hello", "protocol": 1, "run": errand["run"], "worker": errand["worker"], "token": errand["token"],
            "fresh": fresh,
        }));
        let first = link.receive().expect("an answer");
        (link, first)
    }

    pub fn send(&mut self, message: &Value) {
        let text = message.to_string();
        let mut bytes = u32::try_from(text.len()).expect("short").to_le_bytes().to_vec();
        bytes.extend(text.into_bytes());
        self.0.write_all(&bytes).expect("sent");
    }

    /// The next message; `None`: the connection is closed.
    pub fn receive(&mut self) -> Option<Value> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).ok()?;
        let mut body = vec![0; u32::from_le_bytes(length) as usize];
        self.0.read_exact(&mut body).ok()?;
        Some(serde_json::from_slice(&body).expect("JSON"))
    }

    /// Waits until records up to here are durable.
    pub fn acknowledged(&mut self, upto: u64) {
        loop {
            let message = self.receive().expect("an acknowledgement");
            if message["type"] == "ack" && message["upto"].as_u64() >= Some(upto) {
                return;
            }
            assert!(message["type"] != "refused", "{message}");
        }
    }
}

pub fn records(from: u64, list: &[Value]) -> Value {
    let numbered: Vec<Value> = list
        .iter()
        .enumerate()
        .map(|(n, record)| json!({ "seq": from + n as u64, "at": 1_900_000_000_000_i64, "record": record }))
        .collect();
    json!({ "type": "records", "records": numbered })
}

pub fn note(n: u64) -> Value {
    json!({ "kind": "note", "what": "once", "data": n })
}

pub fn graph() -> Value {
    let graph = json!({ "workflows": [{ "name": "w", "version": "1", "tasks": [{ "name": "t" }] }] });
    json!({ "kind": "graph", "workflows": ["w"], "graph": graph, "diagnostics": [] })
}

pub fn finished(status: &str) -> Value {
    json!({ "kind": "run_finished", "end": {
        "status": status, "reason": null, "message": null, "compensation": "none", "handled": false, "outputs": { "o": 2 },
        "diagnostics": [],
    } })
}

pub fn task_finished(status: &str) -> Value {
    json!({ "kind": "task_finished", "end": {
        "workflow": "w", "name": "t", "stage": null, "status": status, "kind": null, "message": "", "error": null,
        "skip_reason": null, "changed": true, "cached": false, "ignored": false, "attempts": 1, "started_at": 1, "finished_at": 2,
        "exit_code": null, "output": { "x": 1 },
    } })
}
