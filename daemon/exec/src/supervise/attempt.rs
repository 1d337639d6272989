//! What the supervisor knows of one attempt.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use sloth_core::run::{AttemptEnd, Outcome, ProcessId, StartFailure};
use sloth_core::{AttemptKey, Moment};

use crate::cgroup::{Counted, Group};
use crate::output::OutputWriter;
use crate::sys::Reaped;
use crate::tree::Family;

/// Bytes of standard error kept for the report.
pub const STDERR_TAIL_BYTES: usize = 4 << 10;

/// One attempt.
#[derive(Debug)]
pub struct Attempt {
    /// Which.
    pub key: AttemptKey,
    /// Its main process.
    pub process: ProcessId,
    /// How far it is.
    pub phase: Phase,
    /// What slothd has not been told on this connection.
    pub news: News,
    /// Whether it waits in the queue of those with news.
    pub is_queued: bool,
}

/// How far an attempt is.
#[derive(Debug)]
pub enum Phase {
    /// It has a process, or leftovers of one.
    Live(Box<Live>),
    /// It could not be prepared. Forgotten when that has been told.
    Refused(StartFailure),
    /// It ended. Kept until `Forget`.
    Ended(Box<AttemptEnd>),
}

/// Reports that are due.
#[derive(Clone, Copy, Debug, Default)]
pub struct News {
    /// `Prepared`.
    pub prepared: bool,
    /// `Refused`.
    pub refused: bool,
    /// `Started`, at this moment.
    pub started: Option<Moment>,
    /// `Ended`.
    pub ended: bool,
}

/// How far a live attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The child sets itself up.
    Preparing,
    /// It waits for the go byte.
    Held,
    /// It got it.
    Running,
}

/// What was done to end the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// Nothing.
    None,
    /// TERM was sent; KILL follows.
    Terminated,
    /// KILL is sent until nothing is left.
    Killing,
}

/// A live attempt.
#[derive(Debug)]
pub struct Live {
    /// How far it is.
    pub stage: Stage,
    /// `Release` came before it was held.
    pub release_asked: bool,
    /// It is being discarded: no report, no trace.
    pub is_discarded: bool,
    /// One byte lets it go.
    pub go: Option<OwnedFd>,
    /// What the child tells.
    pub status: Option<OwnedFd>,
    /// Its standard output.
    pub stdout: Option<OwnedFd>,
    /// Its standard error.
    pub stderr: Option<OwnedFd>,
    /// Its output file.
    pub writer: OutputWriter,
    /// The last bytes of standard error.
    pub stderr_tail: Vec<u8>,
    /// Its control group, until that is removed.
    pub group: Option<Group>,
    /// Whether it has, or had, one.
    pub is_grouped: bool,
    /// What the group had counted when it was removed.
    pub counted: Counted,
    /// Working directory and program, for messages.
    pub directory: PathBuf,
    /// See `directory`.
    pub program: String,
    /// How to find its processes without one.
    pub family: Family,
    /// Longest time from release.
    pub timeout: Option<Duration>,
    /// Between TERM and KILL.
    pub kill_grace: Duration,
    /// When it was released.
    pub since: Moment,
    /// Why we end it, when we do.
    pub stopped_as: Option<Outcome>,
    /// Why it could not start.
    pub failure: Option<StartFailure>,
    /// What was done to end the tree.
    pub sweep: Sweep,
    /// When to look again whether the tree is gone.
    pub look_again: Duration,
    /// The end of the main process.
    pub main_end: Option<(Reaped, Moment)>,
    /// Set when nothing of the tree is left and the pipes are being drained.
    pub is_draining: bool,
}

impl Live {
    /// Adds to the tail of standard error.
    pub fn keep_stderr(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(STDERR_TAIL_BYTES)..];
        let excess = (self.stderr_tail.len() + bytes.len()).saturating_sub(STDERR_TAIL_BYTES);
        self.stderr_tail.drain(..excess);
        self.stderr_tail.extend_from_slice(bytes);
    }
}

impl Attempt {
    /// Whether its program began and has not ended.
    pub fn is_running(&self) -> bool {
        matches!(&self.phase, Phase::Live(live) if live.stage == Stage::Running)
    }

    /// The live part.
    pub fn live(&mut self) -> Option<&mut Live> {
        match &mut self.phase {
            Phase::Live(live) => Some(live),
            _ => None,
        }
    }
}
