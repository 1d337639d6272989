//! slothctl against a stand-in of the daemon: requests, exit codes, streams that break off, hostile text.

#[path = "../support/canned.rs"]
mod canned;
mod interrupt;
mod lists;
mod refusals;
mod runs;
mod schedules;
#[path = "../support/mod.rs"]
mod support;
mod workflows;

/// A run of the canned answers.
const RUN: &str = "0192f0c1-0000-7000-8000-0000000000aa";

/// The exit code of a slothctl that has ended.
fn code(output: &std::process::Output) -> i32 {
    output.status.code().expect("an exit code")
}
