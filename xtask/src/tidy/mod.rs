//! `cargo xtask tidy`: the laws of the house that no compiler knows. Each check is a function from text to findings,
//! so that its tests need no files.

mod decisions;
mod edges;
mod finding;
mod knowledge;
mod laws;
mod links;
mod manifests;
mod rust;
mod shape;
mod sql;
mod testcode;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::workspace;
use finding::{Finding, Severity};

/// A file of the project: its path relative to the root, and its text.
pub struct File {
    pub path: String,
    pub text: String,
}

/// Runs `cargo xtask tidy`.
pub fn run(args: &[String]) -> Result<ExitCode> {
    if let Some(arg) = args.first() {
        if matches!(arg.as_str(), "-h" | "--help") {
            println!("Usage: cargo xtask tidy\n\nChecks the laws of the house; findings name file, line and remedy.");
            return Ok(ExitCode::SUCCESS);
        }
        bail!("unknown option `{arg}`; see `cargo xtask tidy --help`");
    }
    let passes = passes(&workspace::root()?)?;
    Ok(if passes { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks the whole project and prints what was found. Warnings do not fail it.
pub fn passes(root: &Path) -> Result<bool> {
    let files = read(root)?;
    let mut findings = check(&files);
    findings.extend(edges::check(&edges::load(root, &files)?));
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    println!("tidy: {} files, {errors} errors, {} warnings", files.len(), findings.len() - errors);
    Ok(errors == 0)
}

/// All checks that look at files only.
fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let test_modules = testcode::test_modules(files);
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    for file in files {
        findings.extend(shape::check(file));
        if file.path.ends_with(".rs") {
            let source = rust::read(&file.text);
            let in_test = testcode::mask(&file.path, &source, &test_modules);
            findings.extend(laws::check(&file.path, &source, &in_test));
            findings.extend(sql::check(&file.path, &source, &in_test, sql::ALLOWED));
        } else {
            findings.extend(laws::check_other(file));
        }
        if file.path.ends_with(".md") {
            findings.extend(links::check(file, &paths));
        }
        findings.extend(manifests::check(file));
    }
    findings.extend(sql::stale(files, sql::ALLOWED));
    findings.extend(decisions::check(files));
    findings
}

fn read(root: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for path in workspace::files(root)? {
        let bytes = fs::read(root.join(&path)).with_context(|| format!("cannot read {path}"))?;
        // What is not UTF-8 is an image or a database; links may point to it, and nothing else is asked of it.
        files.push(File { path, text: String::from_utf8(bytes).unwrap_or_default() });
    }
    Ok(files)
}
