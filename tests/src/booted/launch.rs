//! What a booted system needs on this machine, where the packages are, and what is left to clear away.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{paths, process};

/// Programs, with the Debian packages that have them.
const TOOLS: &[(&str, &str)] = &[
    ("systemd-nspawn", "systemd-container"),
    ("debootstrap", "debootstrap"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
];

/// Whether a system can be booted here; else why not.
pub fn able() -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("NO SYSTEM WAS BOOTED: needs root".to_owned());
    }
    for (tool, package) in TOOLS {
        if !is_there(tool) {
            return Err(format!("NO SYSTEM WAS BOOTED: {tool} is missing (apt-get install {package})"));
        }
    }
    let unshare = Command::new("unshare").args(["--mount", "--pid", "--fork", "true"]).stderr(Stdio::null()).status();
    if !unshare.is_ok_and(|status| status.success()) {
        return Err("NO SYSTEM WAS BOOTED: this machine allows no namespaces".to_owned());
    }
    Ok(())
}

/// Whether a program is in the path.
pub fn is_there(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(tool).is_file())
}

/// Packages for tests, made by `cargo xtask test`.
pub struct Packages {
    /// Of this build.
    pub current: PathBuf,
    /// The same programs as an older version.
    pub older: PathBuf,
}

/// The .deb files of this build.
pub fn packages() -> Result<Packages, String> {
    Ok(Packages { current: package("current", ".deb")?, older: package("older", ".deb")? })
}

/// The .rpm of this build.
pub fn rpm_package() -> Result<PathBuf, String> {
    package("current", ".rpm")
}

fn package(which: &str, ending: &str) -> Result<PathBuf, String> {
    let dir = paths::package_directory().join(which);
    let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let found = entries.filter(|path| path.to_string_lossy().ends_with(ending)).max_by_key(|path| modified(path));
    found.ok_or_else(|| format!("no {ending} in {}: run `cargo xtask test --only packages` first", dir.display()))
}

fn modified(path: &Path) -> Option<std::time::SystemTime> {
    std::fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

/// Removes the cgroups of a machine whose processes are gone.
pub fn remove_cgroups(name: &str) {
    let mut roots: Vec<PathBuf> = vec!["/sys/fs/cgroup".into()];
    roots.extend(std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path()));
    for root in roots.iter().map(|root| root.join(name)).filter(|root| root.is_dir()) {
        // The kernel may need a moment to let go of the last process.
        process::holds_within(Duration::from_secs(5), || remove_cgroup(&root));
    }
}

fn remove_cgroup(dir: &Path) -> bool {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    std::fs::remove_dir(dir).is_ok() || !dir.exists()
}
