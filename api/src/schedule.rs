//! Schedules on the wire: what a user writes (the same in JSON, TOML and as flags), what the daemon answers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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
    /// Workflow to run; answered with `not_supported`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub workflow: Option<Value>,
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

/// `POST /schedules`: a name and the fields of [`ScheduleSpec`].
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AddSchedule {
    /// `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
    pub name: String,
    /// The fields.
    #[serde(flatten)]
    pub spec: ScheduleSpec,
}

/// A schedule as the daemon shows it: effective fields of [`ScheduleSpec`] (in `spec`, flattened) and its state.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleView {
    /// UUIDv7.
    pub id: String,
    /// Name, unique for the owner.
    pub name: String,
    /// Login name of the owner.
    pub owner: String,
    /// Counts changes, from 1.
    pub revision: u32,
    /// `api`, or the file that alone may change it.
    pub origin: String,
    /// When it was added.
    pub created_at: String,
    /// The trigger in words.
    pub trigger_text: String,
    /// Why and until when it is paused.
    pub paused: Option<PausedView>,
    /// Next instant, without jitter; `null` when there is none.
    pub next_due: Option<String>,
    /// Runs going now.
    pub running: u32,
    /// Runs waiting now.
    pub queued: u32,
    /// Runs made, ever.
    pub runs: u64,
    /// Failed runs since the last success.
    pub failures_in_a_row: u32,
    /// End of the last completed run.
    pub last_success_at: Option<String>,
    /// The run that ended last.
    pub last: Option<LastRun>,
    /// What this machine cannot give, and the like.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Effective fields of [`ScheduleSpec`].
    #[serde(flatten)]
    #[schemars(with = "ScheduleSpec")]
    pub spec: Map<String, Value>,
}

/// Why and until when a schedule is paused.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PausedView {
    /// For people.
    pub reason: String,
    /// `null`: until somebody enables it.
    pub until: Option<String>,
}

/// The run of a schedule that ended last.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LastRun {
    /// Which.
    pub run_id: String,
    /// `completed failed cancelled`.
    pub status: String,
    /// Why not completed.
    pub reason: Option<String>,
    /// When it ended.
    pub ended_at: String,
    /// From start to end; `null` when it never started.
    pub duration_ms: Option<i64>,
}

/// Answer to a change: what happened, and what stands now.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleChange {
    /// `created updated unchanged deleted enabled disabled`.
    pub change: String,
    /// The schedule as it stands.
    pub schedule: ScheduleView,
    /// The next three instants.
    pub next: Vec<NextInstant>,
}

/// One instant of `next`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NextInstant {
    /// UTC.
    pub due_at: String,
    /// In the zone of the schedule, with offset.
    pub local: String,
    /// Remark about daylight saving time.
    pub note: Option<String>,
}

/// `POST /schedules/{name}/disable`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DisableRequest {
    /// Time (RFC 3339, local time, or a duration from now such as `2h`) at which it is enabled again.
    pub until: Option<String>,
    /// For people.
    pub reason: Option<String>,
}

/// `POST /schedules/{name}/trigger`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TriggerRequest {
    /// `manual` (a person with slothctl) or `api`; default `api`.
    pub by: Option<String>,
}

/// Answer: the run, on disk.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TriggerReply {
    /// The run.
    pub run_id: String,
    /// `starting` or `queued`.
    pub status: String,
}

/// One row of the ledger.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OccurrenceView {
    /// Nominal instant, UTC, ms.
    pub due_at: String,
    /// In the zone of the schedule.
    pub local: String,
    /// Clock epoch.
    pub clock_epoch: u32,
    /// `planned run skipped coalesced`.
    pub decision: String,
    /// Reason of a skip: `paused overlap deadline calendar catch_up quiesced limit`.
    pub detail: Option<String>,
    /// The run that answers it, or that was in the way.
    pub run_id: Option<String>,
    /// `due catch_up manual after api boot`.
    pub trigger: Option<String>,
    /// When it was decided.
    pub decided_at: Option<String>,
    /// The run, in short.
    pub run: Option<RunBrief>,
}

/// A run in one line.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunBrief {
    /// State.
    pub status: String,
    /// Reason.
    pub reason: Option<String>,
    /// Start.
    pub started_at: Option<String>,
    /// From start to end.
    pub duration_ms: Option<i64>,
    /// How long after its due instant it started.
    pub late_ms: Option<f64>,
    /// Exit code.
    pub exit_code: Option<i32>,
    /// Attempts.
    pub attempts: u32,
}

/// `GET /schedules/{name}/explain`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// The schedule.
    pub schedule: String,
    /// The instant that is explained, UTC; `null` when none is meant.
    pub at: Option<String>,
    /// Sentences, in reading order.
    pub sentences: Vec<String>,
    /// Its row in the ledger.
    pub occurrence: Option<OccurrenceView>,
}

/// `GET /schedules/…/audit`: the ledger against the rules.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AuditReport {
    /// Whether nothing differs.
    pub clean: bool,
    /// Schedules looked at.
    pub schedules: u64,
    /// Due instants recomputed.
    pub instants: u64,
    /// Rows of the ledger looked at.
    pub rows: u64,
    /// Instants that are only in a summary.
    pub folded: u64,
    /// Differences, at most 1000.
    pub differences: Vec<AuditDifference>,
}

/// One difference between ledger and rules.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AuditDifference {
    /// `owner/name`.
    pub schedule: String,
    /// The instant.
    pub due_at: String,
    /// `missing_row unexpected_row undecided run_without_record double_run`.
    pub kind: String,
    /// In words.
    pub message: String,
}

/// `POST /schedules/-/validate`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ValidateRequest {
    /// Trigger expression.
    pub expr: String,
    /// Zone.
    pub timezone: Option<String>,
}

/// Its meaning.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ValidateReply {
    /// In words.
    pub description: String,
    /// `fixed interval anchored single`.
    pub kind: String,
    /// What the kind means for daylight saving time and missed instants.
    pub remarks: Vec<String>,
    /// The next instants.
    pub next: Vec<NextInstant>,
}

/// `POST /schedules/-/import`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// `crontab`, `system_crontab` (with a user column), `anacrontab`, `systemd`, `yaml`, `script` (an executable of `cron.daily` and the like).
    pub format: String,
    /// Texts to import. For `systemd` the `.timer` and the `.service` files that belong together.
    pub sources: Vec<ImportSource>,
    /// Whose jobs they are (a user's crontab); needs an administrator when it is another.
    #[serde(default)]
    pub user: Option<String>,
    /// Only say what would be made.
    #[serde(default)]
    pub dry_run: bool,
    /// Replace schedules of the same name instead of reporting a conflict.
    #[serde(default)]
    pub replace: bool,
}

/// One text to import.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportSource {
    /// Path, for messages and names.
    pub name: String,
    /// Content.
    pub text: String,
}

/// What became of each line.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ImportReport {
    /// Line by line.
    pub lines: Vec<ImportLine>,
    /// How many schedules were (or would be) made.
    pub made: u32,
    /// How many lines could not be imported.
    pub refused: u32,
    /// Whether nothing was stored.
    pub dry_run: bool,
}

/// What became of one line.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ImportLine {
    /// Which text.
    pub source: String,
    /// From 1; 0: the whole text.
    pub line: u32,
    /// The line.
    pub text: String,
    /// `made updated unchanged refused ignored`.
    pub outcome: String,
    /// Name of the schedule.
    pub schedule: Option<String>,
    /// Why not, and what to do; or remarks about what is made (`MAILTO` is kept as a tag …).
    pub notes: Vec<String>,
    /// What is made.
    pub spec: Option<ScheduleSpec>,
}

/// A periodic job of the daemon itself.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SystemJob {
    /// Name.
    pub name: String,
    /// Cron expression with seconds, UTC.
    pub schedule: String,
    /// What it does.
    pub description: String,
    /// Last tick.
    pub last_at: Option<String>,
    /// How long it took.
    pub last_duration_ms: Option<f64>,
    /// `ok`, or what went wrong.
    pub last_result: Option<String>,
    /// Ticks since the daemon started.
    pub ticks: u64,
}
