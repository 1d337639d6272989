//! Where the programs under test are: in the target directory that this program was built in.

use std::path::{Path, PathBuf};

/// A program of the workspace. It must have been built before; the message says how.
pub fn program(name: &str) -> PathBuf {
    let path = directory().join(name);
    assert!(
        path.exists(),
        "{} is missing: build the programs first with `cargo build --workspace --bins` (cargo xtask test does)",
        path.display()
    );
    path
}

/// The directory of the programs: that of this one, or the one above `deps`.
fn directory() -> PathBuf {
    let exe = std::env::current_exe().expect("a running program has a path");
    let directory = exe.parent().unwrap_or(Path::new("/"));
    match directory.file_name() {
        Some(name) if name == "deps" => directory.parent().unwrap_or(directory).to_owned(),
        _ => directory.to_owned(),
    }
}

/// The root of the project, for files that contracts are compared with.
pub fn project() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where `cargo xtask test` puts the packages of this build: beside the programs.
pub fn package_directory() -> PathBuf {
    let programs = directory();
    programs.parent().unwrap_or(&programs).join("test-packages")
}
