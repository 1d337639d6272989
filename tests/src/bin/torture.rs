//! `sloth-torture [--kills N] [--minutes M] [--rate N] [--schedules N] [--supervisor-percent N] [--seed N]`: the kill -9 loop as a program of its own.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use sloth_tests::random;
use sloth_tests::torture::{self, Options};

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("torture: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let mut options = Options { progress: true, ..Options::default() };
    let mut arguments = std::env::args().skip(1);
    let mut seed = None;
    while let Some(flag) = arguments.next() {
        let value = arguments.next().and_then(|text| text.parse::<u64>().ok());
        let value = value.with_context(|| format!("{flag} needs a number"))?;
        match flag.as_str() {
            "--kills" => options.kills = u32::try_from(value)?,
            "--minutes" => options.at_least = Duration::from_secs(value * 60),
            "--rate" => options.rate = usize::try_from(value)?,
            "--schedules" => options.schedules = usize::try_from(value)?,
            "--supervisor-percent" => options.supervisor_percent = value,
            "--seed" => seed = Some(value),
            _ => bail!("unknown option {flag}"),
        }
    }
    options.seed = seed.unwrap_or_else(|| random::seed("torture"));
    println!("torture: seed {}", options.seed);
    let verdict = torture::run(&options)?;
    println!("{verdict}");
    Ok(if verdict.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
