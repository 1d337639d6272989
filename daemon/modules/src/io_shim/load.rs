//! Memory of the worker and load of the host, from proc(5) and the cgroup.

use std::fs::read_to_string;

use sloth_lua::{Call, Data, Failure, Reply};

const MIB: f64 = 1_048_576.0;

pub(super) fn memory(_: Call) -> Reply {
    let status = read_to_string("/proc/self/status").map_err(Failure::from)?;
    let host = read_to_string("/proc/meminfo").unwrap_or_default();
    let total = kib(&host, "MemTotal:").map(|kib| kib / 1024.0);
    let max = limit().into_iter().chain(total).fold(f64::INFINITY, f64::min);
    let current = kib(&status, "VmRSS:").unwrap_or(0.0) / 1024.0;
    let peak = kib(&status, "VmHWM:").unwrap_or(0.0) / 1024.0;
    Ok(vec![Data::map([
        ("current_mb", Data::Num(current)),
        ("peak_mb", Data::Num(peak.max(current))),
        ("max_mb", if max.is_finite() { Data::Num(max) } else { Data::Nil }),
    ])])
}

/// Limit of the own cgroup in MiB, where cgroup v2 has one.
fn limit() -> Option<f64> {
    let own = read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let text = read_to_string(format!("/sys/fs/cgroup/{path}/memory.max")).ok()?;
    text.trim().parse::<f64>().ok().map(|bytes| bytes / MIB)
}

fn kib(text: &str, key: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

pub(super) fn cpu(_: Call) -> Reply {
    let load = read_to_string("/proc/loadavg").map_err(Failure::from)?;
    let load1: f64 = load.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0.0);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let times = read_to_string("/proc/stat").unwrap_or_default();
    #[allow(clippy::cast_precision_loss)] // a number of cores
    Ok(vec![Data::map([
        ("percent", Data::Num(busy(&times).unwrap_or(0.0))),
        ("cores", Data::Num(cores as f64)),
        ("load1", Data::Num(load1)),
    ])])
}

/// Share of the time since boot in which the processors were not idle.
fn busy(stat: &str) -> Option<f64> {
    let line = stat.lines().next()?.strip_prefix("cpu")?;
    let times: Vec<f64> = line.split_whitespace().filter_map(|text| text.parse().ok()).collect();
    let total: f64 = times.iter().take(8).sum();
    let idle = times.get(3)? + times.get(4).unwrap_or(&0.0);
    (total > 0.0).then(|| (total - idle) / total * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_proc_stat_gives_the_share() {
        assert_eq!(busy("cpu  10 0 10 70 10 0 0 0 0 0\ncpu0 1"), Some(20.0));
        assert_eq!(busy(""), None);
        assert_eq!(kib("VmRSS:\t  2048 kB\n", "VmRSS:"), Some(2048.0));
    }
}
