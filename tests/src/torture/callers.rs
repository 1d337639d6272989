//! People who use the API meanwhile: whatever was answered with "done" must be there in the end, and once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::json;

use crate::Request;

/// What the daemon has promised.
#[derive(Default)]
pub(super) struct Promised {
    /// Schedules that were added.
    pub(super) schedules: Vec<String>,
    /// Schedules whose deletion was answered.
    pub(super) deleted: Vec<String>,
    /// Runs by the key of their request.
    pub(super) runs: BTreeMap<String, String>,
    /// Requests without an answer; each was repeated until there was one.
    pub(super) repeated: u64,
    /// Answers that contradict an earlier one.
    pub(super) contradictions: Vec<String>,
}

pub(super) struct Callers {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Promised>,
}

impl Callers {
    pub(super) fn stop(self) -> Promised {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

pub(super) fn start(socket: &Path, seed: u64) -> Callers {
    let stop = Arc::new(AtomicBool::new(false));
    let (socket, stopped) = (socket.to_owned(), stop.clone());
    let thread = thread::spawn(move || {
        let mut promised = Promised::default();
        let mut n = 0;
        while !stopped.load(Ordering::Relaxed) {
            n += 1;
            promised.one_round(&socket, seed, n, &stopped);
        }
        promised
    });
    Callers { stop, thread }
}

impl Promised {
    fn one_round(&mut self, socket: &Path, seed: u64, n: u64, stopped: &AtomicBool) {
        let name = format!("called-{n}");
        let body = json!({
            "name": name, "trigger": "manual", "command": ["/bin/true"], "overlap": "allow",
            "keep": { "runs": 1_000_000, "age": "30d" },
        });
        let Some((status, _)) = self.insist(&Request::new("POST", "/schedules").json(&body), socket, stopped) else {
            return;
        };
        // After a repetition it may be there already.
        if status != 201 && status != 409 {
            self.contradictions.push(format!("adding {name}: {status}"));
        }
        self.schedules.push(name.clone());
        let key = format!("key-{seed}-{n}");
        let trigger =
            Request::new("POST", &format!("/schedules/{name}/trigger")).body("{}").header("idempotency-key", &key);
        for _ in 0..2 {
            let Some((status, run)) = self.insist(&trigger, socket, stopped) else { return };
            if status != 202 {
                self.contradictions.push(format!("triggering {name}: {status}"));
            } else if let Some(before) = self.runs.insert(key.clone(), run.clone())
                && before != run
            {
                self.contradictions.push(format!("{key} was answered with {before}, then with {run}"));
            }
        }
        if n.is_multiple_of(3) {
            let Some((status, _)) =
                self.insist(&Request::new("DELETE", &format!("/schedules/{name}")), socket, stopped)
            else {
                // Asked for, and nobody heard what became of it: there or gone, both are right.
                self.schedules.pop();
                return;
            };
            match status {
                200 | 404 => self.deleted.push(name),
                other => self.contradictions.push(format!("deleting {name}: {other}")),
            }
        }
    }

    /// Asks until there is an answer; its status and run.
    fn insist(&mut self, request: &Request, socket: &Path, stopped: &AtomicBool) -> Option<(u16, String)> {
        while !stopped.load(Ordering::Relaxed) {
            match request.clone().patience(Duration::from_secs(20)).send(socket) {
                Ok(reply) if !matches!(reply.status, 503 | 429) => {
                    return Some((reply.status, reply.json()["run_id"].as_str().unwrap_or_default().to_owned()));
                }
                _ => self.repeated += 1,
            }
            thread::sleep(Duration::from_millis(20));
        }
        None
    }
}
