//! An event of a run. Its fields stand in the data of the record, or in the record itself.

use serde_json::Value;

/// What changed.
#[derive(Clone, Debug)]
pub(crate) struct RunEvent {
    pub(crate) seq: i64,
    pub(crate) kind: String,
    pub(crate) timestamp: String,
    raw: Value,
}

/// What it means for a task.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TaskChange {
    Started { attempt: u64 },
    Completed { duration_ms: Option<i64>, changed: bool, cached: bool },
    Failed { message: String, duration_ms: Option<i64>, ignored: bool },
    Skipped { reason: String },
    Cancelled,
    Retrying { attempt: u64, max_attempts: Option<u64>, delay_ms: i64, message: String },
    Progress { percent: f64, text: String },
}

impl RunEvent {
    /// Reads a record of the feed; `None` when it is none.
    pub(crate) fn read(record: &Value) -> Option<RunEvent> {
        Some(RunEvent {
            seq: record["seq"].as_i64()?,
            kind: record["type"].as_str()?.to_owned(),
            timestamp: record["timestamp"].as_str().unwrap_or_default().to_owned(),
            raw: record.clone(),
        })
    }

    /// A field: of the data, or of the record.
    pub(crate) fn field(&self, name: &str) -> &Value {
        match &self.raw["data"][name] {
            Value::Null => &self.raw[name],
            found => found,
        }
    }

    /// The record.
    pub(crate) fn record(&self) -> &Value {
        &self.raw
    }

    fn text(&self, name: &str) -> String {
        self.field(name).as_str().unwrap_or_default().to_owned()
    }

    /// The task that it is about.
    pub(crate) fn task(&self) -> Option<&str> {
        self.field("task").as_str().filter(|task| !task.is_empty())
    }

    /// The workflow that it is about.
    pub(crate) fn workflow(&self) -> Option<&str> {
        self.field("workflow").as_str().filter(|name| !name.is_empty())
    }

    /// Whether nothing comes after it.
    pub(crate) fn ends_the_run(&self) -> bool {
        matches!(self.kind.as_str(), "run.completed" | "run.failed" | "run.cancelled")
    }

    /// What changed about its task.
    pub(crate) fn task_change(&self) -> Option<TaskChange> {
        let duration_ms = self.field("duration_ms").as_i64();
        let number = |name: &str| self.field(name).as_u64().unwrap_or(0);
        let flag = |name: &str| self.field(name).as_bool().unwrap_or(false);
        Some(match self.kind.as_str() {
            "task.started" => TaskChange::Started { attempt: number("attempt").max(1) },
            "task.completed" => TaskChange::Completed {
                duration_ms,
                changed: self.field("changed").as_bool().unwrap_or(true),
                cached: flag("cached"),
            },
            // A timeout is told twice, as `task.timeout` and as `task.failed`.
            "task.failed" => {
                TaskChange::Failed { message: self.text("message"), duration_ms, ignored: flag("ignored") }
            }
            "task.skipped" => {
                let said = self.text("message");
                TaskChange::Skipped { reason: if said.is_empty() { self.text("reason") } else { said } }
            }
            "task.cancelled" => TaskChange::Cancelled,
            "task.retrying" => TaskChange::Retrying {
                attempt: number("attempt") + 1,
                max_attempts: self.field("max_attempts").as_u64(),
                delay_ms: (self.field("delay").as_f64().unwrap_or(0.0) * 1000.0) as i64,
                message: self.text("error"),
            },
            "task.progress" => {
                let percent = self.field("percent").as_f64().unwrap_or(0.0);
                TaskChange::Progress { percent, text: self.text("text") }
            }
            _ => return None,
        })
    }
}
