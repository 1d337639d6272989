//! Retries, circuits, resources, priorities.

use sloth_core::units::{parse_cpu, parse_size};
use sloth_core::workflow::{Backoff, Circuit, Resources, Retry, suggest};

use super::plain::{duration_ms, int, strings, text};
use crate::define::desk::Desk;
use crate::define::fault::Fault;
use crate::define::raw::{Raw, RawTable};

type Read<T> = Result<T, Fault>;

/// Most retries.
const RETRIES_MAX: i64 = 1_000_000;

/// A strategy.
pub(crate) fn backoff(raw: &Raw) -> Read<Backoff> {
    let name = text(raw)?;
    Backoff::from_name(&name).ok_or_else(|| {
        let names = Backoff::ALL.map(|(name, _)| name);
        Fault::new("E113", format!("unknown strategy {name:?}"))
            .hint(format!("one of {}", names.join(", ")))
            .did_you_mean(suggest(&name, names))
    })
}

/// `retries(n [, strategy [, opts]])` or `retries(tbl)`, on top of what is there. True when it says how many.
pub(crate) fn retry(retry: &mut Retry, args: &[Raw], desk: &Desk) -> Read<bool> {
    let mut counted = false;
    for arg in args {
        match arg {
            Raw::Nil => {}
            Raw::Table(table) => counted |= retry_parts(retry, table, desk)?,
            Raw::Str(_) => retry.backoff = backoff(arg)?,
            number => {
                retry.max_attempts = attempts(number, 0)? + 1;
                counted = true;
            }
        }
    }
    Ok(counted)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // in range
fn attempts(raw: &Raw, least: i64) -> Read<u32> {
    int(raw, least, RETRIES_MAX).map(|number| number as u32)
}

pub(super) const RETRY_KEYS: [&str; 12] = [
    "max_attempts",
    "strategy",
    "backoff_strategy",
    "delay",
    "initial_delay",
    "multiplier",
    "backoff_multiplier",
    "max_delay",
    "jitter",
    "retry_on",
    "retries",
    "backoff",
];

/// The table form. True when it says how many.
pub(crate) fn retry_parts(retry: &mut Retry, table: &RawTable, desk: &Desk) -> Read<bool> {
    desk.unknown_keys("retries", table, &RETRY_KEYS);
    let mut counted = false;
    if let Some(number) = table.list.first().or_else(|| table.get("retries")) {
        retry.max_attempts = attempts(number, 0)? + 1;
        counted = true;
    }
    if let Some(number) = table.get("max_attempts") {
        retry.max_attempts = attempts(number, 1)?;
        counted = true;
    }
    if let Some(name) = table.any(&["strategy", "backoff_strategy", "backoff"]) {
        retry.backoff = backoff(name)?;
    }
    if let Some(delay) = table.any(&["delay", "initial_delay"]) {
        retry.delay_ms = duration_ms(delay)?;
    }
    if let Some(delay) = table.get("max_delay") {
        retry.max_delay_ms = duration_ms(delay)?;
    }
    match table.any(&["multiplier", "backoff_multiplier"]) {
        None => {}
        Some(Raw::Num(number)) if (1.0..=1e6).contains(number) => retry.multiplier = *number,
        Some(other) => return Err(Fault::new("E113", format!("multiplier: {} is not a number ≥ 1", shown(other)))),
    }
    match table.get("jitter") {
        None | Some(Raw::Bool(false)) => {}
        Some(Raw::Bool(true)) => retry.jitter = 0.2,
        Some(Raw::Num(number)) if (0.0..=1.0).contains(number) => retry.jitter = *number,
        Some(other) => return Err(Fault::new("E113", format!("jitter: {} is not between 0 and 1", shown(other)))),
    }
    match table.get("retry_on") {
        None => {}
        Some(Raw::Fn(function)) => retry.decide = Some(*function),
        Some(kinds) => retry.kinds = Some(strings(std::slice::from_ref(kinds))?),
    }
    Ok(counted)
}

fn shown(raw: &Raw) -> String {
    match raw {
        Raw::Num(number) => number.to_string(),
        Raw::Str(text) => format!("{text:?}"),
        other => other.type_name().to_owned(),
    }
}

/// `{failure_threshold=, recovery_timeout=, half_open_requests=}`, on top of what is there.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // in range
pub(crate) fn circuit(mut circuit: Circuit, raw: &Raw, desk: &Desk) -> Read<Circuit> {
    let table = raw.table().ok_or_else(|| Fault::wrong("table", raw.type_name()))?;
    desk.unknown_keys("circuit", table, &["failure_threshold", "recovery_timeout", "half_open_requests"]);
    if let Some(number) = table.get("failure_threshold") {
        circuit.failure_threshold = int(number, 1, 1_000_000)? as u32;
    }
    if let Some(time) = table.get("recovery_timeout") {
        circuit.recovery_timeout_ms = duration_ms(time)?;
    }
    if let Some(number) = table.get("half_open_requests") {
        circuit.half_open_requests = int(number, 1, 1_000_000)? as u32;
    }
    Ok(circuit)
}

/// A number from −100 to 100, or one of four words.
#[allow(clippy::cast_possible_truncation)] // in range
pub(crate) fn priority(raw: &Raw) -> Read<i32> {
    match raw.str() {
        Some("low") => Ok(-50),
        Some("normal") => Ok(0),
        Some("high") => Ok(50),
        Some("critical") => Ok(100),
        _ => int(raw, -100, 100)
            .map(|number| number as i32)
            .map_err(|fault| fault.hint("or low, normal, high, critical")),
    }
}

/// `{cpu=, memory=, disk=, network=, pids=, gpu=}`: each `{request, limit}`, or a plain quantity for both.
#[allow(clippy::cast_sign_loss)] // in range
pub(crate) fn resources(raw: &Raw) -> Read<Resources> {
    let table = raw.table().ok_or_else(|| Fault::wrong("table", raw.type_name()))?;
    let mut found = Resources::default();
    for (key, value) in &table.map {
        let about = |fault: Fault| fault.about(&format!("resources.{key}"));
        match key.as_str() {
            "cpu" => pair(value, cpu, &mut found.cpu_request, &mut found.cpu_limit).map_err(about)?,
            "memory" => pair(value, size, &mut found.memory_request, &mut found.memory_limit).map_err(about)?,
            "disk" => pair(value, size, &mut found.disk_request, &mut found.disk_limit).map_err(about)?,
            "network" => pair(value, bandwidth, &mut found.network_request, &mut found.network_limit).map_err(about)?,
            "pids" => found.pids = Some(int(value, 1, 1 << 22).map_err(about)? as u64),
            name => {
                let count = int(value, 0, 1_000_000).map_err(about)?;
                found.named.insert(name.to_owned(), count as u64);
            }
        }
    }
    Ok(found)
}

fn pair(raw: &Raw, read: fn(&Raw) -> Read<u64>, request: &mut Option<u64>, limit: &mut Option<u64>) -> Read<()> {
    let Some(table) = raw.table() else {
        let both = Some(read(raw)?);
        (*request, *limit) = (both, both);
        return Ok(());
    };
    if let Some(value) = table.any(&["request", "requests"]) {
        *request = Some(read(value)?);
    }
    if let Some(value) = table.any(&["limit", "limits"]) {
        *limit = Some(read(value)?);
    }
    match (*request, *limit) {
        (Some(request), Some(limit)) if request > limit => {
            Err(Fault::new("E113", "the request is larger than the limit"))
        }
        _ => Ok(()),
    }
}

fn cpu(raw: &Raw) -> Read<u64> {
    Ok(u64::from(parse_cpu(&text(raw)?)?))
}

/// Bytes.
pub(crate) fn size(raw: &Raw) -> Read<u64> {
    Ok(parse_size(&text(raw)?)?)
}

/// Bits per second.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked
fn bandwidth(raw: &Raw) -> Read<u64> {
    let text = text(raw)?;
    let scales = [("Gbps", 1e9), ("Mbps", 1e6), ("Kbps", 1e3), ("bps", 1.0), ("", 1.0)];
    let (digits, scale) = scales
        .iter()
        .find_map(|(unit, scale)| text.strip_suffix(unit).map(|digits| (digits, *scale)))
        .unwrap_or((text.as_str(), 1.0));
    match digits.trim().parse::<f64>() {
        Ok(number) if number >= 0.0 && number * scale < 1e18 => Ok((number * scale) as u64),
        _ => Err(Fault::new("E113", format!("{text:?} is no bandwidth")).hint("example: \"100Mbps\"")),
    }
}
