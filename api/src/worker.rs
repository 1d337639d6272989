//! The protocol between slothd and the workers of workflow runs.
//!
//! A worker connects to slothd's worker socket (a Unix stream) and speaks first. A message is its length (four bytes,
//! little endian) and that many bytes of JSON, at most [`MESSAGE_MAX`]. When the connection breaks, the worker connects
//! again, says [`ToSlothd::Hello`] with what it has sent, and sends again what was not acknowledged; records carry
//! sequence numbers, so none counts twice.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Version of the protocol. A worker of another version is refused and its run goes on in a new worker.
pub const PROTOCOL: u32 = 1;

/// Longest message, bytes.
pub const MESSAGE_MAX: usize = 64 << 20;

/// What slothd gives to a new worker on its standard input: one JSON object, then the end of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errand {
    /// Path of the worker socket.
    pub socket: String,
    /// Run.
    pub run: String,
    /// Which worker of this run, from 1.
    pub worker: u32,
    /// Proves to slothd that this process is the run's worker.
    pub token: String,
}

/// From the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToSlothd {
    /// First message of each connection.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// As in the errand.
        run: String,
        /// As in the errand.
        worker: u32,
        /// As in the errand.
        token: String,
        /// Whether it wants its assignment: false when it connects again.
        fresh: bool,
    },
    /// Journal records, in order.
    Records {
        /// At least one.
        records: Vec<Numbered>,
    },
    /// A request; each gets one [`ToWorker::Answer`].
    Ask {
        /// Chosen by the worker.
        id: u64,
        /// What: `circuit.enter`, `rate.take`, ….
        what: String,
        /// Its arguments.
        body: Value,
    },
}

/// A journal record with its number. Numbers of a run grow by one from 1, over all its workers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Numbered {
    /// Number.
    pub seq: u64,
    /// When, milliseconds since 1970.
    pub at: i64,
    /// What.
    pub record: Record,
}

/// To the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToWorker {
    /// Answer to a fresh hello.
    Begin {
        /// What to do.
        assignment: Box<Assignment>,
    },
    /// Answer to the hello of a worker that is at work: records up to here are durable.
    Welcome {
        /// Highest durable number.
        upto: u64,
    },
    /// The hello was refused: the worker ends its commands and exits.
    Refused {
        /// Name from the error table.
        code: String,
        /// One sentence.
        message: String,
    },
    /// Records up to here are durable.
    Ack {
        /// Highest durable number.
        upto: u64,
    },
    /// Answer to a request.
    Answer {
        /// That of the request.
        id: u64,
        /// Result, when granted.
        #[serde(default)]
        ok: Option<Value>,
        /// Refusal, when not.
        #[serde(default)]
        refused: Option<Refusal>,
    },
    /// Start nothing new until `Unpause`.
    Pause,
    /// Go on.
    Unpause,
    /// End the run, or one task of it.
    Cancel {
        /// For the record.
        reason: String,
        /// Only this task.
        task: Option<String>,
        /// Skip grace and handlers.
        force: bool,
        /// Run saga compensation.
        compensate: bool,
    },
}

/// A named refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Name from the error table.
    pub code: String,
    /// One sentence.
    pub message: String,
}

/// Everything that a worker needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// Stack; empty: none.
    pub stack: String,
    /// Login name that the run executes as.
    pub user: String,
    /// Who asked, in words.
    pub asked_by: String,
    /// When the run was accepted, RFC 3339.
    pub started_at: String,
    /// `normal`, `check`, `plan` or `validate`.
    pub mode: String,
    /// Directory in which the run was asked for.
    pub invocation_dir: String,
    /// Directory for temporary files; the worker makes and removes its own below.
    pub temp_dir: String,
    /// Directory of the run for work directories and artifacts, writable for the worker.
    pub run_dir: String,
    /// The program.
    pub bundle: Bundle,
    /// Merged values of schedule, files and command line.
    pub values: Map<String, Value>,
    /// `--param`.
    pub params: Map<String, Value>,
    /// Selection and overrides of the command line.
    pub options: RunOptions,
    /// Defaults and limits of this daemon.
    pub limits: EngineLimits,
    /// Everything that earlier workers of the run have recorded; empty for the first.
    pub journal: Vec<Numbered>,
    /// Number of the first record of this worker.
    pub next_seq: u64,
    /// The run is paused.
    pub paused: bool,
    /// Re-run this task and all after it.
    pub resume_from: Option<String>,
    /// Run no task: only compensate what is left to compensate, then say again how the run ended.
    #[serde(default)]
    pub compensate_only: bool,
}

/// A program: main file and what it imports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Bundle {
    /// Path of the main file, as the person who asked sees it.
    pub main: String,
    /// Path → text, relative to the directory of the main file or absolute. Bytes that are not UTF-8 are in base64
    /// after `base64:`.
    pub files: std::collections::BTreeMap<String, String>,
}

/// Selection and overrides.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunOptions {
    /// One of several workflows in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// Only these tasks, with their dependencies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<String>,
    /// Without their dependencies.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_deps: bool,
    /// This task and everything after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Not these tasks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<String>,
    /// Only tasks with one of these tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// No task with one of these tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skip_tags: Vec<String>,
    /// Only this stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Slots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// Retries of tasks without their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Milliseconds for the whole run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Go on with what does not depend on a failure.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub continue_on_error: bool,
    /// Cancel running tasks at the first failure.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fail_fast: bool,
    /// No saga compensation after a failure.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_compensate: bool,
    /// Warnings of the definition are errors.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
    /// Debug log lines, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub debug: bool,
}

impl RunOptions {
    /// Whether nothing is selected or overridden.
    pub fn is_default(&self) -> bool {
        *self == RunOptions::default()
    }
}

/// Defaults and limits of the daemon (`[engine]`, `[lua]`), sizes in bytes, times in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EngineLimits {
    /// Of a task without its own; 0: none.
    pub task_timeout_ms: u64,
    /// Retries of a task without its own.
    pub retry_default: u32,
    /// Between TERM and KILL.
    pub kill_grace_ms: u64,
    /// Running tasks of this run.
    pub max_tasks: u32,
    /// Memory of the VM.
    pub vm_memory: u64,
    /// Of the definition phase.
    pub definition_timeout_ms: u64,
    /// Goroutines.
    pub max_coroutines: u32,
    /// How long a task's goroutines are waited for.
    pub join_timeout_ms: u64,
    /// Log of a run.
    pub log_max: u64,
    /// How long to try to reach slothd again.
    pub reconnect_timeout_ms: u64,
    /// What tasks may request: name → amount (`cpu` in thousandths, `memory`, `disk` in bytes).
    pub capacity: std::collections::BTreeMap<String, u64>,
    /// Directories beside the file's own from which it may import.
    pub import_paths: Vec<String>,
}

/// What a worker records. A record is durable before the worker goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// A host call of the definition phase and its result, for the next evaluation.
    DefinitionCall {
        /// `exec.run`.
        function: String,
        /// Its arguments, hashed.
        arguments: String,
        /// Its results.
        results: Value,
    },
    /// The definition succeeded: what will be executed.
    Graph {
        /// Names of the workflows that run, in order.
        workflows: Vec<String>,
        /// For people and `workflow show`: the whole graph.
        graph: Value,
        /// Warnings.
        diagnostics: Vec<Value>,
    },
    /// The run changed its state: `running`, `compensating`, `paused`.
    Status {
        /// New state.
        status: String,
    },
    /// A task may begin its attempt.
    TaskStarted {
        /// Workflow.
        workflow: String,
        /// Task.
        task: String,
        /// From 1.
        attempt: u32,
    },
    /// An attempt failed and another one follows.
    AttemptFinished {
        /// Workflow.
        workflow: String,
        /// Task.
        task: String,
        /// Which.
        attempt: u32,
        /// Kind of failure.
        failure: String,
        /// Its message.
        message: String,
        /// Milliseconds until the next one.
        delay_ms: u64,
    },
    /// A task reached its terminal state.
    TaskFinished {
        /// What is recorded of it.
        end: Box<TaskEnd>,
    },
    /// `task.checkpoint`.
    Checkpoint {
        /// `cp_<name>_<unix>_<n>`.
        id: String,
        /// Name.
        name: String,
        /// Workflow.
        workflow: String,
        /// Task.
        task: String,
        /// JSON of at most 1 MiB.
        state: Value,
    },
    /// Progress in percent, with a text.
    Progress {
        /// Workflow.
        workflow: String,
        /// Task.
        task: String,
        /// 0 to 100.
        percent: f64,
        /// What is being done.
        text: String,
    },
    /// A step of a saga: `begin`, `participant_started`, `participant_done`, `participant_failed`, `marked` (a logical
    /// participant has done its work), `compensating`, `compensation_started`, `compensation_done`,
    /// `compensation_failed`, `committed`, `compensated`, `failed`.
    Saga {
        /// Coordinator.
        saga: String,
        /// Workflow.
        workflow: String,
        /// Step.
        step: String,
        /// Participant, where one is meant.
        participant: Option<String>,
        /// What went wrong.
        message: Option<String>,
        /// What the participant gave, for its compensation.
        data: Value,
    },
    /// A stored artifact.
    Artifact {
        /// Workflow.
        workflow: String,
        /// Task.
        task: String,
        /// Name.
        name: String,
        /// Path relative to the work directory.
        path: String,
        /// SHA-256 of the content, in hexadecimal.
        sha256: String,
        /// Bytes before compression.
        size: u64,
        /// Permission bits.
        mode: u32,
    },
    /// An event of the script.
    Event {
        /// Its type.
        name: String,
        /// Its data.
        data: Value,
    },
    /// Something else that a resumed worker must know: `once`, `rolled_back`, ….
    Note {
        /// What.
        what: String,
        /// Data.
        data: Value,
    },
    /// The run ended; the worker exits when this is durable.
    RunFinished {
        /// How.
        end: Box<RunEnd>,
    },
}

/// Terminal state of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TaskEnd {
    /// Workflow.
    pub workflow: String,
    /// Task.
    pub name: String,
    /// Stage.
    pub stage: Option<String>,
    /// `completed`, `failed`, `skipped`, `cancelled`.
    pub status: String,
    /// Kind of a failure: `exit`, `timeout`, ….
    pub kind: Option<String>,
    /// For people: the message of the task, or of its failure.
    pub message: String,
    /// Failure with traceback.
    pub error: Option<String>,
    /// `condition`, `dependency_failed`, `fail_fast`, `not_selected`, ….
    pub skip_reason: Option<String>,
    /// Whether something was changed.
    pub changed: bool,
    /// From the result cache.
    pub cached: bool,
    /// A failure that counts as satisfied.
    pub ignored: bool,
    /// Attempts that began.
    pub attempts: u32,
    /// Milliseconds since 1970.
    pub started_at: Option<i64>,
    /// Milliseconds since 1970.
    pub finished_at: i64,
    /// Exit code of a command.
    pub exit_code: Option<i32>,
    /// Output table.
    pub output: Value,
}

/// Terminal state of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunEnd {
    /// `completed`, `failed`, `cancelled`.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// For people.
    pub message: Option<String>,
    /// `none`, `compensated`, `compensation_failed`.
    pub compensation: String,
    /// A handler said that it has dealt with the failure.
    pub handled: bool,
    /// Collected outputs.
    pub outputs: Map<String, Value>,
    /// Findings of the definition, when that failed.
    pub diagnostics: Vec<Value>,
}
