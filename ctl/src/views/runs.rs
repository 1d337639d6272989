//! Runs.

use sloth_api::RunView;

use crate::output::details::Details;
use crate::output::table::{Cell, Style, Table};
use crate::output::time::{Clock, duration, size};

pub(crate) fn list(runs: &[RunView], clock: &Clock) -> Table {
    let mut table = Table::new(&[
        "!RUN",
        "SCHEDULE",
        "STATUS",
        "REASON",
        "STARTED",
        ">DURATION",
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
    for run in runs {
        let cells = vec![
            Cell::new(&run.id),
            Cell::new(&run.schedule),
            Cell::new(&run.status).styled(Style::of(&run.status)),
            Cell::some(reason(run)),
            time(&run.started_at),
            run.duration_ms.map_or_else(Cell::none, |ms| Cell::pair(duration(ms), ms.to_string())),
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

pub(crate) fn show(run: &RunView, clock: &Clock, out: &mut Details) {
    out.field("run", &run.id);
    out.field("schedule", format!("{} (revision {})", run.schedule, run.revision));
    out.styled("status", &run.status, Style::of(&run.status));
    out.some("reason", reason(run));
    out.some("message", run.message.as_ref());
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
    format!("run {} of {} {}{took}{why}", run.id, run.schedule, run.status)
}
