//! The build under test, the machine, and what /proc tells about a process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{interrupt, workspace};

/// Builds for release and returns where the programs are.
pub fn build(root: &Path) -> Result<PathBuf> {
    println!("building for release (minutes on a fresh clone, otherwise seconds)");
    cargo(
        root,
        &["build", "--release", "--quiet", "-p", "slothd", "-p", "slothctl", "-p", "sloth-exec", "-p", "sloth-worker"],
    )?;
    Ok(workspace::target()?.join("release"))
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<()> {
    let status = workspace::cargo(root).args(arguments).status().context("cannot run cargo")?;
    interrupt::check()?;
    if !status.success() {
        bail!("cargo {} failed ({status})", arguments.join(" "));
    }
    Ok(())
}

/// Builds an example of a crate and returns its program.
pub fn example(root: &Path, programs: &Path, package: &str, name: &str) -> Result<PathBuf> {
    cargo(root, &["build", "--release", "--quiet", "-p", package, "--example", name])?;
    Ok(programs.join("examples").join(name))
}

/// Runs a command in a booted system into whose `/root` these files were put. The outer error is a failure, the inner one the reason
/// why no system can be booted here.
pub fn booted(root: &Path, files: &[&Path], command: &[&str]) -> Result<Result<String, String>> {
    // It measures nothing itself, so it need not be a release build.
    cargo(root, &["build", "--quiet", "-p", "sloth-tests", "--bin", "sloth-booted"])?;
    let target = workspace::target()?;
    let output = Command::new(target.join("debug/sloth-booted"))
        .args(files)
        .arg("--")
        .args(command)
        .stdin(Stdio::null())
        .output()
        .context("cannot run sloth-booted")?;
    interrupt::check()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.code() {
        Some(0) => Ok(Ok(text(&output.stdout))),
        // What it ends with where no system can be booted.
        Some(75) => Ok(Err(text(&output.stdout))),
        _ => bail!("{} in a booted system: {} {}", command.join(" "), output.status, text(&output.stderr)),
    }
}

/// Runs a program that prints one JSON document.
pub fn json(program: &Path, arguments: &[&str]) -> Result<Value> {
    let output = output(program, arguments)?;
    serde_json::from_slice(&output).with_context(|| format!("{} printed no JSON", program.display()))
}

/// Runs a program and returns what it prints.
pub fn output(program: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    interrupt::check()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!("{} {}: {} {said}", program.display(), arguments.join(" "), output.status);
    }
    Ok(output.stdout)
}

pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Processor, how many, kernel.
pub fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let count = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{count} x {}, Linux {}", name.trim_start_matches([' ', '\t', ':']), kernel.trim())
}

pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Resident memory of a process, MiB.
pub fn rss_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

/// CPU time of a process so far, as exact as the scheduler counts it.
pub fn cpu(pid: u32) -> Duration {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        // The first field is time on a processor in nanoseconds (proc_pid_schedstat in the kernel's documentation).
        let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        sum += text.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
    }
    Duration::from_nanos(sum)
}

/// Percent of a processor that a process uses during so long.
pub fn cpu_percent(pid: u32, time: Duration) -> Result<f64> {
    let (before, begin) = (cpu(pid), Instant::now());
    interrupt::pause(time)?;
    let used = cpu(pid).saturating_sub(before);
    Ok(used.as_secs_f64() / begin.elapsed().as_secs_f64() * 100.0)
}

/// Waits until a process has calmed down, at most a minute.
pub fn settle(pid: u32) -> Result<()> {
    let begin = Instant::now();
    while cpu_percent(pid, Duration::from_secs(1))? > 2.0 && begin.elapsed() < Duration::from_secs(60) {}
    Ok(())
}

/// The youngest process of this name.
pub fn process_named(name: &str) -> Option<u32> {
    let pids = fs::read_dir("/proc").ok()?.flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    // The kernel keeps the first 15 bytes of a name (proc_pid_comm(5)).
    pids.filter(|pid| {
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        !comm.is_empty() && name.starts_with(comm.trim_end())
    })
    .max()
}
