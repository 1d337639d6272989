//! Runs of workflows on the wire, and saved workflows.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::worker::{Bundle, RunOptions};

/// Largest source of a workflow with all that it imports, bytes.
pub const BUNDLE_BYTES_MAX: usize = 12 << 20;

/// `POST /runs`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// What to run.
    pub source: RunSource,
    /// Stack; default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// One of several workflows in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// Values.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub values: Map<String, Value>,
    /// Parameters.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
    /// `normal` (default) or `check`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Selection and overrides.
    #[serde(default)]
    pub options: RunOptions,
    /// Directory in which it was asked for, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation_dir: Option<String>,
    /// Who it runs as, default the caller; another needs an administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `none`, `default`, `strict`; default `default` where the executor has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// Variables beside the minimal environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// For people and filters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Milliseconds for the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Place in the queue, -100 to 100; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i8>,
    /// Must be `null`: a run is resumed with `POST /runs/{id}/resume`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<String>,
}

/// Where the workflow is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunSource {
    /// Here.
    Bundle(Bundle),
    /// Saved under this name; another user's is `user/name`.
    Saved(String),
}

/// `POST /runs/{id}/resume`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResumeRequest {
    /// Run this task and all after it again.
    pub from: Option<String>,
}

/// Answer to pause and unpause.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PauseReply {
    /// The run.
    pub run_id: String,
    /// `paused`, `running`, `unchanged`.
    pub status: String,
}

/// How many tasks are in which state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskCounts {
    /// All.
    pub total: u32,
    /// Completed, whether they changed something or not.
    pub completed: u32,
    /// Of those, without a change.
    pub unchanged: u32,
    /// Failed and not ignored.
    pub failed: u32,
    /// Skipped.
    pub skipped: u32,
    /// Cancelled.
    pub cancelled: u32,
    /// Failed and ignored.
    pub ignored: u32,
    /// Running or between two attempts.
    pub running: u32,
    /// Not begun.
    pub pending: u32,
}

/// One task of a workflow run.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct TaskDetail {
    /// Workflow; empty for the task of a command.
    pub workflow: String,
    /// Name.
    pub name: String,
    /// Stage.
    pub stage: Option<String>,
    /// `pending running waiting completed failed skipped cancelled`.
    pub status: String,
    /// Kind of a failure: `exit`, `timeout`, ….
    pub kind: Option<String>,
    /// For people.
    pub message: String,
    /// Failure with traceback.
    pub error: Option<String>,
    /// `condition`, `dependency_failed`, `fail_fast`, `not_selected`, ….
    pub skip_reason: Option<String>,
    /// Whether something was changed.
    pub changed: bool,
    /// From the result cache.
    pub cached: bool,
    /// A failure that counts as satisfied.
    pub ignored: bool,
    /// Attempts begun.
    pub attempts: u32,
    /// Where it runs.
    pub agent: String,
    /// First start.
    pub started_at: Option<String>,
    /// End.
    pub finished_at: Option<String>,
    /// From start to end.
    pub duration_ms: Option<i64>,
    /// Exit code of a command.
    pub exit_code: Option<i32>,
    /// Output table.
    pub output: Value,
}

/// `GET /runs/{id}/summary`: the last line of `run --output json`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunSummary {
    /// `summary`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Run.
    pub run_id: String,
    /// Stack.
    pub stack: String,
    /// Workflow.
    pub workflow: String,
    /// State of the run.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// For people.
    pub message: Option<String>,
    /// Of slothctl: 0 completed, 1 failed, 2 definition, 5 timed out or cancelled, 7 denied; `null` while it goes on.
    pub exit_code: Option<u8>,
    /// First start.
    pub started_at: Option<String>,
    /// End.
    pub finished_at: Option<String>,
    /// From start to end, or until now.
    pub duration_ms: Option<i64>,
    /// Tasks by state.
    pub counts: TaskCounts,
    /// `none compensated compensation_failed`.
    pub compensation: String,
    /// A handler said that it has dealt with the failure.
    pub handled: bool,
    /// Collected outputs.
    pub outputs: Value,
    /// Resource changes.
    pub resources: ResourceCounts,
    /// Every task.
    pub tasks: Vec<TaskDetail>,
    /// Findings of the definition.
    pub diagnostics: Value,
}

/// Resources by what was done to them.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ResourceCounts {
    /// Made.
    pub created: u32,
    /// Changed.
    pub updated: u32,
    /// Removed.
    pub destroyed: u32,
    /// Left alone.
    pub unchanged: u32,
}

/// `GET /runs/{id}/graph`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct GraphView {
    /// `{"workflows": [...]}`, `null` before the definition has succeeded.
    pub graph: Value,
    /// Findings of the definition.
    pub diagnostics: Value,
}

/// `GET /runs/{id}/bundle`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BundleView {
    /// SHA-256.
    pub sha256: String,
    /// The program.
    pub bundle: Bundle,
}

/// `GET /runs/{id}/values`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ValuesView {
    /// Values.
    pub values: Value,
    /// Parameters.
    pub params: Value,
    /// Selection and overrides.
    pub options: Value,
}

/// One checkpoint of a run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointView {
    /// `cp_<name>_<unix>_<n>`.
    pub id: String,
    /// Name.
    pub name: String,
    /// Workflow.
    pub workflow: String,
    /// Task.
    pub task: String,
    /// State.
    pub state: Value,
    /// When.
    pub created_at: String,
}

/// One artifact of a run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ArtifactView {
    /// Workflow.
    pub workflow: String,
    /// Task.
    pub task: String,
    /// Name.
    pub name: String,
    /// Path relative to the work directory.
    pub path: String,
    /// SHA-256 of the content.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// When.
    pub created_at: String,
}

/// One record of a worker, as it said it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct JournalRecordView {
    /// Number.
    pub seq: u64,
    /// When.
    pub at: String,
    /// Kind and content.
    pub record: Value,
}

/// `PUT /workflows/{name}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SaveWorkflow {
    /// The program.
    pub bundle: Bundle,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether it may be run; default true.
    #[serde(default)]
    pub active: Option<bool>,
}

/// A saved workflow.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SavedWorkflowView {
    /// Name.
    pub name: String,
    /// Login name of the owner.
    pub owner: String,
    /// For people.
    pub description: String,
    /// Path of the main file.
    pub source: String,
    /// SHA-256 of the program.
    pub sha256: String,
    /// Counts changes of the program, from 1.
    pub version: u32,
    /// Whether it may be run.
    pub active: bool,
    /// When it was first saved.
    pub created_at: String,
    /// When it was last changed.
    pub updated_at: String,
    /// Tasks of its last run.
    pub tasks: Option<u32>,
    /// Its last run.
    pub last_run: Option<String>,
    /// When that was accepted.
    pub last_at: Option<String>,
    /// How that ended, or where it is.
    pub status: Option<String>,
    /// The program; only in `GET /workflows/{name}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Bundle>,
}
