//! `slothctl workflow …`, `validate` and `list`: what can be said about a workflow without running it.

use std::path::Path;

use serde_json::{Value, json};
use sloth_api::ExitCode;
use sloth_api::client::Target;
use sloth_api::worker::Bundle;

use super::Done;
use super::run_parts::show_graph;
use crate::args::run::ValueFlags;
use crate::args::workflow::{ListWorkflows, ShowWorkflow, ValidateWorkflow};
use crate::failure::Failure;
use crate::input::request::values_of;
use crate::input::source::{Env, of_file};
use crate::input::worker::{Answer, Question, ask};
use crate::output::print;
use crate::session::{Session, typed};
use crate::views::diagnostics;
use crate::views::graph::States;

pub(crate) async fn list(session: &Session, args: ListWorkflows) -> Done {
    let rows = saved_rows(session, args.all).await?;
    session.screen.list(crate::views::workflows::list(&rows, &session.screen.clock), rows)?;
    Ok(0)
}

/// Saved workflows, the inactive ones too when they are wanted.
pub(crate) async fn saved_rows(session: &Session, all: bool) -> Result<Vec<Value>, Failure> {
    match super::runs::items(session.get(&Target::new("/workflows")).await?) {
        Value::Array(rows) => Ok(rows.into_iter().filter(|row| all || row["active"] != false).collect()),
        _ => Err(Failure::incompatible("the daemon's answer is no list")),
    }
}

/// `show` and `graph`.
pub(crate) async fn show(session: &Session, args: ShowWorkflow, env: Env<'_>) -> Done {
    let bundle = match (&args.file, &args.name) {
        (Some(file), _) => of_file(file, env)?,
        (None, Some(name)) if looks_like_a_file(name) => of_file(name, env)?,
        (None, name) => {
            let saved = session.get(&Target::new("/workflows").name(name.as_deref().unwrap_or_default())).await?;
            typed(&saved["bundle"])?
        }
    };
    let answer = graph_of(bundle, &args.values, env)?;
    show_answer(session, answer, args.workflow.as_deref(), args.format.as_deref())
}

/// `runs graph -f FILE`.
pub(crate) fn graph_of_file(session: &Session, file: &str, format: Option<&str>, env: Env<'_>) -> Done {
    let answer = graph_of(of_file(file, env)?, &ValueFlags::default(), env)?;
    show_answer(session, answer, None, format)
}

fn graph_of(bundle: Bundle, flags: &ValueFlags, env: Env<'_>) -> Result<Answer, Failure> {
    let (values, params) = values_of(flags)?;
    ask("graph", Question { bundle, values, params, ..Question::default() }, env)
}

/// A file with mistakes has no graph: its findings are the answer.
fn show_answer(session: &Session, answer: Answer, workflow: Option<&str>, format: Option<&str>) -> Done {
    let ok = answer.ok;
    let graph = answer.object();
    let found = graph["diagnostics"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !session.screen.is_data() && !found.is_empty() {
        eprint!("{}", diagnostics::text(found, false));
    }
    if ok || session.screen.is_data() {
        show_graph(session, &graph, workflow, &States::new(), format)?;
    }
    Ok(if ok { 0 } else { ExitCode::Usage as u8 })
}

pub(crate) fn validate(session: &Session, args: ValidateWorkflow, env: Env<'_>) -> Done {
    let (values, params) = values_of(&args.values)?;
    let mut reports = Vec::new();
    let mut ok = true;
    for file in &args.files {
        let mut question = Question {
            bundle: of_file(file, env)?,
            values: values.clone(),
            params: params.clone(),
            ..Question::default()
        };
        question.options.strict = args.strict;
        let answer = ask("validate", question, env)?;
        ok &= answer.ok;
        let mut report = answer.object();
        report["file"] = file.as_str().into();
        let warned = report["diagnostics"].as_array().is_some_and(|found| !found.is_empty());
        if args.strict && warned {
            report["ok"] = false.into();
            ok = false;
        }
        reports.push(report);
    }
    if session.screen.is_data() {
        let whole = if reports.len() == 1 { reports.remove(0) } else { Value::Array(reports) };
        session.screen.document(&whole, |_| {})?;
    } else {
        let text: String = reports.iter().map(|report| report_text(report, session.screen.color)).collect();
        print(&text)?;
    }
    Ok(if ok { 0 } else { ExitCode::Usage as u8 })
}

fn report_text(report: &Value, color: bool) -> String {
    let found = report["diagnostics"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut text = diagnostics::text(found, color);
    let file = report["file"].as_str().unwrap_or_default();
    let errors = found.iter().filter(|one| diagnostics::is_error(one)).count();
    let warnings = found.len() - errors;
    let names: Vec<&str> = report["workflows"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let verdict = if report["ok"] == true { "ok" } else { "not ok" };
    let counts = if found.is_empty() { String::new() } else { format!(", {errors} errors, {warnings} warnings") };
    let of = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
    text.push_str(&format!(
        "{}: {verdict}{counts}{}\n",
        crate::output::text::clean(file),
        crate::output::text::clean(&of)
    ));
    text
}

/// Tasks of the workflow files in the present directory.
pub(crate) fn tasks_here(session: &Session, env: Env<'_>) -> Done {
    let files = files_here()?;
    if files.is_empty() {
        return Err(Failure::not_found("there is no workflow file (*.sloth) in the present directory")
            .hint("see those of another with slothctl workflow show -f FILE"));
    }
    let mut rows = Vec::new();
    let mut ok = true;
    for file in files {
        let answer = graph_of(of_file(&file, env)?, &ValueFlags::default(), env)?;
        ok &= answer.ok;
        let graph = answer.object();
        let found = graph["diagnostics"].as_array().map(Vec::as_slice).unwrap_or_default();
        eprint!("{}", diagnostics::text(found, false));
        for workflow in graph["workflows"].as_array().into_iter().flatten() {
            for task in workflow["tasks"].as_array().into_iter().flatten() {
                let mut row = json!({ "file": file, "workflow": workflow["name"] });
                if let (Some(row), Some(task)) = (row.as_object_mut(), task.as_object()) {
                    row.extend(
                        task.iter().filter(|(name, _)| *name != "workflow").map(|(n, v)| (n.clone(), v.clone())),
                    );
                }
                rows.push(row);
            }
        }
    }
    session.screen.list(crate::views::workflows::tasks(&rows), rows)?;
    Ok(if ok { 0 } else { ExitCode::Usage as u8 })
}

fn files_here() -> Result<Vec<String>, Failure> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(".")? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.extension().is_some_and(|ending| ending == "sloth") && path.is_file() {
            files.push(name.to_owned());
        }
    }
    files.sort();
    Ok(files)
}

fn looks_like_a_file(name: &str) -> bool {
    name == "-" || Path::new(name).extension().is_some_and(|ending| ending == "sloth" || ending == "lua")
}
