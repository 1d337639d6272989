//! Cold starts of slothctl beside those of other command lines: fork, exec, wait, with a warm page cache.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::json;

use super::Bench;
use super::row::{Goal, Row, percentile};
use crate::instance::Instance;
use crate::{interrupt, workspace};

/// Rivals from crates.io and what they run. They answer without a daemon, as `slothctl version` does not.
const RIVALS: &[(&str, &[&str])] = &[("just", &["--version"]), ("mise", &["--version"]), ("pueue", &["--version"])];

pub fn cli(bench: &Bench) -> Result<Vec<Row>> {
    if bench.install_rivals {
        install(bench)?;
    }
    let mut instance = Instance::new(bench.programs.clone(), "bench")?;
    instance.start()?;
    let mut commands: Vec<(&str, Command)> = Vec::new();
    for (name, argument) in [("version", "version"), ("status", "status"), ("help", "--help")] {
        let mut command = instance.ctl();
        command.arg(argument);
        commands.push((name, command));
    }
    commands.push(("true", Command::new("/bin/true")));
    for (name, arguments) in RIVALS {
        match find(name) {
            Some(program) => {
                let mut command = Command::new(program);
                command.args(*arguments);
                commands.push((name, command));
            }
            None => println!("   {name} is not installed: skipped (--install-rivals installs it)"),
        }
    }
    let rounds = if bench.quick { 100 } else { 300 };
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); commands.len()];
    for _ in 0..rounds {
        interrupt::check()?;
        for ((name, command), times) in commands.iter_mut().zip(&mut times) {
            times.push(once(command).with_context(|| format!("cannot run {name}"))?);
        }
    }
    let p50 = |wanted: &str| {
        let at = commands.iter().position(|(name, _)| *name == wanted);
        at.map_or(f64::NAN, |at| percentile(&times[at], 0.5))
    };
    let raw = json!(commands.iter().zip(&times).map(|((name, _), times)| json!({ *name: times })).collect::<Vec<_>>());
    let version = p50("version");
    let mut rows = vec![
        Row::at_most("cli", "slothctl version, p50", "ms", version, 2.0).raw(raw),
        Row::at_most("cli", "slothctl status, p50", "ms", p50("status"), 4.0),
        Row::at_most("cli", "slothctl --help, p50", "ms", p50("help"), 4.0),
        Row::at_most("cli", "slothctl version, p50", "ms", version, p50("true")).beside("/bin/true", Goal::AtMost(4.0)),
    ];
    for (name, _) in RIVALS {
        if !p50(name).is_nan() {
            let row = Row::at_most("cli", "slothctl version, p50", "ms", version, p50(name));
            rows.push(row.beside(format!("{name} --version"), Goal::AtMost(1.0)));
        }
    }
    Ok(rows)
}

/// Milliseconds of one run.
fn once(command: &mut Command) -> Result<f64> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begin = Instant::now();
    command.status()?;
    Ok(begin.elapsed().as_secs_f64() * 1000.0)
}

pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// With cargo, from crates.io. One that cannot be installed is skipped later, by name.
fn install(bench: &Bench) -> Result<()> {
    for (name, _) in RIVALS.iter().filter(|(name, _)| find(name).is_none()) {
        println!("   cargo install --locked {name} (minutes)");
        let status = workspace::cargo(&bench.root).args(["install", "--locked", "--quiet", name]).status();
        interrupt::check()?;
        if !status.context("cannot run cargo install")?.success() {
            println!("   {name} could not be installed");
        }
    }
    Ok(())
}
