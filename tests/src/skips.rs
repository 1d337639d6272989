//! A test that cannot run here says so where it is seen: the output of passing tests is not shown.

use std::fs::OpenOptions;
use std::io::Write;

/// Notes that a test, or a part of one, was left out.
pub fn skip(name: &str, reason: &str) {
    println!("SKIPPED: {name}: {reason}");
    let Some(path) = std::env::var_os("SLOTH_TEST_SKIPS") else { return };
    let file = OpenOptions::new().append(true).create(true).open(path);
    if let Ok(mut file) = file {
        let _ = file.write_all(format!("{name}: {}\n", reason.replace('\n', " ")).as_bytes());
    }
}

/// Whether we are root; else the test is noted as skipped.
pub fn root_or_skip(name: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        skip(name, "needs root");
    }
    root
}
