//! A run as text: a line for each change of a task; its log lines indented under it, all of them or, of a failed task, the last ones.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::event::{RunEvent, TaskChange};
use super::live::Running;
use super::logline::LogLine;
use crate::output::table::{Style, paint};
use crate::output::text::{clean, clean_lines};
use crate::output::time::duration;

/// Lines of a failed task that are shown.
const LAST_LINES: usize = 20;

/// How long the line of a failure waits for the last log lines of its task: they come on another stream.
pub(crate) const LATE_LINES: Duration = Duration::from_millis(200);

/// How lines look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Symbols instead of words.
    pub(crate) symbols: bool,
    pub(crate) color: bool,
    /// Every log line.
    pub(crate) verbose: bool,
}

/// The state behind the lines.
#[derive(Debug)]
pub(crate) struct TextView {
    look: Look,
    workflow: Option<String>,
    pub(crate) running: Running,
    /// Last lines of tasks that may still fail.
    last: BTreeMap<String, VecDeque<String>>,
    /// A failure that waits for its lines, and everything behind it.
    held: VecDeque<Held>,
}

#[derive(Debug)]
enum Held {
    Failure { due: Instant, name: String, line: String },
    Line(String),
}

/// Symbol, word and style of a change.
type Mark = (&'static str, &'static str, Style);

const STARTED: Mark = ("→", "start", Style::Plain);
const DONE: Mark = ("✓", "ok", Style::Good);
const UNCHANGED: Mark = ("=", "ok", Style::Faint);
const FAILED: Mark = ("✗", "fail", Style::Bad);
const SKIPPED: Mark = ("-", "skip", Style::Faint);
const CANCELLED: Mark = ("-", "cancel", Style::Busy);
const RETRYING: Mark = ("↻", "retry", Style::Busy);
const RUN: Mark = ("·", "run", Style::Plain);

impl TextView {
    pub(crate) fn new(look: Look) -> TextView {
        TextView { look, workflow: None, running: Running::default(), last: BTreeMap::new(), held: VecDeque::new() }
    }

    /// The lines of an event, most often one or none.
    pub(crate) fn event(&mut self, event: &RunEvent, now: Instant) -> String {
        let text = self.event_text(event, now);
        self.in_order(text)
    }

    /// Behind a failure that waits, everything waits: the order is that of the events.
    fn in_order(&mut self, text: String) -> String {
        if self.held.is_empty() || text.is_empty() {
            return text;
        }
        self.held.push_back(Held::Line(text));
        String::new()
    }

    fn event_text(&mut self, event: &RunEvent, now: Instant) -> String {
        let Some(change) = event.task_change() else {
            return self.run_event(event);
        };
        let Some(task) = event.task() else {
            return String::new();
        };
        let name = self.name(event.workflow(), task);
        self.running.change(&name, &change, now);
        match change {
            TaskChange::Started { attempt: 1 } => self.line(STARTED, &name, "started", ""),
            TaskChange::Started { .. } | TaskChange::Progress { .. } => String::new(),
            TaskChange::Completed { duration_ms, changed, cached } => {
                self.last.remove(&name);
                let how = if cached {
                    "unchanged (cached)"
                } else if changed {
                    "completed"
                } else {
                    "unchanged"
                };
                let mark = if changed && !cached { DONE } else { UNCHANGED };
                self.line(mark, &name, how, &took(duration_ms))
            }
            TaskChange::Failed { message, duration_ms, ignored } => {
                let how = if ignored { "failed (ignored)" } else { "failed" };
                let said = if message.is_empty() { took(duration_ms) } else { format!(": {message}") };
                let line = self.line(FAILED, &name, how, &said);
                self.held.push_back(Held::Failure { due: now + LATE_LINES, name, line });
                String::new()
            }
            TaskChange::Skipped { reason } => self.line(SKIPPED, &name, "skipped", &format!(": {reason}")),
            TaskChange::Cancelled => {
                self.last.remove(&name);
                self.line(CANCELLED, &name, "cancelled", "")
            }
            TaskChange::Retrying { attempt, max_attempts, delay_ms, message } => {
                let why = if message.is_empty() { String::new() } else { format!(": {message}") };
                let of = max_attempts.map(|max| format!("/{max}")).unwrap_or_default();
                let rest = format!(" {attempt}{of} in {}{why}", duration(delay_ms));
                self.line(RETRYING, &name, "retry", &rest)
            }
        }
    }

    fn run_event(&mut self, event: &RunEvent) -> String {
        let message = event.field("message").as_str().unwrap_or_default();
        let step = event.field("step").as_str().unwrap_or_default();
        let (what, word) = match event.kind.as_str() {
            "workflow.compensating" => ("workflow", "is compensated"),
            "workflow.paused" => ("workflow", "paused"),
            "workflow.resumed" => ("workflow", "goes on"),
            "run.interrupted" => ("run", "interrupted"),
            "run.resumed" => ("run", "resumed"),
            "saga.progress" if step.starts_with("compensation_") => ("saga", message),
            _ => return String::new(),
        };
        let said = event.workflow().filter(|_| what == "workflow").map(|name| format!(" ({name})")).unwrap_or_default();
        self.line(RUN, what, &clean(word), &said)
    }

    /// A log line, when all are wanted or it has no task that could fail later.
    pub(crate) fn log(&mut self, line: &LogLine) -> String {
        let text = line.text();
        let Some(task) = &line.task else {
            // The worker's own words and the definition of the file: rare, and nobody else would show them.
            let shown = self.look.verbose || line.stream != "log" || matches!(line.level.as_str(), "warn" | "error");
            return if shown { indented("", &text, self.look.color) } else { String::new() };
        };
        let name = self.name(line.workflow.as_deref(), task);
        if self.look.verbose {
            let text = indented(&name, &text, self.look.color);
            return self.in_order(text);
        }
        let last = self.last.entry(name).or_default();
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(text);
        String::new()
    }

    /// Failures whose lines have had time to come, with what stands behind them; all of it at the end.
    pub(crate) fn settle(&mut self, now: Option<Instant>) -> String {
        let mut out = String::new();
        while let Some(held) = self.held.pop_front() {
            match held {
                Held::Failure { due, name, line } if now.is_some_and(|now| due > now) => {
                    self.held.push_front(Held::Failure { due, name, line });
                    break;
                }
                Held::Failure { name, line, .. } => {
                    out.push_str(&line);
                    for text in self.last.remove(&name).unwrap_or_default() {
                        out.push_str(&indented("", &text, self.look.color));
                    }
                }
                Held::Line(text) => out.push_str(&text),
            }
        }
        out
    }

    /// When something waits for its time.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        match self.held.front() {
            Some(Held::Failure { due, .. }) => Some(*due),
            _ => None,
        }
    }

    /// With the workflow in front of it where it is another than the first.
    fn name(&mut self, workflow: Option<&str>, task: &str) -> String {
        let Some(workflow) = workflow else {
            return task.to_owned();
        };
        let first = self.workflow.get_or_insert_with(|| workflow.to_owned());
        if first == workflow { task.to_owned() } else { format!("{workflow}/{task}") }
    }

    fn line(&self, mark: Mark, name: &str, how: &str, rest: &str) -> String {
        let (symbol, word, style) = mark;
        let color = self.look.color;
        let (name, rest) = (clean(name), clean(rest));
        if self.look.symbols {
            let symbol = paint(symbol, style, color);
            return format!("{symbol} {} {}{rest}\n", paint(&name, Style::Title, color), paint(how, style, color));
        }
        format!("{word:<6} {name} {how}{rest}\n")
    }
}

fn took(duration_ms: Option<i64>) -> String {
    duration_ms.map(|ms| format!(" {}", duration(ms))).unwrap_or_default()
}

/// Each line of a text below its task.
fn indented(name: &str, text: &str, color: bool) -> String {
    let bar = if name.is_empty() { String::new() } else { format!("{} | ", clean(name)) };
    let lines = clean_lines(text);
    let mut out = String::new();
    for line in lines.split('\n') {
        out.push_str(&format!("    {}{line}\n", paint(&bar, Style::Faint, color)));
    }
    out
}
