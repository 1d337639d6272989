//! Processes, from `/proc` (proc(5)).

use std::fs;
use std::path::PathBuf;

use sloth_exec::host;
use sloth_lua::{Call, Data, Failure, Reply};

use crate::describe::give;
use crate::facts;

fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

/// What is known about one; `None` when it is gone.
fn about(pid: u32) -> Option<Data> {
    let directory = PathBuf::from(format!("/proc/{pid}"));
    let stat = fs::read_to_string(directory.join("stat")).ok()?;
    let (before, after) = (stat.find('(')?, stat.rfind(')')?);
    let name = stat.get(before + 1..after)?;
    let fields: Vec<&str> = stat.get(after + 2..)?.split(' ').collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    let command = fs::read(directory.join("cmdline")).unwrap_or_default();
    let command: Vec<String> = command
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    let status = fs::read_to_string(directory.join("status")).unwrap_or_default();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_ascii_whitespace().next()?.parse().ok());
    #[allow(clippy::cast_precision_loss)] // seconds of processor time
    let cpu = (number(11) + number(12)) as f64 / host::ticks_per_second() as f64;
    Some(Data::map([
        ("pid", Data::from(u64::from(pid))),
        ("ppid", number(1).into()),
        ("name", name.into()),
        ("state", fields.first().copied().unwrap_or_default().into()),
        ("command", command.join(" ").into()),
        ("uid", uid.map(u64::from).into()),
        ("user", uid.and_then(|uid: u32| host::user_name(uid)).into()),
        ("cpu_seconds", cpu.into()),
        ("memory", (number(21) * host::page_bytes()).into()),
        ("threads", number(17).into()),
    ]))
}

/// `processes([filter])`: those whose name or command contains the filter.
pub fn processes(call: Call) -> Reply {
    let filter = call.args.opt_text("filter").unwrap_or_default();
    let matches = |data: &Data| {
        ["name", "command"].iter().any(|key| data.get(key).and_then(Data::to_text).is_some_and(|t| t.contains(&filter)))
    };
    give(Data::List(pids().into_iter().filter_map(about).filter(matches).collect()))
}

/// `process_info(pid)`.
pub fn process_info(call: Call) -> Reply {
    let pid = call.args.int("pid").and_then(|pid| u32::try_from(pid).ok());
    let pid = pid.ok_or_else(|| Failure::argument("pid", "number of a process expected"))?;
    about(pid).map(|data| vec![data]).ok_or_else(|| Failure::new(format!("process {pid} does not exist")))
}

/// `disk_io`: bytes read and written since boot, by device.
#[allow(clippy::unnecessary_wraps, clippy::needless_pass_by_value)] // the shape of bodies
pub fn disk_io(_: Call) -> Reply {
    let text = fs::read_to_string("/proc/diskstats").unwrap_or_default();
    let device = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
        Some(Data::map([
            ("device", Data::from(*fields.get(2)?)),
            ("reads", number(3)?.into()),
            // Sectors of this file are always 512 bytes.
            ("read_bytes", (number(5)? * 512).into()),
            ("writes", number(7)?.into()),
            ("write_bytes", (number(9)? * 512).into()),
        ]))
    };
    give(Data::List(text.lines().filter_map(device).collect()))
}

/// `network_stats`: bytes and packets since boot, by interface.
#[allow(clippy::unnecessary_wraps, clippy::needless_pass_by_value)] // the shape of bodies
pub fn network_stats(_: Call) -> Reply {
    let text = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let interface = |line: &str| {
        let (name, rest) = line.split_once(':')?;
        let fields: Vec<u64> = rest.split_ascii_whitespace().filter_map(|field| field.parse().ok()).collect();
        let number = |at: usize| Data::from(fields.get(at).copied().unwrap_or(0));
        Some(Data::map([
            ("name", Data::from(name.trim())),
            ("rx_bytes", number(0)),
            ("rx_packets", number(1)),
            ("rx_errors", number(2)),
            ("tx_bytes", number(8)),
            ("tx_packets", number(9)),
            ("tx_errors", number(10)),
        ]))
    };
    give(Data::List(text.lines().filter_map(interface).collect()))
}

/// `network_connections`: sockets of TCP and UDP.
#[allow(clippy::unnecessary_wraps, clippy::needless_pass_by_value)] // the shape of bodies
pub fn network_connections(_: Call) -> Reply {
    let mut found = Vec::new();
    for protocol in ["tcp", "tcp6", "udp", "udp6"] {
        let text = fs::read_to_string(format!("/proc/net/{protocol}")).unwrap_or_default();
        found.extend(text.lines().skip(1).filter_map(|line| connection(protocol, line)));
    }
    give(Data::List(found))
}

/// States of sockets, as the kernel numbers them from 1.
const STATES: &[&str] = &[
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
];

fn connection(protocol: &str, line: &str) -> Option<Data> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (local, local_port) = address(fields.get(1)?)?;
    let (remote, remote_port) = address(fields.get(2)?)?;
    let state = usize::from_str_radix(fields.get(3)?, 16).ok()?;
    Some(Data::map([
        ("protocol", Data::from(protocol)),
        ("local_address", local.into()),
        ("local_port", u64::from(local_port).into()),
        ("remote_address", remote.into()),
        ("remote_port", u64::from(remote_port).into()),
        ("state", STATES.get(state.wrapping_sub(1)).copied().unwrap_or("UNKNOWN").into()),
    ]))
}

/// `0100007F:0050`: words of 32 bits in the order of this machine.
fn address(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::new();
    for at in (0..host.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(host.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    }
    let address = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(v4) => std::net::IpAddr::from(v4),
        Err(_) => std::net::IpAddr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?),
    };
    Some((address.to_string(), port))
}

/// `performance_snapshot`.
#[allow(clippy::unnecessary_wraps, clippy::needless_pass_by_value)] // the shape of bodies
pub fn snapshot(_: Call) -> Reply {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    give(Data::map([
        ("timestamp", Data::from(now.as_secs())),
        ("cpu", facts::cpu()),
        ("memory", facts::memory()),
        ("load", facts::load()),
        ("processes", facts::processes()),
        ("disks", facts::disks()),
    ]))
}

/// `system_health`: `ok`, `warning` from 80 %, `critical` from 95 %, for processors, memory and disks.
#[allow(clippy::unnecessary_wraps, clippy::needless_pass_by_value)] // the shape of bodies
pub fn health(_: Call) -> Reply {
    let number = |data: &Data, key: &str| match data.get(key) {
        Some(Data::Num(number)) => *number,
        _ => 0.0,
    };
    let cpu = number(&facts::cpu(), "usage");
    let memory = number(&facts::memory(), "used_percent");
    let disk = match facts::disks() {
        Data::List(disks) => disks.iter().map(|disk| number(disk, "used_percent")).fold(0.0, f64::max),
        _ => 0.0,
    };
    let status = |percent: f64| match percent {
        p if p >= 95.0 => "critical",
        p if p >= 80.0 => "warning",
        _ => "ok",
    };
    let part = |percent: f64| Data::map([("usage", Data::from(percent)), ("status", status(percent).into())]);
    give(Data::map([
        ("overall", Data::from(status(cpu.max(memory).max(disk)))),
        ("cpu", part(cpu)),
        ("memory", part(memory)),
        ("disk", part(disk)),
    ]))
}
