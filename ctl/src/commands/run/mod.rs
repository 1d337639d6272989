//! `slothctl run`: resolve the input, send the program, say the id, follow to the end, exit with the result of the run.

use std::time::Duration;

use serde_json::Value;
use sloth_api::client::{Call, ClientError, Method, Target};

use super::Done;
use super::runs::random_key;
use crate::args::globals::Globals;
use crate::args::run::RunWorkflow;
use crate::args::runs::FollowLook;
use crate::failure::Failure;
use crate::input::request;
use crate::input::source::Env;
use crate::session::Session;

mod feed;
pub(crate) mod follow;
mod look;
mod plan;
mod screen;
mod standalone;

use follow::{Ending, follow};
pub(crate) use look::Look;

pub(crate) async fn run(globals: Globals, args: RunWorkflow, env: Env<'_>) -> Done {
    if let Some(run) = args.what.resume.clone().or_else(|| args.what.rerun.clone()) {
        return again(&Session::new(globals, env)?, &args, &run).await;
    }
    let request = request::of_run(&args, env)?;
    if args.mode.plan {
        return plan::plan(&Session::new(globals, env)?, &args, &request, env).await;
    }
    if args.follow.standalone {
        let private = standalone::start(&globals).await?;
        let session = Session::new(private.globals(globals), env)?;
        let done = started(&session, &args, &request).await;
        private.stop().await;
        return done;
    }
    started(&Session::new(globals, env)?, &args, &request).await
}

async fn started(session: &Session, args: &RunWorkflow, request: &request::Request) -> Done {
    let answer = post_once(session, &Target::new("/runs"), &request.to_json()).await?;
    let title = match &request.input.stack {
        Some(stack) => format!("{} for stack {stack}", request.source_name()),
        None => request.source_name(),
    };
    go_on(session, args, &answer, &title).await
}

/// `--resume` and `--rerun`.
async fn again(session: &Session, args: &RunWorkflow, run: &str) -> Done {
    let target = Target::new("/runs").name(run);
    let answer = if args.what.resume.is_some() {
        session.post(&target.then("/resume"), &from_body(args.selection.from.as_deref())).await?
    } else {
        post_once(session, &target.then("/rerun"), &serde_json::json!({})).await?
    };
    let word = if args.what.resume.is_some() { "resumed" } else { "the same again" };
    go_on(session, args, &answer, word).await
}

/// What `resume` is told.
pub(crate) fn from_body(from: Option<&str>) -> Value {
    from.map_or_else(|| serde_json::json!({}), |from| serde_json::json!({ "from": from }))
}

async fn go_on(session: &Session, args: &RunWorkflow, answer: &Value, title: &str) -> Done {
    let id = id_of(answer)?;
    if args.follow.detach {
        session.screen.document(answer, |out| out.line(&id))?;
        return Ok(0);
    }
    let flags = FollowLook {
        output: args.follow.output.clone(),
        summary_only: args.follow.summary_only,
        verbose: args.follow.verbose,
    };
    let look = Look::new(session, &flags);
    session.say(format!("run {id}"));
    let ending = if args.follow.attach_lifetime { Ending::WithMe } else { Ending::Asks };
    follow(session, &id, title, look, ending).await
}

/// The id of a run in an answer.
pub(crate) fn id_of(answer: &Value) -> Result<String, Failure> {
    let id = answer["id"].as_str().or_else(|| answer["run_id"].as_str());
    id.map(str::to_owned).ok_or_else(|| Failure::incompatible("the daemon's answer names no run"))
}

/// Asks for something new exactly once, also when the connection breaks in between: the daemon knows the key again.
pub(crate) async fn post_once(session: &Session, target: &Target, body: &Value) -> Result<Value, Failure> {
    let call = Call::new(Method::POST, target.as_str()).json(body)?.header("idempotency-key", random_key()?);
    match session.client.send(call.clone()).await {
        Ok(answer) => Ok(answer.json()?),
        Err(ClientError::Lost(_)) => {
            tokio::time::sleep(Duration::from_millis(500)).await;
            Ok(session.send(call).await?.json()?)
        }
        Err(error) => Err(error.into()),
    }
}
