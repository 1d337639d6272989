//! Shows slothd at work on a private instance below a temporary directory.

use std::process::ExitCode;

/// Runs `cargo xtask demo`.
pub fn run(_args: &[String]) -> anyhow::Result<ExitCode> {
    crate::not_supported("demo")
}
