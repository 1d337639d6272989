//! The command line of `cargo xtask package`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

pub const HELP: &str = "\
Usage: cargo xtask package [--deb] [--rpm] [OPTIONS]

Builds slothd, slothctl, sloth-exec and sloth-worker, generates manual pages and completion scripts from them, and writes
target/package/slothd_VERSION_ARCH.deb and slothd-VERSION.ARCH.rpm from packaging/files.toml. Without --deb and --rpm: both.

Options:
  --profile NAME   Cargo profile of the programs: release (default) or dev, which is built much faster and is for tests
  --version V      Version of the packages instead of that of the programs: for tests of upgrades
  --out DIR        Where to write, instead of package/ in the target directory

Needs strip and gzip; dpkg-dev for the .deb, rpmbuild for the .rpm (Debian: apt-get install dpkg-dev rpm).
Checks: cargo xtask test --only packages
";

#[derive(Debug, PartialEq, Eq)]
pub enum Wish {
    Help,
    Make(Options),
}

#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    pub deb: bool,
    pub rpm: bool,
    /// As cargo names it.
    pub profile: String,
    pub version: Option<String>,
    pub out: Option<PathBuf>,
}

pub fn parse(args: &[String]) -> Result<Wish> {
    let mut options = Options { deb: false, rpm: false, profile: "release".to_owned(), version: None, out: None };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().cloned().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "-h" | "--help" => return Ok(Wish::Help),
            "--deb" => options.deb = true,
            "--rpm" => options.rpm = true,
            "--profile" => options.profile = value()?,
            "--version" => options.version = Some(version(value()?)?),
            "--out" => options.out = Some(std::path::absolute(value()?).context("--out is no path")?),
            other => bail!("unknown option `{other}`; see `cargo xtask package --help`"),
        }
    }
    if !options.deb && !options.rpm {
        (options.deb, options.rpm) = (true, true);
    }
    Ok(Wish::Make(options))
}

/// What both formats take as the version of a program.
fn version(text: String) -> Result<String> {
    let good = text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '~' | '+'));
    if !good {
        bail!("--version {text}: begins with a digit and has only letters, digits, `.`, `~` and `+`");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Wish> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&args)
    }

    #[test]
    fn both_formats_unless_one_is_named() {
        let Wish::Make(both) = parsed("").expect("good") else { panic!("no help was asked for") };
        assert!(both.deb && both.rpm && both.profile == "release");
        let Wish::Make(deb) = parsed("--deb --profile dev --version 0.0.9~1").expect("good") else { panic!("no help") };
        assert!(deb.deb && !deb.rpm && deb.version.as_deref() == Some("0.0.9~1"));
    }

    #[test]
    fn wrong_words_are_named() {
        for (line, word) in [("--dep", "--dep"), ("--profile", "needs a value"), ("--version 1-2", "only letters")] {
            let error = parsed(line).expect_err("wrong").to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
