//! `exec`: commands. [`run()`] is also what the worker uses for the string and argv commands of tasks.

mod attempt;
mod background;
mod calls;
mod children;
mod environment;
mod find;
mod functions;
mod limits;
mod output;
mod pipeline;
mod remote;
mod result;
mod run;
mod settings;
mod spec;
mod start;
mod stop;
mod table;
#[cfg(test)]
mod tests;
mod words;

pub use background::end_background;
pub use calls::millis;
pub use children::reap_orphans;
pub use environment::PATH;
pub use functions::{kill, run as run_call, which};
pub use limits::{limit_attempt, release};
pub use result::ExecResult;
pub use run::{quiet, run, run_quietly};
pub use settings::{Settings, configure};
pub use spec::{CommandSpec, KILL_GRACE, Limits, MAX_OUTPUT, Program, Stdin};
pub use table::{MODULE, OPTIONS};

/// The environment that commands inherit.
pub fn inherited_environment() -> std::collections::BTreeMap<String, String> {
    environment::inherited().clone()
}

/// The file of a program on this search path.
pub fn find_program(name: &str, path: &str) -> Option<std::path::PathBuf> {
    find::program(name, path, std::path::Path::new("/")).filter(|file| find::is_executable(file))
}
