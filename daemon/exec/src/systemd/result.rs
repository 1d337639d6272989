//! How an attempt ended, from what is left of it. The end frame says it all when it is there. Otherwise the main process was ended
//! before it could write one, and the properties of the failed unit say what can be known.

use std::path::Path;
use std::time::Duration;

use nix::libc;
use sloth_core::run::{AttemptEnd, Outcome, StartFailure, StartFailureKind, Usage};
use sloth_core::{AttemptKey, Moment};
use zbus::OwnedVariant;

use super::bus::{Facts, text};
use crate::attempt::{EXIT_BEGAN_BEFORE, EXIT_NO_ORDER, EXIT_NO_OUTPUT, SIGNAL_FORCE, SIGNAL_ORDERED};
use crate::clock::wall_now;
use crate::inspect::Frames;
use crate::output::stderr_tail;
use crate::{ended_before_release, fail, proc};

/// Bytes of standard error kept for the report.
const STDERR_TAIL_BYTES: usize = 4 << 10;
/// `CLD_EXITED` and `CLD_KILLED` of waitid(2), as `ExecMainCode` has them.
const EXITED: i32 = libc::CLD_EXITED;

/// What remains.
#[derive(Debug)]
pub(super) enum Remains {
    /// A unit that has ended and is kept.
    Unit(Facts),
    /// No unit.
    Nothing,
}

/// The end of an attempt whose unit is not active; blocks to read the output file.
pub(super) fn end(data: &Path, output: &Path, key: AttemptKey, remains: &Remains) -> AttemptEnd {
    let frames = match Frames::read(data, output, key.attempt) {
        Ok(frames) => frames,
        Err(error) => return bare(Outcome::Lost(format!("its output file cannot be read: {error}"))),
    };
    if let Some(end) = frames.end {
        return end;
    }
    let (outcome, ended_at, usage) = match remains {
        Remains::Unit(facts) => (outcome(facts, frames.start.is_some()), ended_at(facts), usage(facts)),
        Remains::Nothing => (without_unit(frames.start.is_some()), wall_now(), Usage::default()),
    };
    let tail = stderr_tail(&data.join(output), Some(key.attempt), STDERR_TAIL_BYTES).unwrap_or_default();
    AttemptEnd { outcome, ended_at, usage, output_bytes: frames.output_bytes, dropped_bytes: 0, stderr_tail: tail }
}

/// An end of which nothing but the outcome is known.
pub(super) fn bare(outcome: Outcome) -> AttemptEnd {
    AttemptEnd {
        outcome,
        ended_at: wall_now(),
        usage: Usage::default(),
        output_bytes: 0,
        dropped_bytes: 0,
        stderr_tail: String::new(),
    }
}

fn without_unit(has_started: bool) -> Outcome {
    if has_started {
        return Outcome::Lost("its unit is gone and left no end, so nobody saw how it ended".to_owned());
    }
    let message = "its unit vanished before the command began; see the journal of the unit".to_owned();
    Outcome::NotStarted(fail(StartFailureKind::Other, message))
}

fn outcome(facts: &Facts, has_started: bool) -> Outcome {
    let result = text(facts, "Result");
    let code = number(facts, "ExecMainCode").unwrap_or_default();
    let status = number(facts, "ExecMainStatus").unwrap_or_default();
    if !has_started {
        return match (code, status) {
            (code, SIGNAL_ORDERED | SIGNAL_FORCE) if code != EXITED => ended_before_release(),
            _ => Outcome::NotStarted(start_failure(&result, code, status)),
        };
    }
    match result.as_str() {
        "timeout" => Outcome::TimedOut,
        "oom-kill" => Outcome::Oom,
        _ => {
            let how = if code == EXITED { format!("exited with {status}") } else { format!("died of signal {status}") };
            Outcome::Lost(format!(
                "sloth-exec, the main process of its unit, {how} ({result}), so nobody saw how the command ended"
            ))
        }
    }
}

/// Why a unit failed before the command began: exit codes of systemd.exec(5) "Process Exit Codes", and our own.
fn start_failure(result: &str, code: i32, status: i32) -> StartFailure {
    use StartFailureKind::{Directory, Limit, Other, Output, Resources, User};
    if code != EXITED {
        let kind = if result == "resources" { Resources } else { Other };
        let what = if code == 0 { String::new() } else { format!(", signal {status}") };
        return fail(kind, format!("its unit failed before the command began: {result}{what}"));
    }
    let (kind, what) = match status {
        200 => (Directory, "CHDIR: the working directory cannot be entered"),
        201 => (Limit, "NICE: the priority cannot be set"),
        204 => (Resources, "MEMORY: not enough memory"),
        205 => (Limit, "LIMITS: a limit cannot be set"),
        208 | 209 => (Output, "STDIN or STDOUT: the output file cannot be used"),
        216 => (User, "GROUP: the group does not exist or cannot be used"),
        217 => (User, "USER: the user does not exist or cannot be used"),
        219 => (Resources, "CGROUP: the control group cannot be set up"),
        203 => (Other, "EXEC: sloth-exec cannot be executed; is slothd installed completely?"),
        226 => (Other, "NAMESPACE: the sandbox cannot be set up on this machine"),
        228 => (Other, "SECCOMP: the sandbox cannot filter system calls on this machine"),
        EXIT_NO_ORDER => (Other, "sloth-exec got no order; see the journal of the unit"),
        EXIT_NO_OUTPUT => (Output, "sloth-exec cannot use the output file; see the journal of the unit"),
        EXIT_BEGAN_BEFORE => (Other, "the output file says that this attempt began before"),
        _ => (Other, "see the journal of the unit"),
    };
    fail(kind, format!("systemd could not start it ({status}/{what})"))
}

fn usage(facts: &Facts) -> Usage {
    let known = |name: &str| facts.get(name).and_then(known);
    Usage {
        cpu: Duration::from_nanos(known("CPUUsageNSec").unwrap_or_default()),
        memory_peak_bytes: known("MemoryPeak"),
        io_read_bytes: known("IOReadBytes"),
        io_write_bytes: known("IOWriteBytes"),
        ip_ingress_bytes: known("IPIngressBytes"),
        ip_egress_bytes: known("IPEgressBytes"),
    }
}

/// A counter of a unit. systemd has the highest number for "not known".
pub(super) fn known(value: &OwnedVariant) -> Option<u64> {
    u64::try_from(value.clone()).ok().filter(|value| *value != u64::MAX)
}

fn ended_at(facts: &Facts) -> Moment {
    let at = |name: &str| {
        let value = facts.get(name).and_then(|value| u64::try_from(value.clone()).ok());
        value.filter(|value| *value != 0).and_then(|value| i64::try_from(value).ok())
    };
    at("ExecMainExitTimestamp").or_else(|| at("InactiveEnterTimestamp")).map_or_else(wall_now, Moment::from_micros)
}

fn number(facts: &Facts, name: &str) -> Option<i32> {
    facts.get(name).and_then(|value| i32::try_from(value.clone()).ok())
}

/// What became of an attempt without a unit, for `Inspect`.
pub(super) fn finding(data: &Path, traces: &sloth_core::launch::Traces) -> sloth_core::launch::Finding {
    use sloth_core::launch::Finding;
    let frames = match Frames::read(data, &traces.output, traces.key.attempt) {
        Ok(frames) => frames,
        Err(error) => return Finding::Lost(format!("its output file cannot be read: {error}")),
    };
    if let Some(end) = frames.end {
        return Finding::Ended(end);
    }
    let other_boot = traces.process.as_ref().is_some_and(|process| process.boot_id != proc::boot_id());
    match (other_boot, frames.start) {
        // Frames are not forced to disk, so after another boot a missing start frame proves nothing.
        (true, _) => Finding::Lost("the machine was started anew while it ran, and no end was recorded".to_owned()),
        (false, None) => Finding::NeverStarted,
        (false, Some(_)) => Finding::Lost("its unit is gone and left no end, so nobody saw how it ended".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use zbus::Variant;

    use super::*;

    fn facts(result: &str, code: i32, status: i32) -> Facts {
        let own = |value: Variant<'_>| OwnedVariant::try_from(value).unwrap();
        Facts::from([
            ("Result".to_owned(), own(result.into())),
            ("ExecMainCode".to_owned(), own(code.into())),
            ("ExecMainStatus".to_owned(), own(status.into())),
        ])
    }

    fn kind(result: &str, code: i32, status: i32) -> StartFailureKind {
        match outcome(&facts(result, code, status), false) {
            Outcome::NotStarted(failure) => failure.kind,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn start_failures_are_told_by_name() {
        assert_eq!(kind("exit-code", EXITED, 217), StartFailureKind::User);
        assert_eq!(kind("exit-code", EXITED, 200), StartFailureKind::Directory);
        assert_eq!(kind("exit-code", EXITED, 205), StartFailureKind::Limit);
        assert_eq!(kind("exit-code", EXITED, EXIT_NO_OUTPUT), StartFailureKind::Output);
        assert_eq!(kind("resources", 0, 0), StartFailureKind::Resources);
    }

    #[test]
    fn what_was_not_counted_is_unknown_and_not_the_highest_number() {
        let own = |value: u64| OwnedVariant::try_from(Variant::from(value)).unwrap();
        let counted = usage(&Facts::from([
            ("IPIngressBytes".to_owned(), own(0)),
            ("IPEgressBytes".to_owned(), own(34)),
            ("IOReadBytes".to_owned(), own(u64::MAX)),
        ]));
        assert_eq!((counted.ip_ingress_bytes, counted.ip_egress_bytes), (Some(0), Some(34)));
        assert_eq!((counted.io_read_bytes, counted.io_write_bytes), (None, None));
        let uncounted = usage(&Facts::from([("IPIngressBytes".to_owned(), own(u64::MAX))]));
        assert_eq!((uncounted.ip_ingress_bytes, uncounted.ip_egress_bytes), (None, None));
    }

    #[test]
    fn without_an_end_frame_the_unit_says_what_can_be_known() {
        let killed = libc::CLD_KILLED;
        assert_eq!(outcome(&facts("timeout", killed, 9), true), Outcome::TimedOut);
        assert_eq!(outcome(&facts("oom-kill", killed, 9), true), Outcome::Oom);
        assert_eq!(outcome(&facts("signal", killed, SIGNAL_ORDERED), false), ended_before_release());
        let Outcome::Lost(text) = outcome(&facts("signal", killed, 9), true) else { panic!("it is lost") };
        assert!(text.contains("signal 9"), "{text}");
    }
}
