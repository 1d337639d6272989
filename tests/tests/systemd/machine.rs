//! A Debian system booted with its own systemd as PID 1, in a namespace, with the programs of this build in it.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use sloth_tests::booted::{Tree, able};
use sloth_tests::skips::skip;
use sloth_tests::{paths, process};

const BOOT: Duration = Duration::from_secs(120);

/// See the module.
pub struct Machine {
    directory: tempfile::TempDir,
    name: String,
    launcher: Child,
}

impl Machine {
    /// Boots one; `None` where that cannot be had, which was said loudly.
    pub fn boot() -> Option<Machine> {
        let test = std::thread::current().name().unwrap_or("a booted system").to_owned();
        let reason = match able().and_then(|()| Tree::Plain.directory()) {
            Ok(tree) => return Some(Machine::of(&tree)),
            Err(reason) => reason,
        };
        skip(&test, &format!("NO SYSTEM WAS BOOTED: {reason}"));
        None
    }

    fn of(tree: &std::path::Path) -> Machine {
        let directory = tempfile::Builder::new().prefix("sloth-systemd-").tempdir().expect("a temporary directory");
        let name = directory.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "x").to_lowercase();
        let log = std::fs::File::create(std::env::temp_dir().join(format!("{name}.console"))).expect("a log");
        let programs = paths::program("slothd").parent().expect("a directory of programs").to_owned();
        for program in ["slothctl", "sloth-exec"] {
            paths::program(program);
        }
        let launcher = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "setpriv", "--pdeathsig", "KILL", "sh", "-c"])
            .arg(include_str!("boot.sh"))
            .arg("boot.sh")
            .arg(directory.path())
            .arg(tree)
            .arg(&name)
            .env("PROGRAMS", programs)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("unshare(1) can be started");
        let mut machine = Machine { directory, name, launcher };
        machine.wait_booted();
        machine.wait_for("slothd", || machine.daemon() != 0 && machine.run(&["slothctl", "status"]).status.success());
        machine
    }

    fn wait_booted(&mut self) {
        let console = std::env::temp_dir().join(format!("{}.console", self.name));
        let up = process::holds_within(BOOT, || {
            let ended = self.launcher.try_wait().ok().flatten();
            assert!(ended.is_none(), "it did not boot: {}", std::fs::read_to_string(&console).unwrap_or_default());
            let Some(output) = self.try_run(&["systemctl", "is-system-running"]) else { return false };
            matches!(String::from_utf8_lossy(&output.stdout).trim(), "running" | "degraded")
        });
        assert!(up, "the machine was not up within {BOOT:?}");
    }

    fn leader(&self) -> Option<i32> {
        let children = |pid: i32| -> Vec<i32> {
            let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
        };
        let is_first = |pid: &i32| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1"))
        };
        children(self.launcher.id() as i32).into_iter().flat_map(children).find(is_first)
    }

    fn try_run(&self, words: &[&str]) -> Option<Output> {
        let leader = self.leader()?;
        let mut command = Command::new("nsenter");
        command.args(["--target", &leader.to_string(), "--all", "--wd=/", "--"]).args(words);
        command.stdin(Stdio::null()).env_clear();
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("LC_ALL", "C.UTF-8").env("NO_COLOR", "1").env("HOME", "/root").env("SYSTEMD_PAGER", "");
        command.output().ok()
    }

    /// Runs a command inside.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Output {
        self.try_run(words).expect("the machine runs")
    }

    /// Runs a command inside that must succeed; what it printed.
    #[track_caller]
    pub fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let (out, err) = sloth_tests::instance::texts(&output);
        assert!(output.status.success(), "{words:?}: {:?}\n{out}{err}", output.status.code());
        out
    }

    /// Runs a shell script inside that must succeed; what it printed.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        self.ok(&["sh", "-ec", script])
    }

    /// slothctl as root, which must succeed; what it printed.
    #[track_caller]
    pub fn ctl(&self, words: &[&str]) -> String {
        self.ok(&[&["slothctl"], words].concat())
    }

    /// What slothctl answers in JSON.
    #[track_caller]
    pub fn json(&self, words: &[&str]) -> Value {
        let text = self.ctl(&[words, &["-o", "json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{words:?}: {error}: {text}"))
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
        let leader = self.leader().expect("the machine runs");
        let socket = PathBuf::from(format!("/proc/{leader}/root/run/slothd/slothd.sock"));
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

    /// A property of a unit.
    #[track_caller]
    pub fn property(&self, unit: &str, name: &str) -> String {
        self.ok(&["systemctl", "show", "--value", "-p", name, unit]).trim().to_owned()
    }

    /// The process number of slothd inside; 0 when it does not run.
    #[track_caller]
    pub fn daemon(&self) -> i32 {
        self.property("slothd.service", "MainPID").parse().unwrap_or(0)
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

    /// Turns it off and on again.
    pub fn reboot(&mut self, force: bool) {
        let before = self.leader();
        let words: &[&str] = if force { &["--force", "--force"] } else { &[] };
        // The answer may be cut off by what it asks for.
        let _ = self.try_run(&[&["systemctl", "reboot"], words].concat());
        process::wait_for("the machine goes down", || self.leader() != before);
        self.wait_booted();
        self.wait_for("slothd", || self.is_ready());
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The kernel ends all of it with its PID 1, and the namespace of mounts with the launcher.
        if let Some(leader) = self.leader() {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(leader), nix::sys::signal::Signal::SIGKILL);
        }
        let _ = self.launcher.kill();
        let _ = self.launcher.wait();
        for hierarchy in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            remove(&hierarchy.path().join(&self.name));
        }
        remove(&PathBuf::from("/sys/fs/cgroup").join(&self.name));
        let _ = self.directory.path();
    }
}

fn remove(group: &std::path::Path) {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(group);
}
