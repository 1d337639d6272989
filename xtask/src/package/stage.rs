//! Builds the programs, generates what comes from them, and lays a package out below a directory.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::changelog::Changelog;
use super::list::{Entry, Kind, Source};
use super::options::Options;
use super::{Plan, tool};
use crate::workspace;

/// Where the built programs are.
pub struct Programs {
    /// Cargo's target directory.
    pub target: PathBuf,
    dir: PathBuf,
}

impl Programs {
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// Builds what is packaged.
pub fn build(root: &Path, options: &Options) -> Result<Programs> {
    let status = workspace::cargo(root)
        .args(["build", "--locked", "--profile", &options.profile, "--bins"])
        .args(["-p", "slothd", "-p", "slothctl", "-p", "sloth-exec", "-p", "sloth-worker"])
        .status()
        .context("cannot run cargo build")?;
    if !status.success() {
        bail!("the programs cannot be built ({status})");
    }
    let target = target(root)?;
    let dir = if options.profile == "dev" { "debug" } else { &options.profile };
    Ok(Programs { dir: target.join(dir), target })
}

/// Cargo's target directory.
pub fn target(root: &Path) -> Result<PathBuf> {
    let metadata = workspace::cargo(root)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("cannot run cargo metadata")?;
    let metadata: Value = serde_json::from_slice(&metadata.stdout).context("cargo metadata printed no JSON")?;
    Ok(PathBuf::from(metadata["target_directory"].as_str().context("cargo names no target directory")?))
}

/// What the daemon says of itself.
pub fn version(programs: &Programs) -> Result<String> {
    let text = String::from_utf8(said(&programs.path("slothd"), &["--version"])?)?;
    let word = text.split_whitespace().nth(1).context("slothd --version prints no version")?;
    Ok(word.to_owned())
}

fn said(program: &Path, args: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    if !output.status.success() {
        bail!("{} {}: {}", program.display(), args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

/// Manual pages, completion scripts and the compressed changelog.
pub fn generate(root: &Path, programs: &Programs, changelog: &Changelog, to: &Path) -> Result<()> {
    let (man1, man8, completions) = (to.join("man1"), to.join("man8"), to.join("completions"));
    for dir in [&man1, &man8, &completions] {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    said(&programs.path("slothctl"), &["man", "--out", &man1.to_string_lossy()])?;
    said(&programs.path("slothd"), &["man", "--out", &man8.to_string_lossy()])?;
    fs::copy(root.join("packaging/man/sloth-exec.8"), man8.join("sloth-exec.8")).context("sloth-exec.8")?;
    fs::copy(root.join("packaging/changelog"), to.join("changelog")).context("packaging/changelog")?;
    for (program, shells) in [("slothctl", &["bash", "zsh", "fish"][..]), ("slothd", &["bash", "fish"])] {
        for shell in shells {
            let script = said(&programs.path(program), &["completion", shell])?;
            fs::write(completions.join(format!("{program}.{shell}")), script).context("cannot write a script")?;
        }
    }
    let epoch = changelog.seconds()?;
    let mut pages = vec![to.join("changelog")];
    for dir in [&man1, &man8] {
        for page in fs::read_dir(dir)? {
            pages.push(page?.path());
        }
    }
    for page in pages {
        tool::run(to, epoch, "gzip", &["-9n".as_ref(), page.as_os_str()])?;
    }
    Ok(())
}

/// A tree as it will be installed.
pub struct Stage {
    pub dir: PathBuf,
    pub entries: Vec<Entry>,
}

impl Stage {
    /// Lays out what belongs to a format.
    pub fn fill(plan: &Plan, kind: Kind, programs: &Programs, generated: &Path, dir: &Path) -> Result<Stage> {
        let entries: Vec<Entry> = plan.entries.iter().filter(|entry| entry.belongs_to(kind)).cloned().collect();
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        for entry in &entries {
            place(entry, plan, programs, generated, dir).with_context(|| format!("cannot lay out {}", entry.path))?;
        }
        open_directories(dir, dir, &entries)?;
        Ok(Stage { dir: dir.to_owned(), entries })
    }
}

fn place(entry: &Entry, plan: &Plan, programs: &Programs, generated: &Path, dir: &Path) -> Result<()> {
    let target = dir.join(entry.path.trim_start_matches('/'));
    if entry.source == Source::Directory {
        fs::create_dir_all(&target)?;
        return Ok(fs::set_permissions(&target, Permissions::from_mode(entry.mode))?);
    }
    fs::create_dir_all(target.parent().context("has no directory")?)?;
    match &entry.source {
        Source::File(from) => {
            fs::copy(from, &target)?;
        }
        Source::Program(name) => {
            fs::copy(programs.path(name), &target)?;
            let args = ["--strip-unneeded".as_ref(), "-R".as_ref(), ".comment".as_ref(), target.as_os_str()];
            tool::run(generated, plan.epoch, "strip", &args)?;
        }
        Source::Directory => {}
    }
    Ok(fs::set_permissions(&target, Permissions::from_mode(entry.mode))?)
}

/// Directories that belong to everybody (`/usr`, `/usr/bin`) are made with the mode that they have everywhere, whatever our umask.
fn open_directories(base: &Path, dir: &Path, entries: &[Entry]) -> Result<()> {
    for child in fs::read_dir(dir)? {
        let child = child?;
        if !child.file_type()?.is_dir() {
            continue;
        }
        let path = child.path();
        let installed = format!("/{}", path.strip_prefix(base).unwrap_or(&path).display());
        if !entries.iter().any(|entry| entry.path == installed) {
            fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        }
        open_directories(base, &path, entries)?;
    }
    Ok(())
}
