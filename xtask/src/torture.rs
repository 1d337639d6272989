//! Breaks a real slothd in a loop that ends by itself, and checks what must still be true.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::workspace;

const HELP: &str = "\
Usage: cargo xtask torture [OPTIONS]

Builds the programs in release mode, lets a thousand schedules fire, and kills slothd, its supervisor sloth-exec or both at random
moments. Afterwards what the jobs wrote themselves, the ledger, runs, attempts, events and acknowledged requests must agree.

Options:
  --kills N               Kill slothd at least so often (default 200)
  --minutes M             Go on for at least so long
  --rate N                Due instants of one second, all schedules together (default 40)
  --schedules N           Schedules (default 1000)
  --supervisor-percent N  In how many of 100 rounds sloth-exec is killed (default 10)
  --seed N                Repeats a run as far as the machine allows (default: the clock; it is printed)

Exit codes: 0 everything agrees, 1 something does not (the instance is kept and named), 2 it could not be run
";

const FLAGS: &[&str] = &["--kills", "--minutes", "--rate", "--schedules", "--supervisor-percent", "--seed"];

/// Runs `cargo xtask torture`.
pub fn run(args: &[String]) -> Result<ExitCode> {
    if args.iter().any(|arg| matches!(arg.as_str(), "-h" | "--help")) {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    check(args)?;
    let root = workspace::root()?;
    let built = workspace::cargo(&root)
        .args([
            "build",
            "--release",
            "--bins",
            "-p",
            "slothd",
            "-p",
            "sloth-exec",
            "-p",
            "slothctl",
            "-p",
            "sloth-tests",
        ])
        .status()
        .context("cannot run cargo build")?;
    if !built.success() {
        bail!("the programs cannot be built");
    }
    let status = workspace::cargo(&root)
        .args(["run", "--release", "--quiet", "-p", "sloth-tests", "--bin", "sloth-torture", "--"])
        .args(args)
        .status()
        .context("cannot run sloth-torture")?;
    Ok(match status.code() {
        Some(0) => ExitCode::SUCCESS,
        Some(1) => ExitCode::FAILURE,
        _ => bail!("sloth-torture ended with {status}"),
    })
}

/// Pairs of a known flag and a number.
fn check(args: &[String]) -> Result<()> {
    for pair in args.chunks(2) {
        let flag = &pair[0];
        if !FLAGS.contains(&flag.as_str()) {
            bail!("unknown option `{flag}`; see `cargo xtask torture --help`");
        }
        let number = pair.get(1).and_then(|text| text.parse::<u64>().ok());
        number.with_context(|| format!("{flag} needs a number"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_pairs_of_a_flag_and_a_number() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        check(&words("--kills 5 --seed 7")).expect("good");
        check(&[]).expect("good");
        for (text, word) in [("--kills", "number"), ("--kills many", "number"), ("--skills 5", "--skills")] {
            let error = check(&words(text)).expect_err("bad").to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
