//! `sloth-worker`, asked about a workflow without a daemon: it evaluates the file as the caller, and runs no task.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Map, Value};
use sloth_api::worker::{Assignment, Bundle, RunOptions};

use super::source::{Env, present_directory};
use crate::failure::Failure;

/// Where packages put it.
const PACKAGED: &str = "/usr/libexec/slothd";

const NAME: &str = "sloth-worker";

/// A question about a program.
#[derive(Clone, Debug, Default)]
pub(crate) struct Question {
    pub(crate) bundle: Bundle,
    pub(crate) values: Map<String, Value>,
    pub(crate) params: Map<String, Value>,
    pub(crate) options: RunOptions,
    pub(crate) stack: String,
}

/// An answer: objects, one for each line, and whether the worker was content.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) objects: Vec<Value>,
    pub(crate) ok: bool,
}

impl Answer {
    /// The one object of `graph` and `plan`.
    pub(crate) fn object(mut self) -> Value {
        self.objects.pop().unwrap_or_default()
    }
}

/// `what`: `validate`, `graph` or `plan`.
pub(crate) fn ask(what: &str, question: Question, env: Env<'_>) -> Result<Answer, Failure> {
    let here = present_directory()?.to_string_lossy().into_owned();
    let temp = std::env::temp_dir().to_string_lossy().into_owned();
    let assignment = Assignment {
        stack: question.stack,
        user: env("USER").and_then(|user| user.into_string().ok()).unwrap_or_default(),
        asked_by: "slothctl".to_owned(),
        started_at: format!("{:.3}", jiff::Timestamp::now()),
        mode: if what == "plan" { "plan" } else { "validate" }.to_owned(),
        invocation_dir: here,
        temp_dir: temp.clone(),
        run_dir: temp,
        bundle: question.bundle,
        values: question.values,
        params: question.params,
        options: question.options,
        next_seq: 1,
        ..Assignment::default()
    };
    let input = serde_json::to_vec(&assignment).map_err(|error| Failure::usage(error.to_string()))?;
    exchange(&program(env)?, what, input)
}

fn exchange(program: &Path, what: &str, input: Vec<u8>) -> Result<Answer, Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("{}: {error}", program.display()));
    let mut command = Command::new(program);
    command.args([what, "--json", "--assignment"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().map_err(failed)?;
    let stdin = child.stdin.take();
    // It may answer before it has read everything; then the rest is not wanted.
    let writer = std::thread::spawn(move || drop(stdin.map(|mut stdin| stdin.write_all(&input))));
    let output = child.wait_with_output().map_err(failed)?;
    let _ = writer.join();
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let objects: Result<Vec<Value>, _> = lines.map(serde_json::from_str).collect();
    match (objects, output.status.code()) {
        (Ok(objects), Some(code @ (0 | 2))) if !objects.is_empty() => Ok(Answer { objects, ok: code == 0 }),
        (_, _) => Err(Failure::failed(format!("{} gave no answer ({})", program.display(), output.status))
            .hint("what it said stands above; compare the versions of slothctl and sloth-worker")),
    }
}

/// `SLOTHD_WORKER`, beside slothctl, or where packages put it.
fn program(env: Env<'_>) -> Result<PathBuf, Failure> {
    if let Some(named) = env("SLOTHD_WORKER").filter(|named| !named.is_empty()) {
        return Ok(named.into());
    }
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent);
    let places = [
        beside.map(|dir| dir.join(NAME)),
        beside.and_then(Path::parent).map(|up| up.join("libexec/slothd").join(NAME)),
        Some(Path::new(PACKAGED).join(NAME)),
    ];
    places.into_iter().flatten().find(|path| path.is_file()).ok_or_else(|| {
        Failure::failed("sloth-worker is not installed beside slothctl")
            .hint("install it, or name it with SLOTHD_WORKER")
    })
}
