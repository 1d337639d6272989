//! Limits, times and results of a service: what systemd bounds and counts as success, in the fields of a schedule.

use sloth_api::{LimitsSpec, Quantity, RetriesSpec, RetriesTable, ScheduleSpec};
use sloth_core::units::format_duration;

use super::service::Refusal;
use super::span;
use super::unit::Unit;

const SERVICE: &str = "Service";

/// Fills in limits, retries, exit codes and the grace; returns the longest run in whole seconds.
pub(super) fn apply<'a>(
    unit: &'a Unit,
    is_oneshot: bool,
    spec: &mut ScheduleSpec,
    notes: &mut Vec<String>,
) -> Result<Option<u64>, Refusal<'a>> {
    let limits = limits(unit, notes)?;
    spec.limits = (limits != LimitsSpec::default()).then_some(limits);
    let limit_key = if is_oneshot { "TimeoutStartSec" } else { "RuntimeMaxSec" };
    // TimeoutSec= sets the start and the stop timeout; the later assignment counts.
    let timeout =
        unit.last(SERVICE, limit_key).or_else(|| is_oneshot.then(|| unit.last(SERVICE, "TimeoutSec")).flatten());
    let mut timeout_seconds = None;
    if let Some(entry) = timeout.filter(|entry| entry.value != "infinity") {
        let time = span::parse(&entry.value).ok_or((Some(entry), "is not a time span such as 5min".to_owned()))?;
        timeout_seconds = Some(time.as_secs_f64().ceil() as u64).filter(|seconds| *seconds > 0);
    }
    let stop = unit.last(SERVICE, "TimeoutStopSec").or_else(|| unit.last(SERVICE, "TimeoutSec"));
    if let Some(time) = stop.and_then(|entry| span::parse(&entry.value)).filter(|time| !time.is_zero()) {
        spec.kill_grace = Some(Quantity::Text(format_duration(time)));
    }
    results(unit, spec, notes);
    retries(unit, spec, notes)?;
    Ok(timeout_seconds)
}

fn limits<'a>(unit: &'a Unit, notes: &mut Vec<String>) -> Result<LimitsSpec, Refusal<'a>> {
    let mut limits = LimitsSpec::default();
    for key in ["Nice", "IOWeight", "CPUQuota", "MemoryMax", "MemoryLimit", "TasksMax", "LimitNOFILE"] {
        let Some(entry) = unit.last(SERVICE, key).filter(|entry| entry.value != "infinity") else {
            continue;
        };
        let text = entry.value.as_str();
        let read = match key {
            "Nice" => text.parse().ok().filter(|nice| (-20..=19).contains(nice)).map(|nice| limits.nice = Some(nice)),
            "IOWeight" => text
                .parse()
                .ok()
                .filter(|weight| (1..=10_000).contains(weight))
                .map(|weight| limits.io_weight = Some(weight)),
            "CPUQuota" => text
                .strip_suffix('%')
                .and_then(|percent| percent.trim_ascii().parse::<u32>().ok())
                .filter(|percent| *percent > 0)
                .map(|percent| limits.cpu = Some(Quantity::Text(format!("{}m", u64::from(percent) * 10)))),
            "TasksMax" => text.parse().ok().map(|tasks| limits.tasks = Some(tasks)),
            // The soft limit is the one that a program meets.
            "LimitNOFILE" => {
                text.split(':').next().and_then(|soft| soft.parse().ok()).map(|nofile| limits.nofile = Some(nofile))
            }
            _ => size(text).map(|bytes| limits.memory = Some(Quantity::Text(bytes))),
        };
        if read.is_none() && text.ends_with('%') {
            notes.push(format!(
                "{key}={text}: a share of the machine is not carried over; set it in absolute terms with --limits"
            ));
        } else if read.is_none() {
            return Err((Some(entry), format!("{key}={text} is not read: write a plain number or size")));
        }
    }
    if let Some(entry) = unit.last(SERVICE, "IOSchedulingClass").or_else(|| unit.last(SERVICE, "IOSchedulingPriority"))
    {
        let advice = "call ionice(1) in the command, or set --limits io_weight=N";
        notes.push(format!("{}={}: the class of I/O is not carried over; {advice}", entry.key, entry.value));
    }
    Ok(limits)
}

/// A size of systemd, whose units are powers of 1024.
fn size(text: &str) -> Option<String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    match unit {
        "" | "B" => Some(number.to_string()),
        "K" | "M" | "G" | "T" => Some(format!("{number}{unit}i")),
        _ => None,
    }
}

fn results(unit: &Unit, spec: &mut ScheduleSpec, notes: &mut Vec<String>) {
    let mut codes = vec![0];
    for word in unit.all(SERVICE, "SuccessExitStatus").iter().flat_map(|entry| entry.value.split_ascii_whitespace()) {
        match word.parse::<u8>().ok().map(i32::from).or_else(|| named_status(word)) {
            Some(code) => codes.push(code),
            None => notes.push(format!(
                "SuccessExitStatus={word}: only exit codes can count as success; this ending counts as a failure"
            )),
        }
    }
    codes.sort_unstable();
    codes.dedup();
    spec.success_codes = (codes != [0]).then_some(codes);
}

/// Names of sysexits.h, and those of systemd.exec(5) that a program may well use.
fn named_status(name: &str) -> Option<i32> {
    const NAMES: [&str; 15] = [
        "USAGE",
        "DATAERR",
        "NOINPUT",
        "NOUSER",
        "NOHOST",
        "UNAVAILABLE",
        "SOFTWARE",
        "OSERR",
        "OSFILE",
        "CANTCREAT",
        "IOERR",
        "TEMPFAIL",
        "PROTOCOL",
        "NOPERM",
        "CONFIG",
    ];
    NAMES.iter().position(|known| *known == name.strip_prefix("EX_").unwrap_or(name)).map(|at| 64 + at as i32)
}

fn retries<'a>(unit: &'a Unit, spec: &mut ScheduleSpec, notes: &mut Vec<String>) -> Result<(), Refusal<'a>> {
    let Some(entry) = unit.last(SERVICE, "Restart").filter(|entry| entry.value != "no") else {
        return Ok(());
    };
    if entry.value != "on-failure" {
        let reason = format!("Restart={} has no counterpart: use Restart=on-failure or no", entry.value);
        return Err((Some(entry), reason));
    }
    let delay = match unit.last(SERVICE, "RestartSec") {
        None => std::time::Duration::from_millis(100),
        Some(entry) => span::parse(&entry.value).ok_or((Some(entry), "is not a time span such as 30s".to_owned()))?,
    };
    let burst = unit
        .last("Unit", "StartLimitBurst")
        .and_then(|entry| entry.value.parse::<u32>().ok())
        .filter(|burst| (1..=100).contains(burst));
    let max = burst.unwrap_or(5) - 1;
    spec.retries = Some(RetriesSpec::Full(RetriesTable {
        max: Some(max),
        delay: Some(Quantity::Text(format_duration(delay))),
        ..RetriesTable::default()
    }));
    notes.push(format!(
        "Restart=on-failure becomes {max} retries, then the run has failed; systemd may go on when RestartSec is long"
    ));
    Ok(())
}
