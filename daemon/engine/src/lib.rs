//! Drives the core: turns its effects into I/O and I/O into its inputs, through ports.
//!
//! One task owns the [`sloth_core::machine::Machine`]. Everything that happens is a message to it: commands of the service, reports of
//! the executor, commits of the store, time. Nothing else changes the state of schedules and runs.

mod batch;
mod clock_watch;
mod commands;
mod driver;
mod flights;
mod handle;
mod lateness;
mod ports;

pub use clock_watch::Reading;
pub use commands::{Cancel, EditKind, EditRequest, EngineError, RunNotes, WorkflowRequest};
pub use driver::{Engine, Fatal, Settings};
pub use handle::{Handle, Published};
pub use lateness::{Lateness, LatenessSnapshot};
pub use ports::{Alarm, IDLE_MAX, Ports, StoreError};
