//! The daemon itself on the wire: version, status, health, configuration, database, backups, audit trail.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `GET /version`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VersionView {
    /// Of slothd.
    pub version: String,
    /// Of the source, or `unknown`.
    pub commit: String,
    /// Of the build, or `unknown`.
    pub build_date: String,
    /// Of the protocol, `major.minor`.
    pub protocol: String,
}

/// `GET /status`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StatusView {
    /// One sentence.
    pub summary: String,
    /// `ready`, `storage_blocked`, `maintenance`, `inhibited`, `stopping`.
    pub state: String,
    /// Of slothd.
    pub version: String,
    /// Of slothd.
    pub pid: u32,
    /// When it started.
    pub started_at: String,
    /// Since then.
    pub uptime_ms: i64,
    /// The directory of database and output.
    pub data_dir: String,
    /// Size of the database, without WAL.
    pub database_bytes: u64,
    /// `process`.
    pub executor: String,
    /// Schedules, paused included.
    pub schedules: u64,
    /// Next due instant of all schedules.
    pub next_due: Option<String>,
    /// The schedule of that instant.
    pub next_schedule: Option<String>,
    /// Runs going.
    pub running: u64,
    /// Runs waiting.
    pub queued: u64,
    /// Why the daemon fires nothing, when it does not.
    pub maintenance: Option<String>,
    /// Who keeps schedules from firing now.
    #[serde(default)]
    pub inhibitors: Vec<InhibitorView>,
    /// Sequence number of the last event.
    pub event_seq: i64,
    /// Clock epoch.
    pub clock_epoch: u32,
    /// Lateness of starts since the daemon started.
    pub lateness: Lateness,
    /// Instants that did not run since the daemon started, by reason.
    pub skipped: Map<String, Value>,
    /// Resident memory of slothd.
    pub rss_bytes: u64,
}

/// Somebody who keeps schedules from firing.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct InhibitorView {
    /// `schedules`.
    pub what: String,
    /// Program or person.
    pub who: String,
    /// For people.
    pub why: String,
    /// Login name of the holder.
    pub user: String,
    /// Since when.
    pub since: String,
}

/// Lateness of starts: from due (with jitter) to the order to the executor.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Lateness {
    /// How many.
    pub count: u64,
    /// Half are below.
    pub p50_ms: f64,
    /// 99 of 100 are below.
    pub p99_ms: f64,
    /// The worst.
    pub max_ms: f64,
    /// Upper bound in ms and count of each bucket.
    pub buckets: Vec<(f64, u64)>,
}

/// `GET /health`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HealthView {
    /// Worst of all.
    pub status: String,
    /// Each check.
    pub checks: Vec<HealthCheck>,
}

/// One check.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HealthCheck {
    /// Name.
    pub check: String,
    /// `ok warn critical unknown`.
    pub status: String,
    /// Measured.
    pub value: String,
    /// Limit.
    pub threshold: String,
    /// What to do.
    pub hint: String,
}

/// One setting and where it comes from.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Setting {
    /// `scheduler.max_running`.
    pub key: String,
    /// Effective value.
    pub value: Value,
    /// `default`, `environment SLOTHD_…`, or a file.
    pub origin: String,
    /// What it is.
    pub description: String,
}

/// Answer to `POST /config/reload`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReloadReply {
    /// Keys that changed.
    pub changed: Vec<String>,
    /// Declarative schedules: created, updated, deleted, unchanged.
    pub schedules: Map<String, Value>,
    /// Problems; when there are any, the old settings stay.
    pub problems: Vec<String>,
}

/// `GET /whoami`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WhoamiView {
    /// Number.
    pub uid: u32,
    /// Login name.
    pub user: String,
    /// `admin` or `user`.
    pub role: String,
}

/// `GET /db/status`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DbStatusView {
    /// File.
    pub path: String,
    /// Number of migrations in the file.
    pub schema_version: u32,
    /// Size.
    pub database_bytes: u64,
    /// Size of the write-ahead log.
    pub wal_bytes: u64,
    /// Free pages inside the file.
    pub free_bytes: u64,
    /// Rows of each table.
    pub tables: Vec<TableView>,
    /// Newest backup.
    pub last_backup: Option<BackupView>,
    /// `ok`, or the first finding; `null` when not checked since the start.
    pub integrity: Option<String>,
}

/// One table.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TableView {
    /// Name.
    pub name: String,
    /// Rows.
    pub rows: u64,
}

/// `POST /db/query`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryRequest {
    /// One `SELECT`, `EXPLAIN` or permitted `PRAGMA`.
    pub sql: String,
}

/// Its rows.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct QueryReply {
    /// Names.
    pub columns: Vec<String>,
    /// Values; blobs as hexadecimal text.
    pub rows: Vec<Vec<Value>>,
    /// Whether rows were left out because of the limit.
    pub truncated: bool,
}

/// `POST /db/check`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DbCheckReply {
    /// Whether nothing was found.
    pub ok: bool,
    /// Findings of `integrity_check` and `foreign_key_check`.
    pub findings: Vec<String>,
    /// Time it took.
    pub duration_ms: f64,
}

/// A backup.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BackupView {
    /// Identity.
    pub id: String,
    /// File.
    pub path: String,
    /// When.
    pub created_at: String,
    /// Size of the file.
    pub size_bytes: u64,
    /// `manual scheduled migration`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Schema version inside.
    pub schema_version: u32,
    /// Whether its sums were compared since.
    pub verified: Option<bool>,
    /// For people.
    pub description: String,
}

/// `POST /backup/create`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BackupRequest {
    /// For people.
    pub description: Option<String>,
    /// Leave run output out.
    pub no_logs: bool,
}

/// `POST /backup/verify` and `/backup/restore`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupId {
    /// Identity or file.
    pub id: String,
}

/// What `verify` found.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BackupVerifyReply {
    /// Whether everything agrees.
    pub ok: bool,
    /// What does not.
    pub findings: Vec<String>,
}

/// One entry of the audit trail.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// Position.
    pub seq: i64,
    /// When.
    pub at: String,
    /// Who.
    pub user: String,
    /// Who.
    pub uid: u32,
    /// `socket dbus config daemon`.
    pub method: String,
    /// `schedule:create` …
    pub action: String,
    /// Kind of object.
    pub object: String,
    /// Name or id.
    pub object_id: String,
    /// `ok denied error`.
    pub result: String,
    /// Why.
    pub reason: Option<String>,
    /// Of the request.
    pub request_id: String,
    /// Facts.
    pub details: Value,
}

/// `POST /schedules/-/pause-all`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PauseAllRequest {
    /// For people.
    pub reason: Option<String>,
}

/// What was changed by a daemon-wide switch.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SwitchReply {
    /// `quiesced`, `resumed` or `unchanged`.
    pub change: String,
}
