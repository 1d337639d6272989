//! `cargo xtask bench`: measures a release build against its limits and its rivals, prints one table, and writes the raw data. A missed
//! goal is said and is no failure: figures of a busy machine prove little, so the load is part of the answer.

mod ctl;
mod daemon;
mod examples;
mod http;
mod probe;
mod row;
mod workflows;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::{interrupt, workspace};
use row::{Row, table};

/// What a bench may know.
pub struct Bench {
    root: PathBuf,
    /// Release build of the programs.
    programs: PathBuf,
    quick: bool,
    full: bool,
    install_rivals: bool,
}

struct Entry {
    name: &'static str,
    about: &'static str,
    run: fn(&Bench) -> Result<Vec<Row>>,
}

const BENCHES: &[Entry] = &[
    Entry { name: "next", about: "the next instant of a trigger", run: examples::next },
    Entry { name: "store", about: "durable writes and reads beside them", run: examples::store },
    Entry { name: "sched", about: "from due to the order to the executor; tokio-cron-scheduler", run: examples::sched },
    Entry {
        name: "start",
        about: "process starts; bare posix_spawn; units and systemd-run in a booted system",
        run: examples::start,
    },
    Entry { name: "sched10k", about: "memory, start and idleness with many schedules", run: daemon::sched10k },
    Entry { name: "api-add", about: "schedules added through the socket, 16 connections", run: daemon::api_add },
    Entry { name: "idle", about: "memory and CPU of slothd, before and after many runs", run: daemon::idle },
    Entry { name: "recover", about: "start after kill -9 with 10,000 open runs", run: daemon::recover },
    Entry { name: "cli", about: "cold starts of slothctl; just, mise, pueue", run: ctl::cli },
    Entry { name: "wf5", about: "a diamond of five processes; make, just, mise", run: workflows::wf5 },
    Entry { name: "wf40", about: "forty steps one after another", run: workflows::wf40 },
    Entry { name: "fan1000", about: "a thousand processes; make, ninja, xargs, just, mise", run: workflows::fan1000 },
    Entry { name: "noop10k", about: "ten thousand empty tasks in one run", run: workflows::noop10k },
    Entry { name: "worker", about: "files read and checked, start of a worker", run: workflows::worker },
];

/// Runs `cargo xtask bench`.
pub fn run(args: &[String]) -> Result<ExitCode> {
    let root = workspace::root()?;
    let mut bench = Bench { root, programs: PathBuf::new(), quick: false, full: false, install_rivals: false };
    let mut names: Vec<&str> = Vec::new();
    let mut file = None;
    let mut words = args.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "-h" | "--help" => {
                print!("{}", help());
                return Ok(ExitCode::SUCCESS);
            }
            "--quick" => bench.quick = true,
            "--full" => bench.full = true,
            "--install-rivals" => bench.install_rivals = true,
            "--json" => file = Some(PathBuf::from(words.next().context("--json wants a file")?)),
            name if BENCHES.iter().any(|entry| entry.name == name) => names.push(name),
            other => bail!("there is no bench or option `{other}`; see `cargo xtask bench --help`"),
        }
    }
    interrupt::watch()?;
    bench.programs = probe::build(&bench.root)?;
    let chosen = BENCHES.iter().filter(|entry| names.is_empty() || names.contains(&entry.name));
    measure(&bench, chosen, file)
}

fn measure<'a>(bench: &Bench, chosen: impl Iterator<Item = &'a Entry>, file: Option<PathBuf>) -> Result<ExitCode> {
    let before = probe::load_average();
    println!("{}\nload average before: {before} (figures of a busy machine prove little)\n", probe::machine());
    let mut rows = Vec::new();
    let mut failures = Vec::new();
    for entry in chosen {
        interrupt::check()?;
        let begin = Instant::now();
        println!("== {}: {}", entry.name, entry.about);
        match (entry.run)(bench) {
            Ok(some) => rows.extend(some),
            Err(error) if interrupt::asked() => return Err(error),
            Err(error) => {
                println!("   could not be measured: {error:#}");
                failures.push(format!("{}: {error:#}", entry.name));
            }
        }
        println!("   {:.0} s", begin.elapsed().as_secs_f64());
    }
    let after = probe::load_average();
    println!("\n{}\nload average: {before} before, {after} after", table(&rows));
    let missed = rows.iter().filter(|row| !row.holds()).count();
    println!("{} measured, {missed} missed their goal, {} could not be measured", rows.len(), failures.len());
    let text = serde_json::to_string_pretty(&json!({
        "machine": probe::machine(), "load_before": before, "load_after": after, "quick": bench.quick,
        "rows": rows.iter().map(Row::json).collect::<Vec<_>>(), "failures": failures,
    }))?;
    let file = file.unwrap_or_else(|| default_file(&bench.programs));
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    println!("raw data: {}", file.display());
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Below the target directory, one file per run.
fn default_file(programs: &Path) -> PathBuf {
    let target = programs.parent().unwrap_or(programs);
    target.join("bench").join(format!("{}.json", probe::unix_seconds()))
}

fn help() -> String {
    let mut text = "Usage: cargo xtask bench [NAME…] [--quick] [--full] [--json FILE] [--install-rivals]\n\n\
                    Builds for release, measures in turn with rivals on this host, prints one table, and writes the raw data\n\
                    below target/bench. A missed goal is said; the exit code is 0 when everything was measured.\n\n"
        .to_owned();
    for entry in BENCHES {
        text += &format!("  {:<9} {}\n", entry.name, entry.about);
    }
    text + "\n  --quick            fewer rounds, shorter waits\n  --full             sched10k also with 1,000,000 schedules\n  \
            --json FILE        where the raw data goes\n  --install-rivals   install just, mise and pueue with cargo (many minutes)\n"
}
