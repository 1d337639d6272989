//! The `.sloth` language: a sandboxed Luau VM, its library modules and the way from a file to a graph.
//!
//! The crate does no I/O itself. What a script asks of the host is a [`Call`] to a [`Function`] of a [`Module`]; bodies
//! run where their kind says, and the caller's coroutine waits.

mod data;
pub mod define;
mod host;
mod module;
mod std;
pub mod types;
mod vm;

pub use data::Data;
pub use define::{Given, Loader, Program, TaskResult, task_result};
pub use host::{BoxFuture, Cancel, CancelKind, Ctx, Daemon, LogLevel, LogLine, Mode, RunInfo, Sink, Stream, Trouble};
pub use module::{Args, Body, Call, Failure, Family, Function, Module, Param, Reply, Tier, Type};
pub use vm::{CallEnd, Engine, LocalBoxFuture, Raised, RecordedCall, Shape, Spawner, View, Vm, VmSettings};
