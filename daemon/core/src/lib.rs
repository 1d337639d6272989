//! Decides: schedules, occurrences, runs. Pure: no clock, no I/O, no async.

mod moment;
pub mod trigger;

pub use moment::Moment;
