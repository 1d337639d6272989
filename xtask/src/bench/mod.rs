//! Measures a real slothd, one file per benchmark.

use std::process::ExitCode;

/// Runs `cargo xtask bench`.
pub fn run(_args: &[String]) -> anyhow::Result<ExitCode> {
    crate::not_supported("bench")
}
