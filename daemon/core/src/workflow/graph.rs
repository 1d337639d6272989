//! What a file defines: its workflows, their stages and tasks, and the edges between them, already expanded from
//! descriptors. This is what the machine executes, what `workflow show` prints and what is sent to slothd.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::policy::{Circuit, Config, OnResume, Resources, Retry, RunnerConfig};
use super::rare::Rare;

/// A function of the script. The number is given by the VM in order of appearance, so the same file gives the same
/// numbers in every worker that evaluates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FnRef(pub u32);

/// Index into [`Workflow::tasks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(pub u32);

/// Index into [`Workflow::stages`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct StageId(pub u32);

/// Where something is written: file relative to the main file's directory, line and column from 1 (0: unknown).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Place {
    /// File.
    pub file: String,
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

/// Everything that one evaluation of a file gave.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Defined {
    /// In definition order, the implicit one last. Shared with those who execute them: a workflow may be large.
    pub workflows: Vec<Arc<Workflow>>,
    /// `runner_config`.
    pub runner: RunnerConfig,
    /// `stack("name")`.
    pub stack: Option<String>,
    /// Workflows selected at file level with `workflow.run(x, params)` or `wf:run(params)`, with their parameters.
    pub selected: Vec<(String, Map<String, Value>)>,
    /// Schedules declared with `workflow:schedule(…)`: workflow, trigger text, options.
    pub schedules: Vec<(String, String, Map<String, Value>)>,
    /// Warnings (errors make the evaluation fail instead).
    pub diagnostics: Vec<Diagnostic>,
}

/// One workflow, expanded.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Workflow {
    /// Name.
    pub name: String,
    /// Shown in lists.
    pub description: String,
    /// As the author counts.
    pub version: String,
    /// Who wrote it.
    pub author: String,
    /// For selection.
    pub tags: Vec<String>,
    /// Runs only when selected by name.
    pub manual: bool,
    /// Stored with the workflow.
    pub metadata: Map<String, Value>,
    /// Defaults of values.
    pub values: Map<String, Value>,
    /// Parameters.
    pub params: Map<String, Value>,
    /// Added to the environment of commands; `None` unsets.
    pub env: BTreeMap<String, Option<String>>,
    /// Work directory, may hold `${…}`.
    pub workdir: Option<String>,
    /// Everything of the configuration table.
    pub config: Config,
    /// At least one; a workflow without stages has one of the name `tasks`.
    pub stages: Vec<Stage>,
    /// Every task of every stage, in definition order.
    pub tasks: Vec<Task>,
    /// All edges: `depends_on`, chains, `listed`, `consumes`, expressions. Stage order is not among them.
    pub edges: Vec<Edge>,
    /// Parallel compositions inside a stage that have limits of their own.
    pub groups: Vec<Group>,
    /// Workflow-level saga.
    pub saga: Option<Saga>,
    /// Handlers: `on_start on_success on_failure on_complete`, `error_handling.on_failure`.
    pub handlers: Handlers,
    /// `error_handling.retry`: of the workflow as a whole.
    pub retry: Option<Retry>,
    /// `clean_workdir_after_run` as a function.
    pub clean_workdir: Option<FnRef>,
}

/// A stage: tasks that run after those of all earlier stages.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Stage {
    /// Unique in the workflow.
    pub name: String,
    /// When it runs.
    pub condition: Option<Condition>,
    /// Its tasks, in definition order.
    pub tasks: Vec<TaskId>,
    /// Of the stage as a whole; `None`: none.
    pub timeout_ms: Option<u64>,
    /// Retries of its unfinished tasks as a whole.
    pub retry: Option<Retry>,
    /// Slots; `None`: the workflow's.
    pub max_workers: Option<u32>,
    /// Cancel siblings at the first failure; `None`: the workflow's.
    pub fail_fast: Option<bool>,
    /// Go on with what does not depend on a failure; `None`: the workflow's.
    pub continue_on_error: Option<bool>,
    /// Failures accepted (`workflow.parallel{tolerate=}`).
    pub tolerate: u32,
    /// Saga of this stage.
    pub saga: Option<Saga>,
    /// `on_success on_failure` and hooks.
    pub handlers: Handlers,
}

/// Limits of a parallel composition that is only a part of its stage.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Group {
    /// Slots.
    pub max_workers: Option<u32>,
    /// Cancel running siblings at the first failure.
    pub fail_fast: bool,
    /// Failures accepted.
    pub tolerate: u32,
}

/// A task: what every one has. The rest is in [`Details`], whose fields are read and written as if they were its own.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Task {
    /// Name in records; unique in the workflow.
    pub name: String,
    /// Name as it was declared (differs when two stages use one name).
    pub declared: String,
    /// Where it was declared.
    pub place: Place,
    /// Its stage.
    pub stage: StageId,
    /// What it does; `None`: a join point.
    pub command: Option<Command>,
    /// When it runs.
    pub condition: Option<Condition>,
    /// Branch of a `when` that must be taken for it to run: the deciding step and the branch's number.
    pub branch: Option<(TaskId, u32)>,
    /// Index into [`Workflow::groups`].
    pub group: Option<u32>,
    /// Per attempt; `None`: the default applies, `Some(0)`: no limit.
    pub timeout_ms: Option<u64>,
    /// Occupies no slot, and its successor in a list does not wait for its end.
    pub is_async: bool,
    /// Among ready tasks, −100 to 100.
    pub priority: i32,
    /// Its failure counts as satisfied.
    pub ignore_errors: bool,
    /// What a resumed run does with it when it was running.
    pub on_resume: OnResume,
    /// Also runs in check mode.
    pub check_safe: bool,
    /// What is unusual about it.
    pub details: Rare,
}

/// What few tasks have.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Details {
    /// Shown in plans.
    pub description: String,
    /// When true, it fails before it starts.
    pub abort_if: Option<Condition>,
    /// `None`: the workflow's defaults.
    pub retry: Option<Retry>,
    /// Directory, may hold `${…}`.
    pub workdir: Option<String>,
    /// Other user than the run's.
    pub user: Option<String>,
    /// Added to the environment; `None` unsets. May hold `${…}`.
    pub env: BTreeMap<String, Option<String>>,
    /// Declared parameters.
    pub params: Map<String, Value>,
    /// For selection.
    pub tags: Vec<String>,
    /// What it produces: name → glob.
    pub artifacts: Vec<(String, String)>,
    /// What it needs of others.
    pub consumes: Vec<String>,
    /// Handlers and hooks.
    pub handlers: Handlers,
    /// Undoes it, in a saga or a rollback.
    pub compensate: Option<FnRef>,
    /// Requests and limits.
    pub resources: Resources,
    /// Whole task guarded by a circuit of its name.
    pub circuit: Option<Circuit>,
    /// Daemon-wide key and how many may hold it at once.
    pub concurrency: Option<(String, u32)>,
    /// Final failure rolls back to the last checkpoint.
    pub rollback_on_failure: bool,
    /// Polled after the command: function, interval, timeout (ms).
    pub health_check: Option<(FnRef, u64, u64)>,
    /// Where it runs, as written; `None`: here.
    pub delegate_to: Option<Value>,
    /// Stored with the task.
    pub metadata: Map<String, Value>,
}

/// What a task does.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// A function of the script.
    Function(FnRef),
    /// A text for `bash -c`, else `sh -c`; may hold `${…}`.
    Shell(String),
    /// Program and arguments, no shell; may hold `${…}`.
    Argv(Vec<String>),
    /// `module.action(args)`.
    Module {
        /// Module.
        module: String,
        /// Function of it.
        action: String,
        /// Its one table; boxed, because few commands have one.
        args: Box<Value>,
    },
    /// The deciding step of a `when`: the first condition that holds names the branch.
    Choose(Vec<Option<Condition>>),
}

/// A condition, read.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Always the same.
    Fixed(bool),
    /// A function of the script.
    Function(FnRef),
    /// An expression; its text is checked at definition, and kept for messages.
    Expression(String),
    /// A shell command; exit code 0 is true.
    Shell(String),
}

/// `to` waits for `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Earlier.
    pub from: TaskId,
    /// Later.
    pub to: TaskId,
    /// How.
    pub kind: EdgeKind,
}

/// What `to` needs of `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeKind {
    /// Its success; its output is in `deps`.
    Needs,
    /// As `Needs`, and its output is also `deps.previous` (chain).
    Previous,
    /// Its end, whatever the result (expressions, `next_if_fail`).
    Ended,
    /// Its end, or only its start when it is async (`listed`, concurrency 1).
    Order,
}

/// Handlers of a task, stage or workflow; several run in order.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Handlers {
    /// All, in the order of their registration.
    pub entries: Vec<HookEntry>,
}

/// One handler or hook.
#[derive(Clone, Debug, PartialEq)]
pub struct HookEntry {
    /// When it runs.
    pub when: HookWhen,
    /// What runs.
    pub run: FnRef,
    /// From `hooks = {…}` (called with `ctx`), not a method (called with `this, params, …`).
    pub with_ctx: bool,
    /// Name, of a hook that has one.
    pub name: Option<String>,
    /// Runs only if this holds.
    pub condition: Option<Condition>,
    /// Not waited for until the workflow ends.
    pub is_async: bool,
    /// Milliseconds; `None`: 60 s or the task's timeout, the smaller.
    pub timeout_ms: Option<u64>,
}

/// When a handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum HookWhen {
    PreTask,
    PreHook,
    PostHook,
    PostTask,
    OnStart,
    OnSuccess,
    OnFailure,
    OnTimeout,
    OnRetry,
    OnSkip,
    OnComplete,
    /// `error_handling.on_failure`.
    ErrorHandling,
    /// `config.on_failure` as a function.
    ConfigOnFailure,
}

/// A declared saga.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Saga {
    /// Label of its journal.
    pub coordinator: String,
    /// Ordered.
    pub participants: Vec<Step>,
    /// Participant → what undoes it.
    pub compensation: Vec<(String, Command)>,
    /// Of each compensation, milliseconds.
    pub timeout_ms: u64,
    /// Of each compensation.
    pub retry: Retry,
}

/// A participant: a task of the graph, or only a name.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A task.
    Task(TaskId),
    /// Marked by the script.
    Logical(String),
}

/// A finding about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// `E202`, `W110`.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
    /// Where.
    pub place: Place,
    /// The line, shortened.
    pub excerpt: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Weight of a diagnostic, from its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The file cannot be run.
    Error,
    /// It can.
    Warning,
}

impl Diagnostic {
    /// Its weight.
    pub fn level(&self) -> Level {
        if self.code.starts_with('E') { Level::Error } else { Level::Warning }
    }
}

/// Why a task failed (`kind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Cause {
    Error,
    Exit,
    Timeout,
    Cancelled,
    CircuitOpen,
    LockHeld,
    AgentUnreachable,
    Denied,
    ResourceLimit,
    Validation,
    Compensation,
    Definition,
    ConditionError,
    AbortIf,
}
