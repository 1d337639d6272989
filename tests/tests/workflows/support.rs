//! A workflow file, run by slothctl, and what it said.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sloth_tests::Instance;
use sloth_tests::instance::texts;
use sloth_tests::process::wait_for;

/// A finished slothctl.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// The lines of `-o json`.
    #[track_caller]
    pub fn lines(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}\n{}", self.err)))
            .collect()
    }

    /// The summary, the last line of `-o json`.
    #[track_caller]
    pub fn summary(&self) -> Value {
        let summary = self.lines().pop().unwrap_or_else(|| panic!("nothing was printed: {}", self.err));
        assert_eq!(summary["type"], "summary", "{}", self.out);
        summary
    }
}

/// Writes a file beside the root of the instance.
pub fn file(instance: &Instance, name: &str, text: &str) -> String {
    let path = instance.dir().join(name);
    fs::create_dir_all(path.parent().expect("a parent")).expect("writable");
    fs::write(&path, text).expect("writable");
    path.display().to_string()
}

/// Runs slothctl with these words.
pub fn ctl(instance: &Instance, words: &[&str]) -> Ran {
    let output = instance.ctl_command(words).current_dir(instance.dir()).output().expect("slothctl can be started");
    let (out, err) = texts(&output);
    Ran { code: output.status.code().unwrap_or(-1), out, err }
}

/// Runs a program of the language to its end; its summary must be there.
#[track_caller]
pub fn run(instance: &Instance, program: &str, words: &[&str]) -> (i32, Value) {
    let path = file(instance, "flow.sloth", program);
    let ran = ctl(instance, &[&["run", &path, "-o", "json", "--summary-only"], words].concat());
    (ran.code, ran.summary())
}

/// Runs a program that must complete.
#[track_caller]
pub fn completes(instance: &Instance, program: &str, words: &[&str]) -> Value {
    let (code, summary) = run(instance, program, words);
    assert_eq!((code, summary["status"].as_str()), (0, Some("completed")), "{summary:#}");
    summary
}

/// Starts a program and leaves it; the id of its run.
#[track_caller]
pub fn start(instance: &Instance, program: &str, words: &[&str]) -> String {
    let path = file(instance, "flow.sloth", program);
    let ran = ctl(instance, &[&["run", &path, "--detach"], words].concat());
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    ran.out.trim().to_owned()
}

/// The summary of a run that ends in time.
#[track_caller]
pub fn ended(instance: &Instance, run: &str) -> Value {
    instance.finished(run);
    instance.ok("GET", &format!("/runs/{run}/summary"), Value::Null)
}

/// A task of a summary.
#[track_caller]
pub fn task<'s>(summary: &'s Value, name: &str) -> &'s Value {
    let tasks = summary["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
    tasks.iter().find(|task| task["name"] == name).unwrap_or_else(|| panic!("no task {name}: {summary:#}"))
}

/// Waits until a file holds this text.
#[track_caller]
pub fn holds(path: &Path, text: &str) {
    wait_for(&format!("{} holds {text}", path.display()), || {
        fs::read_to_string(path).is_ok_and(|content| content.contains(text))
    });
}

/// The text of a file, empty when there is none.
pub fn text(path: impl Into<PathBuf>) -> String {
    fs::read_to_string(path.into()).unwrap_or_default()
}

/// What `GET /runs/{id}/<part>` gives, as a list.
#[track_caller]
pub fn list(instance: &Instance, run: &str, part: &str) -> Vec<Value> {
    let mut answer = instance.ok("GET", &format!("/runs/{run}/{part}?limit=1000"), Value::Null);
    let items = if answer["items"].is_array() { answer["items"].take() } else { answer };
    items.as_array().cloned().unwrap_or_default()
}
