//! Workflows from the command line to their end: `slothctl run FILE` with a warm daemon, every record durable, beside
//! task runners that record nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::row::{Goal, Row, median, percentile};
use super::{Bench, ctl, probe};
use crate::instance::Instance;
use crate::interrupt;

const WF5: &str = include_str!("files/wf5.sloth");
const WF40: &str = include_str!("files/wf40.sloth");
const WF40P: &str = include_str!("files/wf40p.sloth");
const FAN: &str = include_str!("files/fan1000.sloth");
const NOOP: &str = include_str!("files/noop10k.sloth");

/// A command line that is measured.
struct Side {
    name: String,
    command: Command,
    times: Vec<f64>,
}

impl Side {
    fn new(name: impl Into<String>, command: Command) -> Side {
        Side { name: name.into(), command, times: Vec::new() }
    }
}

/// Each side in turn, so that a busy moment hits all of them.
fn in_turn(sides: &mut [Side], rounds: usize) -> Result<()> {
    for _ in 0..rounds {
        for side in sides.iter_mut() {
            interrupt::check()?;
            let time = once(&mut side.command).with_context(|| side.name.clone())?;
            side.times.push(time);
        }
    }
    Ok(())
}

/// Milliseconds of one run that must succeed.
fn once(command: &mut Command) -> Result<f64> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begin = Instant::now();
    let status = command.status().context("cannot run it")?;
    let time = begin.elapsed().as_secs_f64() * 1000.0;
    if !status.success() {
        bail!("it ended with {status}");
    }
    Ok(time)
}

fn started(bench: &Bench) -> Result<Instance> {
    let mut instance = Instance::new(bench.programs.clone(), "bench")?;
    instance.start()?;
    Ok(instance)
}

fn write(instance: &Instance, name: &str, text: &str) -> Result<PathBuf> {
    let file = instance.root.join(name);
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

fn run(instance: &Instance, name: &str, text: &str) -> Result<Command> {
    let file = write(instance, &format!("{name}.sloth"), text)?;
    let mut command = instance.ctl();
    command.arg("run").arg(file);
    Ok(command)
}

/// A rival and how it runs so many targets; `None`, with a word, when it is not installed.
fn rival(name: &str, build: impl FnOnce(PathBuf) -> Result<Command>) -> Result<Option<Side>> {
    match ctl::find(name) {
        Some(program) => Ok(Some(Side::new(name, build(program)?))),
        None => {
            println!("   {name} is not installed: skipped");
            Ok(None)
        }
    }
}

fn in_directory(program: &Path, directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory);
    command
}

pub fn wf5(bench: &Bench) -> Result<Vec<Row>> {
    let instance = started(bench)?;
    let there = instance.root.clone();
    let mut sides = vec![Side::new("slothctl run", run(&instance, "wf5", WF5)?)];
    sides.extend(rival("make", |program| {
        write(&instance, "Makefile", "e: b c d\n\t@true\nb c d: a\n\t@true\na:\n\t@true\n.PHONY: a b c d e\n")?;
        Ok(in_directory(&program, &there, &["-j2", "e"]))
    })?);
    sides.extend(rival("just", |program| {
        write(
            &instance,
            "justfile",
            "e: b c d\n    @true\nb: a\n    @true\nc: a\n    @true\nd: a\n    @true\na:\n    @true\n",
        )?;
        Ok(in_directory(&program, &there, &["e"]))
    })?);
    sides.extend(rival("mise", |program| {
        let tasks = "[tasks.a]\nrun='true'\n[tasks.b]\nrun='true'\ndepends=['a']\n[tasks.c]\nrun='true'\ndepends=['a']\n\
                     [tasks.d]\nrun='true'\ndepends=['a']\n[tasks.e]\nrun='true'\ndepends=['b','c','d']\n";
        write(&instance, "mise.toml", tasks)?;
        let mut command = in_directory(&program, &there, &["run", "e"]);
        command.env("MISE_TRUSTED_CONFIG_PATHS", &there).env("MISE_YES", "1");
        Ok(command)
    })?);
    in_turn(&mut sides, if bench.quick { 20 } else { 100 })?;
    let ours = median(&sides[0].times);
    let raw = json!(sides.iter().map(|side| json!({ &side.name: side.times })).collect::<Vec<_>>());
    let mut rows = vec![
        Row::at_most("wf5", "5-task diamond, p50", "ms", ours, 12.0).raw(raw),
        Row::at_most("wf5", "5-task diamond, p99", "ms", percentile(&sides[0].times, 0.99), 24.0),
    ];
    for side in &sides[1..] {
        let goal = if side.name == "mise" { 0.2 } else { 2.0 };
        let row = Row::at_most("wf5", "5-task diamond, p50", "ms", ours, median(&side.times));
        rows.push(row.beside(side.name.clone(), Goal::AtMost(goal)));
    }
    Ok(rows)
}

pub fn wf40(bench: &Bench) -> Result<Vec<Row>> {
    let instance = started(bench)?;
    let mut sides = vec![
        Side::new("in the worker", run(&instance, "wf40", WF40)?),
        Side::new("processes", run(&instance, "wf40p", WF40P)?),
    ];
    in_turn(&mut sides, if bench.quick { 10 } else { 40 })?;
    let raw = json!({ "worker": sides[0].times, "processes": sides[1].times });
    Ok(vec![
        Row::at_most("wf40", "40 steps of fib(10), p50", "ms", median(&sides[0].times), 30.0).raw(raw),
        Row::at_most("wf40", "40 steps, a process each, p50", "ms", median(&sides[1].times), 80.0),
    ])
}

pub fn fan1000(bench: &Bench) -> Result<Vec<Row>> {
    let instance = started(bench)?;
    let there = instance.root.clone();
    let mut sides = vec![Side::new("slothctl run", run(&instance, "fan1000", FAN)?)];
    let targets = |line: &dyn Fn(usize) -> String| (1..=1000).map(line).collect::<String>();
    sides.extend(rival("make", |program| {
        let names = targets(&|n| format!(" t{n}"));
        write(&instance, "Makefile", &format!("all:{names}\n{names}:\n\t@/bin/true\n.PHONY: all{names}\n"))?;
        Ok(in_directory(&program, &there, &["-j2"]))
    })?);
    sides.extend(rival("ninja", |program| {
        let builds = targets(&|n| format!("build t{n}: run\n"));
        write(&instance, "build.ninja", &format!("rule run\n  command = /bin/true\n{builds}"))?;
        Ok(in_directory(&program, &there, &["-j2", "--quiet"]))
    })?);
    sides.extend(rival("xargs", |program| {
        let list = write(&instance, "list", &targets(&|n| format!("{n}\n")))?;
        let mut command = Command::new(&program);
        // Its options come before the command.
        command.arg("-a").arg(list).args(["-P2", "-n1", "/bin/true"]);
        Ok(command)
    })?);
    sides.extend(rival("just", |program| {
        let recipes = targets(&|n| format!("t{n}:\n    @/bin/true\n"));
        let names = targets(&|n| format!(" t{n}"));
        write(&instance, "justfile", &format!("[parallel]\nall:{names}\n{recipes}"))?;
        Ok(in_directory(&program, &there, &["all"]))
    })?);
    sides.extend(rival("mise", |program| {
        let tasks = targets(&|n| format!("[tasks.t{n}]\nrun='/bin/true'\n"));
        let names = targets(&|n| format!("'t{n}',"));
        write(&instance, "mise.toml", &format!("{tasks}[tasks.all]\ndepends=[{names}]\n"))?;
        let mut command = in_directory(&program, &there, &["run", "-j2", "all"]);
        command.env("MISE_TRUSTED_CONFIG_PATHS", &there).env("MISE_YES", "1");
        Ok(command)
    })?);
    in_turn(&mut sides, if bench.quick { 3 } else { 10 })?;
    let ours = median(&sides[0].times);
    let raw = json!(sides.iter().map(|side| json!({ &side.name: side.times })).collect::<Vec<_>>());
    let mut rows = vec![Row::at_most("fan1000", "1,000 x true, two at a time", "ms", ours, 1000.0).raw(raw)];
    for side in &sides[1..] {
        let goal = if side.name == "mise" { 1.0 / 6.0 } else { 2.2 };
        let row = Row::at_most("fan1000", "1,000 x true, two at a time", "ms", ours, median(&side.times));
        rows.push(row.beside(side.name.clone(), Goal::AtMost(goal)));
    }
    Ok(rows)
}

pub fn noop10k(bench: &Bench) -> Result<Vec<Row>> {
    let instance = started(bench)?;
    let mut command = run(&instance, "noop10k", NOOP)?;
    let mut times = Vec::new();
    let mut grown = Vec::new();
    for _ in 0..if bench.quick { 3 } else { 10 } {
        interrupt::check()?;
        let (time, growth) = watched(&mut command)?;
        times.push(time);
        grown.push(growth);
    }
    let raw = json!({ "ms": times, "worker_growth_mib": grown });
    Ok(vec![
        Row::at_most("noop10k", "10,000 empty tasks in one run", "ms", median(&times), 500.0).raw(raw),
        Row::at_most("noop10k", "growth of the worker", "MiB", median(&grown), 20.0),
    ])
}

/// Runs a command and looks at the memory of the worker that it brings about: milliseconds, and MiB between its first
/// and its highest value.
fn watched(command: &mut Command) -> Result<(f64, f64)> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let (mut first, mut high) = (f64::NAN, 0.0_f64);
            while !done.load(Ordering::Relaxed) {
                if let Some(pid) = probe::process_named("sloth-worker") {
                    let now = probe::rss_mib(pid);
                    if now.is_finite() {
                        first = if first.is_nan() { now } else { first };
                        high = high.max(now);
                    }
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            high - first
        });
        let time = once(command);
        done.store(true, Ordering::Relaxed);
        let grown = watcher.join().unwrap_or(f64::NAN);
        Ok((time?, grown))
    })
}

/// Start and size of one worker, and how fast files are read: from the worker itself, without a daemon.
pub fn worker(bench: &Bench) -> Result<Vec<Row>> {
    let instance = started(bench)?;
    let typical = write(&instance, "typical.sloth", include_str!("files/typical.sloth"))?;
    let program = bench.programs.join("sloth-worker");
    let files = if bench.quick { 500 } else { 2000 };
    let mut many = Command::new(&program);
    many.arg("validate").arg("--json").args(std::iter::repeat_n(&typical, files));
    let mut one = Command::new(&program);
    one.arg("validate").arg("--json").arg(&typical);
    let mut sides = [Side::new("many", many), Side::new("one", one)];
    in_turn(&mut sides, if bench.quick { 5 } else { 15 })?;
    let each = (median(&sides[0].times) - median(&sides[1].times)) / (files as f64 - 1.0);
    let raw = json!({ "many_ms": sides[0].times, "one_ms": sides[1].times, "files": files });
    Ok(vec![
        Row::at_least("worker", "50-line files read and checked", "/s", 1000.0 / each, 2000.0).raw(raw),
        Row::at_most("worker", "from exec to a checked file, p50", "ms", median(&sides[1].times), 5.0),
    ])
}
