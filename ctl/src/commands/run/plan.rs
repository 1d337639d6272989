//! `run --plan`: the graph and what would be done. No run is made; the worker evaluates the file as the caller.

use serde_json::Value;
use sloth_api::ExitCode;
use sloth_api::client::Target;

use crate::args::run::RunWorkflow;
use crate::commands::Done;
use crate::failure::Failure;
use crate::input::request::Request;
use crate::input::source::{Env, Source};
use crate::input::worker::{Question, ask};
use crate::output::{Format, print};
use crate::session::{Session, typed};
use crate::views;

pub(crate) async fn plan(session: &Session, args: &RunWorkflow, request: &Request, env: Env<'_>) -> Done {
    let bundle = match &request.input.source {
        Source::Bundle(bundle) => bundle.clone(),
        Source::Saved(name) => {
            let saved = session.get(&Target::new("/workflows").name(name)).await?;
            typed(&saved["bundle"])?
        }
    };
    let question = Question {
        bundle,
        values: request.values.clone(),
        params: request.params.clone(),
        options: request.options.clone(),
        stack: request.input.stack.clone().unwrap_or_default(),
    };
    let answer = ask("plan", question, env)?;
    let ok = answer.ok;
    let plan = answer.object();
    if let Some(file) = &args.mode.out {
        let text = crate::output::json_text(&plan, true);
        std::fs::write(file, text).map_err(|error| Failure::usage(format!("--out: {file}: {error}")))?;
    }
    show(session, args, &plan)?;
    if !ok {
        return Ok(ExitCode::Usage as u8);
    }
    let changes = ["create", "update", "destroy"].iter().any(|kind| plan["totals"][*kind].as_u64().unwrap_or(0) > 0);
    Ok(if args.mode.exit_code && changes { ExitCode::Differences as u8 } else { 0 })
}

fn show(session: &Session, args: &RunWorkflow, plan: &Value) -> Result<(), Failure> {
    let format = match args.follow.output.as_deref() {
        Some("json") => Format::Json,
        Some("yaml") => Format::Yaml,
        Some(_) => Format::Table,
        None => session.screen.format,
    };
    let screen = crate::output::Screen { format, ..session.screen.clone() };
    if screen.is_data() {
        return screen.document(plan, |_| {});
    }
    print(&views::plan::text(plan, screen.color))
}
