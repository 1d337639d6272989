//! Workflows: what a `.sloth` file defines, as data, and the decisions about executing it. Functions of the script stay
//! in its VM; here they are numbers.

pub mod check;
pub mod expr;
mod graph;
pub mod machine;
mod names;
mod policy;
mod rare;
mod suggest;
pub mod template;

pub use graph::{
    Cause, Command, Condition, Defined, Details, Diagnostic, Edge, EdgeKind, FnRef, Group, Handlers, HookEntry,
    HookWhen, Level, Place, Saga, Stage, StageId, Step, Task, TaskId, Workflow,
};
pub use names::{NameIndex, Named, Scope};
pub use policy::{
    Backoff, Circuit, Config, FailurePolicy, OnConflict, OnResume, Ordering, Resolution, Resources, Retry,
    RunnerConfig, WorkflowFailure,
};
pub use rare::Rare;
pub use suggest::suggest;
