//! Where the workspace is and which files are its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The root of the workspace: the directory above the one this crate was compiled in.
pub fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask has no parent directory")?.to_owned())
}

/// The target directory that this program was built in.
pub fn target() -> Result<PathBuf> {
    let here = std::env::current_exe().context("cannot find this program")?;
    let target = here.parent().and_then(Path::parent).context("this program is in no target directory")?;
    Ok(target.to_owned())
}

/// A cargo command in `root`, without the variables that `cargo run` set for this program: build scripts that watch
/// them would otherwise run again, and everything above them would be built again.
pub fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text == "CARGO_PRIMARY_PACKAGE" {
            command.env_remove(&name);
        }
    }
    command
}

/// Paths relative to `root` of all files that git tracks or would track, sorted; deleted ones are left out.
pub fn files(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .context("cannot run git, which knows the files of the project")?;
    if !output.status.success() {
        bail!("git ls-files failed in {}: {}", root.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    let listed = String::from_utf8(output.stdout).context("git ls-files printed a path that is not UTF-8")?;
    let mut files: Vec<String> =
        listed.split('\0').filter(|path| !path.is_empty() && root.join(path).is_file()).map(str::to_owned).collect();
    files.sort();
    files.dedup();
    Ok(files)
}
