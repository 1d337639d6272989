//! `cargo xtask test`: everything that must pass, in one command, with a plain account of what ran and what did not.

mod options;
mod report;
mod steps;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

use crate::{tools, workspace};
use options::{Options, Wish};
use report::{Outcome, Report};
use steps::{STEPS, Step};

/// Runs `cargo xtask test`.
pub fn run(args: &[String]) -> Result<ExitCode> {
    let options = match options::parse(args)? {
        Wish::Help => {
            print!("{}", options::help());
            return Ok(ExitCode::SUCCESS);
        }
        Wish::List => {
            print!("{}", options::list());
            return Ok(ExitCode::SUCCESS);
        }
        Wish::Run(options) => options,
    };
    let root = workspace::root()?;
    let mut report = Report::default();
    for step in STEPS {
        if !options.wants(step) {
            continue;
        }
        let start = Instant::now();
        let outcome = match skip_reason(step, &options, &report) {
            Some(reason) => Outcome::Skipped(reason),
            None => {
                println!("== {}: {}", step.name, step.about);
                attempt(step, &options, &root, &mut report)
            }
        };
        report.add(step.name, start.elapsed(), outcome);
    }
    report.close();
    Ok(if report.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Runs one step; what keeps it from running at all is a failure of that step, and the next ones still have their turn.
fn attempt(step: &Step, options: &Options, root: &std::path::Path, report: &mut Report) -> Outcome {
    if let Some(tool) = step.tool
        && let Err(error) = tools::ensure(tool, root)
    {
        return Outcome::Failed(format!("{error:#}"));
    }
    (step.run)(root, options, report).unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")))
}

fn skip_reason(step: &Step, options: &Options, report: &Report) -> Option<String> {
    if options.quick && step.slow {
        return Some("--quick".to_owned());
    }
    let broken = step.needs.iter().find(|name| report.has_failed(name))?;
    Some(format!("it needs `{broken}`, which failed"))
}
