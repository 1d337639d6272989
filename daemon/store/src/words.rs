//! The words of the tables for the enums of the core, both ways in one place, so that a column has one vocabulary.

use sloth_core::record::{Severity, Skip};
use sloth_core::run::{Outcome, Reason, Run, RunStatus, RunTrigger, StartFailureKind};
use sloth_core::trigger::TriggerKind;
use sloth_core::{AfterCondition, Backoff, CatchUp, JitterMode, Overlap, Sandbox};

/// Makes a pair of functions: enum to word, and word to enum.
macro_rules! words {
    ($write:ident, $read:ident, $ty:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        pub(crate) fn $write(value: $ty) -> &'static str {
            match value { $($ty::$variant => $word),+ }
        }
        pub(crate) fn $read(word: &str) -> Option<$ty> {
            match word { $($word => Some($ty::$variant),)+ _ => None }
        }
    };
}

pub(crate) fn status(value: RunStatus) -> &'static str {
    value.as_str()
}

pub(crate) fn read_status(word: &str) -> Option<RunStatus> {
    RunStatus::parse(word)
}

pub(crate) fn reason(value: Reason) -> &'static str {
    value.as_str()
}

pub(crate) fn read_reason(word: &str) -> Option<Reason> {
    Reason::parse(word)
}

words!(trigger, read_trigger, RunTrigger {
    Due = "due", CatchUp = "catch_up", Manual = "manual", After = "after", Api = "api", Boot = "boot",
});
words!(start_failure, read_start_failure, StartFailureKind {
    User = "user", Directory = "directory", Program = "program", Limit = "limit", Output = "output",
    Resources = "resources", Other = "other",
});
words!(severity, read_severity, Severity {
    Info = "info", Warning = "warning", Error = "error", Critical = "critical",
});
words!(overlap, read_overlap, Overlap {
    Skip = "skip", Queue = "queue", QueueAll = "queue_all", Replace = "replace", Allow = "allow",
});
words!(catch_up, read_catch_up, CatchUp { None = "none", Latest = "latest", All = "all" });
words!(jitter_mode, read_jitter_mode, JitterMode { Instant = "instant", Host = "host" });
words!(backoff, read_backoff, Backoff { Fixed = "fixed", Linear = "linear", Exponential = "exponential" });
words!(after, read_after, AfterCondition { Success = "success", Failure = "failure", Any = "any" });
words!(sandbox, read_sandbox, Sandbox { None = "none", Default = "default", Strict = "strict" });

/// Kinds of triggers are only shown, never read back: the text is parsed again.
pub(crate) fn trigger_kind(kind: TriggerKind) -> &'static str {
    match kind {
        TriggerKind::Fixed => "fixed",
        TriggerKind::Interval => "interval",
        TriggerKind::Anchored => "anchored",
        TriggerKind::Single => "single",
    }
}

/// `trigger` of a run record: a caught-up instant is still one of the schedule, `catch_up` beside it tells.
pub(crate) fn run_trigger(value: RunTrigger) -> &'static str {
    match value {
        RunTrigger::Due | RunTrigger::CatchUp => "schedule",
        other => trigger(other),
    }
}

pub(crate) fn read_run_trigger(word: &str, catch_up: bool) -> Option<RunTrigger> {
    match (word, catch_up) {
        ("schedule", false) => Some(RunTrigger::Due),
        ("schedule", true) => Some(RunTrigger::CatchUp),
        (other, _) => read_trigger(other),
    }
}

/// `detail` of a skipped occurrence; of an overlap the run in the way is in `run_id`.
pub(crate) fn skip(value: &Skip) -> &'static str {
    match value {
        Skip::Paused => "paused",
        Skip::Overlap { .. } => "overlap",
        Skip::Deadline => "deadline",
        Skip::CatchUp => "catch_up",
        Skip::Quiesced => "quiesced",
        Skip::Limit => "limit",
    }
}

/// State of the task `command` of a run.
pub(crate) fn task_status(run: &Run) -> &'static str {
    match run.status {
        RunStatus::Queued | RunStatus::Starting => "pending",
        RunStatus::Running if run.retry_at.is_some() => "waiting",
        RunStatus::Running | RunStatus::Paused | RunStatus::Compensating | RunStatus::Interrupted => "running",
        RunStatus::Completed => "completed",
        RunStatus::Failed => "failed",
        RunStatus::Cancelled => "cancelled",
    }
}

/// `outcome` of an attempt.
pub(crate) fn outcome(value: &Outcome) -> &'static str {
    match value {
        Outcome::Exited(_) => "exited",
        Outcome::Signaled(_) => "signaled",
        Outcome::TimedOut => "timed_out",
        Outcome::Killed => "killed",
        Outcome::Oom => "oom",
        Outcome::NotStarted(_) => "not_started",
        Outcome::Lost(_) => "lost",
    }
}
