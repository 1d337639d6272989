//! What is done inside a booted system, and what it answers.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::Booted;
use crate::instance::texts;
use crate::process;

impl Booted {
    /// A command inside, as root.
    #[track_caller]
    pub fn command(&self, words: &[&str]) -> Command {
        self.try_command(words).expect("the machine runs")
    }

    fn try_command(&self, words: &[&str]) -> Option<Command> {
        let leader = self.leader()?;
        let mut command = Command::new("nsenter");
        command.args(["--target", &leader.to_string(), "--all", "--wd=/", "--"]).args(words);
        command.stdin(Stdio::null()).env_clear();
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("LC_ALL", "C.UTF-8").env("NO_COLOR", "1").env("HOME", "/root").env("SYSTEMD_PAGER", "");
        Some(command)
    }

    /// Runs a command inside, if there is a machine.
    pub fn try_run(&self, words: &[&str]) -> Option<Output> {
        self.try_command(words)?.output().ok()
    }

    /// Runs a command inside.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("nsenter(1) can be started")
    }

    /// Runs a command inside that must succeed; what it printed.
    #[track_caller]
    pub fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let (out, err) = texts(&output);
        assert!(output.status.success(), "{words:?}: {:?}\n{out}{err}", output.status.code());
        out
    }

    /// Runs a shell script inside that must succeed; what it printed.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        self.ok(&["sh", "-ec", script])
    }

    /// Runs a command inside as a user, in a session of that user as far as variables go.
    #[track_caller]
    pub fn run_as(&self, user: &str, words: &[&str]) -> Output {
        let uid = self.ok(&["id", "-u", user]).trim().to_owned();
        let runtime = format!("XDG_RUNTIME_DIR=/run/user/{uid}");
        let bus = format!("DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/{uid}/bus");
        let home = format!("HOME=/home/{user}");
        let mut all = vec!["setpriv", "--reuid", user, "--regid", user, "--init-groups", "env", &runtime, &bus, &home];
        all.extend(words);
        self.run(&all)
    }

    /// slothctl as root, which must succeed; what it printed.
    #[track_caller]
    pub fn ctl(&self, words: &[&str]) -> String {
        let mut all = vec!["slothctl"];
        all.extend(words);
        self.ok(&all)
    }

    /// What slothctl answers in JSON.
    #[track_caller]
    pub fn json(&self, words: &[&str]) -> Value {
        let mut all = words.to_vec();
        all.extend(["-o", "json"]);
        let text = self.ctl(&all);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{words:?}: {error}: {text}"))
    }

    /// The runs of a schedule in a state.
    #[track_caller]
    pub fn runs(&self, schedule: &str, status: &str) -> Vec<Value> {
        let reply = self.json(&["runs", "list", "--schedule", schedule, "--limit", "1000"]);
        let items = reply.as_array().or(reply["items"].as_array()).cloned().unwrap_or_default();
        items.into_iter().filter(|run| run["status"] == status).collect()
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

    /// Entries of the journal of this boot.
    #[track_caller]
    pub fn journal(&self, matches: &[&str]) -> Vec<Value> {
        let mut words = vec!["journalctl", "-b", "-o", "json", "--no-pager", "--all"];
        words.extend(matches);
        // Without an entry it prints nothing and may call that a failure.
        let text = String::from_utf8_lossy(&self.run(&words).stdout).into_owned();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits until something holds inside.
    #[track_caller]
    pub fn wait_for(&self, what: &str, condition: impl FnMut() -> bool) {
        process::wait_for(what, condition);
    }

    /// Writes a file inside.
    #[track_caller]
    pub fn write(&self, path: &str, text: &str) {
        std::fs::write(self.path(path), text).expect("writable");
    }

    /// Copies a file of the host into the machine.
    #[track_caller]
    pub fn put(&self, file: &Path, to: &str) {
        std::fs::copy(file, self.path(to)).expect("copied");
    }

    /// Installs a .deb with dpkg, whose dependencies must be there; what it printed.
    #[track_caller]
    pub fn install(&self, package: &Path) -> String {
        self.put(package, "/root/package.deb");
        let output = self.run(&["dpkg", "--install", "/root/package.deb"]);
        let (out, err) = texts(&output);
        assert!(output.status.success(), "dpkg --install {}:\n{out}{err}", package.display());
        out + &err
    }

    /// Adds a user with a home.
    #[track_caller]
    pub fn add_user(&self, name: &str, groups: &str) {
        self.ok(&["useradd", "--create-home", "--shell", "/bin/sh", "--user-group", name]);
        if !groups.is_empty() {
            self.ok(&["usermod", "--append", "--groups", groups, name]);
        }
    }
}
