//! Runs.

use serde_json::Value;
use sloth_api::RunView;

use crate::output::details::Details;
use crate::output::table::{Cell, Style, Table};
use crate::output::time::{Clock, duration, size};

/// `raw`: the same runs as they came.
pub(crate) fn list(runs: &[RunView], raw: &[Value], clock: &Clock) -> Table {
    let mut table = Table::new(&[
        "!RUN",
        "SCHEDULE",
        "STACK",
        "WORKFLOW",
        "STATUS",
        "REASON",
        "STARTED",
        ">DURATION",
        ">TASKS",
        "TRIGGER",
        "USER",
        "*OWNER",
        "*DUE",
        "*ENDED",
        "*EXIT",
        "*ATTEMPTS",
        "*CPU",
        "*MEMORY",
        "*OUTPUT",
        "*ASKED BY",
        "*HOST",
        "*PID",
    ]);
    let time = |at: &Option<String>| at.as_ref().map_or_else(Cell::none, |at| Cell::pair(clock.absolute(at), at));
    for (run, raw) in runs.iter().zip(raw) {
        let named = |key: &str| Cell::some(raw[key].as_str().filter(|name| !name.is_empty()));
        let cells = vec![
            Cell::new(&run.id),
            Cell::some(Some(&run.schedule).filter(|name| !name.is_empty())),
            named("stack"),
            named("workflow"),
            Cell::new(&run.status).styled(Style::of(&run.status)),
            Cell::some(reason(run)),
            time(&run.started_at),
            run.duration_ms.map_or_else(Cell::none, |ms| Cell::pair(duration(ms), ms.to_string())),
            Cell::some(tasks_of(raw)),
            Cell::new(&run.trigger),
            Cell::new(&run.user),
            Cell::new(&run.owner),
            Cell::pair(clock.absolute(&run.due_at), &run.due_at),
            time(&run.ended_at),
            Cell::some(run.exit_code.map(|code| code.to_string())),
            Cell::new(run.attempts.to_string()),
            Cell::pair(format!("{:.0}ms", run.cpu_ms), run.cpu_ms.to_string()),
            run.memory_peak_bytes.map_or_else(Cell::none, |bytes| Cell::pair(size(bytes), bytes.to_string())),
            Cell::pair(size(run.output_bytes), run.output_bytes.to_string()),
            Cell::new(&run.asked_by),
            Cell::new(&run.host),
            Cell::some(run.pid.map(|pid| pid.to_string())),
        ];
        table.push(&run.id, cells);
    }
    table
}

fn reason(run: &RunView) -> Option<String> {
    match (&run.reason, run.exit_code, run.signal) {
        (Some(reason), Some(code), _) if code != 0 => Some(format!("{reason} (exit {code})")),
        (Some(reason), _, Some(signal)) => Some(format!("{reason} (signal {signal})")),
        (reason, _, _) => reason.clone(),
    }
}

/// `4/5`: ended tasks of a workflow, and all that are known.
fn tasks_of(raw: &Value) -> Option<String> {
    let counts = &raw["counts"];
    let total = counts["total"].as_u64()?;
    let words = ["completed", "failed", "ignored", "skipped", "cancelled"];
    let ended: u64 = words.iter().filter_map(|word| counts[*word].as_u64()).sum();
    Some(format!("{}/{total}", ended.min(total)))
}

/// `raw`: the same run as it came.
pub(crate) fn show(run: &RunView, raw: &Value, clock: &Clock, out: &mut Details) {
    let named = |key: &str| raw[key].as_str().filter(|name| !name.is_empty() && *name != "none").map(str::to_owned);
    out.field("run", &run.id);
    if !run.schedule.is_empty() {
        out.field("schedule", format!("{} (revision {})", run.schedule, run.revision));
    }
    out.some("stack", named("stack"));
    out.some("workflow", named("workflow"));
    out.some("mode", named("mode").filter(|mode| mode != "normal"));
    out.styled("status", &run.status, Style::of(&run.status));
    out.some("reason", reason(run));
    out.some("message", run.message.as_ref());
    out.some("compensation", named("compensation"));
    out.some("handled", (raw["handled"] == true).then_some("yes"));
    out.some("tasks", tasks_of(raw));
    out.some("program", named("bundle"));
    out.field("asked by", format!("{} ({})", run.asked_by, run.trigger));
    out.field("user", &run.user);
    out.field("owner", &run.owner);
    out.field("due", clock.absolute(&run.due_at));
    out.field("queued", clock.absolute(&run.queued_at));
    out.some("started", run.started_at.as_deref().map(|at| clock.absolute(at)));
    out.some("ended", run.ended_at.as_deref().map(|at| clock.absolute(at)));
    out.some("duration", run.duration_ms.map(duration));
    out.field("attempts", run.attempts.to_string());
    out.some("next attempt", run.retry_at.as_deref().map(|at| clock.coming(at)));
    out.some("exit code", run.exit_code.map(|code| code.to_string()));
    out.some("signal", run.signal.map(|signal| signal.to_string()));
    out.field("cpu", format!("{:.1}ms", run.cpu_ms));
    out.some("memory peak", run.memory_peak_bytes.map(size));
    out.some("read", run.io_read_bytes.map(size));
    out.some("written", run.io_write_bytes.map(size));
    out.some("received", run.ip_ingress_bytes.map(size));
    out.some("sent", run.ip_egress_bytes.map(size));
    out.field("output", size(run.output_bytes));
    out.field("host", &run.host);
    out.some("pid", run.pid.map(|pid| pid.to_string()));
    let several = run.tasks.len() > 1 || run.tasks.iter().any(|task| task.attempts.len() > 1);
    if several {
        out.title("Attempts");
        out.table(attempts(run, clock));
    }
    if !run.stderr_tail.is_empty() {
        out.title("End of standard error");
        out.block(&run.stderr_tail);
    }
}

/// What `--tasks`, `--values` and `--bundle` add.
pub(crate) fn parts(raw: &Value, with_tasks: bool, out: &mut Details) {
    if with_tasks && let Some(tasks) = raw["tasks"].as_array() {
        out.title("Tasks");
        let all: Vec<&Value> = tasks.iter().collect();
        out.table(super::run::summary::table(&all, false));
    }
    if let Some(values) = raw["values"]["values"].as_object() {
        out.title("Values");
        out.block(&serde_json::to_string_pretty(values).unwrap_or_default());
    }
    if let Some(files) = raw["bundle"]["bundle"]["files"].as_object() {
        for (name, text) in files {
            out.title(name);
            out.block(text.as_str().unwrap_or_default());
        }
    }
}

fn attempts(run: &RunView, clock: &Clock) -> Table {
    let mut table = Table::new(&["TASK", ">ATTEMPT", "STARTED", "ENDED", "OUTCOME", "EXIT", "SIGNAL", "MESSAGE"]);
    for task in &run.tasks {
        for attempt in &task.attempts {
            let cells = vec![
                Cell::new(&task.name),
                Cell::new(attempt.attempt.to_string()),
                Cell::new(clock.absolute(&attempt.started_at)),
                Cell::some(attempt.ended_at.as_deref().map(|at| clock.absolute(at))),
                Cell::some(attempt.outcome.clone()),
                Cell::some(attempt.exit_code.map(|code| code.to_string())),
                Cell::some(attempt.signal.map(|signal| signal.to_string())),
                Cell::some(attempt.message.clone()),
            ];
            table.push(&task.name, cells);
        }
    }
    table
}

/// One line at the end of a run that was waited for.
pub(crate) fn ended(run: &RunView) -> String {
    let took = run.duration_ms.map(|ms| format!(" after {}", duration(ms))).unwrap_or_default();
    let why = reason(run).map(|reason| format!(": {reason}")).unwrap_or_default();
    let of = if run.schedule.is_empty() { String::new() } else { format!(" of {}", run.schedule) };
    format!("run {}{of} {}{took}{why}", run.id, run.status)
}
