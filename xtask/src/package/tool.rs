//! Runs the programs of others that make packages, and says what is missing before anything is built.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The Debian packages of the tools.
const HOMES: &[(&str, &str)] = &[
    ("strip", "binutils"),
    ("gzip", "gzip"),
    ("md5sum", "coreutils"),
    ("dpkg-deb", "dpkg"),
    ("dpkg-shlibdeps", "dpkg-dev"),
    ("rpmbuild", "rpm"),
];

/// An error that names all that is missing.
pub fn all_there(tools: &[&str]) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |tool: &str| std::env::split_paths(&path).any(|dir| dir.join(tool).is_file());
    let missing: Vec<&str> = tools.iter().copied().filter(|tool| !is_there(tool)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|tool| home(tool)).collect();
    bail!("missing: {}; on Debian: apt-get install {}", missing.join(", "), packages.join(" "));
}

fn home(tool: &str) -> &str {
    HOMES.iter().find(|(name, _)| *name == tool).map_or(tool, |(_, package)| package)
}

/// Runs a program in a directory; what it printed.
pub fn run(dir: &Path, epoch: u64, program: &str, args: &[&OsStr]) -> Result<Vec<u8>> {
    let output = Command::new(program)
        .args(args)
        .current_dir(dir)
        .env("SOURCE_DATE_EPOCH", epoch.to_string())
        .env("LC_ALL", "C.UTF-8")
        // rpmbuild makes a database at home.
        .env("HOME", dir)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        bail!("{program}: {}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr));
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        assert!(all_there(&["gzip"]).is_ok());
        let error = all_there(&["gzip", "no-such-tool"]).expect_err("missing").to_string();
        assert_eq!(error, "missing: no-such-tool; on Debian: apt-get install no-such-tool");
    }
}
