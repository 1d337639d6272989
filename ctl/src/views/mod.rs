//! How each kind of answer looks to people. Pure: an answer and a clock in, a table or text out.

pub(crate) mod daemon;
pub(crate) mod diagnostics;
pub(crate) mod events;
pub(crate) mod graph;
pub(crate) mod import;
pub(crate) mod plan;
pub(crate) mod run;
pub(crate) mod run_diff;
pub(crate) mod runs;
pub(crate) mod schedules;
pub(crate) mod workflows;

#[cfg(test)]
mod tests;
