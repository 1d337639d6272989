//! Finds programs, as execvp(3) does.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The file of a program: itself when it names a path, else the first executable on the search path.
pub fn program(name: &str, path: &str, directory: &Path) -> Option<PathBuf> {
    if name.contains('/') {
        let file = directory.join(name);
        return file.is_file().then_some(file);
    }
    if name.is_empty() {
        return None;
    }
    path.split(':')
        .map(|entry| directory.join(if entry.is_empty() { "." } else { entry }).join(name))
        .find(|file| is_executable(file))
}

/// Whether somebody may execute this file.
pub fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The shell for texts: bash, else sh.
pub fn shell() -> &'static Path {
    static SHELL: OnceLock<PathBuf> = OnceLock::new();
    SHELL.get_or_init(|| {
        let bash = program("bash", super::environment::PATH, Path::new("/"));
        bash.unwrap_or_else(|| PathBuf::from("/bin/sh"))
    })
}
