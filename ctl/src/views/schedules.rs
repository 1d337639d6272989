//! Schedules, their instants and their ledger.

use serde_json::{Map, Value};
use sloth_api::{
    AuditReport, Explanation, LastRun, NextInstant, OccurrenceView, RunBrief, ScheduleChange, ScheduleView, SystemJob,
    ValidateReply,
};

use crate::output::details::Details;
use crate::output::table::{Cell, Style, Table};
use crate::output::time::{Clock, duration};

pub(crate) fn list(schedules: &[ScheduleView], clock: &Clock) -> Table {
    let mut table = Table::new(&[
        "NAME",
        "SCHEDULE",
        "NEXT",
        "LAST",
        ">RUNS",
        "USER",
        "*OWNER",
        "*ENABLED",
        "*TIMEZONE",
        "*RUNNING",
        "*QUEUED",
        "*FAILURES",
        "*ACTION",
        "*TAGS",
        "*DESCRIPTION",
    ]);
    for view in schedules {
        let spec = |key: &str| text(&view.spec, key);
        let cells = vec![
            Cell::new(&view.name),
            Cell::some(spec("trigger")),
            next(view, clock),
            last(view.last.as_ref(), clock),
            Cell::new(view.runs.to_string()),
            Cell::new(spec("user").unwrap_or_else(|| view.owner.clone())),
            Cell::new(&view.owner),
            Cell::new(if is_enabled(view) { "yes" } else { "no" }),
            Cell::some(spec("timezone")),
            Cell::new(view.running.to_string()),
            Cell::new(view.queued.to_string()),
            Cell::new(view.failures_in_a_row.to_string()),
            Cell::new(action(&view.spec)),
            Cell::some(spec("tags")),
            Cell::some(spec("description")),
        ];
        table.push(&view.name, cells);
    }
    table
}

fn next(view: &ScheduleView, clock: &Clock) -> Cell {
    if let Some(paused) = &view.paused {
        let until = paused.until.as_deref().map_or(String::new(), |until| format!(" until {}", clock.absolute(until)));
        return Cell::pair(format!("paused{until}"), "").styled(Style::Busy);
    }
    if !is_enabled(view) {
        return Cell::pair("disabled", "").styled(Style::Faint);
    }
    view.next_due.as_ref().map_or_else(Cell::none, |due| Cell::pair(clock.coming(due), due))
}

fn last(run: Option<&LastRun>, clock: &Clock) -> Cell {
    let Some(run) = run else {
        return Cell::none();
    };
    let mut said = run.status.clone();
    if let Some(reason) = run.reason.as_deref().filter(|_| run.status == "failed") {
        said.push_str(&format!(" ({reason})"));
    }
    said.push_str(&format!(" {}", clock.ago(&run.ended_at)));
    if let Some(ms) = run.duration_ms {
        said.push_str(&format!(", {}", duration(ms)));
    }
    Cell::pair(said, format!("{} {}", run.status, run.ended_at)).styled(Style::of(&run.status))
}

/// The fields that `show` puts first, with their order.
const FIRST: &[&str] = &["trigger", "timezone", "command", "shell", "user", "enabled"];

pub(crate) fn show(view: &ScheduleView, clock: &Clock, out: &mut Details) {
    out.field("name", &view.name);
    out.field("owner", &view.owner);
    out.some("description", text(&view.spec, "description"));
    out.field("trigger", text(&view.spec, "trigger").unwrap_or_default());
    out.field("means", &view.trigger_text);
    if let Some(paused) = &view.paused {
        let until = paused.until.as_deref().map_or("until it is enabled".to_owned(), |at| clock.coming(at));
        out.styled("paused", format!("{}; {until}", paused.reason), Style::Busy);
    }
    out.field("next", next(view, clock).text);
    let last = last(view.last.as_ref(), clock);
    out.styled("last", last.text, last.style);
    out.some("last run", view.last.as_ref().map(|run| &run.run_id));
    out.some("last success", view.last_success_at.as_deref().map(|at| clock.absolute(at)));
    let numbers = format!("{} made, {} running, {} waiting", view.runs, view.running, view.queued);
    out.field("runs", format!("{numbers}, {} failed in a row", view.failures_in_a_row));
    out.field("action", action(&view.spec));
    for (name, value) in &view.spec {
        if !FIRST.contains(&name.as_str()) && has_content(value) && name != "description" {
            out.field(name, plain(value));
        }
    }
    out.some("timezone", text(&view.spec, "timezone"));
    out.some("user", text(&view.spec, "user"));
    out.field("enabled", if is_enabled(view) { "yes" } else { "no" });
    out.field("origin", &view.origin);
    out.field("created", clock.absolute(&view.created_at));
    out.field("revision", view.revision.to_string());
    out.field("id", &view.id);
    view.warnings.iter().for_each(|warning| out.styled("warning", warning, Style::Busy));
}

pub(crate) fn change(change: &ScheduleChange, clock: &Clock, out: &mut Details) {
    let view = &change.schedule;
    out.line(format!("{} {}: {}", change.change, view.name, view.trigger_text));
    view.warnings.iter().for_each(|warning| out.line(format!("warning: {warning}")));
    if change.change == "deleted" {
        return;
    }
    if let Some(paused) = &view.paused {
        let until = paused.until.as_deref().map_or(String::new(), |at| format!(" until {}", clock.absolute(at)));
        out.line(format!("paused{until}: {}", paused.reason));
    }
    instants(&change.next, clock, out);
}

fn instants(next: &[NextInstant], clock: &Clock, out: &mut Details) {
    let mut table = Table::new(&["NEXT", "WHEN", "NOTE"]);
    for instant in next {
        let note = instant.note.clone().unwrap_or_default();
        table.push("", vec![Cell::new(&instant.local), Cell::new(clock.coming(&instant.due_at)), Cell::new(note)]);
    }
    if !next.is_empty() {
        out.table(table);
    }
}

pub(crate) fn next_list(next: &[NextInstant], clock: &Clock) -> Table {
    let mut table = Table::new(&["!DUE", "!LOCAL", "WHEN", "NOTE"]);
    for instant in next {
        let cells = vec![
            Cell::new(&instant.due_at),
            Cell::new(&instant.local),
            Cell::new(clock.coming(&instant.due_at)),
            Cell::new(instant.note.clone().unwrap_or_default()),
        ];
        table.push(&instant.due_at, cells);
    }
    table
}

pub(crate) fn validated(reply: &ValidateReply, clock: &Clock, out: &mut Details) {
    out.line(&reply.description);
    out.field("kind", &reply.kind);
    reply.remarks.iter().for_each(|remark| out.line(remark));
    instants(&reply.next, clock, out);
}

pub(crate) fn history(rows: &[OccurrenceView], clock: &Clock) -> Table {
    let mut table = Table::new(&[
        "DUE",
        "DECISION",
        "RESULT",
        ">LATE",
        ">DURATION",
        "!RUN",
        "TRIGGER",
        "*DUE UTC",
        "*LOCAL",
        "*EPOCH",
        "*DECIDED",
        "*ATTEMPTS",
    ]);
    for row in rows {
        let run = row.run.as_ref();
        let said = match &row.detail {
            Some(detail) => format!("{}: {detail}", row.decision),
            None => row.decision.clone(),
        };
        let cells = vec![
            Cell::pair(clock.absolute(&row.due_at), &row.due_at),
            Cell::new(said).styled(Style::of(&row.decision)),
            run.map_or_else(Cell::none, result),
            Cell::some(run.and_then(|run| run.late_ms).map(|ms| format!("{ms:.1}ms"))),
            run.and_then(|run| run.duration_ms).map_or_else(Cell::none, |ms| Cell::pair(duration(ms), ms.to_string())),
            Cell::some(row.run_id.clone()),
            Cell::some(row.trigger.clone()),
            Cell::new(&row.due_at),
            Cell::new(&row.local),
            Cell::new(row.clock_epoch.to_string()),
            row.decided_at.as_ref().map_or_else(Cell::none, |at| Cell::pair(clock.absolute(at), at)),
            Cell::some(run.map(|run| run.attempts.to_string())),
        ];
        table.push(&row.due_at, cells);
    }
    table
}

fn result(run: &RunBrief) -> Cell {
    let mut said = run.status.clone();
    match (&run.reason, run.exit_code) {
        (_, Some(code)) if code != 0 => said.push_str(&format!(" (exit {code})")),
        (Some(reason), _) => said.push_str(&format!(" ({reason})")),
        _ => {}
    }
    Cell::pair(said, &run.status).styled(Style::of(&run.status))
}

pub(crate) fn explained(explanation: &Explanation, out: &mut Details) {
    explanation.sentences.iter().for_each(|sentence| out.line(sentence));
}

pub(crate) fn audited(report: &AuditReport, clock: &Clock, out: &mut Details) {
    let looked = format!("{} instants of {} schedules against {} rows", report.instants, report.schedules, report.rows);
    if report.clean {
        out.line(format!("clean: {looked}, {} folded, no difference", report.folded));
        return;
    }
    out.line(format!("NOT CLEAN: {looked}, {} folded", report.folded));
    let mut table = Table::new(&["SCHEDULE", "DUE", "KIND", "MESSAGE"]);
    for difference in &report.differences {
        let due = Cell::pair(clock.absolute(&difference.due_at), &difference.due_at);
        let kind = Cell::new(&difference.kind).styled(Style::Bad);
        table.push("", vec![Cell::new(&difference.schedule), due, kind, Cell::new(&difference.message)]);
    }
    out.table(table);
}

pub(crate) fn system(jobs: &[SystemJob], clock: &Clock) -> Table {
    let mut table = Table::new(&["NAME", "SCHEDULE", "LAST", ">DURATION", "RESULT", ">TICKS", "DESCRIPTION"]);
    for job in jobs {
        let cells = vec![
            Cell::new(&job.name),
            Cell::new(&job.schedule),
            job.last_at.as_ref().map_or_else(Cell::none, |at| Cell::pair(clock.ago(at), at)),
            Cell::some(job.last_duration_ms.map(|ms| format!("{ms:.1}ms"))),
            Cell::some(job.last_result.clone()),
            Cell::new(job.ticks.to_string()),
            Cell::new(&job.description),
        ];
        table.push(&job.name, cells);
    }
    table
}

fn is_enabled(view: &ScheduleView) -> bool {
    view.spec.get("enabled").and_then(Value::as_bool).unwrap_or(true)
}

/// What a schedule does, in one line, as a shell would read it.
fn action(spec: &Map<String, Value>) -> String {
    if let Some(Value::Array(words)) = spec.get("command") {
        let words: Vec<String> = words.iter().map(|word| quoted(word.as_str().unwrap_or_default())).collect();
        return words.join(" ");
    }
    text(spec, "shell").unwrap_or_default()
}

fn quoted(word: &str) -> String {
    let safe = |c: char| c.is_alphanumeric() || "-_./=:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(safe) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn text(spec: &Map<String, Value>, key: &str) -> Option<String> {
    spec.get(key).filter(|value| has_content(value)).map(plain).filter(|text| !text.is_empty())
}

fn has_content(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    }
}

/// A value as a person would write it.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Object(map) if map.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(map) => {
            map.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}
