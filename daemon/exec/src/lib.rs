//! Does one thing outside: starts, watches and ends the processes of runs.
//!
//! Two programs use it. slothd holds a [`ProcessExecutor`]: it takes [`Order`](sloth_core::launch::Order)s and gives
//! [`Report`](sloth_core::launch::Report)s. Behind it stands the program `sloth-exec` ([`supervise`]), which outlives slothd.
//! What a job writes is in its [`output`] file, whose format is described there.
//!
//! Needs Linux 5.10; uses cgroup v2 where it may (see [`capabilities`]).

mod account;
pub mod attempt;
mod cgroup;
mod client;
mod clock;
pub mod command;
mod framing;
pub mod host;
mod inspect;
mod limits;
pub mod output;
mod output_place;
mod passed;
mod proc;
mod spawn;
pub mod supervise;
mod sys;
mod systemd;
mod tree;
mod wire;

use sloth_core::run::{Outcome, StartFailure, StartFailureKind};

pub use client::{Gone, ORDERS_MAX, Options, ProcessExecutor, REPORTS_MAX};
pub use clock::clock_is_synchronised;
pub use inspect::inspect;
pub use limits::{Capabilities, ExecutorKind, Means, capabilities};
pub use passed::take_passed;
pub use systemd::{
    CallError, Manager, Options as SystemdOptions, SystemdExecutor, may_start_units, systemd_capabilities,
};

/// Whichever executor was chosen; both speak the same language.
#[derive(Debug)]
pub enum Executor {
    /// Processes of a supervisor of our own.
    Process(ProcessExecutor),
    /// Units of a service manager.
    Systemd(SystemdExecutor),
}

impl Executor {
    /// Gives an order; waits while too many wait already.
    pub async fn order(&self, order: sloth_core::launch::Order) -> Result<(), Gone> {
        match self {
            Executor::Process(executor) => executor.order(order).await,
            Executor::Systemd(executor) => executor.order(order).await,
        }
    }
}

fn fail(kind: StartFailureKind, message: String) -> StartFailure {
    StartFailure { kind, message }
}

/// The outcome of an attempt that was ended by order while it was held: nothing of the user's ever ran.
fn ended_before_release() -> Outcome {
    Outcome::NotStarted(fail(StartFailureKind::Other, "it was ended before it was started".to_owned()))
}
