//! What a user writes about a schedule: the same names in JSON, TOML and as flags.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::worker::{Bundle, RunOptions};

/// Everything that a user can set about a schedule. Absent fields have their defaults. Durations are text (`"90s"`, `"1h30m"`) or a
/// number of seconds; sizes are text (`"256Mi"`) or a number of bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleSpec {
    /// When: `"30 2 * * *"`, `"@daily"`, `"@every 90s"`, `"@reboot"`, `"@at 2031-01-01T09:00"`, `"manual"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// Start of the count of `@every` (RFC 3339); default: when the schedule was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
    /// IANA name, default that of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Program and arguments, without a shell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Text for `/bin/sh -c`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<String>,
    /// Workflow to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<WorkflowSpec>,
    /// Request to make; answered with `not_supported`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub http: Option<Value>,
    /// Calendars of exceptions; answered with `not_supported`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub exclude: Option<Value>,
    /// Who to tell; answered with `not_supported`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub notify: Option<Value>,
    /// Who it runs as, default the owner; another needs an administrator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Primary group, default that of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Working directory (absolute), default home of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Variables beside the minimal environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// Octal text, default `"022"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<String>,
    /// Text for the standard input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Default true. A paused schedule records its instants as skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// `skip queue queue_all replace allow`, default `skip`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<String>,
    /// Default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_limit: Option<u32>,
    /// `none latest all`, default `latest` for fixed triggers and `none` for interval ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catch_up: Option<String>,
    /// Default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catch_up_max: Option<u32>,
    /// Default `"24h"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catch_up_window: Option<Quantity>,
    /// Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_deadline: Option<Quantity>,
    /// Default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Quantity>,
    /// `instant host`, default `instant`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter_mode: Option<String>,
    /// Of one attempt; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Quantity>,
    /// Default `"10s"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kill_grace: Option<Quantity>,
    /// A number, or a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<RetriesSpec>,
    /// Whether a run whose result was lost is tried again; default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_lost: Option<bool>,
    /// Resource limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitsSpec>,
    /// Exit codes that count as success, default `[0]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_codes: Option<Vec<i32>>,
    /// Pause after so many failed runs in a row; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_after_failures: Option<u32>,
    /// `{ other = "success" | "failure" | "any" }`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<BTreeMap<String, String>>,
    /// Retention of runs, default `{ runs = 100, age = "30d" }`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<KeepSpec>,
    /// `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// Bytes of output kept, default `"10Mi"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_limit: Option<Quantity>,
    /// Whether the output also goes to the journal; default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<bool>,
    /// Labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Text for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A workflow as action: its program comes with the request (`bundle`), was saved (`saved`), or is known already (`sha256`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WorkflowSpec {
    /// Path of the main file, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The program. It is stored with the schedule; later changes of the file do not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Bundle>,
    /// Saved workflow; another user's is `user/name`. The schedule keeps the program of the moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved: Option<String>,
    /// A program that slothd has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Stack; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// One of several workflows in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// Values.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub values: Map<String, Value>,
    /// Parameters.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
    /// Selection and overrides.
    #[serde(skip_serializing_if = "RunOptions::is_default")]
    pub options: RunOptions,
    /// `normal` (default) or `check`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Place in the queue, -100 to 100; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i8>,
}

/// A duration, size or share: text with a unit, or a bare number (seconds, bytes, cores).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Quantity {
    /// `"1h30m"`, `"10Mi"`, `"500m"`.
    Text(String),
    /// Whole seconds, bytes or cores.
    Whole(u64),
    /// Fractions of them.
    Fraction(f64),
}

/// Retries: how many, or all of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RetriesSpec {
    /// How many.
    Max(u32),
    /// All of it.
    Full(RetriesTable),
}

/// The table form of `retries`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetriesTable {
    /// Further attempts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// Pause before the first retry, default `"10s"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Quantity>,
    /// `fixed linear exponential`, default `fixed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<String>,
    /// Default `"1h"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_delay: Option<Quantity>,
    /// Fraction of the pause, 0 to 1, in both directions; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<f64>,
}

/// Resource limits of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSpec {
    /// Cores: `2`, `0.5`, `"500m"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Quantity>,
    /// `"256Mi"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
    /// 1 to 10000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_weight: Option<u16>,
    /// Open files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nofile: Option<u64>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<u64>,
    /// −20 to 19.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nice: Option<i8>,
}

/// Retention of runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeepSpec {
    /// How many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<u32>,
    /// How long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<Quantity>,
}
