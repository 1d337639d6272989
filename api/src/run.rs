//! Runs on the wire.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One execution.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunView {
    /// UUIDv7. Commands accept a unique prefix, or a unique suffix of at least 6 characters.
    pub id: String,
    /// Name of its schedule when it was made; empty: it was asked for without one.
    pub schedule: String,
    /// Identity of its schedule.
    pub schedule_id: String,
    /// Version of the schedule that it executes.
    pub revision: u32,
    /// `command`, `workflow`.
    pub kind: String,
    /// Login name of the owner.
    pub owner: String,
    /// Who it runs as.
    pub user: String,
    /// `schedule manual after api boot`.
    pub trigger: String,
    /// The instant that it answers.
    pub due_at: String,
    /// Clock epoch of that instant.
    pub clock_epoch: u32,
    /// Who or what asked, in words.
    pub asked_by: String,
    /// `queued starting running paused compensating interrupted completed failed cancelled`.
    pub status: String,
    /// Why it failed or was cancelled.
    pub reason: Option<String>,
    /// One sentence for people beside `reason`.
    pub message: Option<String>,
    /// When it was accepted.
    pub queued_at: String,
    /// When its first process was released.
    pub started_at: Option<String>,
    /// When it reached its terminal state.
    pub ended_at: Option<String>,
    /// From start to end, or until now.
    pub duration_ms: Option<i64>,
    /// Attempts begun.
    pub attempts: u32,
    /// When the next attempt begins.
    pub retry_at: Option<String>,
    /// Exit code of the last attempt.
    pub exit_code: Option<i32>,
    /// Signal that ended the last attempt.
    pub signal: Option<i32>,
    /// CPU time, all attempts.
    pub cpu_ms: f64,
    /// Highest memory.
    pub memory_peak_bytes: Option<u64>,
    /// Read from storage.
    pub io_read_bytes: Option<u64>,
    /// Written to storage.
    pub io_write_bytes: Option<u64>,
    /// Received over IP, with headers; `null` where nobody counts it: only the system's service manager does.
    #[serde(default)]
    pub ip_ingress_bytes: Option<u64>,
    /// Sent over IP, with headers.
    #[serde(default)]
    pub ip_egress_bytes: Option<u64>,
    /// Written to standard output and error.
    pub output_bytes: u64,
    /// The last 4 KiB of standard error.
    pub stderr_tail: String,
    /// Where it ran.
    pub host: String,
    /// Process of the last attempt.
    pub pid: Option<u32>,
    /// What only the run of a workflow has.
    #[serde(default, skip_serializing_if = "Option::is_none", flatten)]
    pub workflow: Option<WorkflowRunView>,
    /// Its tasks; a command has one, named `command`. Only in `GET /runs/{id}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskView>,
}

/// The part of a run that only those of workflows have.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowRunView {
    /// Workflow.
    pub workflow: String,
    /// Stack; empty: none.
    pub stack: String,
    /// `normal`, `check`.
    pub mode: String,
    /// SHA-256 of the program.
    pub bundle: String,
    /// Path of the main file.
    pub main: String,
    /// The saved workflow that it came from.
    pub saved: Option<String>,
    /// Nothing new starts.
    pub paused: bool,
    /// `none compensated compensation_failed`.
    pub compensation: String,
    /// A handler said that it has dealt with the failure.
    pub handled: bool,
    /// Place in the queue.
    pub priority: i8,
    /// For people and filters.
    pub labels: serde_json::Value,
    /// How often its worker was lost.
    pub workers_lost: u32,
    /// Tasks by state. Only in `GET /runs/{id}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<crate::TaskCounts>,
}

/// One task of a run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TaskView {
    /// `command`.
    pub name: String,
    /// `pending running waiting completed failed cancelled`.
    pub status: String,
    /// Its attempts.
    pub attempts: Vec<AttemptView>,
}

/// One try.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AttemptView {
    /// From 1.
    pub attempt: u32,
    /// When its process was released.
    pub started_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// `exited signaled timed_out killed oom not_started lost`, `null` while it runs.
    pub outcome: Option<String>,
    /// Exit code.
    pub exit_code: Option<i32>,
    /// Signal.
    pub signal: Option<i32>,
    /// Why it could not be started, or what is known of a lost one.
    pub message: Option<String>,
    /// Its process.
    pub pid: Option<u32>,
}

/// `POST /runs/{id}/cancel`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelRequest {
    /// For the record.
    #[serde(default)]
    pub reason: Option<String>,
    /// KILL at once, without grace.
    #[serde(default)]
    pub force: bool,
    /// Only this task of a workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Run no saga compensation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_compensate: bool,
}

/// Answer to a cancel request.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CancelReply {
    /// The run.
    pub run_id: String,
    /// `cancelling`, `cancelled`, or `already completed` and the like.
    pub status: String,
}

/// A piece of the output of a run, in the order it was written.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LogChunk {
    /// Where the chunk after this one begins; resume from it.
    pub offset: u64,
    /// Number of the try.
    pub attempt: u32,
    /// `stdout stderr note`.
    pub stream: String,
    /// RFC 3339 ms.
    pub timestamp: String,
    /// Text; bytes that are no UTF-8 are replaced. Exact bytes are in `bytes`.
    pub text: String,
    /// Base64 of the exact bytes when they are no UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<String>,
}

/// `GET /runs/{id}/logs`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LogPage {
    /// Chunks.
    pub chunks: Vec<LogChunk>,
    /// Ask again with `offset` set to this for what comes later.
    pub next_offset: u64,
    /// Bytes missing in the middle because of `output_limit`.
    pub dropped_bytes: u64,
    /// Whether the run has ended and nothing will be added.
    pub complete: bool,
}
