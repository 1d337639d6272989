//! What belongs to a run: pausing and going on, its graph, events, outputs, checkpoints and artifacts; comparing and clearing up.

use serde_json::{Value, json};
use sloth_api::client::{Call, Method, Target};
use sloth_api::event::Event;
use sloth_api::{ExitCode, RunView};

use super::run::{Look, follow, from_body, id_of, post_once};
use super::runs::{items, mask, run};
use super::{Done, each};
use crate::args::runs::{DiffArgs, FollowLook, GraphArgs, PruneArgs, RerunArgs, ResumeArgs};
use crate::failure::Failure;
use crate::input::source::Env;
use crate::output::print;
use crate::output::table::{Cell, Table};
use crate::output::time::{parse_duration, size};
use crate::session::{Session, typed_rows};
use crate::views::graph::{self, States};
use crate::views::{self, run_diff};

/// Events that are asked for at once.
const EVENTS_PAGE: usize = 1000;

/// `pause` and `unpause`.
pub(crate) async fn poke_each(session: &Session, runs: &[String], verb: &str) -> Done {
    let act = async |name: &str| session.post(&run(name).then(&format!("/{verb}")), &json!({})).await;
    each(session, runs, act, |name, answer, out| {
        let id = answer["id"].as_str().or_else(|| answer["run_id"].as_str()).unwrap_or(name);
        out.line(format!("run {id}: {}", answer["status"].as_str().unwrap_or("done")));
        Ok(())
    })
    .await
}

pub(crate) async fn resume(session: &Session, args: ResumeArgs) -> Done {
    let answer = session.post(&run(&args.run).then("/resume"), &from_body(args.from.as_deref())).await?;
    goes_on(session, &answer, args.follow, "resumed").await
}

pub(crate) async fn rerun(session: &Session, args: RerunArgs) -> Done {
    let answer = post_once(session, &run(&args.run).then("/rerun"), &json!({})).await?;
    goes_on(session, &answer, args.follow, "the same again").await
}

async fn goes_on(session: &Session, answer: &Value, follows: bool, title: &str) -> Done {
    let id = id_of(answer)?;
    if follows {
        let look = Look::new(session, &FollowLook::default());
        session.say(format!("run {id}"));
        return follow::follow(session, &id, title, look, follow::Ending::Asks).await;
    }
    let status = answer["status"].as_str().unwrap_or("queued");
    session.screen.document(answer, |out| out.line(format!("run {id} {status}")))?;
    Ok(0)
}

pub(crate) async fn compensate(session: &Session, name: &str) -> Done {
    let answer = session.post(&run(name).then("/compensate"), &json!({})).await?;
    let said = answer["compensation"].as_str().or_else(|| answer["status"].as_str()).unwrap_or("compensating");
    session.screen.document(&answer, |out| out.line(format!("run {name}: {said}")))?;
    Ok(0)
}

pub(crate) async fn graph(session: &Session, args: GraphArgs, env: Env<'_>) -> Done {
    let Some(name) = &args.run else {
        let file = args.file.as_deref().unwrap_or_default();
        return super::workflow::graph_of_file(session, file, args.format.as_deref(), env);
    };
    let found = session.get(&run(name).then("/graph")).await?;
    let tasks = items(session.get(&run(name).then("/tasks")).await?);
    let states = graph::states(tasks.as_array().map(Vec::as_slice).unwrap_or_default());
    show_graph(session, &found["graph"], None, &states, args.format.as_deref())?;
    Ok(0)
}

/// Prints a graph in a format of the command, or of the line.
pub(crate) fn show_graph(
    session: &Session,
    found: &Value,
    workflow: Option<&str>,
    states: &States,
    format: Option<&str>,
) -> Result<(), Failure> {
    let format = match format {
        Some("json" | "yaml") | None if format.is_some() || session.screen.is_data() => {
            let named = format.and_then(crate::output::Format::parse).unwrap_or(session.screen.format);
            let screen = crate::output::Screen { format: named, ..session.screen.clone() };
            return screen.document(found, |_| {});
        }
        other => other.unwrap_or("tree"),
    };
    let workflows = graph::workflows(found, workflow);
    if workflows.is_empty() {
        let said =
            workflow.map_or("there is no graph yet".to_owned(), |name| format!("there is no workflow \"{name}\""));
        return Err(Failure::not_found(said));
    }
    print(&graph::text(&workflows, states, format, session.screen.color && format == "tree"))
}

pub(crate) async fn events(session: &Session, name: &str) -> Done {
    let rows = past_events(session, name).await?;
    let events: Vec<Event> = typed_rows(&rows)?;
    session.screen.list(views::events::list(&events, &session.screen.clock), rows)?;
    Ok(0)
}

/// Events of a run, the oldest first, page by page.
pub(crate) async fn past_events(session: &Session, name: &str) -> Result<Vec<Value>, Failure> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let after = all.last().and_then(|event| event["seq"].as_i64()).unwrap_or(0);
        let page = session.get(&run(name).then("/events").with("after", after).with("limit", EVENTS_PAGE)).await?;
        let Value::Array(mut rows) = items(page) else {
            return Err(Failure::incompatible("the daemon's answer is no list"));
        };
        rows.sort_by_key(|row| row["seq"].as_i64());
        rows.retain(|row| row["seq"].as_i64() > Some(after));
        if rows.is_empty() {
            return Ok(all);
        }
        all.append(&mut rows);
    }
}

pub(crate) async fn outputs(session: &Session, name: &str) -> Done {
    let answer = session.get(&run(name).then("/outputs")).await?;
    session.screen.document(&answer, |out| {
        for (key, value) in answer.as_object().into_iter().flatten() {
            out.field(key, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
    })?;
    Ok(0)
}

pub(crate) async fn checkpoints(session: &Session, name: &str) -> Done {
    let rows = rows(session, name, "/checkpoints").await?;
    let mut table = Table::new(&["!ID", "NAME", "WORKFLOW", "TASK", "CREATED", "STATE"]);
    for row in &rows {
        let said = |key: &str| row[key].as_str().map(str::to_owned);
        let id = said("id").unwrap_or_default();
        let created = said("created_at").map(|at| session.screen.clock.absolute(&at));
        let cells = vec![
            Cell::new(&id),
            Cell::some(said("name")),
            Cell::some(said("workflow")),
            Cell::some(said("task")),
            Cell::some(created),
            Cell::new(row["state"].to_string()),
        ];
        table.push(&id, cells);
    }
    session.screen.list(table, rows)?;
    Ok(0)
}

pub(crate) async fn artifacts(session: &Session, name: &str) -> Done {
    let rows = rows(session, name, "/artifacts").await?;
    let mut table = Table::new(&["NAME", "PATH", "TASK", ">SIZE", "*SHA256"]);
    for row in &rows {
        let said = |key: &str| row[key].as_str().map(str::to_owned);
        let bytes = row["size"].as_u64();
        let cells = vec![
            Cell::some(said("name")),
            Cell::some(said("path")),
            Cell::some(said("task")),
            bytes.map_or_else(Cell::none, |bytes| Cell::pair(size(bytes), bytes.to_string())),
            Cell::some(said("sha256")),
        ];
        table.push(said("name").unwrap_or_default(), cells);
    }
    session.screen.list(table, rows)?;
    Ok(0)
}

async fn rows(session: &Session, name: &str, part: &str) -> Result<Vec<Value>, Failure> {
    match items(session.get(&run(name).then(part)).await?) {
        Value::Array(rows) => Ok(rows),
        _ => Err(Failure::incompatible("the daemon's answer is no list")),
    }
}

pub(crate) async fn diff(session: &Session, args: DiffArgs) -> Done {
    let mut sides = Vec::new();
    for name in [&args.a, &args.b] {
        let summary = session.get(&run(name).then("/summary")).await?;
        let mut values = session.get(&run(name).then("/values")).await?;
        mask(&mut values);
        let bundle = session.get(&run(name).then("/bundle")).await?;
        sides.push(json!({ "summary": summary, "values": values["values"], "bundle": bundle["bundle"] }));
    }
    let differences = run_diff::differences(&sides[0], &sides[1]);
    let whole = json!({ "a": args.a, "b": args.b, "differences": differences });
    session.screen.document(&whole, |out| run_diff::show(&differences, out))?;
    Ok(if args.exit_code && !differences.is_empty() { ExitCode::Differences as u8 } else { 0 })
}

pub(crate) async fn prune(session: &Session, args: PruneArgs) -> Done {
    let age = args.older_than.as_deref().map(parse_duration).transpose()?;
    let target = Target::new("/runs").with("status", "completed,failed,cancelled");
    let target = target.with_some("until", args.older_than.as_ref().filter(|_| args.keep.is_none()));
    let found = session.rows(&target, Some(u64::MAX)).await?.items;
    let runs: Vec<RunView> = typed_rows(&found)?;
    let doomed =
        doomed(&runs, &found, age.map(|age| age.as_millis()), args.keep, session.screen.clock.now.as_millisecond());
    if args.dry_run {
        session.screen.document(&json!({ "runs": doomed }), |out| doomed.iter().for_each(|id| out.line(id)))?;
        return Ok(0);
    }
    if !doomed.is_empty() {
        session.confirm(&format!("delete {} runs and their output", doomed.len()))?;
    }
    let mut deleted: Vec<&String> = Vec::new();
    for id in &doomed {
        let call = Call::new(Method::DELETE, run(id).as_str());
        match session.client.send(call).await {
            Ok(_) => deleted.push(id),
            Err(error) => session.say(format!("{id}: {error}")),
        }
    }
    session
        .screen
        .document(&json!({ "deleted": deleted }), |out| out.line(format!("deleted {} runs", deleted.len())))?;
    Ok(if deleted.len() == doomed.len() { 0 } else { ExitCode::Failed as u8 })
}

/// Ended runs, the newest first, that are beyond a limit. Both limits: beyond both.
fn doomed(runs: &[RunView], raw: &[Value], age_ms: Option<u128>, keep: Option<u64>, now_ms: i64) -> Vec<String> {
    let mut seen: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
    let mut doomed = Vec::new();
    for (run, raw) in runs.iter().zip(raw) {
        let group = format!("{}\n{}\n{}", run.schedule_id, raw["stack"], raw["workflow"]);
        let count = seen.entry(group).or_default();
        *count += 1;
        let ended: Option<jiff::Timestamp> = run.ended_at.as_deref().and_then(|at| at.parse().ok());
        let Some(ended) = ended else { continue };
        let old = age_ms.is_none_or(|age| i128::from(now_ms - ended.as_millisecond()) > age as i128);
        if old && keep.is_none_or(|keep| *count > keep) {
            doomed.push(run.id.clone());
        }
    }
    doomed
}
