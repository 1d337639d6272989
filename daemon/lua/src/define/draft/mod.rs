//! What the file has said so far. Drafts hold what cannot be decided before the file ends: names that are not looked up
//! yet, conditions that are not read yet, compositions that are not expanded yet.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::Value;
use sloth_core::workflow::{Command, FnRef, HookEntry, Place, Resources, Stage, Task, Workflow};

/// A task of the script.
pub type TaskRef = Rc<RefCell<TaskDraft>>;

/// A workflow of the script.
pub type WorkflowRef = Rc<RefCell<WorkflowDraft>>;

/// A descriptor of the script.
pub type DescRef = Rc<RefCell<Desc>>;

/// A task. In `task` the fields that need no looking up are final.
#[derive(Clone, Debug, Default)]
pub struct TaskDraft {
    /// Plain fields.
    pub task: Task,
    /// What it does.
    pub doing: Option<Doing>,
    /// `depends_on`.
    pub depends: Vec<Reference>,
    /// `next_if_fail`.
    pub next_if_fail: Vec<Reference>,
    /// `run_if`.
    pub condition: Option<Cond>,
    /// `abort_if`.
    pub abort_if: Option<Cond>,
    /// The number of attempts was given, not only the delay or the strategy.
    pub attempts_given: bool,
    /// `run_locally()` or `delegate_to("local")`: nothing is inherited.
    pub stays_here: bool,
    /// `build()` was called.
    pub frozen: bool,
    /// It was run at once, so it is no part of the implicit workflow.
    pub ran: bool,
    /// Made from another task with `uses`: given keys replace instead of adding.
    pub inherited: bool,
}

/// What a task does.
#[derive(Clone, Debug)]
pub enum Doing {
    /// Final.
    Command(Command),
    /// Expands into tasks.
    Desc(DescRef),
}

/// A reference to a task (or stage) of the script.
#[derive(Clone, Debug)]
pub enum Reference {
    /// By name.
    Name(String),
    /// By object.
    Task(TaskRef),
}

impl Reference {
    /// The name it goes by.
    pub fn name(&self) -> String {
        match self {
            Reference::Name(name) => name.clone(),
            Reference::Task(task) => task.borrow().task.name.clone(),
        }
    }
}

/// A condition as given.
#[derive(Clone, Debug)]
pub enum Cond {
    /// Always the same.
    Fixed(bool),
    /// A function.
    Function(FnRef),
    /// An expression or a shell command: read when all names are known.
    Text(String, Place),
    /// An expression and nothing else (`when("…")`).
    Expression(String, Place),
    /// A `when` object.
    When(DescRef),
}

/// An element of a composition.
#[derive(Clone, Debug)]
pub enum Element {
    /// Name of a task, and where it is written.
    Name(String, Place),
    /// A task.
    Task(TaskRef),
    /// A function, to become a task of this name or of the parent's name and a number.
    Function(FnRef, Option<String>, Place),
    /// A composition.
    Desc(DescRef),
}

/// A composition.
#[derive(Clone, Debug)]
pub enum Desc {
    /// A `tasks` list or map: no order of its own.
    Set(Vec<Element>),
    /// Each after the previous.
    Sequence(Vec<Element>),
    /// No order, with limits.
    Parallel(Parallel),
    /// The first branch whose condition holds.
    When(When),
    /// Participants of a saga.
    Saga(SagaDraft),
}

/// `workflow.parallel`, `async.parallel`.
#[derive(Clone, Debug, Default)]
pub struct Parallel {
    /// Elements.
    pub elements: Vec<Element>,
    /// Slots.
    pub max_workers: Option<u32>,
    /// Cancel siblings at the first failure.
    pub fail_fast: bool,
    /// Failures accepted.
    pub tolerate: u32,
}

/// `when(…)`.
#[derive(Clone, Debug, Default)]
pub struct When {
    /// Where it is written.
    pub place: Place,
    /// Conditions with what they lead to (`then` may be absent).
    pub branches: Vec<(Cond, Option<Element>)>,
    /// `else`.
    pub otherwise: Option<Element>,
}

/// `saga = {…}`.
#[derive(Clone, Debug, Default)]
pub struct SagaDraft {
    /// Label, or name of a task that runs first.
    pub coordinator: Option<String>,
    /// In order.
    pub participants: Vec<Element>,
    /// Participant → what undoes it.
    pub compensation: Vec<(String, Undo)>,
    /// Of each compensation, milliseconds.
    pub timeout_ms: Option<u64>,
    /// Of each compensation.
    pub retry: Option<sloth_core::workflow::Retry>,
    /// Where it is written.
    pub place: Place,
}

/// What undoes a participant.
#[derive(Clone, Debug)]
pub enum Undo {
    /// A function.
    Function(FnRef),
    /// The command of a task.
    Task(Reference),
}

/// A stage.
#[derive(Clone, Debug, Default)]
pub struct StageDraft {
    /// Plain fields.
    pub stage: Stage,
    /// Its tasks.
    pub tasks: Option<Element>,
    /// When it runs.
    pub condition: Option<Cond>,
    /// Its saga.
    pub saga: Option<SagaDraft>,
    /// Inherited by its tasks.
    pub env: Vec<(String, Option<String>)>,
    /// Inherited by its tasks.
    pub delegate_to: Option<Value>,
    /// Inherited by its tasks.
    pub resources: Option<Resources>,
    /// Hooks that are inherited by its tasks.
    pub task_hooks: Vec<HookEntry>,
    /// Where it is written.
    pub place: Place,
}

/// A workflow. In `workflow` the fields that need no looking up are final.
#[derive(Clone, Debug, Default)]
pub struct WorkflowDraft {
    /// Plain fields.
    pub workflow: Workflow,
    /// `tasks` as given, and what `task(…)` added.
    pub tasks: Vec<Element>,
    /// `stages`.
    pub stages: Vec<StageDraft>,
    /// Workflow-level saga.
    pub saga: Option<SagaDraft>,
    /// Inherited by all tasks.
    pub delegate_to: Option<Value>,
    /// Inherited by all tasks.
    pub resources: Option<Resources>,
    /// `max_retries` was given, not only the delay or the strategy.
    pub attempts_given: bool,
    /// Schedules: trigger and options.
    pub schedules: Vec<(String, serde_json::Map<String, Value>)>,
    /// Where it is written.
    pub place: Place,
    /// It was run at file level with these parameters.
    pub selected: Option<serde_json::Map<String, Value>>,
}
