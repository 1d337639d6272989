//! Words that the laws of the house forbid in certain places: clocks in the core, `unsafe`, `unwrap`, unfinished work.

use super::File;
use super::finding::Finding;
use super::rust::{Source, has_word};

/// The core takes time as an argument.
const CORE: &str = "daemon/core/";
/// Programs outside of the core may look at a clock: to measure it, or to draw a seed.
const MEASURING: &[&str] = &["daemon/core/examples/", "daemon/core/benches/", "daemon/core/tests/"];
/// The only crate that talks to the kernel in ways the compiler cannot check.
const UNSAFE_HOME: &str = "daemon/exec/";

/// Marks of unfinished work, in comments and in files that are not Rust.
const MARKS: &[&str] = &["TODO", "FIXME", "XXX"];
/// Extensions and names of other files in which such marks are looked for.
const MARKED: &[&str] =
    &["sh", "py", "js", "css", "html", "sql", "lua", "luau", "sloth", "toml", "proto", "service", "run"];

const CLOCK_REMEDY: &str = "take the time as an argument: the same code must run in simulation";
const UNFINISHED_REMEDY: &str = "finish it, or write down what is missing where work is planned";

/// Checks a Rust file.
pub fn check(path: &str, source: &Source, in_test: &[bool]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_core = path.starts_with(CORE) && !MEASURING.iter().any(|directory| path.starts_with(directory));
    for (at, code) in source.code.iter().enumerate() {
        let mut found = |what: &str, remedy: &str| findings.push(Finding::error(path, at + 1, what, remedy));
        if let Some(clock) = clock(code).filter(|_| is_core) {
            found(&format!("{clock} in the core"), CLOCK_REMEDY);
        }
        if has_word(code, "unsafe") && !path.starts_with(UNSAFE_HOME) {
            found("unsafe outside sloth-exec", "use a safe wrapper (nix, rustix), or move this into sloth-exec");
        }
        if code.contains(".unwrap()") && !in_test[at] {
            let remedy = "return the error, or `expect(\"why it holds\")` where an invariant is local";
            found(".unwrap() outside tests", remedy);
        }
        for unfinished in ["todo!", "unimplemented!"] {
            if has_word(code, unfinished) {
                found(unfinished, UNFINISHED_REMEDY);
            }
        }
    }
    for (line, comment) in &source.comments {
        findings.extend(mark(comment).map(|mark| Finding::error(path, *line, mark, UNFINISHED_REMEDY)));
    }
    findings
}

/// Checks a file that is not Rust.
pub fn check_other(file: &File) -> Vec<Finding> {
    let extension = file.path.rsplit(['.', '/']).next().unwrap_or_default();
    if !MARKED.contains(&extension) {
        return Vec::new();
    }
    let line = |(at, line)| mark(line).map(|mark| Finding::error(&file.path, at + 1, mark, UNFINISHED_REMEDY));
    file.text.lines().enumerate().filter_map(line).collect()
}

fn mark(text: &str) -> Option<&'static str> {
    MARKS.iter().copied().find(|mark| has_word(text, mark))
}

/// The clock that a line of code reads or names.
fn clock(code: &str) -> Option<&'static str> {
    const NAMED: &[&str] =
        &["SystemTime", "time::Instant", "Instant::now", "Timestamp::now", "Zoned::now", "Utc::now", "Local::now"];
    let named = NAMED.iter().copied().find(|name| has_word(code, name));
    let imported = code.contains("std::time::{") && has_word(code, "Instant");
    named.or(imported.then_some("time::Instant"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::brief;
    use crate::tidy::rust;

    fn found(path: &str, text: &str) -> Vec<String> {
        let source = rust::read(text);
        brief(&check(path, &source, &vec![false; source.code.len()]))
    }

    #[test]
    fn the_core_has_no_clock() {
        let text = "use std::time::{Duration, Instant};\nlet now = SystemTime::now();\nlet then = Timestamp::now();";
        let expected = ["time::Instant in the core", "SystemTime in the core", "Timestamp::now in the core"];
        let places: Vec<String> =
            (1..).zip(expected).map(|(line, what)| format!("daemon/core/a.rs:{line} {what}")).collect();
        assert_eq!(found("daemon/core/a.rs", text), places);
        assert!(found("daemon/engine/a.rs", text).is_empty());
        assert!(found("daemon/core/examples/a.rs", text).is_empty());
        assert!(found("daemon/core/a.rs", "use std::time::Duration; // no Instant::now() here").is_empty());
    }

    #[test]
    fn unsafe_lives_in_exec() {
        assert_eq!(found("ctl/a.rs", "let a = unsafe { b() };"), ["ctl/a.rs:1 unsafe outside sloth-exec"]);
        assert!(found("daemon/exec/a.rs", "unsafe { b() }").is_empty());
        assert!(found("ctl/a.rs", "#![deny(unsafe_code)] // unsafe\nlet a = \"unsafe\";").is_empty());
    }

    #[test]
    fn unwrap_is_for_tests() {
        let source = rust::read("a.unwrap();\nb.unwrap();\nc.unwrap_or(1);");
        assert_eq!(brief(&check("a.rs", &source, &[false, true, false])), ["a.rs:1 .unwrap() outside tests"]);
    }

    #[test]
    fn unfinished_work_is_named() {
        let text = "// TODO later\ntodo!()\nlet a = \"TODO XXXXXX\"; // XXXXXX is for mktemp";
        assert_eq!(found("a.rs", text), ["a.rs:2 todo!", "a.rs:1 TODO"]);
        let script = File { path: ".ci/run".to_owned(), text: "a\n# FIXME\nmktemp x.XXXXXX\n".to_owned() };
        assert_eq!(brief(&check_other(&script)), [".ci/run:2 FIXME"]);
    }
}
