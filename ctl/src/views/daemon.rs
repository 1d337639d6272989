//! The daemon itself: status, health, settings, database, backups.

use serde_json::Value;
use sloth_api::{BackupView, DbStatusView, HealthView, QueryReply, ReloadReply, Setting, StatusView};

use super::schedules::plain;
use crate::output::details::Details;
use crate::output::table::{Cell, Style, Table};
use crate::output::time::{Clock, duration, size};

pub(crate) fn status(status: &StatusView, clock: &Clock, out: &mut Details) {
    out.styled("state", &status.state, Style::of(&status.state));
    out.field("summary", &status.summary);
    if let Some(reason) = &status.maintenance {
        out.styled("maintenance", reason, Style::Busy);
    }
    for one in &status.inhibitors {
        let since = clock.absolute(&one.since);
        out.styled("inhibitor", format!("{} ({}): {}, since {since}", one.who, one.user, one.why), Style::Busy);
    }
    out.field("version", &status.version);
    out.field("pid", status.pid.to_string());
    out.field("up", format!("{} (since {})", duration(status.uptime_ms), clock.absolute(&status.started_at)));
    out.field("data", format!("{} (database {})", status.data_dir, size(status.database_bytes)));
    out.field("memory", size(status.rss_bytes));
    out.field("executor", &status.executor);
    out.field("schedules", status.schedules.to_string());
    let next = status.next_due.as_deref().map(|due| {
        let name = status.next_schedule.as_deref().unwrap_or("-");
        format!("{name} {}", clock.coming(due))
    });
    out.field("next", next.unwrap_or_else(|| "-".to_owned()));
    out.field("runs", format!("{} running, {} waiting", status.running, status.queued));
    let late = &status.lateness;
    if late.count > 0 {
        let numbers = format!("p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms", late.p50_ms, late.p99_ms, late.max_ms);
        out.field("lateness", format!("{numbers} of {} starts", late.count));
    }
    let is_counted = |count: &Value| count.as_u64() != Some(0);
    let skipped: Vec<String> = status
        .skipped
        .iter()
        .filter(|(_, count)| is_counted(count))
        .map(|(reason, count)| format!("{} {reason}", plain(count)))
        .collect();
    if !skipped.is_empty() {
        out.field("did not run", skipped.join(", "));
    }
    out.field("events", format!("{} so far", status.event_seq));
    out.field("clock epoch", status.clock_epoch.to_string());
}

pub(crate) fn health(health: &HealthView) -> Table {
    let mut table = Table::new(&["CHECK", "STATUS", "VALUE", "THRESHOLD", "HINT"]);
    for check in &health.checks {
        let cells = vec![
            Cell::new(&check.check),
            Cell::new(&check.status).styled(Style::of(&check.status)),
            Cell::new(&check.value),
            Cell::new(&check.threshold),
            Cell::new(&check.hint),
        ];
        table.push(&check.check, cells);
    }
    table
}

pub(crate) fn settings(settings: &[Setting], origin: bool) -> Table {
    let origin_title = if origin { "ORIGIN" } else { "*ORIGIN" };
    let mut table = Table::new(&["KEY", "VALUE", origin_title, "*DESCRIPTION"]);
    for setting in settings {
        let cells = vec![
            Cell::new(&setting.key),
            Cell::new(plain(&setting.value)),
            Cell::new(&setting.origin),
            Cell::new(&setting.description),
        ];
        table.push(&setting.key, cells);
    }
    table
}

pub(crate) fn reloaded(reply: &ReloadReply, out: &mut Details) {
    if !reply.problems.is_empty() {
        out.line("not reloaded; the old settings stay");
        reply.problems.iter().for_each(|problem| out.styled("problem", problem, Style::Bad));
        return;
    }
    out.line("reloaded");
    let changed = if reply.changed.is_empty() { "none".to_owned() } else { reply.changed.join(", ") };
    out.field("changed settings", changed);
    if !reply.schedules.is_empty() {
        out.field("schedules", plain(&Value::Object(reply.schedules.clone())));
    }
}

pub(crate) fn db_status(status: &DbStatusView, clock: &Clock, out: &mut Details) {
    out.field("path", &status.path);
    out.field("schema version", status.schema_version.to_string());
    out.field("size", size(status.database_bytes));
    out.field("wal", size(status.wal_bytes));
    out.field("free inside", size(status.free_bytes));
    out.field("integrity", status.integrity.as_deref().unwrap_or("not checked since the start"));
    let backup = status.last_backup.as_ref().map(|backup| format!("{} {}", clock.ago(&backup.created_at), backup.path));
    out.field("last backup", backup.unwrap_or_else(|| "none".to_owned()));
    out.title("Tables");
    out.table(tables(status));
}

pub(crate) fn tables(status: &DbStatusView) -> Table {
    let mut table = Table::new(&["NAME", ">ROWS"]);
    for view in &status.tables {
        table.push(&view.name, vec![Cell::new(&view.name), Cell::new(view.rows.to_string())]);
    }
    table
}

pub(crate) fn query(reply: &QueryReply) -> Table {
    let titles: Vec<&str> = reply.columns.iter().map(String::as_str).collect();
    let mut table = Table::new(&titles);
    for (column, title) in table.columns.iter_mut().zip(&titles) {
        column.title = (*title).to_owned();
        column.wide = false;
        column.right = false;
        column.whole = false;
    }
    for row in &reply.rows {
        let cells: Vec<Cell> = row.iter().map(value).collect();
        table.push(row.first().map(plain).unwrap_or_default(), cells);
    }
    table
}

fn value(value: &Value) -> Cell {
    match value {
        Value::Null => Cell { text: "NULL".to_owned(), value: String::new(), style: Style::Faint },
        Value::String(text) => Cell::new(text),
        other => Cell::new(other.to_string()),
    }
}

pub(crate) fn backups(backups: &[BackupView], clock: &Clock) -> Table {
    let mut table = Table::new(&["!ID", "CREATED", ">SIZE", "TYPE", ">VERSION", "VERIFIED", "DESCRIPTION", "*PATH"]);
    for backup in backups {
        let cells = vec![
            Cell::new(&backup.id),
            Cell::pair(clock.absolute(&backup.created_at), &backup.created_at),
            Cell::pair(size(backup.size_bytes), backup.size_bytes.to_string()),
            Cell::new(&backup.kind),
            Cell::new(backup.schema_version.to_string()),
            Cell::new(verified(backup)),
            Cell::new(&backup.description),
            Cell::new(&backup.path),
        ];
        table.push(&backup.id, cells);
    }
    table
}

pub(crate) fn backup(backup: &BackupView, clock: &Clock, out: &mut Details) {
    out.field("id", &backup.id);
    out.field("path", &backup.path);
    out.field("created", clock.absolute(&backup.created_at));
    out.field("size", size(backup.size_bytes));
    out.field("type", &backup.kind);
    out.field("schema version", backup.schema_version.to_string());
    out.field("verified", verified(backup));
    out.field("description", &backup.description);
}

fn verified(backup: &BackupView) -> &'static str {
    match backup.verified {
        Some(true) => "yes",
        Some(false) => "damaged",
        None => "no",
    }
}

/// Any object whose form is the daemon's affair.
pub(crate) fn anything(value: &Value, out: &mut Details) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| out.field(key, plain(value))),
        Value::Array(items) => items.iter().for_each(|item| out.line(plain(item))),
        Value::Null => out.line("done"),
        other => out.line(plain(other)),
    }
}
