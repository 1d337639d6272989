//! The event feed on the wire: the record, and the names of the types that exist today.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One event. `seq` is a total order; streams resume from it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Position in the feed.
    pub seq: i64,
    /// UUIDv7.
    pub id: String,
    /// One of [`TYPES`].
    #[serde(rename = "type")]
    pub kind: String,
    /// `info warning error critical`.
    pub severity: String,
    /// `daemon`, …
    pub source: String,
    /// One line for people.
    pub message: String,
    /// RFC 3339 ms.
    pub timestamp: String,
    /// Context.
    pub stack: Option<String>,
    /// Context.
    pub agent: Option<String>,
    /// Context.
    pub run_id: Option<String>,
    /// Context.
    pub task: Option<String>,
    /// Who caused it.
    pub user: Option<String>,
    /// Payload of the type.
    pub data: serde_json::Map<String, serde_json::Value>,
    /// Request or run that caused it.
    pub trace_id: Option<String>,
}

/// A message of `GET /stream`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StreamMessage {
    /// `events.seq`, the id to resume from.
    pub seq: i64,
    /// The topic that it belongs to.
    pub topic: String,
    /// `event`, `workflow_execution_update`, `gap` …
    #[serde(rename = "type")]
    pub kind: String,
    /// RFC 3339 ms.
    pub timestamp: String,
    /// The event record, or `{from, to}` of a gap.
    pub data: serde_json::Value,
}

/// Every event type that this version emits.
pub const TYPES: &[&str] = &[
    "run.queued",
    "run.started",
    "run.completed",
    "run.failed",
    "run.cancelled",
    "run.interrupted",
    "run.resumed",
    "workflow.started",
    "workflow.completed",
    "workflow.failed",
    "workflow.cancelled",
    "workflow.paused",
    "workflow.resumed",
    "workflow.compensating",
    "task.started",
    "task.completed",
    "task.failed",
    "task.timeout",
    "task.retrying",
    "task.cancelled",
    "task.skipped",
    "task.checkpoint",
    "task.progress",
    "saga.progress",
    "circuit.opened",
    "circuit.half_open",
    "circuit.closed",
    "schedule.created",
    "schedule.updated",
    "schedule.deleted",
    "schedule.enabled",
    "schedule.disabled",
    "schedule.triggered",
    "schedule.missed",
    "schedule.skipped",
    "schedule.coalesced",
    "schedule.failed",
    "schedule.inhibited",
    "schedule.released",
    "system.startup",
    "system.shutdown",
    "system.error",
    "system.warning",
    "system.reloaded",
    "db.error",
    "db.connected",
    "db.migration",
    "backup.started",
    "backup.completed",
    "backup.failed",
    "restore.completed",
    "security.permission_denied",
];
