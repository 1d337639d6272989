//! Load of the host, read from `/proc`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sloth_lua::{Call, Data, Failure};

use crate::ended;

/// Between the two looks that a percentage of the processors needs.
const LOOK: Duration = Duration::from_millis(200);

const MIB: f64 = 1024.0 * 1024.0;
const GIB: f64 = MIB * 1024.0;

fn read(path: &str) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::new(format!("{path}: {error}")))
}

/// Busy and total time of all processors, in ticks.
fn times(stat: &str) -> Option<(f64, f64)> {
    let line = stat.lines().find(|line| line.starts_with("cpu "))?;
    let ticks: Vec<f64> = line.split_whitespace().skip(1).take(8).filter_map(|text| text.parse().ok()).collect();
    let idle = ticks.get(3)? + ticks.get(4).unwrap_or(&0.0);
    let total: f64 = ticks.iter().sum();
    Some((total - idle, total))
}

/// Percent of all processors that are busy.
pub(super) async fn cpu(call: &Call) -> Result<f64, Failure> {
    let look = || times(&read("/proc/stat")?).ok_or_else(|| Failure::new("/proc/stat: no line for all processors"));
    let first = look()?;
    tokio::select! {
        kind = call.ctx.cancel.cancelled() => return Err(ended(&kind)),
        () = tokio::time::sleep(LOOK) => {}
    }
    let second = look()?;
    let total = second.1 - first.1;
    Ok(if total > 0.0 { ((second.0 - first.0) / total * 1000.0).round() / 10.0 } else { 0.0 })
}

/// Total and available memory, bytes.
fn memory_of(meminfo: &str) -> Option<(f64, f64)> {
    let kib = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse::<f64>().ok()
    };
    Some((kib("MemTotal")? * 1024.0, kib("MemAvailable")? * 1024.0))
}

fn percent(used: f64, total: f64) -> f64 {
    if total > 0.0 { (used / total * 1000.0).round() / 10.0 } else { 0.0 }
}

fn round(value: f64) -> Data {
    Data::Num((value * 100.0).round() / 100.0)
}

/// `{used_mb, total_mb, percent, available_mb}`.
pub(super) fn memory() -> Result<(f64, Data), Failure> {
    let (total, available) = memory_of(&read("/proc/meminfo")?)
        .ok_or_else(|| Failure::new("/proc/meminfo: no MemTotal and MemAvailable"))?;
    let used = total - available;
    let percent = percent(used, total);
    let table = Data::map([
        ("used_mb", round(used / MIB)),
        ("total_mb", round(total / MIB)),
        ("percent", Data::Num(percent)),
        ("available_mb", round(available / MIB)),
    ]);
    Ok((percent, table))
}

/// `{used_gb, total_gb, percent, free_gb}` of the file system of a path, as `df` counts. Blocks.
pub(super) fn disk(path: &Path) -> Result<(f64, Data), Failure> {
    let failed = |why: String| Failure::new(format!("{}: {why}", path.display()));
    let output = Command::new("df").env("LC_ALL", "C").args(["-kP", "--"]).arg(path).output();
    let output = output.map_err(|error| failed(format!("df: {error}")))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let (total, used, free) =
        columns(&String::from_utf8_lossy(&output.stdout)).ok_or_else(|| failed("df said nothing".into()))?;
    let percent = percent(used, used + free);
    let table = Data::map([
        ("used_gb", round(used / GIB)),
        ("total_gb", round(total / GIB)),
        ("percent", Data::Num(percent)),
        ("free_gb", round(free / GIB)),
    ]);
    Ok((percent, table))
}

/// Total, used and free bytes of `df -kP`.
fn columns(text: &str) -> Option<(f64, f64, f64)> {
    let words: Vec<&str> = text.lines().nth(1)?.split_whitespace().collect();
    // The name of a device may have blanks; the numbers come before the first percentage.
    let capacity = words.iter().position(|word| word.ends_with('%') || *word == "-")?;
    let number = |back: usize| words.get(capacity.checked_sub(back)?)?.parse::<f64>().ok().map(|kib| kib * 1024.0);
    Some((number(3)?, number(2)?, number(1)?))
}

/// Resident memory of this process, bytes.
pub(super) fn resident() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kib| kib * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel_are_read() {
        assert_eq!(times("cpu  10 0 10 70 10 0 0 0 0 0\ncpu0 1 1"), Some((20.0, 100.0)));
        assert_eq!(times("nothing"), None);
        let meminfo = "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    250 kB\n";
        assert_eq!(memory_of(meminfo), Some((1_024_000.0, 256_000.0)));
        let df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/a b 100 40 50 45% /mnt/x y\n";
        assert_eq!(columns(df), Some((102_400.0, 40_960.0, 51_200.0)));
    }

    #[test]
    fn this_host_has_memory_and_a_disk() {
        assert!(memory().unwrap().0 > 0.0 && resident().unwrap() > 0.0);
        let (percent, table) = disk(Path::new("/")).unwrap();
        assert!((0.0..=100.0).contains(&percent) && table.get("total_gb").is_some());
        assert!(disk(Path::new("/no/such/place")).unwrap_err().message.contains("/no/such/place"));
    }
}
