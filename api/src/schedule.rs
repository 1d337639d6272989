//! Schedules on the wire: what the daemon answers, and requests about schedules.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ScheduleSpec;

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
