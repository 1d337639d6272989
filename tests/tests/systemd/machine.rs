//! A booted system with the programs of this build in it, without their package: what concerns units of runs needs no more.

use std::ops::Deref;
use std::time::{Duration, Instant};

use serde_json::Value;
use sloth_tests::booted::{Booted, Tree};
use sloth_tests::paths;

/// Runs as root with nothing taken away, and comes back as often as tests kill it.
const UNIT: &str = "\
[Unit]
StartLimitIntervalSec=0
[Service]
Type=notify
ExecStart=/usr/bin/slothd --system
Restart=on-failure
RestartSec=100ms
RuntimeDirectory=slothd
RuntimeDirectoryPreserve=yes
[Install]
WantedBy=multi-user.target
";

/// See the module.
pub struct Machine {
    booted: Booted,
}

impl Deref for Machine {
    type Target = Booted;

    fn deref(&self) -> &Booted {
        &self.booted
    }
}

impl Machine {
    /// Boots one; `None` where that cannot be had, which was said loudly.
    pub fn boot() -> Option<Machine> {
        let machine = Machine { booted: Booted::boot(Tree::Plain)? };
        machine.sh("mkdir -p /usr/libexec/slothd; useradd --create-home --shell /bin/sh ann");
        for (program, directory) in [("slothd", "bin"), ("slothctl", "bin"), ("sloth-exec", "libexec/slothd")] {
            machine.put(&paths::program(program), &format!("/usr/{directory}/{program}"));
        }
        machine.write("/etc/systemd/system/slothd.service", UNIT);
        machine.sh("systemctl daemon-reload; systemctl --quiet enable --now slothd");
        machine.wait_for("slothd", || machine.is_ready());
        Some(machine)
    }

    /// What slothctl refuses, in words.
    #[track_caller]
    pub fn refused(&self, words: &[&str]) -> String {
        let output = self.run(&[&["slothctl"], words].concat());
        let (out, err) = sloth_tests::instance::texts(&output);
        assert!(!output.status.success(), "{words:?} was not refused: {out}");
        err
    }

    /// A request from outside, which is quicker than a program inside.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Value {
        let socket = self.path("/run/slothd/slothd.sock");
        let reply = sloth_tests::Request::new("POST", path).json(body).send(&socket).expect("an answer");
        assert!(reply.status < 300, "{path}: {} {}", reply.status, reply.text());
        reply.json()
    }

    /// All runs of a schedule, newest first.
    #[track_caller]
    pub fn runs(&self, schedule: &str) -> Vec<Value> {
        let reply = self.json(&["runs", "list", "--schedule", schedule, "--limit", "1000"]);
        reply.as_array().or(reply["items"].as_array()).cloned().unwrap_or_default()
    }

    /// Adds a schedule by hand, with these further words (options, `--`, command).
    #[track_caller]
    pub fn add(&self, name: &str, words: &[&str]) {
        self.ctl(&[&["scheduler", "add", name, "--manual"], words].concat());
    }

    /// Starts a run; its identity.
    #[track_caller]
    pub fn start(&self, name: &str) -> String {
        let reply = self.json(&["scheduler", "run", name]);
        let run = reply["run"].as_str().or(reply["id"].as_str()).or(reply["run_id"].as_str());
        run.unwrap_or_else(|| panic!("no run in {reply}")).to_owned()
    }

    /// Waits for the end of a run; its record.
    #[track_caller]
    pub fn ended(&self, run: &str) -> Value {
        let mut record = Value::Null;
        let is_over = |record: &Value| matches!(record["status"].as_str(), Some("completed" | "failed" | "cancelled"));
        self.wait_for("the end of the run", || {
            record = self.json(&["runs", "show", run]);
            is_over(&record)
        });
        record
    }

    /// Adds a schedule, runs it, and waits for the end.
    #[track_caller]
    pub fn once(&self, name: &str, words: &[&str]) -> Value {
        self.add(name, words);
        let run = self.start(name);
        self.ended(&run)
    }

    /// What a run wrote.
    #[track_caller]
    pub fn output(&self, run: &Value) -> String {
        self.ctl(&["runs", "logs", run["id"].as_str().expect("an id")])
    }

    /// Waits until the output of a run holds a text.
    #[track_caller]
    pub fn wait_output(&self, run: &str, text: &str) {
        self.wait_for(text, || self.ctl(&["runs", "logs", run]).contains(text));
    }

    /// KILL to slothd; systemd starts another one.
    #[track_caller]
    pub fn kill_daemon(&self) {
        let before = self.daemon();
        self.ok(&["systemctl", "kill", "--kill-who=main", "-s", "KILL", "slothd"]);
        self.wait_for("another slothd", || ![0, before].contains(&self.daemon()) && self.is_ready());
    }

    /// Whether slothd answers.
    pub fn is_ready(&self) -> bool {
        self.run(&["slothctl", "status"]).status.success()
    }

    /// Waits until something holds.
    #[track_caller]
    pub fn wait_for(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let until = Instant::now() + Duration::from_secs(60);
        while !condition() {
            assert!(Instant::now() < until, "{what}: it did not happen in time");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Turns it off and on again; by force, nothing inside hears of it.
    pub fn reboot(&mut self, force: bool) {
        if force {
            self.booted.crash()
        } else {
            self.booted.reboot()
        }
        self.wait_for("slothd", || self.is_ready());
    }
}
