//! The end of a run for people: what went wrong in full, the table of its tasks, totals.

use serde_json::Value;

use crate::output::table::{Cell, Style, Table, paint};
use crate::output::text::{clean, clean_lines};
use crate::output::time::duration;

/// More tasks than this: on a terminal the table leaves out those that simply completed.
const ROWS_MAX: usize = 60;

/// How it is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paper {
    pub(crate) terminal: bool,
    pub(crate) color: bool,
    pub(crate) width: Option<usize>,
}

/// Details, table, totals.
pub(crate) fn text(summary: &Value, paper: Paper) -> String {
    let mut out = details(summary, paper.color);
    let diagnostics = summary["diagnostics"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !diagnostics.is_empty() {
        gap(&mut out);
        out.push_str(&crate::views::diagnostics::text(diagnostics, paper.color));
    }
    let tasks = summary["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let short = paper.terminal && tasks.len() > ROWS_MAX;
    let shown: Vec<&Value> = tasks.iter().filter(|task| !short || task["status"] != "completed").collect();
    if !shown.is_empty() {
        gap(&mut out);
        let table = table(&shown, several_workflows(tasks));
        out.push_str(&table.render(true, paper.color, paper.width));
    }
    gap(&mut out);
    out.push_str(&totals(summary, paper.color));
    outputs(summary, &mut out);
    out
}

fn gap(out: &mut String) {
    if !out.is_empty() {
        out.push('\n');
    }
}

/// The failures with everything that is known: nothing is shortened here.
fn details(summary: &Value, color: bool) -> String {
    let mut out = String::new();
    let failed = |task: &&Value| task["status"] == "failed";
    for task in summary["tasks"].as_array().into_iter().flatten().filter(failed) {
        let name = clean(task["name"].as_str().unwrap_or_default()).into_owned();
        let message = task["message"].as_str().unwrap_or_default();
        let error = task["error"].as_str().filter(|error| *error != message).unwrap_or_default();
        out.push_str(&format!("{}: {}\n", paint(&name, Style::Bad, color), clean_lines(message)));
        for line in clean_lines(error).lines() {
            out.push_str(&format!("    {line}\n"));
        }
    }
    if let Some(message) = summary["message"].as_str().filter(|message| !message.is_empty()) {
        out.push_str(&format!("{}\n", clean_lines(message)));
    }
    out
}

fn several_workflows(tasks: &[Value]) -> bool {
    tasks.first().is_some_and(|first| tasks.iter().any(|task| task["workflow"] != first["workflow"]))
}

/// `TASK STATUS CHANGED DURATION ATTEMPTS AGENT MESSAGE`
pub(crate) fn table(tasks: &[&Value], with_workflow: bool) -> Table {
    let mut table = Table::new(&["TASK", "STATUS", "CHANGED", ">DURATION", ">ATTEMPTS", "AGENT", "MESSAGE"]);
    for task in tasks {
        let said = |name: &str| task[name].as_str().unwrap_or_default();
        let name = match task["workflow"].as_str() {
            Some(workflow) if with_workflow => format!("{workflow}/{}", said("name")),
            _ => said("name").to_owned(),
        };
        let unchanged = said("status") == "completed" && task["changed"] == false;
        let status = if unchanged { "unchanged" } else { said("status") };
        let ignored = if task["ignored"] == true { " (ignored)" } else { "" };
        let changed = task["changed"].as_bool().filter(|_| said("status") == "completed");
        let message = if said("message").is_empty() { said("skip_reason") } else { said("message") };
        let cells = vec![
            Cell::new(&name),
            Cell::new(format!("{status}{ignored}")).styled(Style::of(status)),
            Cell::some(changed.map(|changed| if changed { "yes" } else { "no" })),
            task["duration_ms"].as_i64().map_or_else(Cell::none, |ms| Cell::pair(duration(ms), ms.to_string())),
            Cell::some(task["attempts"].as_u64().map(|attempts| attempts.to_string())),
            Cell::some(task["agent"].as_str()),
            Cell::new(message.lines().next().unwrap_or_default()),
        ];
        table.push(&name, cells);
    }
    table
}

/// `4 tasks: 2 completed (1 unchanged), 1 failed; run … failed after 5.3s: task_failed`
pub(crate) fn totals(summary: &Value, color: bool) -> String {
    let counts = &summary["counts"];
    let count = |word: &str| counts[word].as_u64().filter(|count| *count > 0);
    let unchanged = count("unchanged").map(|count| format!(" ({count} unchanged)")).unwrap_or_default();
    let words = ["completed", "failed", "skipped", "cancelled", "ignored", "running", "pending"];
    let part = |word: &&str| {
        let more = if *word == "completed" { unchanged.as_str() } else { "" };
        count(word).map(|count| format!("{count} {word}{more}"))
    };
    let parts: Vec<String> = words.iter().filter_map(part).collect();
    let total = counts["total"].as_u64().unwrap_or(0);
    let said = |name: &str| clean(summary[name].as_str().unwrap_or_default()).into_owned();
    let status = said("status");
    let took = summary["duration_ms"].as_i64().map(|ms| format!(" after {}", duration(ms))).unwrap_or_default();
    let mut why = if said("reason").is_empty() { String::new() } else { format!(": {}", said("reason")) };
    match said("compensation").as_str() {
        "compensated" => why.push_str(", compensated"),
        "compensation_failed" if said("reason") != "compensation_failed" => why.push_str(", compensation failed"),
        _ => {}
    }
    if summary["handled"] == true {
        why.push_str(", handled");
    }
    let tasks = if total == 1 { "task" } else { "tasks" };
    let list = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    let status = paint(&status, Style::of(&status), color);
    format!("{total} {tasks}{list}\nrun {} {status}{took}{why}\n", said("run_id"))
}

fn outputs(summary: &Value, out: &mut String) {
    for (name, value) in summary["outputs"].as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        out.push_str(&format!("{} = {}\n", clean(name), clean(&value)));
    }
}
