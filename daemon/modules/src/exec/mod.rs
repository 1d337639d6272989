//! `exec`: commands. [`run`] is also what the worker uses for the string and argv commands of tasks.

mod attempt;
mod children;
mod environment;
mod find;
mod limits;
mod output;
mod result;
mod run;
mod settings;
mod spec;
mod start;
mod stop;
#[cfg(test)]
mod tests;
mod words;

pub use children::reap_orphans;
pub use limits::{limit_attempt, release};
pub use result::ExecResult;
pub use run::run;
pub use settings::{Settings, configure};
pub use spec::{CommandSpec, KILL_GRACE, Limits, MAX_OUTPUT, Program, Stdin};
