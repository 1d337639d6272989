//! Artifacts: files that a task leaves for others, kept by content below the directory of the run.

mod fetch;
mod keep;
mod pattern;

pub use fetch::fetch;
pub use keep::store;
