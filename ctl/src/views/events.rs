//! Events and the audit trail.

use sloth_api::AuditEntry;
use sloth_api::event::Event;

use super::schedules::plain;
use crate::output::details::Details;
use crate::output::table::{Cell, Style, Table, paint};
use crate::output::text::clean;
use crate::output::time::Clock;

pub(crate) fn list(events: &[Event], clock: &Clock) -> Table {
    let mut table = Table::new(&[
        ">SEQ", "TIME", "TYPE", "SEVERITY", "MESSAGE", "*RUN", "*TASK", "*USER", "*SOURCE", "*ID", "*TRACE",
    ]);
    for event in events {
        let cells = vec![
            Cell::new(event.seq.to_string()),
            Cell::pair(clock.absolute(&event.timestamp), &event.timestamp),
            Cell::new(&event.kind),
            Cell::new(&event.severity).styled(severity(&event.severity)),
            Cell::new(&event.message),
            Cell::some(event.run_id.clone()),
            Cell::some(event.task.clone()),
            Cell::some(event.user.clone()),
            Cell::new(&event.source),
            Cell::new(&event.id),
            Cell::some(event.trace_id.clone()),
        ];
        table.push(event.seq.to_string(), cells);
    }
    table
}

/// One line of a tail.
pub(crate) fn line(event: &Event, clock: &Clock, color: bool) -> String {
    let kind = format!("{:<20}", clean(&event.kind));
    let kind = paint(&kind, severity(&event.severity), color);
    format!("{}  {kind}  {}\n", clock.absolute(&event.timestamp), clean(&event.message))
}

pub(crate) fn show(event: &Event, clock: &Clock, out: &mut Details) {
    out.field("seq", event.seq.to_string());
    out.field("id", &event.id);
    out.field("type", &event.kind);
    out.styled("severity", &event.severity, severity(&event.severity));
    out.field("time", clock.absolute(&event.timestamp));
    out.field("source", &event.source);
    out.field("message", &event.message);
    for (name, value) in [
        ("stack", &event.stack),
        ("agent", &event.agent),
        ("run", &event.run_id),
        ("task", &event.task),
        ("user", &event.user),
        ("trace", &event.trace_id),
    ] {
        out.some(name, value.as_ref());
    }
    if !event.data.is_empty() {
        out.title("Data");
        let mut table = Table::new(&["KEY", "VALUE"]);
        event.data.iter().for_each(|(key, value)| table.push("", vec![Cell::new(key), Cell::new(plain(value))]));
        out.table(table);
    }
}

fn severity(severity: &str) -> Style {
    match severity {
        "info" => Style::Plain,
        "critical" => Style::Bad,
        other => Style::of(other),
    }
}

pub(crate) fn audit(entries: &[AuditEntry], clock: &Clock) -> Table {
    let mut table = Table::new(&[
        ">SEQ", "TIME", "USER", "ACTION", "OBJECT", "RESULT", "REASON", "*UID", "*METHOD", "*REQUEST", "*DETAILS",
    ]);
    for entry in entries {
        let cells = vec![
            Cell::new(entry.seq.to_string()),
            Cell::pair(clock.absolute(&entry.at), &entry.at),
            Cell::new(&entry.user),
            Cell::new(&entry.action),
            Cell::new(format!("{} {}", entry.object, entry.object_id).trim()),
            Cell::new(&entry.result).styled(Style::of(&entry.result)),
            Cell::some(entry.reason.clone()),
            Cell::new(entry.uid.to_string()),
            Cell::new(&entry.method),
            Cell::new(&entry.request_id),
            Cell::new(plain(&entry.details)),
        ];
        table.push(entry.seq.to_string(), cells);
    }
    table
}
