//! What the core wants remembered. Each batch of records is one transaction of the store: all of it happens or nothing.

use std::borrow::Cow;
use std::sync::Arc;

use crate::news::RunNote;
use crate::run::{Attempt, AttemptEnd, Reason, Run, RunStatus, RunTrigger};
use crate::{AttemptKey, EventId, Moment, RunId, Schedule, ScheduleId, Uid};

/// One change of the durable state.
#[derive(Clone, Debug)]
pub enum Record {
    /// A due instant is claimed ahead of its time: it has a row, undecided.
    Planned(Occurrence),
    /// All undecided instants of all schedules are taken back; the mark of each schedule concerned returns to just before its first one,
    /// and `next_due` to that one. Then they can be claimed again, or be found missed.
    Unplanned,
    /// The clock was set: `mark` and `next_due` of every schedule move, by the kind of its trigger. Schedules without a next instant stay.
    Rebased {
        /// Fixed cron triggers and `@at`.
        fixed: Rebase,
        /// Interval and anchored cron triggers.
        interval: Rebase,
        /// `@every`.
        every: Rebase,
    },
    /// The rules for local time changed: `next_due` of every schedule that has one returns to its mark, so that it is read and computed
    /// again.
    Reread,
    /// What was decided about an instant; makes the row when there is none, replaces `planned`, never another decision.
    Decided(Occurrence, Decision),
    /// Instants too many or too old for a row each, folded into the schedule's summary.
    Folded(Fold),
    /// How far a schedule is decided or claimed, and a lower bound of its next unclaimed instant.
    Marked {
        /// Which.
        schedule: ScheduleId,
        /// All instants up to here have a row (or are in the summary).
        mark: Moment,
        /// No unclaimed instant lies before; `None`: there is none ever.
        next_due: Option<Moment>,
    },
    /// A new schedule. Fails as a conflict when its owner has one of this name.
    ScheduleCreated(Arc<Schedule>),
    /// A new revision. Fails as a conflict when the stored revision is not `revision - 1`. When `trigger_since` is later than before,
    /// the old trigger is closed in the history at that moment, planned rows after it are taken back, and mark and next_due become it.
    ScheduleChanged(Arc<Schedule>),
    /// Deleted; its history stays. Closes the trigger, takes back planned rows.
    ScheduleDeleted {
        /// Which.
        schedule: ScheduleId,
        /// When.
        at: Moment,
        /// Clock epoch of `at`.
        epoch: u32,
    },
    /// Counters of a schedule after one of its runs ended.
    ScheduleStats {
        /// Which.
        schedule: ScheduleId,
        /// The counters.
        stats: Stats,
    },
    /// The definition of a run that no schedule makes: stored like a schedule, listed nowhere, gone with its run.
    Unlisted(Arc<Schedule>),
    /// The source of workflows, unless it is there.
    BundleStored(Arc<SourceBundle>),
    /// A new run; a command has the task `command`.
    RunCreated(Arc<Run>),
    /// A run that had ended goes on. Fails as a conflict when it has not ended.
    RunReopened(Arc<Run>),
    /// A circuit breaker changed its state.
    Circuit(Box<Circuit>),
    /// A workflow was saved, or saved again.
    WorkflowSaved(Box<Saved>),
    /// A saved workflow is away.
    WorkflowRemoved {
        /// Whose.
        owner: Uid,
        /// Name.
        name: String,
    },
    /// What a worker has recorded. Rows that are there already are passed over with all that belongs to them.
    Journal(Arc<Journal>),
    /// A run changed: the record replaces the stored one.
    RunChanged(Arc<Run>),
    /// An attempt is about to be released.
    AttemptStarted(Attempt),
    /// An attempt ended.
    AttemptEnded(AttemptKey, Box<AttemptEnd>),
    /// A fact about a run for the feed.
    RunNoted(RunNote),
    /// Another fact for the feed.
    Event(Box<Event>),
    /// An event that somebody publishes.
    Published(Box<Published>),
    /// An entry of the audit trail.
    Audit(Box<Audit>),
    /// What a request with a key was answered. Fails as a conflict when the key has an answer.
    Answered(Box<Answered>),
    /// A new clock epoch.
    Epoch(ClockEpoch),
    /// A named value of the daemon (`quiesced`, `last_alive`, `boot_id` …); `None` removes it.
    Meta(&'static str, Option<String>),
}

/// A circuit breaker after a transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circuit {
    /// Name with its scope.
    pub name: String,
    /// `closed`, `open`, `half_open`.
    pub state: &'static str,
    /// Failures in a row.
    pub failures: u32,
    /// When it opened.
    pub opened_at: Option<Moment>,
    /// When it lets trials through.
    pub retry_at: Option<Moment>,
    /// Its limits, JSON.
    pub settings: String,
}

/// A saved workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Whose.
    pub owner: Uid,
    /// Name.
    pub name: String,
    /// For people.
    pub description: String,
    /// SHA-256 of its source.
    pub bundle: String,
    /// Path of the main file.
    pub main: String,
    /// Whether it may be run.
    pub active: bool,
}

/// A program: main file and what it imports, as they are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceBundle {
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// Compressed with zstd.
    pub content: Vec<u8>,
    /// Bytes before that.
    pub size: u64,
}

/// Records of a worker, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Journal {
    /// Of this run.
    pub run: RunId,
    /// The rows.
    pub rows: Vec<JournalRow>,
}

/// One record of a worker. Numbers of a run grow by one.
#[derive(Clone, Debug, PartialEq)]
pub struct JournalRow {
    /// Number, from 1.
    pub seq: u64,
    /// When.
    pub at: Moment,
    /// Its kind, `task_finished`.
    pub kind: &'static str,
    /// All of it, JSON.
    pub body: String,
    /// What it means for the tables.
    pub effect: JournalEffect,
    /// What is said about it.
    pub events: Vec<JournalEvent>,
}

/// What a record of a worker means for the tables. Texts that hold JSON say so.
#[derive(Clone, Debug, PartialEq)]
pub enum JournalEffect {
    /// Nothing beside its row.
    None,
    /// The graph is known.
    Graph {
        /// Names, versions and JSON of the tasks: name → stage.
        workflows: Vec<(String, String)>,
        /// Tasks that will be: workflow, task, stage.
        tasks: Vec<(String, String, Option<String>)>,
        /// JSON.
        graph: String,
        /// JSON.
        diagnostics: String,
    },
    /// A task changed.
    Task(Box<TaskRow>),
    /// A checkpoint.
    Checkpoint {
        /// Identity.
        id: String,
        /// Name.
        name: String,
        /// Workflow.
        workflow: String,
        /// Task.
        task: String,
        /// JSON.
        state: String,
    },
    /// An artifact.
    Artifact {
        /// Workflow.
        workflow: String,
        /// Task.
        task: String,
        /// Name.
        name: String,
        /// Path relative to the work directory.
        path: String,
        /// Of the content, hexadecimal.
        sha256: String,
        /// Bytes.
        size: u64,
        /// Permission bits.
        mode: u32,
    },
    /// The run ended.
    Finished {
        /// `completed`, `failed`, `cancelled`.
        status: &'static str,
        /// For people.
        message: Option<String>,
        /// JSON.
        outputs: String,
        /// JSON, when the definition failed.
        diagnostics: Option<String>,
    },
}

/// The present state of a task.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TaskRow {
    /// Workflow.
    pub workflow: String,
    /// Name.
    pub name: String,
    /// Stage.
    pub stage: Option<String>,
    /// `running`, `waiting`, `completed`, `failed`, `skipped`, `cancelled`.
    pub status: &'static str,
    /// Kind of a failure.
    pub kind: Option<String>,
    /// For people.
    pub message: String,
    /// Failure with traceback.
    pub error: Option<String>,
    /// Why it was skipped.
    pub skip_reason: Option<String>,
    /// Whether something was changed.
    pub changed: bool,
    /// From the result cache.
    pub cached: bool,
    /// A failure that counts as satisfied.
    pub ignored: bool,
    /// Attempts begun.
    pub attempts: u32,
    /// First start.
    pub started_at: Option<Moment>,
    /// End.
    pub ended_at: Option<Moment>,
    /// Exit code.
    pub exit_code: Option<i32>,
    /// JSON.
    pub output: Option<String>,
}

/// A row of the feed that a record of a worker makes.
#[derive(Clone, Debug, PartialEq)]
pub struct JournalEvent {
    /// Identity.
    pub id: EventId,
    /// Type.
    pub kind: Cow<'static, str>,
    /// Severity.
    pub severity: Severity,
    /// One line for people.
    pub message: String,
    /// The task.
    pub task: Option<String>,
    /// Payload, a JSON object.
    pub data: String,
}

/// Where a mark moves when the clock was set; `next_due`, a lower bound, follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebase {
    /// To this moment, from wherever it was.
    To(Moment),
    /// Back to this moment when it is later.
    AtMost(Moment),
}

/// Identity of a due instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Occurrence {
    /// Whose.
    pub schedule: ScheduleId,
    /// Nominal instant.
    pub due_at: Moment,
    /// Clock epoch.
    pub epoch: u32,
}

/// What became of a due instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A run answers it.
    Run {
        /// Which.
        run: RunId,
        /// Why.
        trigger: RunTrigger,
    },
    /// No run.
    Skipped(Skip),
    /// The run of a later instant answers it.
    Coalesced {
        /// Which.
        run: RunId,
    },
}

/// Why an instant did not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The schedule was paused.
    Paused,
    /// An earlier run was in the way.
    Overlap {
        /// Which.
        by: RunId,
    },
    /// It could not start in time.
    Deadline,
    /// Missed, and the catch-up policy or window says no.
    CatchUp,
    /// The daemon was in maintenance.
    Quiesced,
    /// The waiting runs of the schedule reached `queue_limit`.
    Limit,
}

/// A range of instants that is kept as numbers only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// Whose.
    pub schedule: ScheduleId,
    /// First instant.
    pub from: Moment,
    /// Last instant.
    pub to: Moment,
    /// How many were skipped by the catch-up policy.
    pub skipped: u64,
}

/// Counters of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Stats {
    /// Runs that ended, ever.
    pub runs: u64,
    /// Failed runs since the last success.
    pub failures_in_a_row: u32,
    /// End of the last completed run.
    pub last_success_at: Option<Moment>,
    /// The run that ended last.
    pub last_run: Option<RunId>,
    /// How it ended.
    pub last_status: Option<RunStatus>,
    /// Why.
    pub last_reason: Option<Reason>,
    /// When it ended.
    pub last_ended_at: Option<Moment>,
    /// How long it took, microseconds from start to end.
    pub last_duration_us: Option<i64>,
    /// Boot id for which `@reboot` has fired.
    pub fired_boot: Option<String>,
}

/// A stretch of time during which the clock was not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockEpoch {
    /// Number, from 0.
    pub epoch: u32,
    /// Wall clock just before the step that began it (equal to `after` for epoch 0).
    pub before: Moment,
    /// Wall clock just after.
    pub after: Moment,
    /// Sum of all steps since epoch 0, microseconds: how far `@every` anchors have moved.
    pub shift_us: i64,
    /// `start`, `clock_step`.
    pub cause: &'static str,
}

/// Severity of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Normal.
    Info,
    /// Somebody should look.
    Warning,
    /// Something failed.
    Error,
    /// Something is broken.
    Critical,
}

/// One row of the feed.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Identity.
    pub id: EventId,
    /// Type of the catalogue, `run.completed`.
    pub kind: &'static str,
    /// Severity.
    pub severity: Severity,
    /// One line for people.
    pub message: String,
    /// The run.
    pub run: Option<RunId>,
    /// The task.
    pub task: Option<Cow<'static, str>>,
    /// Who caused it (login name or `uid N`).
    pub user: Option<String>,
    /// When it happened.
    pub at: Moment,
    /// Payload.
    pub data: Vec<(&'static str, Value)>,
}

/// A row of the feed that somebody outside adds: its type is not of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Identity.
    pub id: EventId,
    /// Type.
    pub kind: String,
    /// Who.
    pub user: String,
    /// When.
    pub at: Moment,
    /// Payload, a JSON object.
    pub data: String,
}

/// A value of a payload.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A word of the program.
    Word(&'static str),
    /// An id; becomes text where it is written, away from the thread that decides.
    Id(uuid::Uuid),
    /// A time; becomes RFC 3339 text where it is written.
    Time(Moment),
    /// Whole number.
    Int(i64),
    /// Seconds and other fractions.
    Float(f64),
    /// Truth.
    Bool(bool),
    /// Nothing known.
    Null,
}

/// The answer of a request with a key: its repetition is answered with it and not carried out again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The key.
    pub key: String,
    /// Whose request.
    pub uid: Uid,
    /// Sum of what was asked, to tell a repetition from another request.
    pub body_hash: String,
    /// The answer.
    pub response: String,
}

/// One entry of the audit trail.
#[derive(Clone, Debug, PartialEq)]
pub struct Audit {
    /// When.
    pub at: Moment,
    /// Who.
    pub uid: Uid,
    /// Login name.
    pub user: String,
    /// `socket`, `config`, `daemon`.
    pub method: &'static str,
    /// `schedule:create`.
    pub action: &'static str,
    /// `schedule`, `run` …
    pub object: &'static str,
    /// Its name or id.
    pub object_id: String,
    /// `ok`, `denied`, `error`.
    pub result: &'static str,
    /// Why not, or why.
    pub reason: Option<String>,
    /// Of the request.
    pub request_id: String,
    /// What was asked, in a few words per field.
    pub details: Vec<(&'static str, Value)>,
}
