//! What is said about a run. A note holds the run as it was, shared with the other records of the transaction; its text is made where
//! it is written, away from the thread that decides: in a burst of 10,000 runs that text costs more than the decisions.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::record::{Event, Severity, Value};
use crate::run::{Reason, Run, RunStatus};
use crate::{EventId, Moment, units};

/// One fact about a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunNote {
    /// Identity of its event.
    pub id: EventId,
    /// When it happened.
    pub at: Moment,
    /// The run just after.
    pub run: Arc<Run>,
    /// What happened.
    pub news: RunNews,
}

/// What happened to a run, or to the task of a command run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RunNews {
    /// Its schedule was due.
    Triggered,
    /// It was accepted.
    Queued,
    /// Its first attempt starts.
    Started,
    /// An attempt starts.
    TaskStarted,
    /// An attempt ran too long.
    TaskTimedOut,
    /// An attempt failed and another one follows.
    TaskRetrying {
        /// Retries that the schedule allows.
        max: u32,
        /// The pause before it.
        delay: Duration,
    },
    /// The task reached its terminal state, that of the run.
    TaskEnded,
    /// Its worker was lost; another one goes on.
    Interrupted,
    /// Another worker goes on with it.
    Resumed,
    /// The run reached its terminal state.
    Ended,
}

type Data = Vec<(&'static str, Value)>;

fn text(value: impl Into<String>) -> Value {
    Value::Text(value.into())
}

fn maybe<T>(value: Option<T>, f: impl Fn(T) -> Value) -> Value {
    value.map_or(Value::Null, f)
}

impl RunNote {
    /// Its type in the catalogue, and how serious it is.
    pub fn kind(&self) -> (&'static str, Severity) {
        use Severity::{Error, Info, Warning};
        match (self.news, self.run.status) {
            (RunNews::Triggered, _) => ("schedule.triggered", Info),
            (RunNews::Queued, _) => ("run.queued", Info),
            (RunNews::Started, _) => ("run.started", Info),
            (RunNews::TaskStarted, _) => ("task.started", Info),
            (RunNews::TaskTimedOut, _) => ("task.timeout", Error),
            (RunNews::TaskRetrying { .. }, _) => ("task.retrying", Warning),
            (RunNews::TaskEnded, RunStatus::Completed) => ("task.completed", Info),
            (RunNews::TaskEnded, RunStatus::Failed) => ("task.failed", Error),
            (RunNews::TaskEnded, _) => ("task.cancelled", Warning),
            (RunNews::Interrupted, _) => ("run.interrupted", Warning),
            (RunNews::Resumed, _) => ("run.resumed", Info),
            (RunNews::Ended, RunStatus::Completed) => ("run.completed", Info),
            (RunNews::Ended, RunStatus::Failed) => ("run.failed", Error),
            (RunNews::Ended, _) => ("run.cancelled", Warning),
        }
    }

    /// One line for people.
    pub fn message(&self) -> String {
        let run = &*self.run;
        let name = run.title();
        let attempt = run.attempts;
        match self.news {
            RunNews::Triggered => format!("{name} is due"),
            RunNews::Queued => format!("run of {name} accepted"),
            RunNews::Started => format!("run of {name} started"),
            RunNews::TaskStarted => format!("{name}: attempt {attempt} started"),
            RunNews::TaskTimedOut => format!("{name}: attempt {attempt} ran longer than its timeout"),
            RunNews::TaskRetrying { delay, .. } => {
                let error = run.message.as_deref().unwrap_or_default();
                format!("{name}: attempt {attempt} failed ({error}); next in {}", units::format_duration(delay))
            }
            RunNews::Interrupted => {
                let why = run.message.as_deref().unwrap_or_default();
                format!("run of {name} interrupted: {why}")
            }
            RunNews::Resumed => format!("run of {name} resumed by worker {attempt}"),
            RunNews::TaskEnded | RunNews::Ended => {
                let verb = match run.status {
                    RunStatus::Completed => "completed",
                    RunStatus::Failed => "failed",
                    _ => "cancelled",
                };
                match &run.message {
                    Some(why) => format!("run of {name} {verb}: {why}"),
                    None => format!("run of {name} {verb}"),
                }
            }
        }
    }

    /// The row of the feed.
    pub fn event(&self) -> Event {
        let (kind, severity) = self.kind();
        Event {
            id: self.id,
            kind,
            severity,
            message: self.message(),
            run: Some(self.run.id),
            task: self.is_of_task().then_some(Cow::Borrowed("command")),
            user: Some(self.run.user.clone()),
            at: self.at,
            data: self.data(),
        }
    }

    fn is_of_task(&self) -> bool {
        use RunNews::{TaskEnded, TaskRetrying, TaskStarted, TaskTimedOut};
        matches!(self.news, TaskStarted | TaskTimedOut | TaskRetrying { .. } | TaskEnded)
    }

    fn data(&self) -> Data {
        let run = &*self.run;
        if self.news == RunNews::Triggered {
            return triggered_data(run, self.at);
        }
        let mut data = run_data(run);
        if let Some(workflow) = &run.workflow {
            data.push(("stack", text(&workflow.action.stack)));
            data.push(("workflow_name", text(&workflow.action.name)));
            data.push(("mode", text(&workflow.action.mode)));
        }
        match self.news {
            RunNews::TaskRetrying { max, delay } => {
                data.push(("max_retries", Value::Int(i64::from(max))));
                data.push(("delay", Value::Float(delay.as_secs_f64())));
                data.push(("error", text(run.message.clone().unwrap_or_default())));
            }
            RunNews::TaskEnded | RunNews::Ended => data.extend(end_data(run)),
            _ => {}
        }
        if self.is_of_task() {
            data.push(("task_name", Value::Word("command")));
        }
        data
    }
}

fn triggered_data(run: &Run, at: Moment) -> Data {
    vec![
        ("schedule_name", text(&run.schedule_name)),
        ("schedule_id", Value::Id(run.schedule.uuid())),
        ("run_id", Value::Id(run.id.uuid())),
        ("due_at", Value::Time(run.due_at)),
        ("expected_time", Value::Time(run.due_at)),
        ("actual_time", Value::Time(at)),
        ("reason", text(&*run.asked_by)),
    ]
}

fn run_data(run: &Run) -> Data {
    vec![
        ("run_id", Value::Id(run.id.uuid())),
        ("kind", Value::Word(if run.workflow.is_some() { "workflow" } else { "command" })),
        ("schedule", text(&run.schedule_name)),
        ("schedule_id", Value::Id(run.schedule.uuid())),
        ("user", text(&run.user)),
        ("due_at", Value::Time(run.due_at)),
        ("attempt", Value::Int(i64::from(run.attempts))),
    ]
}

fn end_data(run: &Run) -> Data {
    let duration = run.started_at.zip(run.ended_at).map(|(start, end)| end.since(start).as_secs_f64());
    vec![
        ("exit_code", maybe(run.exit_code, |c| Value::Int(i64::from(c)))),
        ("signal", maybe(run.signal, |s| Value::Int(i64::from(s)))),
        ("duration", maybe(duration, Value::Float)),
        ("reason", maybe(run.reason, |r: Reason| Value::Word(r.as_str()))),
        ("error", maybe(run.message.clone(), text)),
    ]
}
