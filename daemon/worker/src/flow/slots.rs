//! What the driver knows of each task beside the machine: its result, its times, and how to end it.

use serde_json::{Value, json};
use sloth_api::worker::TaskEnd;
use sloth_core::workflow::machine::{End, Status};
use sloth_lua::{Cancel, TaskResult};
use tokio::task::AbortHandle;

/// A task.
#[derive(Default)]
pub struct Slot {
    /// Of its last attempt.
    pub result: Option<TaskResult>,
    /// Its terminal record.
    pub end: Option<TaskEnd>,
    pub started_at: Option<i64>,
    pub cancel: Option<Cancel>,
    pub job: Option<AbortHandle>,
    pub key: Key,
    /// Why the present attempt is ended, for the record.
    pub killed: Option<String>,
    /// Text of the condition that was false.
    pub condition: Option<String>,
}

/// A concurrency key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Key {
    #[default]
    None,
    Asked,
    Held,
    /// Asked for, but no longer wanted.
    Unwanted,
}

impl Slot {
    /// The terminal record.
    pub fn finish(&mut self, workflow: &str, name: String, stage: Option<String>, end: &End, now: i64) -> TaskEnd {
        let result = self.result.take();
        let ran = end.attempts > 0 || end.status == Status::Completed;
        let result = result.filter(|_| ran);
        let why = end.why.as_ref();
        let message = match (why, &self.condition, &result) {
            (Some(why), Some(text), _) if why.word() == "condition" => format!("condition \"{text}\" is false"),
            (Some(why), _, _) => why.text(),
            (None, _, Some(result)) if end.status == Status::Cancelled => {
                self.killed.clone().unwrap_or_else(|| result.message.clone())
            }
            (None, _, Some(result)) => result.message.clone(),
            (None, _, None) => self.killed.clone().unwrap_or_default(),
        };
        let error = result.as_ref().filter(|_| end.status == Status::Failed).map(|result| match &result.traceback {
            Some(traceback) => format!("{}\n{traceback}", result.message),
            None => result.message.clone(),
        });
        let (message, error) = (shortened(message), error.map(shortened));
        TaskEnd {
            workflow: workflow.to_owned(),
            name,
            stage,
            status: end.status.word().to_owned(),
            kind: end.kind.as_deref().map(str::to_owned),
            error: error.or_else(|| (end.status == Status::Failed).then(|| message.clone())),
            message,
            skip_reason: why.filter(|_| end.status == Status::Skipped).map(|why| why.word().to_owned()),
            changed: end.status == Status::Completed
                && result.as_ref().and_then(|result| result.changed).unwrap_or(false),
            cached: false,
            ignored: end.ignored,
            attempts: end.attempts,
            started_at: self.started_at,
            finished_at: now,
            exit_code: result.as_ref().and_then(|result| result.exit_code),
            output: result.map_or_else(|| json!({}), |result| result.output),
        }
    }
}

/// Longest message of a record, bytes: the log has everything.
const MESSAGE_MAX: usize = 16 << 10;

/// The end of a text is where a command says what is wrong.
fn shortened(text: String) -> String {
    if text.len() <= MESSAGE_MAX {
        return text;
    }
    let from = (text.len() - MESSAGE_MAX..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("… {}", &text[from..])
}

/// A terminal record as `this.results` and `results` of handlers show it.
pub fn result_record(end: &TaskEnd, agent: &str) -> Value {
    let duration_ms = end.started_at.map_or(0, |started| (end.finished_at - started).max(0));
    #[allow(clippy::cast_precision_loss)] // a duration in seconds, for people
    let seconds = duration_ms as f64 / 1000.0;
    json!({
        "status": end.status,
        "success": end.status == "completed" || end.ignored,
        "failed": end.status == "failed",
        "skipped": end.status == "skipped",
        "cancelled": end.status == "cancelled",
        "changed": end.changed,
        "ignored": end.ignored,
        "message": end.message,
        "error": end.error,
        "kind": end.kind,
        "exit_code": end.exit_code,
        "output": end.output,
        "duration": seconds,
        "duration_ms": duration_ms,
        "attempts": end.attempts,
        "agent": agent,
    })
}
