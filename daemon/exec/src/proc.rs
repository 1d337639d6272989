//! What `/proc` tells about processes (proc(5)): identities that survive the reuse of a number, and the family tree.

use std::fs::{self, File};
use std::io::Read;
use std::sync::OnceLock;

use sloth_core::run::ProcessId;

/// The fields of `/proc/PID/stat` that we use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Number.
    pub pid: i32,
    /// State letter; `Z` is a zombie, `X` dead.
    pub state: u8,
    /// Parent.
    pub parent: i32,
    /// Process group.
    pub group: i32,
    /// Session.
    pub session: i32,
    /// Start in clock ticks since boot.
    pub start_ticks: u64,
}

impl Stat {
    /// Whether it can still do anything.
    pub fn is_alive(&self) -> bool {
        !matches!(self.state, b'Z' | b'X')
    }
}

/// The facts about one process; `None` when there is none of that number.
pub fn stat(pid: i32) -> Option<Stat> {
    // One read is enough: the kernel makes the line at once, and it is never longer.
    let mut line = [0; 1024];
    let length = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut line).ok()?;
    parse(pid, &line[..length])
}

/// All processes, in no order.
pub fn all() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries.flatten().filter_map(|entry| stat(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// Children of this (single-threaded) process; `None` where the kernel cannot list them.
pub fn own_children() -> Option<Vec<i32>> {
    let text = fs::read_to_string("/proc/thread-self/children").ok()?;
    Some(text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect())
}

/// Whether the environment of a process holds this `NAME=value`; false when it may not be read.
pub fn environ_has(pid: i32, assignment: &str) -> bool {
    let Ok(environ) = fs::read(format!("/proc/{pid}/environ")) else {
        return false;
    };
    environ.split(|byte| *byte == 0).any(|entry| entry == assignment.as_bytes())
}

/// The boot that we live in.
pub fn boot_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| {
        fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned()).unwrap_or_default()
    })
}

/// The full identity of a living process.
pub fn identify(pid: i32) -> Option<ProcessId> {
    let found = stat(pid)?;
    Some(ProcessId { pid: pid as u32, start_ticks: found.start_ticks, boot_id: boot_id().to_owned() })
}

/// Whether that very process still runs.
pub fn is_running(process: &ProcessId) -> bool {
    process.boot_id == boot_id()
        && stat(process.pid as i32).is_some_and(|s| s.start_ticks == process.start_ticks && s.is_alive())
}

fn parse(pid: i32, text: &[u8]) -> Option<Stat> {
    // The name is in parentheses and may itself hold any byte, so fields are counted from the last one.
    let after = text.iter().rposition(|byte| *byte == b')')? + 2;
    let fields: Vec<&str> = std::str::from_utf8(text.get(after..)?).ok()?.split_ascii_whitespace().collect();
    Some(Stat {
        pid,
        state: *fields.first()?.as_bytes().first()?,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        start_ticks: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_parentheses_and_spaces() {
        let line = b"7 (a) R 1) S 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 999 21";
        let stat = parse(7, line).unwrap();
        assert_eq!((stat.state, stat.parent, stat.group, stat.session, stat.start_ticks), (b'S', 3, 4, 5, 999));
    }

    #[test]
    fn this_process_is_found() {
        let me = std::process::id() as i32;
        assert!(is_running(&identify(me).unwrap()));
        assert!(all().iter().any(|s| s.pid == me));
    }
}
