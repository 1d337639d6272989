//! Health of the machine: disk, memory, load. Measured when asked.

use std::path::Path;

use sloth_api::HealthCheck;

/// All of them.
pub fn checks(data: &Path, instead_of_systemd: Option<&str>) -> Vec<HealthCheck> {
    let mut checks = vec![disk(data), memory(), load()];
    // Runs do not survive the stop of the unit of slothd then, and some limits cannot be had.
    checks.extend(instead_of_systemd.map(|why| {
        let hint = "let slothd start units (run it as root), or start it with --executor process";
        health("systemd", "warn", format!("not used: {why}"), "", hint)
    }));
    checks
}

fn health(name: &str, status: &str, value: String, threshold: &str, hint: &str) -> HealthCheck {
    HealthCheck {
        check: name.to_owned(),
        status: status.to_owned(),
        value,
        threshold: threshold.to_owned(),
        hint: if status == "ok" { String::new() } else { hint.to_owned() },
    }
}

fn disk(data: &Path) -> HealthCheck {
    match nix::sys::statvfs::statvfs(data) {
        Ok(fs) => {
            let free = fs.blocks_available() * fs.fragment_size();
            let total = (fs.blocks() * fs.fragment_size()).max(1);
            let percent = free * 100 / total;
            let status = if percent < 2 || free < 64 << 20 {
                "critical"
            } else if percent < 10 {
                "warn"
            } else {
                "ok"
            };
            let value = format!("{} MiB free ({percent} %)", free >> 20);
            health("disk", status, value, "10 %", "free space, or move the data directory")
        }
        Err(error) => health("disk", "unknown", error.to_string(), "10 %", ""),
    }
}

fn memory() -> HealthCheck {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    match (kib("MemAvailable:"), kib("MemTotal:")) {
        (Some(available), Some(total)) => {
            let percent = available * 100 / total.max(1);
            let status = if percent < 5 { "warn" } else { "ok" };
            health("memory", status, format!("{percent} % available"), "5 %", "runs may be killed by the kernel")
        }
        _ => health("memory", "unknown", "/proc/meminfo cannot be read".to_owned(), "5 %", ""),
    }
}

/// Memory of the machine, bytes.
pub fn memory_total() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

fn load() -> HealthCheck {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as f64;
    match text.split(' ').nth(1).and_then(|load| load.parse::<f64>().ok()) {
        Some(load) => {
            let status = if load > cores * 4.0 { "warn" } else { "ok" };
            let limit = format!("{:.0}", cores * 4.0);
            health("load", status, format!("{load} (5 min)"), &limit, "starts may be late")
        }
        None => health("load", "unknown", "/proc/loadavg cannot be read".to_owned(), "", ""),
    }
}
