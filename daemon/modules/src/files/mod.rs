//! What the modules of files share: atomic writes, copies of trees, safe removal, archives, owners, checksums.

pub mod archive;
pub mod atomic;
pub mod change;
pub mod copy;
pub mod digest;
pub mod extract;
pub mod owner;
pub mod packed;
pub mod remove;
pub mod unarchive;

use std::path::{Path, PathBuf};

use sloth_lua::{Ctx, Failure};

/// A failure that names the object and the cause.
pub fn failed(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::new(format!("{}: {error}", path.display()))
}

/// Where a template or other source is: relative to the caller's directory, else to that of the workflow file.
pub fn source(ctx: &Ctx, text: &str) -> PathBuf {
    let path = ctx.resolve(text);
    if path.exists() || text.starts_with(['/', '~']) {
        return path;
    }
    let beside = ctx.run.file_dir.join(text);
    if beside.exists() { beside } else { path }
}
