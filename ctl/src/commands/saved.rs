//! `slothctl saved …`: workflows that the daemon keeps by name.

use serde_json::{Value, json};
use sloth_api::client::{Method, Target};
use sloth_api::worker::Bundle;

use super::{Done, each};
use crate::args::workflow::{ExportSaved, GetSaved, ListSaved, SaveWorkflow, SavedCommand, UpdateSaved};
use crate::failure::Failure;
use crate::input::bundle::main_text;
use crate::input::source::{Env, of_file};
use crate::output::print_bytes;
use crate::session::{Session, typed};
use crate::views;

pub(crate) async fn run(session: &Session, command: SavedCommand, env: Env<'_>) -> Done {
    match command {
        SavedCommand::Add(args) => add(session, args, env).await,
        SavedCommand::Update(args) => update(session, args, env).await,
        SavedCommand::List(args) => list(session, args).await,
        SavedCommand::Get(args) => get(session, args).await,
        SavedCommand::Activate(args) => set_active(session, &args.names, true).await,
        SavedCommand::Deactivate(args) => set_active(session, &args.names, false).await,
        SavedCommand::Remove(args) => remove(session, &args.names).await,
        SavedCommand::Export(args) => export(session, args).await,
    }
}

/// "Adding an existing name is exit code 9; `--replace` makes a new version."
pub(crate) async fn add(session: &Session, args: SaveWorkflow, env: Env<'_>) -> Done {
    let bundle = of_file(&args.file, env)?;
    if !args.replace && stored(session, &args.name).await?.is_some() {
        return Err(Failure::exists(format!("there is a saved workflow \"{}\"", args.name))
            .hint("replace it with --replace, or slothctl saved update"));
    }
    let body = json!({
        "description": args.description, "bundle": bundle, "active": args.active.unwrap_or(true),
    });
    put(session, &args.name, &body).await
}

async fn update(session: &Session, args: UpdateSaved, env: Env<'_>) -> Done {
    let bundle = of_file(&args.file, env)?;
    let Some(saved) = stored(session, &args.name).await? else {
        return Err(missing(&args.name));
    };
    let body = json!({
        "description": saved["description"], "bundle": bundle, "active": saved["active"],
    });
    put(session, &args.name, &body).await
}

async fn put(session: &Session, name: &str, body: &Value) -> Done {
    let answer = session.with_body(Method::PUT, &workflow(name), body).await?;
    let change = answer["change"].as_str().unwrap_or("saved");
    session.screen.document(&answer, |out| out.line(format!("{change} workflow {name}")))?;
    Ok(0)
}

async fn list(session: &Session, args: ListSaved) -> Done {
    let rows = super::workflow::saved_rows(session, args.all).await?;
    session.screen.list(views::workflows::list(&rows, &session.screen.clock), rows)?;
    Ok(0)
}

async fn get(session: &Session, args: GetSaved) -> Done {
    let answer = session.get(&workflow(&args.name)).await?;
    if args.content.is_some() {
        return write(&answer, None);
    }
    session.screen.document(&answer, |out| views::workflows::show(&answer, &session.screen.clock, out))?;
    Ok(0)
}

async fn export(session: &Session, args: ExportSaved) -> Done {
    let answer = session.get(&workflow(&args.name)).await?;
    write(&answer, args.file.as_deref())
}

fn write(saved: &Value, file: Option<&str>) -> Done {
    let bundle: Bundle = typed(&saved["bundle"])?;
    let text = main_text(&bundle);
    match file {
        Some(file) => {
            std::fs::write(file, text).map_err(|error| Failure::usage(format!("{file}: {error}")))?;
        }
        None => print_bytes(&text)?,
    }
    Ok(0)
}

async fn set_active(session: &Session, names: &[String], active: bool) -> Done {
    let act = async |name: &str| {
        let Some(saved) = stored(session, name).await? else {
            return Err(missing(name));
        };
        let body = json!({
            "description": saved["description"], "bundle": saved["bundle"], "active": active,
        });
        session.with_body(Method::PUT, &workflow(name), &body).await
    };
    let word = if active { "active" } else { "inactive" };
    each(session, names, act, |name, _, out| {
        out.line(format!("workflow {name} is {word}"));
        Ok(())
    })
    .await
}

pub(crate) async fn remove(session: &Session, names: &[String]) -> Done {
    let act = async |name: &str| session.delete(&workflow(name)).await;
    each(session, names, act, |name, _, out| {
        out.line(format!("removed workflow {name}"));
        Ok(())
    })
    .await
}

async fn stored(session: &Session, name: &str) -> Result<Option<Value>, Failure> {
    match session.get(&workflow(name)).await {
        Ok(saved) => Ok(Some(saved)),
        Err(failure) if failure.code == sloth_api::ErrorCode::NotFound.as_str() => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn missing(name: &str) -> Failure {
    Failure::not_found(format!("there is no saved workflow \"{name}\"")).hint("slothctl saved list -a")
}

fn workflow(name: &str) -> Target {
    Target::new("/workflows").name(name)
}
