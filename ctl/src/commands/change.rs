//! Commands that change schedules.

use serde_json::{Value, json};
use sloth_api::client::{Method, Target};
use sloth_api::{DisableRequest, PauseAllRequest, ScheduleChange};

use super::{Done, each};
use crate::args::fields::{Spec, WorkflowAction};
use crate::args::scheduler::{AddArgs, DisableArgs, EditArgs, EnableArgs};
use crate::failure::Failure;
use crate::input::source::{Env, of_file};
use crate::input::values::{self, Given};
use crate::session::{Session, typed};
use crate::views;

pub(crate) async fn add(session: &Session, args: &AddArgs, env: Env<'_>) -> Done {
    let (method, target, body) = added(args, env)?;
    let answer = session.with_body(method, &target, &body).await?;
    show(session, &answer)
}

/// The request of `add`.
pub(crate) fn added(args: &AddArgs, env: Env<'_>) -> Result<(Method, Target, Value), Failure> {
    let mut spec = args.fields.spec(&args.trigger, &args.command, false)?;
    if let Some(action) = args.fields.workflow()? {
        spec.insert("workflow".to_owned(), workflow_action(&action, env)?);
    }
    if args.replace || args.if_changed {
        let target = schedule(&args.name).with_flag("if_changed", args.if_changed);
        return Ok((Method::PUT, target, spec.into()));
    }
    let mut body = Spec::new();
    body.insert("name".to_owned(), args.name.as_str().into());
    body.extend(spec);
    Ok((Method::POST, Target::new("/schedules"), body.into()))
}

pub(crate) async fn edit(session: &Session, args: &EditArgs, env: Env<'_>) -> Done {
    let answer = session.with_body(Method::PATCH, &schedule(&args.name), &edited(args, env)?).await?;
    show(session, &answer)
}

/// The merge patch of `edit`.
pub(crate) fn edited(args: &EditArgs, env: Env<'_>) -> Result<Value, Failure> {
    let mut patch = args.fields.spec(&args.trigger, &args.command, true)?;
    if let Some(action) = args.fields.workflow()? {
        patch.insert("workflow".to_owned(), workflow_action(&action, env)?);
    }
    // The forms of an action exclude each other: naming one takes the others away.
    const ACTIONS: [&str; 3] = ["command", "shell", "workflow"];
    if let Some(given) = ACTIONS.iter().find(|name| patch.get(**name).is_some_and(|value| !value.is_null())) {
        for other in ACTIONS.iter().filter(|other| *other != given) {
            patch.entry((*other).to_owned()).or_insert(Value::Null);
        }
    }
    for field in &args.clear {
        let field = field.replace('-', "_");
        if patch.get(&field).is_some_and(|value| !value.is_null()) {
            return Err(Failure::usage(format!("{field} is both set and cleared")));
        }
        patch.insert(field, Value::Null);
    }
    if patch.is_empty() {
        return Err(Failure::usage("nothing to change").hint("name a field, such as --timeout 2h, or --clear FIELD"));
    }
    Ok(patch.into())
}

/// The program is read now: the schedule runs what was looked at, not what the file becomes later.
fn workflow_action(action: &WorkflowAction<'_>, env: Env<'_>) -> Result<Value, Failure> {
    let mut out = match (action.saved, action.file) {
        (Some(name), _) => json!({ "saved": name }),
        (None, file) => json!({ "bundle": of_file(file.unwrap_or_default(), env)? }),
    };
    for (key, text) in [("stack", action.stack), ("workflow", action.workflow)] {
        if let Some(text) = text {
            out[key] = text.into();
        }
    }
    let given = Given { files: action.values, set: action.set, ..Given::default() };
    // Of the environment of today nothing goes into the runs of next year.
    let values = values::merged(&given, std::iter::empty())?;
    let params = values::params(action.params)?;
    for (key, map) in [("values", values), ("params", params)] {
        if !map.is_empty() {
            out[key] = map.into();
        }
    }
    Ok(out)
}

pub(crate) async fn delete(session: &Session, names: &[String]) -> Done {
    let act = async |name: &str| session.delete(&schedule(name)).await;
    each(session, names, act, |name, _, out| {
        out.line(format!("deleted {name}"));
        Ok(())
    })
    .await
}

pub(crate) async fn enable(session: &Session, args: &EnableArgs) -> Done {
    let answer = match &args.cron {
        None => session.poke(&schedule(&args.name).then("/enable")).await?,
        Some(cron) => {
            let spec = json!({"trigger": cron, "workflow": {"stack": args.name}});
            session.with_body(Method::PUT, &schedule(&args.name), &spec).await?
        }
    };
    show(session, &answer)
}

pub(crate) async fn disable(session: &Session, args: DisableArgs) -> Done {
    let body = DisableRequest { until: args.until, reason: args.reason };
    let answer = session.post(&schedule(&args.name).then("/disable"), &body).await?;
    show(session, &answer)
}

pub(crate) async fn pause_all(session: &Session, reason: Option<String>) -> Done {
    session.confirm("pause every schedule of this daemon")?;
    let answer = session.post(&Target::new("/schedules/-/pause-all"), &PauseAllRequest { reason }).await?;
    switched(session, &answer)
}

pub(crate) async fn resume_all(session: &Session) -> Done {
    let answer = session.poke(&Target::new("/schedules/-/resume-all")).await?;
    switched(session, &answer)
}

fn switched(session: &Session, answer: &Value) -> Done {
    session.screen.document(answer, |out| out.line(answer["change"].as_str().unwrap_or("done")))?;
    Ok(0)
}

fn show(session: &Session, answer: &Value) -> Done {
    if session.screen.is_data() {
        session.screen.document(answer, |_| {})?;
        return Ok(0);
    }
    let change: ScheduleChange = typed(answer)?;
    session.screen.document(answer, |out| views::schedules::change(&change, &session.screen.clock, out))?;
    Ok(0)
}

/// One schedule.
pub(crate) fn schedule(name: &str) -> Target {
    Target::new("/schedules").name(name)
}
