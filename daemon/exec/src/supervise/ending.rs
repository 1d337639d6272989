//! How attempts end: reaping, time limits, what is left of a tree, the last bytes of the pipes, the record.

use std::time::Duration;

use sloth_core::Moment;
use sloth_core::run::{AttemptEnd, Outcome, StartFailure, StartFailureKind, Usage};

use super::attempt::{Attempt, Phase, Stage, Sweep};
use super::event_loop::{Alarm, Pipe, Supervisor};
use super::orders::kill_main;
use super::watching::Got;
use crate::cgroup::Counted;
use crate::clock::wall_now;
use crate::output::decode_tail;
use crate::sys::{self, ProcessEnd, Reaped};
use crate::wire::EndRecord;
use crate::{fail, proc, tree};

/// First and longest wait between two looks at what is left of a tree.
const LOOK: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));
/// How long pipes are drained that somebody outside the tree holds open.
const DRAIN: Duration = Duration::from_millis(500);
/// Buffers read at once when draining; a pipe holds at most 1 MiB (pipe(7)).
const DRAIN_BUFFERS: usize = 20;

impl Supervisor {
    /// Takes all children that ended, ours and orphans.
    pub(super) fn reap_all(&mut self) {
        while let Some(reaped) = sys::reap() {
            let Some(serial) = self.by_pid.remove(&reaped.pid) else {
                continue;
            };
            // What the child said before it died counts first.
            self.read_status(serial);
            if let Some(live) = self.attempts.get_mut(&serial).and_then(Attempt::live) {
                live.main_end = Some((reaped, wall_now()));
                self.go_on_ending(serial);
            }
        }
    }

    /// Ends a running attempt: TERM, and KILL after the grace.
    pub(super) fn stop(&mut self, serial: u64, outcome: Outcome, grace: Duration) {
        let Some(live) = self.attempts.get_mut(&serial).and_then(Attempt::live) else {
            return;
        };
        if live.main_end.is_none() && live.stopped_as.is_none() {
            live.stopped_as = Some(outcome);
        }
        if grace.is_zero() {
            self.sweep_with_kill(serial);
        } else {
            self.sweep_with_term(serial, grace);
        }
    }

    /// An alarm of an attempt rings.
    pub(super) fn ring(&mut self, serial: u64, alarm: Alarm) {
        let Some(live) = self.attempts.get_mut(&serial).and_then(Attempt::live) else {
            return;
        };
        match alarm {
            Alarm::Timeout if live.main_end.is_none() => {
                let grace = live.kill_grace;
                self.stop(serial, Outcome::TimedOut, grace);
            }
            Alarm::Grace if !live.is_draining => self.sweep_with_kill(serial),
            Alarm::Look if !live.is_draining => self.look_again(serial),
            Alarm::Drained if live.is_draining => self.finish(serial),
            _ => {}
        }
    }

    /// Ends the attempt when its pipes were all that it waited for.
    pub(super) fn finish_when_drained(&mut self, serial: u64) {
        let Some(live) = self.attempts.get_mut(&serial).and_then(Attempt::live) else {
            return;
        };
        if live.is_draining && live.stdout.is_none() && live.stderr.is_none() {
            self.finish(serial);
        }
    }

    /// The main process is gone: what next?
    fn go_on_ending(&mut self, serial: u64) {
        let Some(live) = self.attempts.get_mut(&serial).and_then(Attempt::live) else {
            return;
        };
        let Some((reaped, at)) = live.main_end else { return };
        if live.is_discarded {
            self.drop_live(serial);
            self.remove(serial);
            return;
        }
        match live.stage {
            Stage::Preparing if live.stopped_as.is_none() => {
                let failure = live.failure.take().unwrap_or_else(|| died(&reaped));
                self.drop_live(serial);
                if let Some(attempt) = self.attempts.get_mut(&serial) {
                    attempt.phase = Phase::Refused(failure);
                }
                self.tell(serial, |news| news.refused = true);
            }
            Stage::Preparing | Stage::Held => {
                let failure = live.failure.take().unwrap_or_else(|| died(&reaped));
                let outcome = live.stopped_as.take().unwrap_or(Outcome::NotStarted(failure));
                self.record_end(serial, outcome, at, Usage::default());
            }
            Stage::Running if live.failure.is_some() => self.finish(serial),
            Stage::Running => {
                if self.is_tree_gone(serial) {
                    self.drain(serial);
                } else {
                    self.sweep_leftovers(serial);
                }
            }
        }
    }

    /// Whether nothing of the tree is left, once the main process is reaped.
    fn is_tree_gone(&mut self, serial: u64) -> bool {
        let Some(live) = self.attempts.get_mut(&serial).and_then(Attempt::live) else {
            return true;
        };
        if let Some(group) = &live.group {
            // The counters go with the group.
            let counted = group.counted(self.cgroups.as_ref().is_some_and(|c| c.has("memory") || c.has("io")));
            let is_gone = group.remove();
            if is_gone {
                live.counted = counted;
                live.group = None;
            }
            return is_gone;
        }
        if live.is_grouped {
            return true;
        }
        // All that a dead process leaves behind comes to us, the subreaper: no unknown child, nothing left.
        let orphans = proc::own_children().map(|all| all.iter().any(|pid| !self.by_pid.contains_key(pid)));
        if orphans == Some(false) {
            return true;
        }
        self.adopt(serial);
        let Some(live) = self.attempts.get_mut(&serial).and_then(Attempt::live) else {
            return true;
        };
        live.family.members().is_empty()
    }

    /// Background processes of a job whose main process is gone: as systemd does, TERM, then KILL.
    fn sweep_leftovers(&mut self, serial: u64) {
        let Some(live) = self.attempts.get_mut(&serial).and_then(Attempt::live) else {
            return;
        };
        match live.sweep {
            Sweep::None => {
                let grace = live.kill_grace;
                if grace.is_zero() {
                    self.sweep_with_kill(serial);
                } else {
                    self.sweep_with_term(serial, grace);
                }
            }
            Sweep::Terminated | Sweep::Killing => self.plan_look(serial),
        }
    }

    fn sweep_with_term(&mut self, serial: u64, grace: Duration) {
        self.adopt(serial);
        let Some(live) = self.attempts.get_mut(&serial).and_then(Attempt::live) else {
            return;
        };
        if live.sweep == Sweep::None {
            live.sweep = Sweep::Terminated;
            live.look_again = LOOK.0;
            match &live.group {
                Some(group) => {
                    let members: Vec<_> = group.processes().into_iter().filter_map(proc::stat).collect();
                    tree::send(&members, nix::libc::SIGTERM);
                    tree::send(&members, nix::libc::SIGCONT);
                }
                None => live.family.terminate(),
            }
            if live.main_end.is_some() {
                self.plan_look(serial);
            }
        }
        self.set_alarm(serial, Alarm::Grace, grace);
    }

    fn sweep_with_kill(&mut self, serial: u64) {
        self.adopt(serial);
        let Some(live) = self.attempts.get_mut(&serial).and_then(Attempt::live) else {
            return;
        };
        let first = live.sweep != Sweep::Killing;
        live.sweep = Sweep::Killing;
        match &live.group {
            Some(group) if group.kill() => {}
            Some(group) => {
                let members: Vec<_> = group.processes().into_iter().filter_map(proc::stat).collect();
                tree::send(&members, nix::libc::SIGKILL);
            }
            None => {
                live.family.kill();
                kill_main(live);
            }
        }
        if first {
            live.look_again = LOOK.0;
        }
        self.plan_look(serial);
    }

    fn look_again(&mut self, serial: u64) {
        let Some(live) = self.attempts.get_mut(&serial).and_then(Attempt::live) else {
            return;
        };
        let is_killing = live.sweep == Sweep::Killing;
        if live.main_end.is_some() && self.is_tree_gone(serial) {
            self.drain(serial);
        } else if is_killing {
            self.sweep_with_kill(serial);
        } else {
            self.plan_look(serial);
        }
    }

    fn plan_look(&mut self, serial: u64) {
        let Some(live) = self.attempts.get_mut(&serial).and_then(Attempt::live) else {
            return;
        };
        let wait = live.look_again.max(LOOK.0);
        live.look_again = (wait * 2).min(LOOK.1);
        self.set_alarm(serial, Alarm::Look, wait);
    }

    /// Reads what the pipes still hold, and finishes at their end.
    fn drain(&mut self, serial: u64) {
        for pipe in [Pipe::Stdout, Pipe::Stderr] {
            for _ in 0..DRAIN_BUFFERS {
                if self.read_output(serial, pipe) != Got::Bytes {
                    break;
                }
            }
        }
        let Some(live) = self.attempts.get_mut(&serial).and_then(Attempt::live) else {
            return;
        };
        live.is_draining = true;
        if live.stdout.is_none() && live.stderr.is_none() {
            self.finish(serial);
        } else {
            self.set_alarm(serial, Alarm::Drained, DRAIN);
        }
    }

    fn finish(&mut self, serial: u64) {
        let Some(live) = self.attempts.get_mut(&serial).and_then(Attempt::live) else {
            return;
        };
        let Some((reaped, at)) = live.main_end else { return };
        if let Some(failure) = live.failure.take() {
            self.record_end(serial, Outcome::NotStarted(failure), at, Usage::default());
            return;
        }
        let counted = live.counted;
        let outcome = match (live.stopped_as.take(), reaped.end) {
            (_, ProcessEnd::Signaled(nix::libc::SIGKILL)) if counted.oom_kills > 0 => Outcome::Oom,
            (Some(stopped), _) => stopped,
            (None, ProcessEnd::Exited(code)) => Outcome::Exited(code),
            (None, ProcessEnd::Signaled(signal)) => Outcome::Signaled(signal),
        };
        self.record_end(serial, outcome, at, usage(&reaped, &counted));
    }

    /// Writes the end into the output file, then tells it.
    fn record_end(&mut self, serial: u64, outcome: Outcome, ended_at: Moment, usage: Usage) {
        let Some(live) = self.attempts.get_mut(&serial).and_then(Attempt::live) else {
            return;
        };
        let (output_bytes, dropped_bytes) = live.writer.counts();
        let stderr_tail = decode_tail(&live.stderr_tail);
        let end = EndRecord(AttemptEnd { outcome, ended_at, usage, output_bytes, dropped_bytes, stderr_tail });
        let record = serde_json::to_vec(&end).unwrap_or_default();
        // Where it cannot be written the end lives in this process until slothd has it.
        let _ = live.writer.finish(ended_at, &record);
        self.drop_live(serial);
        if let Some(attempt) = self.attempts.get_mut(&serial) {
            attempt.phase = Phase::Ended(Box::new(end.0));
        }
        self.tell(serial, |news| news.ended = true);
    }

    /// Closes everything of an attempt that has no process any more.
    fn drop_live(&mut self, serial: u64) {
        let Some(live) = self.attempts.get_mut(&serial).and_then(Attempt::live) else {
            return;
        };
        let (status, stdout, stderr) = (live.status.take(), live.stdout.take(), live.stderr.take());
        let group = live.group.take();
        let is_grouped = live.is_grouped;
        for fd in [status, stdout, stderr] {
            self.unwatch(fd);
        }
        self.live_count = self.live_count.saturating_sub(1);
        if let Some(group) = group.filter(|group| !group.remove()) {
            self.busy_groups.push(group);
            self.set_alarm(0, Alarm::Tidy, LOOK.1);
        } else if !is_grouped && self.has_orphans() {
            self.set_alarm(0, Alarm::Tidy, LOOK.0);
        }
    }
}

fn died(reaped: &Reaped) -> StartFailure {
    let how = match reaped.end {
        ProcessEnd::Exited(code) => format!("exited with {code}"),
        ProcessEnd::Signaled(signal) => format!("died of signal {signal}"),
    };
    fail(StartFailureKind::Other, format!("the held process {how} before it was released"))
}

fn usage(reaped: &Reaped, counted: &Counted) -> Usage {
    let (read, written) = counted.io_bytes.unwrap_or((reaped.io_read_bytes, reaped.io_write_bytes));
    Usage {
        // The group counts orphans too; the kernel may count it a little later than the process.
        cpu: counted.cpu.unwrap_or_default().max(reaped.cpu),
        memory_peak_bytes: Some(counted.memory_peak_bytes.unwrap_or(reaped.memory_peak_bytes)),
        io_read_bytes: Some(read),
        io_write_bytes: Some(written),
        // Only a service manager counts them.
        ip_ingress_bytes: None,
        ip_egress_bytes: None,
    }
}
