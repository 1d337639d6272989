//! The cargo tools that the checks need beyond the Rust toolchain. They are installed when first needed, so that the
//! test command is the only set-up.

use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// A cargo sub-command from crates.io.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tool {
    /// The word after `cargo`; the package is `cargo-<name>`.
    pub name: &'static str,
    /// What is installed where none is there. One that is there is used, whatever its version.
    version: &'static str,
}

pub const NEXTEST: Tool = Tool { name: "nextest", version: "0.9.151" };
pub const DENY: Tool = Tool { name: "deny", version: "0.20.2" };

/// Runs `cargo xtask tools`.
pub fn run(args: &[String]) -> Result<ExitCode> {
    if let Some(arg) = args.first() {
        if matches!(arg.as_str(), "-h" | "--help") {
            println!(
                "Usage: cargo xtask tools\n\nInstalls cargo-nextest and cargo-deny where missing; prints versions."
            );
            return Ok(ExitCode::SUCCESS);
        }
        bail!("unknown option `{arg}`; see `cargo xtask tools --help`");
    }
    let root = workspace::root()?;
    for tool in [NEXTEST, DENY] {
        ensure(tool, &root)?;
        println!("{}", version(tool, &root).unwrap_or_default());
    }
    Ok(ExitCode::SUCCESS)
}

/// Installs `tool` unless it answers already, and says so, because it takes minutes.
pub fn ensure(tool: Tool, root: &Path) -> Result<()> {
    if version(tool, root).is_some() {
        return Ok(());
    }
    let Tool { name, version } = tool;
    let package = format!("cargo-{name}");
    println!("{package} is missing: running `cargo install --locked {package} --version {version}` (minutes, once)");
    let start = Instant::now();
    let status = workspace::cargo(root)
        .args(["install", "--locked", "--quiet", &package, "--version", version])
        .status()
        .context("cannot run cargo install")?;
    if !status.success() {
        bail!("cannot install {package} {version} ({status}); install it by hand and repeat");
    }
    println!("{package} {version} installed in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// The first line that `cargo <tool> --version` prints, if it is installed.
fn version(tool: Tool, root: &Path) -> Option<String> {
    let output = workspace::cargo(root).args([tool.name, "--version"]).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned();
    output.status.success().then_some(text)
}
