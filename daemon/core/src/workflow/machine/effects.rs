//! The words that the machine and its driver exchange: what happened, and what must follow.

use std::borrow::Cow;

use super::super::graph::{HookWhen, StageId, TaskId};

/// Everything that wakes the machine.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Begin, or go on after [`super::Machine::resume`].
    Started,
    /// Answer to [`Effect::RunHandlers`].
    HandlersEnded(Handled),
    /// Answer to [`Effect::JudgeStage`].
    StageJudged(StageId, Judgement),
    /// Answer to [`Effect::Judge`].
    Judged(TaskId, Judgement),
    /// The concurrency key is held, or cannot be had.
    KeyAnswered(TaskId, Result<(), String>),
    /// The record of [`Effect::Announce`] is durable.
    Announced(TaskId),
    /// The attempt ended; hooks before and after the command, health check and artifacts included.
    AttemptEnded(TaskId, Outcome),
    /// Answer to [`Effect::AskRetry`].
    RetryAnswered(TaskId, bool),
    /// Everything that [`Effect::Finish`] runs has run.
    Released(TaskId),
    /// The record of [`Effect::Finish`] is durable.
    Recorded(TaskId),
    /// Answer to [`Effect::Compensate`].
    Compensated(Undone),
    /// [`super::Machine::next_deadline`] is reached.
    Woken,
    /// End the run.
    Cancelled {
        /// For the record.
        reason: CancelReason,
        /// Without grace and handlers.
        force: bool,
        /// Run compensations.
        compensate: bool,
    },
    /// End one task.
    TaskCancelled(TaskId),
    /// Start nothing new.
    Paused,
    /// Go on.
    Unpaused,
}

/// What must follow, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Run the handlers of a stage or the workflow, then answer.
    RunHandlers(Scope, HookWhen),
    /// Evaluate the condition of a stage.
    JudgeStage(StageId),
    /// Evaluate `abort_if`, then the condition of a task.
    Judge(TaskId),
    /// Acquire the concurrency key of a task.
    AcquireKey(TaskId),
    /// Give it back, or stop waiting for it.
    ReleaseKey(TaskId),
    /// Journal that this attempt may begin.
    Announce(TaskId, u32),
    /// Begin it.
    Begin(TaskId, u32),
    /// End its processes and its function; [`Input::AttemptEnded`] follows.
    Kill(TaskId, KillReason, bool),
    /// Ask `retry_on` and the `on_retry` handlers.
    AskRetry {
        /// Task.
        task: TaskId,
        /// That failed.
        attempt: u32,
        /// Until the next, milliseconds.
        delay_ms: u64,
    },
    /// Journal that the attempt failed and another one follows.
    Retry {
        /// Task.
        task: TaskId,
        /// That failed.
        attempt: u32,
        /// Until the next, milliseconds.
        delay_ms: u64,
    },
    /// Run the handlers of this end ([`Input::Released`] when they are through, if there are any for it), and journal it
    /// ([`Input::Recorded`]).
    Finish(TaskId, End),
    /// A stage ended; for records and expressions.
    StageEnded(StageId, StageStatus),
    /// Unfinished tasks of a stage, or of the workflow, are tried again: journal the round.
    NewRound(Scope, u32),
    /// Commit the sagas of this scope.
    Commit(Scope),
    /// Run the compensations of this scope.
    Compensate(Undo),
    /// Journal a change of the run's state.
    Status(&'static str),
    /// Everything is over.
    Done(Verdict),
}

/// Of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// One stage.
    Stage(StageId),
    /// The workflow.
    Workflow,
}

/// What is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Undo {
    /// The sagas of a stage or of the workflow.
    Sagas(Scope),
    /// Compensations of everything that completed.
    Everything,
    /// The same, and variables and records are restored.
    Rollback,
}

/// What a compensation gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// Compensations that ran, now or before.
    pub ran: u32,
    /// Those that failed.
    pub failed: u32,
}

/// What handlers said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handled {
    /// `on_start` refused, with its message.
    pub refused: Option<String>,
    /// The failure was dealt with.
    pub handled: bool,
    /// `ctx.recover()`: the run does not count as failed.
    pub recovered: bool,
}

/// Result of conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Go.
    Holds,
    /// The condition is false.
    Fails,
    /// `abort_if` is true.
    Aborts,
    /// It cannot be evaluated.
    Error(String),
}

/// How an attempt ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it succeeded.
    pub success: bool,
    /// Kind of its failure.
    pub kind: Option<Cow<'static, str>>,
    /// The branch that a deciding step took.
    pub branch: Option<u32>,
}

impl Outcome {
    /// Success.
    pub fn success() -> Outcome {
        Outcome { success: true, ..Outcome::default() }
    }

    /// Failure.
    pub fn failure(kind: impl Into<Cow<'static, str>>) -> Outcome {
        Outcome { success: false, kind: Some(kind.into()), branch: None }
    }
}

/// Terminal state of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// How.
    pub status: Status,
    /// Kind of a failure.
    pub kind: Option<Cow<'static, str>>,
    /// Why it was skipped, or cancelled before it began; or what failed outside of an attempt.
    pub why: Option<Why>,
    /// A failure that counts as satisfied.
    pub ignored: bool,
    /// Attempts that began.
    pub attempts: u32,
}

impl End {
    /// Whether dependents may go on.
    pub fn satisfies(&self) -> bool {
        match self.status {
            Status::Completed => true,
            Status::Failed => self.ignored,
            Status::Skipped => matches!(self.why, Some(Why::Condition | Why::NotSelected | Why::OnResume)),
            Status::Cancelled => false,
        }
    }
}

/// Terminal states of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Status {
    Completed,
    Failed,
    Skipped,
    Cancelled,
}

impl Status {
    /// As it is recorded.
    pub fn word(self) -> &'static str {
        match self {
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Skipped => "skipped",
            Status::Cancelled => "cancelled",
        }
    }
}

/// Why a task did not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its condition, that of its stage, or the choice of its branch is false.
    Condition,
    /// A dependency failed.
    DependencyFailed(String),
    /// A dependency was skipped.
    DependencySkipped(String),
    /// A dependency was cancelled.
    DependencyCancelled(String),
    /// The run stops because of this task.
    FailFast(String),
    /// Excluded by the selection.
    NotSelected,
    /// It was running when its worker was lost, and is declared to be skipped then.
    OnResume,
    /// Something else, in words.
    Message(String),
}

impl Why {
    /// `skip_reason`, as it is recorded.
    pub fn word(&self) -> &'static str {
        match self {
            Why::Condition | Why::OnResume => "condition",
            Why::DependencyFailed(_) => "dependency_failed",
            Why::DependencySkipped(_) => "dependency_skipped",
            Why::DependencyCancelled(_) => "dependency_cancelled",
            Why::FailFast(_) => "fail_fast",
            Why::NotSelected => "not_selected",
            Why::Message(_) => "stopped",
        }
    }

    /// The task or stage because of which it did not run.
    pub fn dependency(&self) -> Option<&str> {
        match self {
            Why::DependencyFailed(name)
            | Why::DependencySkipped(name)
            | Why::DependencyCancelled(name)
            | Why::FailFast(name) => Some(name),
            Why::Condition | Why::NotSelected | Why::OnResume | Why::Message(_) => None,
        }
    }

    /// For people. The text of a condition is the driver's to add.
    pub fn text(&self) -> String {
        match self {
            Why::Condition => "condition is false".to_owned(),
            Why::DependencyFailed(name) => format!("dependency \"{name}\" failed"),
            Why::DependencySkipped(name) => format!("dependency \"{name}\" was skipped"),
            Why::DependencyCancelled(name) => format!("dependency \"{name}\" was cancelled"),
            Why::FailFast(name) => format!("not started: task \"{name}\" failed"),
            Why::NotSelected => "excluded by --task/--from/--tags".to_owned(),
            Why::OnResume => "was running when its worker was lost (on_resume = \"skip\")".to_owned(),
            Why::Message(text) => text.clone(),
        }
    }
}

/// Why an attempt is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillReason {
    /// Its own time is over.
    Timeout,
    /// A sibling failed.
    FailFast,
    /// The time of its stage is over.
    StageTimeout,
    /// The time of the workflow is over.
    RunTimeout,
    /// Somebody asked for the end of this task.
    Task,
    /// Somebody asked for the end of the run.
    Run,
}

/// Who ends a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum CancelReason {
    User,
    Conflict,
    Shutdown,
    Superseded,
}

/// Terminal states of stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum StageStatus {
    Completed,
    Failed,
    Skipped,
    Cancelled,
}

impl StageStatus {
    /// As expressions see it.
    pub fn word(self) -> &'static str {
        match self {
            StageStatus::Completed => "completed",
            StageStatus::Failed => "failed",
            StageStatus::Skipped => "skipped",
            StageStatus::Cancelled => "cancelled",
        }
    }
}

/// How everything ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// `completed`, `failed`, `cancelled`.
    pub status: &'static str,
    /// Why not `completed`.
    pub reason: Option<&'static str>,
    /// For people.
    pub message: Option<String>,
    /// `none`, `compensated`, `compensation_failed`.
    pub compensation: &'static str,
    /// A handler said that it has dealt with the failure.
    pub handled: bool,
}
