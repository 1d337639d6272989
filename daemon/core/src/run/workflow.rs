//! What a run of a workflow is beside any other run: what it executes, what its worker has told of it, and what it was told to do.

use std::sync::Arc;

use super::{Reason, RunStatus};

/// What a workflow run executes. Texts that hold JSON are objects, written once and handed to the worker as they are.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct WorkflowAction {
    /// Name for people: the workflow asked for, else that of the main file.
    pub name: String,
    /// Stack; empty: none.
    pub stack: String,
    /// One of several workflows in the file.
    pub workflow: Option<String>,
    /// SHA-256 of the source bundle, hexadecimal.
    pub bundle: String,
    /// Path of the main file.
    pub main: String,
    /// The saved workflow that it came from.
    pub saved: Option<String>,
    /// Values, JSON.
    pub values: String,
    /// Parameters, JSON.
    pub params: String,
    /// Selection and overrides, JSON.
    pub options: String,
    /// `normal`, `check`.
    pub mode: String,
    /// Directory in which it was asked for; empty: none.
    pub invocation_dir: String,
    /// Place in the queue, −100 to 100; the highest goes first.
    pub priority: i8,
    /// For people and filters, JSON.
    pub labels: String,
}

/// The part of a run that only workflows have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowRun {
    /// What it executes.
    pub action: Arc<WorkflowAction>,
    /// Nothing new is to start. Survives every restart.
    pub paused: bool,
    /// Somebody wants it to end; the text is for the worker.
    pub cancel: Option<CancelWish>,
    /// What became of the compensation.
    pub compensation: Compensation,
    /// A handler said that it has dealt with the failure.
    pub handled: bool,
    /// How often its worker was lost.
    pub lost: u32,
    /// How the worker said that the run ended; the end of its process only closes the attempt then.
    pub end: Option<WorkflowEnd>,
    /// Re-run this task and all after it.
    pub resume_from: Option<String>,
    /// Only compensate what is left to compensate.
    pub compensate_only: bool,
}

impl WorkflowRun {
    /// As it is at first.
    pub fn new(action: Arc<WorkflowAction>) -> Self {
        WorkflowRun {
            action,
            paused: false,
            cancel: None,
            compensation: Compensation::None,
            handled: false,
            lost: 0,
            end: None,
            resume_from: None,
            compensate_only: false,
        }
    }
}

/// How a run is to be cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelWish {
    /// For the record.
    pub reason: String,
    /// Whether compensation runs.
    pub compensate: bool,
}

/// What became of the compensation of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Compensation {
    /// There was nothing to compensate.
    #[default]
    None,
    /// All of it succeeded.
    Compensated,
    /// Some of it failed.
    Failed,
}

impl Compensation {
    /// The word of the run record.
    pub fn as_str(self) -> &'static str {
        match self {
            Compensation::None => "none",
            Compensation::Compensated => "compensated",
            Compensation::Failed => "compensation_failed",
        }
    }

    /// The meaning of a word.
    pub fn parse(word: &str) -> Option<Self> {
        [Compensation::None, Compensation::Compensated, Compensation::Failed].into_iter().find(|c| c.as_str() == word)
    }
}

/// How the worker said that the run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowEnd {
    /// `Completed`, `Failed` or `Cancelled`.
    pub status: RunStatus,
    /// Why.
    pub reason: Option<Reason>,
    /// For people.
    pub message: Option<String>,
}

/// What a worker says about its run as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerNews {
    /// `Running`, `Compensating`.
    Status(RunStatus),
    /// It ended.
    Finished {
        /// How.
        end: WorkflowEnd,
        /// Compensation.
        compensation: Compensation,
        /// Dealt with.
        handled: bool,
    },
}

/// What a worker is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerOrder {
    /// Start nothing new.
    Pause,
    /// Go on.
    Unpause,
    /// End the run.
    Cancel(CancelWish),
}
