//! What is known at the end of the command, and how it gets into the output file.

use std::time::Duration;

use nix::libc;
use sloth_core::run::{AttemptEnd, Outcome, StartFailure, Usage};

use super::event_loop::{Job, Stop};
use super::own_group::{Count, OwnGroup};
use crate::clock::wall_now;
use crate::output::{OutputWriter, decode_tail};
use crate::sys::{ProcessEnd, Reaped};
use crate::wire::EndRecord;

/// First and longest wait between two tries to write the end.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// What a shell exits with when the program that it ran was killed by KILL (128 + 9).
const KILLED_BELOW: i32 = 128 + libc::SIGKILL;

/// Sum over all processes that came back to us, which are all that ended, as we are the subreaper.
#[derive(Debug, Default)]
pub(super) struct Used {
    cpu: Duration,
    memory_peak_bytes: u64,
    io_read_bytes: u64,
    io_write_bytes: u64,
}

impl Used {
    /// One more.
    pub(super) fn add(&mut self, reaped: &Reaped) {
        self.cpu += reaped.cpu;
        self.memory_peak_bytes = self.memory_peak_bytes.max(reaped.memory_peak_bytes);
        self.io_read_bytes += reaped.io_read_bytes;
        self.io_write_bytes += reaped.io_write_bytes;
    }
}

/// The end of a command whose program could not be executed.
pub(super) fn not_started(failure: StartFailure, job: &Job) -> AttemptEnd {
    AttemptEnd {
        outcome: Outcome::NotStarted(failure),
        ended_at: job.main_end.map_or_else(wall_now, |(_, at)| at),
        usage: Usage::default(),
        output_bytes: 0,
        dropped_bytes: 0,
        stderr_tail: String::new(),
    }
}

/// The end of a command that ran.
pub(super) fn of(job: &Job, writer: &OutputWriter) -> AttemptEnd {
    let counted = job.group.as_ref().map(OwnGroup::count).unwrap_or_default();
    let (output_bytes, dropped_bytes) = writer.counts();
    let main = job.main_end.map(|(reaped, _)| reaped.end);
    AttemptEnd {
        outcome: outcome(main, job.stopped_as.as_ref(), counted.oom_kills),
        ended_at: job.main_end.map_or_else(wall_now, |(_, at)| at),
        usage: usage(&job.used, &counted),
        output_bytes,
        dropped_bytes,
        stderr_tail: decode_tail(&job.stderr_tail),
    }
}

/// Writes the end, however long that takes: this process is the only one that knows it. Meanwhile the unit stays, and slothd with it.
pub(super) fn record(writer: &mut OutputWriter, end: &EndRecord) {
    let record = serde_json::to_vec(end).unwrap_or_default();
    let mut wait = RETRY.0;
    while let Err(error) = writer.finish(end.0.ended_at, &record) {
        eprintln!("sloth-exec: the end cannot be written, trying again: {error}");
        std::thread::sleep(wait);
        wait = (wait * 2).min(RETRY.1);
    }
}

fn outcome(main: Option<ProcessEnd>, stop: Option<&Stop>, oom_kills: u64) -> Outcome {
    let was_killed = matches!(main, Some(ProcessEnd::Signaled(libc::SIGKILL) | ProcessEnd::Exited(KILLED_BELOW)));
    if oom_kills > 0 && was_killed {
        return Outcome::Oom;
    }
    match (stop, main) {
        (Some(Stop::As(outcome)), _) => outcome.clone(),
        (Some(Stop::Outside), main) => {
            let how = match main {
                Some(ProcessEnd::Exited(code)) => format!("the command then exited with code {code}"),
                Some(ProcessEnd::Signaled(signal)) => format!("the command then ended by signal {signal}"),
                None => "the command could not be ended".to_owned(),
            };
            Outcome::Lost(format!(
                "its unit was stopped from outside (systemctl stop, or a shutdown of the host); {how}"
            ))
        }
        (None, Some(ProcessEnd::Exited(code))) => Outcome::Exited(code),
        (None, Some(ProcessEnd::Signaled(signal))) => Outcome::Signaled(signal),
        (None, None) => Outcome::Lost("the main process could not be waited for".to_owned()),
    }
}

fn usage(used: &Used, counted: &Count) -> Usage {
    // The group counts this process too.
    let own = crate::sys::own_cpu();
    let of_group = counted.cpu.unwrap_or_default().saturating_sub(own);
    Usage {
        cpu: used.cpu.max(of_group),
        memory_peak_bytes: Some(counted.memory_peak_bytes.unwrap_or(used.memory_peak_bytes)),
        io_read_bytes: Some(used.io_read_bytes),
        io_write_bytes: Some(used.io_write_bytes),
        // The manager of the unit counts them, and is asked last of all: see `super::attempt`.
        ip_ingress_bytes: None,
        ip_egress_bytes: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILLED: Option<ProcessEnd> = Some(ProcessEnd::Signaled(libc::SIGKILL));

    #[test]
    fn a_kill_for_memory_counts_when_the_command_died_of_it() {
        assert_eq!(outcome(KILLED, None, 1), Outcome::Oom);
        assert_eq!(outcome(Some(ProcessEnd::Exited(137)), None, 1), Outcome::Oom);
        // A job that lost a helper and went on has not failed for memory.
        assert_eq!(outcome(Some(ProcessEnd::Exited(0)), None, 1), Outcome::Exited(0));
        assert_eq!(outcome(KILLED, None, 0), Outcome::Signaled(libc::SIGKILL));
    }

    #[test]
    fn why_it_was_stopped_counts_more_than_how_it_ended() {
        let timed_out = Stop::As(Outcome::TimedOut);
        assert_eq!(outcome(Some(ProcessEnd::Exited(0)), Some(&timed_out), 0), Outcome::TimedOut);
        let Outcome::Lost(text) = outcome(Some(ProcessEnd::Signaled(15)), Some(&Stop::Outside), 0) else {
            panic!("stopped from outside is lost");
        };
        assert!(text.contains("signal 15"), "{text}");
    }
}
