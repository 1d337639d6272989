//! The steps of `cargo xtask test`, cheap ones first.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result};

use super::options::Options;
use super::report::{Outcome, Report};
use crate::tools::{self, Tool};
use crate::{package, tidy, workspace};

/// One thing that must pass.
pub struct Step {
    pub name: &'static str,
    pub about: &'static str,
    /// Left out by `--quick`.
    pub slow: bool,
    /// Steps without which this one tells nothing.
    pub needs: &'static [&'static str],
    pub tool: Option<Tool>,
    pub run: fn(&Path, &Options, &mut Report) -> Result<Outcome>,
}

pub const STEPS: &[Step] = &[
    Step { name: "fmt", about: "formatting", slow: false, needs: &[], tool: None, run: fmt },
    Step { name: "tidy", about: "laws of the house", slow: false, needs: &[], tool: None, run: tidy },
    Step {
        name: "deny",
        about: "licences, sources and versions of dependencies",
        slow: false,
        needs: &[],
        tool: Some(tools::DENY),
        run: deny,
    },
    Step {
        name: "advisories",
        about: "known vulnerabilities of dependencies; needs the network",
        slow: true,
        needs: &[],
        tool: Some(tools::DENY),
        run: advisories,
    },
    Step { name: "clippy", about: "lints, warnings are errors", slow: false, needs: &[], tool: None, run: clippy },
    Step {
        name: "build",
        about: "the programs that black-box tests run",
        slow: true,
        needs: &[],
        tool: None,
        run: build,
    },
    Step {
        name: "docs",
        about: "documentation without warnings",
        slow: true,
        needs: &["build"],
        tool: None,
        run: docs,
    },
    Step {
        name: "doctests",
        about: "examples in documentation",
        slow: true,
        needs: &["build"],
        tool: None,
        run: doctests,
    },
    Step {
        name: "packages",
        about: "a .deb and an .rpm of this build, for tests that install them",
        slow: true,
        needs: &["build"],
        tool: None,
        run: packages,
    },
    Step {
        name: "tests",
        about: "unit, property, simulation and black-box tests, and booted systems",
        slow: false,
        needs: &["build"],
        tool: Some(tools::NEXTEST),
        run: tests,
    },
];

/// How long the advisory database may take to arrive: a network that swallows packets must not hold up everything.
const ADVISORIES_SECONDS_MAX: &str = "120";

/// What the programs of the tests are packaged as, so that there is something to upgrade from.
const OLDER_VERSION: &str = "0.0.9";

/// Names the file to which a test that cannot run here appends `name: reason`, because the output of passing tests is
/// not shown.
const SKIPS_VARIABLE: &str = "SLOTH_TEST_SKIPS";

fn fmt(root: &Path, _: &Options, _: &mut Report) -> Result<Outcome> {
    finish(workspace::cargo(root).args(["fmt", "--all", "--check"]))
}

fn tidy(root: &Path, _: &Options, _: &mut Report) -> Result<Outcome> {
    Ok(if tidy::passes(root)? { Outcome::Passed } else { Outcome::Failed("see the findings above".to_owned()) })
}

fn deny(root: &Path, _: &Options, _: &mut Report) -> Result<Outcome> {
    finish(workspace::cargo(root).args(["deny", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"]))
}

fn advisories(root: &Path, _: &Options, _: &mut Report) -> Result<Outcome> {
    let cargo = workspace::cargo(root);
    let output = Command::new("timeout")
        .arg(ADVISORIES_SECONDS_MAX)
        .arg(cargo.get_program())
        .args(["deny", "check", "advisories"])
        .current_dir(root)
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .output()
        .context("cannot run timeout(1)")?;
    let text = String::from_utf8_lossy(&output.stderr);
    if let Some(reason) = unreachable(output.status.code(), &text) {
        return Ok(Outcome::Skipped(format!("VULNERABILITIES WERE NOT CHECKED: {reason}")));
    }
    print!("{text}{}", String::from_utf8_lossy(&output.stdout));
    Ok(outcome(output.status))
}

/// Why the advisory database could not be had, if that is what went wrong.
fn unreachable(code: Option<i32>, stderr: &str) -> Option<String> {
    if code == Some(124) {
        return Some(format!("the advisory database did not arrive in {ADVISORIES_SECONDS_MAX} s"));
    }
    if code == Some(0) || !stderr.contains("failed to fetch advisory database") {
        return None;
    }
    let detail = stderr.lines().find(|line| line.starts_with("fatal: ")).unwrap_or("no details");
    Some(format!("the advisory database cannot be fetched ({})", detail.trim_start_matches("fatal: ")))
}

fn clippy(root: &Path, _: &Options, _: &mut Report) -> Result<Outcome> {
    finish(workspace::cargo(root).args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn docs(root: &Path, _: &Options, _: &mut Report) -> Result<Outcome> {
    finish(workspace::cargo(root).args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

fn build(root: &Path, _: &Options, _: &mut Report) -> Result<Outcome> {
    finish(workspace::cargo(root).args(["build", "--workspace", "--bins"]))
}

fn doctests(root: &Path, _: &Options, _: &mut Report) -> Result<Outcome> {
    finish(workspace::cargo(root).args(["test", "--workspace", "--doc", "--quiet"]))
}

fn tests(root: &Path, options: &Options, report: &mut Report) -> Result<Outcome> {
    let skips = skips_file()?;
    let mut command = workspace::cargo(root);
    command.args(["nextest", "run", "--workspace", "--no-fail-fast"]).env(SKIPS_VARIABLE, &skips);
    if options.quick {
        command.args(["--filterset", "not package(sloth-tests)"]);
        report.omit("black-box tests", "--quick");
    }
    let mut child = command.stderr(Stdio::piped()).spawn().context("cannot run cargo nextest")?;
    let stderr = child.stderr.take().context("cargo nextest has no standard error")?;
    if let Some(counts) = relay(stderr)? {
        report.set_counts(counts);
    }
    let status = child.wait().context("cannot wait for cargo nextest")?;
    for line in fs::read_to_string(&skips).unwrap_or_default().lines() {
        let (name, reason) = line.split_once(": ").unwrap_or((line, "no reason given"));
        report.omit(name, reason);
    }
    // A file left behind in the temporary directory harms nobody.
    let _ = fs::remove_file(&skips);
    Ok(outcome(status))
}

/// Packages the programs of the tests: as they are, and as an older version to upgrade from. What cannot be made here is left out
/// loudly, and the tests that need it say so again.
fn packages(root: &Path, _: &Options, report: &mut Report) -> Result<Outcome> {
    let mut made = 0;
    for (format, tools) in package::FORMATS {
        if let Err(missing) = package::tools_there(tools) {
            report.omit(format!("package{}", format.replace("--", " .")), format!("NOT MADE: {missing}"));
            continue;
        }
        made += 1;
        package::for_tests(root, format, "current", None)?;
        if *format == "--deb" {
            package::for_tests(root, format, "older", Some(OLDER_VERSION))?;
        }
    }
    Ok(if made == 0 { Outcome::Skipped("no tool for packages is here".to_owned()) } else { Outcome::Passed })
}

/// An empty file for the tests to write into, named after this process so that two runs do not meet.
fn skips_file() -> Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("sloth-test-skips-{}", std::process::id()));
    fs::write(&path, "").with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Prints what the test runner prints, as it comes, and returns its line of counts.
fn relay(stderr: impl Read) -> Result<Option<String>> {
    let mut counts = None;
    for line in BufReader::new(stderr).split(b'\n') {
        let line = line.context("cannot read the output of the test runner")?;
        let line = String::from_utf8_lossy(&line);
        eprintln!("{line}");
        if line.trim_start().starts_with("Summary [") {
            counts = Some(line.into_owned());
        }
    }
    Ok(counts)
}

fn finish(command: &mut Command) -> Result<Outcome> {
    let status = command.status().with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))?;
    Ok(outcome(status))
}

fn outcome(status: ExitStatus) -> Outcome {
    if status.success() { Outcome::Passed } else { Outcome::Failed(status.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_database_is_told_from_a_vulnerability() {
        let offline = "2026-11-24 [ERROR] failed to fetch advisory database https://example.org\n\
                       fatal: unable to access it: Could not resolve host\n";
        let reason = unreachable(Some(1), offline).expect("a reason");
        assert!(reason.contains("Could not resolve host"), "{reason}");
        assert_eq!(unreachable(Some(1), "error[vulnerability]: it leaks\n"), None);
        assert_eq!(unreachable(Some(0), ""), None);
        assert!(unreachable(Some(124), "").is_some());
    }

    #[test]
    fn counts_of_the_runner_are_kept() {
        let output = "    PASS one\n     Summary [   0.011s] 1 test run: 1 passed, 0 skipped\n";
        let counts = relay(output.as_bytes()).expect("readable");
        assert_eq!(counts.as_deref(), Some("     Summary [   0.011s] 1 test run: 1 passed, 0 skipped"));
    }

    #[test]
    fn needs_come_before_those_who_need_them() {
        for (at, step) in STEPS.iter().enumerate() {
            for need in step.needs {
                assert!(STEPS[..at].iter().any(|earlier| earlier.name == *need), "{} needs {need}", step.name);
            }
        }
    }
}
