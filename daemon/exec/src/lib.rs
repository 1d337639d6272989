//! Does one thing outside: starts, watches and ends the processes of runs.
//!
//! Two programs use it. slothd holds a [`ProcessExecutor`]: it takes [`Order`](sloth_core::launch::Order)s and gives
//! [`Report`](sloth_core::launch::Report)s. Behind it stands the program `sloth-exec` ([`supervise`]), which outlives slothd.
//! What a job writes is in its [`output`] file, whose format is described there.
//!
//! Needs Linux 5.10; uses cgroup v2 where it may (see [`capabilities`]).

mod account;
mod cgroup;
mod client;
mod clock;
mod framing;
mod inspect;
mod limits;
pub mod output;
mod output_place;
mod passed;
mod proc;
mod spawn;
pub mod supervise;
mod sys;
mod tree;
mod wire;

use sloth_core::run::{StartFailure, StartFailureKind};

pub use client::{Gone, ORDERS_MAX, Options, ProcessExecutor, REPORTS_MAX};
pub use clock::clock_is_synchronised;
pub use inspect::inspect;
pub use limits::{Capabilities, Means, capabilities};
pub use passed::take_passed;

fn fail(kind: StartFailureKind, message: String) -> StartFailure {
    StartFailure { kind, message }
}
