//! Commands on runs, and running a schedule by hand.

use std::io::Read;
use std::time::Duration;

use serde_json::{Value, json};
use sloth_api::client::{Call, ClientError, Method, Target};
use sloth_api::{RunView, TriggerRequest};

use super::change::schedule;
use super::follow::{LogPrinter, exit_code, follow, unless_interrupted, wait as wait_for};
use super::{Done, each};
use crate::args::runs::{CancelArgs, ListRunsArgs, ShowRunArgs, WaitArgs};
use crate::args::scheduler::RunArgs;
use crate::failure::Failure;
use crate::output::time::parse_duration;
use crate::session::{Session, typed, typed_rows};
use crate::views;

pub(crate) async fn list(session: &Session, args: ListRunsArgs) -> Done {
    let status = (!args.status.is_empty()).then(|| args.status.join(","));
    let target = Target::new("/runs")
        .with_some("schedule", args.schedule)
        .with_some("stack", args.stack)
        .with_some("workflow", args.workflow)
        .with_some("label", args.label)
        .with_some("status", status)
        .with_some("owner", args.user)
        .with_some("trigger", args.trigger)
        .with_some("since", args.since)
        .with_some("until", args.until);
    let rows = session.all_rows(&target, None).await?;
    let runs: Vec<RunView> = typed_rows(&rows)?;
    session.screen.list(views::runs::list(&runs, &rows, &session.screen.clock), rows)?;
    Ok(0)
}

pub(crate) async fn show(session: &Session, args: ShowRunArgs) -> Done {
    let target = run(&args.run);
    let mut answer = session.get(&target).await?;
    let view: RunView = typed(&answer)?;
    let is_workflow = view.kind == "workflow";
    for (wanted, part) in [(args.tasks, "tasks"), (args.values, "values"), (args.bundle, "bundle")] {
        if wanted && is_workflow {
            let found = session.get(&target.clone().then(&format!("/{part}"))).await?;
            answer[part] = items(found);
            mask(&mut answer["values"]);
        }
    }
    session.screen.document(&answer, |out| {
        views::runs::show(&view, &answer, &session.screen.clock, out);
        if is_workflow {
            views::runs::parts(&answer, args.tasks, out);
        }
    })?;
    Ok(0)
}

/// "Keys matching `*password* *secret* *token* *_key` are masked in output."
pub(crate) fn mask(value: &mut Value) {
    let hides = |name: &str| {
        let name = name.to_lowercase();
        ["password", "secret", "token"].iter().any(|word| name.contains(word)) || name.ends_with("_key")
    };
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                if hides(name) && !value.is_null() { *value = "***".into() } else { mask(value) }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(mask),
        _ => {}
    }
}

/// The rows of a list that may come as a page.
pub(crate) fn items(mut answer: Value) -> Value {
    if answer["items"].is_array() { answer["items"].take() } else { answer }
}

/// `runs attach` of a command: its output until the end.
pub(crate) async fn attach_command(session: &Session, run: &str) -> Done {
    let remark = format!("the run goes on; see it with slothctl logs -f {run}");
    let mut printer = LogPrinter::new(session, false, false);
    let ended = unless_interrupted(session, &remark, follow(session, run, None, 0, &mut printer)).await?;
    let view: RunView = typed(&ended)?;
    if session.screen.is_data() {
        session.screen.stream(&ended, String::new)?;
    } else {
        session.say(views::runs::ended(&view));
    }
    Ok(exit_code(&view))
}

pub(crate) async fn wait(session: &Session, args: WaitArgs) -> Done {
    let limit = args.timeout.as_deref().map(parse_duration).transpose()?;
    let all = async {
        let mut answers = Vec::new();
        for run in &args.runs {
            answers.push(wait_for(session, run, limit).await?);
        }
        Ok(answers)
    };
    let mut answers = unless_interrupted(session, "the run goes on", all).await?;
    let runs: Vec<RunView> = typed_rows(&answers)?;
    let whole = if answers.len() == 1 { answers.remove(0) } else { Value::Array(answers) };
    session.screen.document(&whole, |out| runs.iter().for_each(|run| out.line(views::runs::ended(run))))?;
    Ok(runs.iter().map(exit_code).find(|code| *code != 0).unwrap_or(0))
}

pub(crate) async fn cancel(session: &Session, args: CancelArgs) -> Done {
    let mut body = json!({ "reason": args.reason, "force": args.force });
    if let Some(task) = &args.task {
        body["task"] = task.as_str().into();
    }
    if args.no_compensate {
        body["no_compensate"] = true.into();
    }
    let act = async |name: &str| session.post(&run(name).then("/cancel"), &body).await;
    each(session, &args.runs, act, |name, answer, out| {
        let id = answer["run_id"].as_str().unwrap_or(name);
        out.line(format!("run {id}: {}", answer["status"].as_str().unwrap_or("cancelling")));
        Ok(())
    })
    .await
}

pub(crate) async fn delete(session: &Session, runs: &[String]) -> Done {
    if runs.len() > 1 {
        session.confirm(&format!("delete {} runs and their output", runs.len()))?;
    }
    let act = async |name: &str| session.delete(&run(name)).await;
    each(session, runs, act, |name, _, out| {
        out.line(format!("deleted run {name}"));
        Ok(())
    })
    .await
}

/// `scheduler run`.
pub(crate) async fn trigger(session: &Session, args: RunArgs) -> Done {
    let answer = ask_for_run(session, &args.name).await?;
    let id = answer["run_id"].as_str().unwrap_or_default().to_owned();
    let status = answer["status"].as_str().unwrap_or("accepted");
    if !args.wait && !args.follow {
        session.screen.document(&answer, |out| out.line(format!("run {id} {status}")))?;
        return Ok(0);
    }
    session.say(format!("run {id} {status}"));
    let remark = format!("the run goes on; see it with slothctl logs -f {id}");
    let ended = async {
        if args.follow {
            let mut printer = LogPrinter::new(session, false, false);
            return follow(session, &id, None, 0, &mut printer).await;
        }
        wait_for(session, &id, None).await
    };
    let ended = unless_interrupted(session, &remark, ended).await?;
    let run: RunView = typed(&ended)?;
    if args.follow && !session.screen.is_data() {
        session.say(views::runs::ended(&run));
    } else if args.follow {
        session.screen.stream(&ended, String::new)?;
    } else {
        session.screen.document(&ended, |out| out.line(views::runs::ended(&run)))?;
    }
    Ok(exit_code(&run))
}

/// Asks once, also when the connection breaks in between: the daemon knows the key again.
async fn ask_for_run(session: &Session, name: &str) -> Result<Value, Failure> {
    let body = TriggerRequest { by: Some("manual".to_owned()) };
    let call = Call::new(Method::POST, schedule(name).then("/trigger").as_str()).json(&body)?;
    let call = call.header("idempotency-key", random_key()?);
    match session.client.send(call.clone()).await {
        Ok(answer) => Ok(answer.json()?),
        Err(ClientError::Lost(_)) => {
            tokio::time::sleep(Duration::from_millis(500)).await;
            Ok(session.send(call).await?.json()?)
        }
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn random_key() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

pub(crate) fn run(id: &str) -> Target {
    Target::new("/runs").name(id)
}
