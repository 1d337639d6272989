//! How each kind of answer looks to people. Pure: an answer and a clock in, a table or text out.

pub(crate) mod daemon;
pub(crate) mod events;
pub(crate) mod import;
pub(crate) mod runs;
pub(crate) mod schedules;

#[cfg(test)]
mod tests;
