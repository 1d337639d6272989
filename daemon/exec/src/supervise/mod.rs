//! The supervisor: one small process with one thread that outlives slothd, holds, starts, watches and ends the processes of its
//! runs, and keeps each end until slothd has it on disk. It knows attempts and nothing of schedules.
//!
//! ```text
//!            Prepare            setup done         Release           main process ends
//!  (nothing) ───────> Preparing ─────────> Held ─────────> Running ───────────────────> Ending ───> Ended ──Forget──> (nothing)
//!                        │ setup fails      │ Discard         │ exec fails               │ leftovers of the tree are ended,
//!                        v                  v                 v                          │ the pipes are drained
//!                     Refused           (nothing)      Ended: not started                v
//! ```

mod attempt;
mod detach;
mod door;
mod ending;
mod event_loop;
mod orders;
mod orphans;
mod reports;
mod watching;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What a supervisor is told when it is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens; `<socket>.lock` beside it says that it lives.
    pub socket: PathBuf,
    /// Directory below which output files lie.
    pub data: PathBuf,
    /// Whether to use cgroups where they can be had.
    pub cgroup: bool,
    /// How long it stays without attempts and without slothd.
    pub idle_exit: Duration,
    /// Whether to stay a child of who started it.
    pub foreground: bool,
}

impl Options {
    /// The usual.
    pub fn new(socket: PathBuf, data: PathBuf) -> Options {
        Options { socket, data, cgroup: true, idle_exit: Duration::from_secs(15), foreground: false }
    }
}

/// Becomes a supervisor. Returns in the process that was started as soon as the socket listens (or one did already), and in the
/// supervisor itself at its end.
pub fn run(options: Options) -> ExitCode {
    match detach::detach(options, |options, ready, lock| event_loop::Supervisor::open(options, lock)?.run(ready)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sloth-exec: {error}");
            ExitCode::FAILURE
        }
    }
}
