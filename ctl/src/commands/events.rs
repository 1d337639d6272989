//! The event feed and the audit trail.

use serde_json::Value;
use sloth_api::AuditEntry;
use sloth_api::client::Target;
use sloth_api::event::{Event, StreamMessage, TYPES};

use super::Done;
use super::follow::unless_interrupted;
use crate::args::admin::{EventFilter, ListAuditArgs, ListEventsArgs, TailArgs};
use crate::failure::Failure;
use crate::output::table::{Cell, Table};
use crate::session::{Session, typed, typed_rows};
use crate::views;

pub(crate) async fn list(session: &Session, args: ListEventsArgs) -> Done {
    let target = filtered(&args.filter).with_some("since", args.since).with_some("until", args.until);
    let rows = session.all_rows(&target, args.count).await?;
    let events: Vec<Event> = typed_rows(&rows)?;
    session.screen.list(views::events::list(&events, &session.screen.clock), rows)?;
    Ok(0)
}

fn filtered(filter: &EventFilter) -> Target {
    let types = (!filter.types.is_empty()).then(|| filter.types.join(","));
    Target::new("/events")
        .with_some("type", types)
        .with_some("severity", filter.severity.as_ref())
        .with_some("run", filter.run.as_ref())
}

pub(crate) async fn show(session: &Session, id: &str) -> Done {
    let answer = session.get(&Target::new("/events").name(id)).await?;
    let event: Event = typed(&answer)?;
    session.screen.document(&answer, |out| views::events::show(&event, &session.screen.clock, out))?;
    Ok(0)
}

pub(crate) async fn tail(session: &Session, args: TailArgs) -> Done {
    unless_interrupted(session, "", tail_on(session, &args)).await?;
    Ok(0)
}

async fn tail_on(session: &Session, args: &TailArgs) -> Result<(), Failure> {
    let newest = session.rows(&Target::new("/events"), Some(1)).await?.items;
    let mut seen = newest.first().and_then(|event| event["seq"].as_i64()).unwrap_or(0);
    if args.count > 0 {
        let mut past = session.rows(&filtered(&args.filter), Some(args.count)).await?.items;
        past.sort_by_key(|event| event["seq"].as_i64());
        for event in &past {
            seen = seen.max(event["seq"].as_i64().unwrap_or(0));
            print(session, event)?;
        }
    }
    if !args.follow {
        return Ok(());
    }
    let topics: Vec<String> = match args.filter.types.as_slice() {
        [] => vec!["events".to_owned()],
        types => types.iter().map(|kind| format!("events:{kind}")).collect(),
    };
    let target = Target::new("/stream").with("topics", topics.join(","));
    let mut messages = session.client.stream(target.as_str(), Some(seen.to_string()));
    loop {
        let message: Value = serde_json::from_str(&messages.next().await?.data).unwrap_or_default();
        if message["type"] == "gap" {
            let range = if message["from"].is_null() { &message["data"] } else { &message };
            session.say(format!("events {} to {} are no longer kept", range["from"], range["to"]));
            continue;
        }
        let message: StreamMessage = typed(&message)?;
        if message.seq > seen {
            seen = message.seq;
            if is_wanted(&args.filter, &message.data) {
                print(session, &message.data)?;
            }
        }
    }
}

/// Whether an event passes what a topic cannot say.
fn is_wanted(filter: &EventFilter, event: &Value) -> bool {
    let severity = filter.severity.as_ref().is_none_or(|wanted| event["severity"] == wanted.as_str());
    let id = event["run_id"].as_str().unwrap_or_default();
    severity && filter.run.as_ref().is_none_or(|run| id.starts_with(run.as_str()) || id.ends_with(run.as_str()))
}

fn print(session: &Session, raw: &Value) -> Result<(), Failure> {
    let event: Event = typed(raw)?;
    let screen = &session.screen;
    screen.stream(raw, || views::events::line(&event, &screen.clock, screen.color))
}

pub(crate) fn types(session: &Session, pattern: Option<&str>) -> Done {
    let mut table = Table::new(&["TYPE"]);
    let found: Vec<&str> =
        TYPES.iter().copied().filter(|kind| pattern.is_none_or(|glob| matches(glob, kind))).collect();
    found.iter().for_each(|kind| table.push(*kind, vec![Cell::new(*kind)]));
    session.screen.list(table, found.into_iter().map(Value::from).collect())?;
    Ok(0)
}

/// A glob of `*` alone.
fn matches(glob: &str, text: &str) -> bool {
    match glob.split_once('*') {
        None => glob == text,
        Some((before, after)) => text
            .strip_prefix(before)
            .is_some_and(|rest| (0..=rest.len()).any(|at| rest.is_char_boundary(at) && matches(after, &rest[at..]))),
    }
}

pub(crate) async fn audit(session: &Session, args: ListAuditArgs) -> Done {
    let target = Target::new("/audit")
        .with_some("user", args.user)
        .with_some("action", args.action)
        .with_some("result", args.result)
        .with_some("since", args.since);
    let rows = session.all_rows(&target, None).await?;
    let entries: Vec<AuditEntry> = typed_rows(&rows)?;
    session.screen.list(views::events::audit(&entries, &session.screen.clock), rows)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn globs() {
        for (glob, text, expected) in [
            ("*", "run.failed", true),
            ("run.*", "run.failed", true),
            ("*.failed", "run.failed", true),
            ("r*d", "run.x", false),
        ] {
            assert_eq!(matches(glob, text), expected, "{glob} {text}");
        }
    }
}
