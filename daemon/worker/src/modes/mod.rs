//! Looking at files without a daemon: `validate`, `graph`, `plan`. As the caller, with JSON for programs.

mod given;
mod library;
mod plan;

use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Value, json};
use sloth_api::worker::{Assignment, Errand};
use sloth_core::workflow::{Defined, Diagnostic, Level};
use sloth_lua::Program;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use crate::graph_json;
use crate::io::Io;
use crate::link::Link;
use crate::log::Log;
use crate::run::Run;
use given::Options;
pub use library::library;

/// 0, or 2 when something is wrong with a file or with the call.
pub fn look(word: &str, words: Vec<String>) -> ExitCode {
    match try_look(word, words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(message) => {
            eprintln!("sloth-worker: {message}");
            ExitCode::from(2)
        }
    }
}

fn try_look(word: &str, words: Vec<String>) -> Result<bool, String> {
    let options = Options::read(words)?;
    let io = crate::errand::io_thread(std::future::pending())?;
    let runtime = Builder::new_current_thread().enable_time().build().map_err(|error| format!("runtime: {error}"))?;
    // One for all files: nothing that is only looked at writes there.
    let scratch = tempfile::tempdir().map_err(|error| format!("temporary directory: {error}"))?;
    let mut all_good = true;
    for job in options.jobs(word)? {
        let good = LocalSet::new().block_on(&runtime, one(word, job, io.clone(), &options, scratch.path()))?;
        all_good &= good;
    }
    Ok(all_good)
}

async fn one(word: &str, job: Assignment, io: Io, options: &Options, scratch: &Path) -> Result<bool, String> {
    let file = job.bundle.main.clone();
    let job = Assignment {
        temp_dir: scratch.join("tmp").to_string_lossy().into_owned(),
        run_dir: scratch.join("run").to_string_lossy().into_owned(),
        ..job
    };
    let errand = Errand { socket: String::new(), run: "00000000".to_owned(), worker: 1, token: String::new() };
    let log = Arc::new(Log::quiet());
    let (run, program) = Run::begin(&errand, job, Link::standalone(), io, log)?;
    let answer = tokio::select! {
        answer = answer(word, &run, program) => answer,
        why = run.journal.pump() => return Err(why),
    };
    let (value, good) = match answer {
        Ok((value, warnings)) => (with_findings(word, &file, value, &warnings), true),
        Err(findings) => (with_findings(word, &file, json!({}), &findings), false),
    };
    options.print(&value);
    Ok(good)
}

type Answer = Result<(Value, Vec<Diagnostic>), Vec<Diagnostic>>;

async fn answer(word: &str, run: &Rc<Run>, program: Program) -> Answer {
    let defined = run.define(program).await?;
    let warnings = defined.diagnostics.clone();
    let value = match word {
        "validate" => json!({ "workflows": names(&defined) }),
        "graph" => graph_json::workflows(defined.workflows.iter().map(AsRef::as_ref)),
        _ => plan::plan(run, &defined).await.map_err(|finding| vec![finding])?,
    };
    Ok((value, warnings))
}

fn names(defined: &Defined) -> Vec<&str> {
    defined.workflows.iter().map(|workflow| workflow.name.as_str()).collect()
}

fn with_findings(word: &str, file: &str, mut value: Value, findings: &[Diagnostic]) -> Value {
    let good = findings.iter().all(|finding| finding.level() != Level::Error);
    if word == "validate" {
        value["file"] = file.into();
        value["ok"] = good.into();
    }
    if value.get("workflows").is_none() {
        value["workflows"] = json!([]);
    }
    value["diagnostics"] = findings.iter().map(graph_json::diagnostic).collect();
    value
}
