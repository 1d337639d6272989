//! Breaks a real slothd in a loop that ends by itself, and checks what must still be true.

use std::process::ExitCode;

/// Runs `cargo xtask torture`.
pub fn run(_args: &[String]) -> anyhow::Result<ExitCode> {
    crate::not_supported("torture")
}
