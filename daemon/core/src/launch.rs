//! The language between the engine and an executor: orders to the world, and the facts that come back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::run::{AttemptEnd, ProcessId, Run, RunTrigger, StartFailure};
use crate::{Action, AttemptKey, Limits, Moment, RunId, Sandbox, Schedule};

/// An order to an executor. Orders for one attempt are carried out in the order they are given; repeating one is harmless.
#[derive(Clone, Debug)]
pub enum Order {
    /// Make the process, held: it must not run a single instruction of the user's program before `Release`.
    Prepare(Box<Launch>),
    /// Let it run.
    Release(AttemptKey),
    /// End a held process that will never be released.
    Discard(AttemptKey),
    /// TERM to the whole tree, KILL after the grace.
    Kill {
        /// Which.
        key: AttemptKey,
        /// Zero: KILL at once.
        grace: Duration,
    },
    /// The end is on disk here; the executor may forget it.
    Forget(AttemptKey),
    /// Find out what became of an attempt that the executor does not list as known.
    Inspect(Box<Traces>),
}

/// All that an executor needs to start one attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// Which attempt.
    pub key: AttemptKey,
    /// Program and arguments; never empty. The program is searched in `PATH` of `env` when it holds no slash.
    pub argv: Vec<String>,
    /// Login name to run as.
    pub user: String,
    /// Primary group; `None`: that of the user.
    pub group: Option<String>,
    /// Working directory; `None`: home of the user, or `/` when that does not exist.
    pub cwd: Option<PathBuf>,
    /// Variables. The executor adds `HOME USER LOGNAME SHELL PATH LANG` where they are missing, and nothing else.
    pub env: BTreeMap<String, String>,
    /// File mode creation mask.
    pub umask: u32,
    /// Bytes for the standard input; `None`: `/dev/null`.
    pub stdin: Option<String>,
    /// Limits.
    pub limits: Limits,
    /// Longest time from release to end; the executor enforces it, even while nobody is connected.
    pub timeout: Option<Duration>,
    /// Between TERM and KILL.
    pub kill_grace: Duration,
    /// The framed output file, relative to the data directory. Attempts of one run share it.
    pub output: PathBuf,
    /// Bytes of output kept, half head and half tail.
    pub output_limit: u64,
    /// Sandbox profile.
    pub sandbox: Sandbox,
    /// Whether each line of output also goes to the journal.
    pub journal: bool,
}

/// Name of the program that executes a workflow.
pub const WORKER: &str = "sloth-worker";

/// So long a worker may go on after the timeout of its run, for handlers and compensation.
const WORKER_LATE: Duration = Duration::from_secs(15 * 60);

/// An attempt to be prepared, as the core hands it out: what it consists of is shared, and spelled out by [`Start::launch`] where it is
/// needed, away from the thread that decides.
#[derive(Clone, Debug)]
pub struct Start {
    /// The run.
    pub run: Arc<Run>,
    /// Which attempt of it, from 1.
    pub attempt: u32,
    /// The version of the schedule that it executes.
    pub schedule: Arc<Schedule>,
    /// End of the schedule's last successful run.
    pub previous_success: Option<Moment>,
}

impl Start {
    /// Which attempt.
    pub fn key(&self) -> AttemptKey {
        AttemptKey { run: self.run.id, attempt: self.attempt }
    }

    /// Whether a worker does it.
    pub fn is_workflow(&self) -> bool {
        self.run.workflow.is_some()
    }

    /// What the executor needs. For a workflow the path of the worker and its errand are still to be filled in.
    pub fn launch(&self) -> Launch {
        let schedule = &*self.schedule;
        Launch {
            key: self.key(),
            argv: match &schedule.action {
                Action::Command(argv) => argv.clone(),
                Action::Shell(text) => vec!["/bin/sh".to_owned(), "-c".to_owned(), text.clone()],
                // Its path and what it reads are known where the daemon is put together.
                Action::Workflow(_) => vec![WORKER.to_owned(), "run".to_owned()],
            },
            user: schedule.user.clone(),
            group: schedule.group.clone(),
            cwd: schedule.cwd.clone(),
            env: self.environment(),
            umask: schedule.umask,
            stdin: schedule.stdin.clone(),
            limits: schedule.limits.clone(),
            timeout: match &schedule.action {
                // The worker ends its tasks and compensates; this is for one that does not.
                Action::Workflow(_) => schedule.timeout.map(|timeout| timeout + WORKER_LATE),
                Action::Command(_) | Action::Shell(_) => schedule.timeout,
            },
            kill_grace: schedule.kill_grace,
            output: output_path(self.run.id, self.run.queued_at),
            output_limit: schedule.output_limit,
            sandbox: schedule.sandbox,
            journal: schedule.journal,
        }
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let workflow = self.run.workflow.as_ref().map(|workflow| &workflow.action);
        let run = &*self.run;
        let catch_up = if run.trigger == RunTrigger::CatchUp { "1" } else { "0" };
        let mut env = self.schedule.env.clone();
        for (name, value) in [
            ("SLOTH_SCHEDULE", run.schedule_name.clone()),
            ("SLOTH_RUN_ID", run.id.to_string()),
            ("SLOTH_ATTEMPT", self.attempt.to_string()),
            ("SLOTH_DUE_AT", run.due_at.rfc3339()),
            ("SLOTH_CATCH_UP", catch_up.to_owned()),
            ("SLOTH_PREVIOUS_SUCCESS", self.previous_success.map(Moment::rfc3339).unwrap_or_default()),
        ] {
            env.insert(name.to_owned(), value);
        }
        if let Some(action) = workflow {
            env.insert("SLOTH_STACK".to_owned(), action.stack.clone());
        }
        env
    }
}

/// Where the output of a run is, relative to the data directory. Derived from the record alone, so that it can always be found.
pub fn output_path(id: RunId, queued_at: Moment) -> PathBuf {
    let (year, month, _) = queued_at.date();
    format!("runs/{year:04}-{month:02}/{id}/output").into()
}

/// What is known here of an attempt whose executor is gone.
#[derive(Clone, Debug)]
pub struct Traces {
    /// Which.
    pub key: AttemptKey,
    /// Its output file, relative to the data directory.
    pub output: PathBuf,
    /// Its process, when that had been recorded.
    pub process: Option<ProcessId>,
}

/// A fact reported by an executor.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// The executor is reachable; these are all attempts it knows of.
    Connected(Vec<Known>),
    /// It is not; orders given now wait until it is again.
    Disconnected(String),
    /// The process exists and is held.
    Prepared {
        /// Which.
        key: AttemptKey,
        /// The process.
        process: ProcessId,
    },
    /// The process could not be made; nothing ran.
    Refused {
        /// Which.
        key: AttemptKey,
        /// Why.
        failure: StartFailure,
    },
    /// The user's program began.
    Started {
        /// Which.
        key: AttemptKey,
        /// When.
        at: Moment,
    },
    /// It ended. Repeated at each connect until `Forget`.
    Ended {
        /// Which.
        key: AttemptKey,
        /// How.
        end: AttemptEnd,
    },
    /// Answer to `Inspect`.
    Inspected {
        /// Which.
        key: AttemptKey,
        /// What was found.
        finding: Finding,
    },
}

/// One attempt that an executor knows of.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Which.
    pub key: AttemptKey,
    /// Its state.
    pub state: KnownState,
}

/// State of a known attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum KnownState {
    /// Made, not released.
    Held(ProcessId),
    /// Released.
    Running {
        /// The process.
        process: ProcessId,
        /// When it was released.
        since: Moment,
    },
    /// Ended and not yet forgotten.
    Ended(AttemptEnd),
}

/// What became of an attempt whose executor is gone.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// There is proof that the user's program never began.
    NeverStarted,
    /// The output file holds its end.
    Ended(AttemptEnd),
    /// It began and nothing tells how it ended. The text says what is known. Any process left of it has been killed.
    Lost(String),
}
