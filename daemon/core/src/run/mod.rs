//! What a run is: one execution, its states and how it can end. States and reasons are those of the run record.

mod workflow;

use std::borrow::Cow;
use std::time::Duration;

pub use workflow::{CancelWish, Compensation, WorkerNews, WorkerOrder, WorkflowAction, WorkflowEnd, WorkflowRun};

use crate::{AttemptKey, Moment, RunId, ScheduleId, Uid};

/// The durable record of one execution.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Identity.
    pub id: RunId,
    /// The schedule that it belongs to.
    pub schedule: ScheduleId,
    /// Which version of the schedule it executes.
    pub revision: u32,
    /// Name of the schedule when the run was made; empty: it was asked for without one.
    pub schedule_name: String,
    /// Who owns it.
    pub owner: Uid,
    /// Who it runs as.
    pub user: String,
    /// What made it.
    pub trigger: RunTrigger,
    /// The nominal instant that it answers; for a run by hand the moment it was asked for.
    pub due_at: Moment,
    /// Clock epoch of that instant.
    pub epoch: u32,
    /// Who or what asked, in words: `schedule`, `uid 1000 (ann)`, `after mirror`.
    pub asked_by: Cow<'static, str>,
    /// State.
    pub status: RunStatus,
    /// Why it ended as it did, when not `completed`.
    pub reason: Option<Reason>,
    /// One sentence for people beside `reason`.
    pub message: Option<String>,
    /// When it was accepted.
    pub queued_at: Moment,
    /// When its first process was released.
    pub started_at: Option<Moment>,
    /// When it reached its terminal state.
    pub ended_at: Option<Moment>,
    /// Attempts begun.
    pub attempts: u32,
    /// When the next attempt begins, while it waits for one.
    pub retry_at: Option<Moment>,
    /// Result of the last attempt.
    pub exit_code: Option<i32>,
    /// Signal that ended the last attempt.
    pub signal: Option<i32>,
    /// Sum over the attempts.
    pub usage: Usage,
    /// Bytes that the attempts wrote, kept or not.
    pub output_bytes: u64,
    /// The last 4 KiB of standard error, lossily decoded.
    pub stderr_tail: String,
    /// Process of the running attempt.
    pub process: Option<ProcessId>,
    /// What only a workflow run has.
    pub workflow: Option<Box<WorkflowRun>>,
}

impl Run {
    /// Whether no schedule made it: its definition is listed nowhere.
    pub fn is_unlisted(&self) -> bool {
        self.schedule_name.is_empty()
    }

    /// What people call it: its schedule, or its workflow.
    pub fn title(&self) -> &str {
        match &self.workflow {
            Some(workflow) if self.is_unlisted() => &workflow.action.name,
            _ => &self.schedule_name,
        }
    }
}

/// What made a run (`trigger` of the ledger).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunTrigger {
    /// Its instant came.
    Due,
    /// Its instant was missed and is made up.
    CatchUp,
    /// Somebody asked with slothctl.
    Manual,
    /// Another schedule's run ended.
    After,
    /// A program asked.
    Api,
    /// Another boot of the host.
    Boot,
}

/// State of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// Accepted; waits for a slot or for an earlier run.
    Queued,
    /// Its process is being prepared.
    Starting,
    /// Its process runs, or it waits for the next attempt.
    Running,
    /// Nothing new starts until somebody lets it go on.
    Paused,
    /// Compensation or failure handlers run.
    Compensating,
    /// Its worker was lost; it is resumed.
    Interrupted,
    /// Succeeded.
    Completed,
    /// Failed, see the reason.
    Failed,
    /// Cancelled, see the reason.
    Cancelled,
}

impl RunStatus {
    /// Every state, in the order of a run's life.
    pub const ALL: [RunStatus; 9] = [
        RunStatus::Queued,
        RunStatus::Starting,
        RunStatus::Running,
        RunStatus::Paused,
        RunStatus::Compensating,
        RunStatus::Interrupted,
        RunStatus::Completed,
        RunStatus::Failed,
        RunStatus::Cancelled,
    ];

    /// The word of the run record.
    pub fn as_str(self) -> &'static str {
        match self {
            RunStatus::Queued => "queued",
            RunStatus::Starting => "starting",
            RunStatus::Running => "running",
            RunStatus::Paused => "paused",
            RunStatus::Compensating => "compensating",
            RunStatus::Interrupted => "interrupted",
            RunStatus::Completed => "completed",
            RunStatus::Failed => "failed",
            RunStatus::Cancelled => "cancelled",
        }
    }

    /// The meaning of a word.
    pub fn parse(word: &str) -> Option<Self> {
        RunStatus::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether it cannot change any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled)
    }
}

/// Why a run failed or was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The command failed: exit code, signal or could not be started.
    TaskFailed,
    /// The last attempt ran longer than `timeout`.
    Timeout,
    /// Killed for its memory.
    Oom,
    /// The result could never be learnt.
    Lost,
    /// May not run as that user, or the user is gone.
    Denied,
    /// Cancelled by a person.
    User,
    /// Replaced by a newer run (`overlap = replace`).
    Superseded,
    /// Cancelled by the shutdown of the host or daemon.
    Shutdown,
    /// Could not start before its deadline.
    QueueTimeout,
    /// The workflow file is wrong.
    Definition,
    /// A name, value or artifact could not be found.
    Unresolved,
    /// `validate_before` said no.
    Validation,
    /// Somebody else holds the lock of the stack.
    LockHeld,
    /// The lock of the stack was lost.
    LockLost,
    /// The handler `on_start` failed.
    OnStart,
    /// It needs, or used, more than there is.
    ResourceLimit,
    /// Its worker was lost too often.
    WorkerLost,
    /// A compensation failed.
    CompensationFailed,
    /// An agent could not be reached.
    AgentUnreachable,
    /// Another run of its concurrency group was in the way.
    Conflict,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 20] = [
        Reason::TaskFailed,
        Reason::Timeout,
        Reason::Oom,
        Reason::Lost,
        Reason::Denied,
        Reason::User,
        Reason::Superseded,
        Reason::Shutdown,
        Reason::QueueTimeout,
        Reason::Definition,
        Reason::Unresolved,
        Reason::Validation,
        Reason::LockHeld,
        Reason::LockLost,
        Reason::OnStart,
        Reason::ResourceLimit,
        Reason::WorkerLost,
        Reason::CompensationFailed,
        Reason::AgentUnreachable,
        Reason::Conflict,
    ];

    /// The word of the run record.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::TaskFailed => "task_failed",
            Reason::Timeout => "timeout",
            Reason::Oom => "oom",
            Reason::Lost => "lost",
            Reason::Denied => "denied",
            Reason::User => "user",
            Reason::Superseded => "superseded",
            Reason::Shutdown => "shutdown",
            Reason::QueueTimeout => "queue_timeout",
            Reason::Definition => "definition",
            Reason::Unresolved => "unresolved",
            Reason::Validation => "validation",
            Reason::LockHeld => "lock_held",
            Reason::LockLost => "lock_lost",
            Reason::OnStart => "on_start",
            Reason::ResourceLimit => "resource_limit",
            Reason::WorkerLost => "worker_lost",
            Reason::CompensationFailed => "compensation_failed",
            Reason::AgentUnreachable => "agent_unreachable",
            Reason::Conflict => "conflict",
        }
    }

    /// The meaning of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Reason::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

/// Resources used; `None` where the executor cannot tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Usage {
    /// User and system time.
    pub cpu: Duration,
    /// Highest memory, bytes.
    pub memory_peak_bytes: Option<u64>,
    /// Bytes read from storage.
    pub io_read_bytes: Option<u64>,
    /// Bytes written to storage.
    pub io_write_bytes: Option<u64>,
    /// Bytes of IP packets received, headers included.
    pub ip_ingress_bytes: Option<u64>,
    /// Bytes of IP packets sent, headers included.
    pub ip_egress_bytes: Option<u64>,
}

/// A process that cannot be mistaken for another one with the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessId {
    /// Number, or 0 where a unit stands for it.
    pub pid: u32,
    /// Start time in clock ticks since boot (field 22 of `/proc/PID/stat`, proc(5)).
    pub start_ticks: u64,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
}

/// How one attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptEnd {
    /// What happened.
    pub outcome: Outcome,
    /// When.
    pub ended_at: Moment,
    /// What it used.
    pub usage: Usage,
    /// Bytes written to standard output and error.
    pub output_bytes: u64,
    /// Of those, bytes that were dropped in the middle.
    pub dropped_bytes: u64,
    /// The last 4 KiB of standard error, lossily decoded.
    pub stderr_tail: String,
}

/// What happened to one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The main process exited.
    Exited(i32),
    /// The main process died of this signal.
    Signaled(i32),
    /// It ran too long and was killed; the code or signal of its end.
    TimedOut,
    /// It was killed because we were told to.
    Killed,
    /// The kernel killed it for memory.
    Oom,
    /// It could not be started: nothing of it ran.
    NotStarted(StartFailure),
    /// It ran, but nobody knows how it ended.
    Lost(String),
}

/// Why a process could not be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartFailure {
    /// Class.
    pub kind: StartFailureKind,
    /// One sentence with path and errno.
    pub message: String,
}

/// Class of a start failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFailureKind {
    /// The user or group does not exist, or may not be used.
    User,
    /// The working directory cannot be entered.
    Directory,
    /// The program does not exist or cannot be executed.
    Program,
    /// A limit cannot be set.
    Limit,
    /// The output file cannot be written.
    Output,
    /// Too many processes or too little memory: worth another try.
    Resources,
    /// Anything else.
    Other,
}

/// One try of a run as it is recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Which.
    pub key: AttemptKey,
    /// When its process was released.
    pub started_at: Moment,
    /// Its process.
    pub process: Option<ProcessId>,
    /// How it ended, when it has.
    pub end: Option<AttemptEnd>,
}
