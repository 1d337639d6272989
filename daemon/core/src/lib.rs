//! Decides: schedules, occurrences, runs. Pure: no clock, no I/O, no async.

pub mod audit;
mod ids;
pub mod launch;
pub mod ledger;
pub mod machine;
mod moment;
pub mod news;
mod random;
pub mod record;
pub mod run;
mod schedule;
pub mod trigger;
pub mod units;
pub mod workflow;

pub use ids::{AttemptKey, EventId, RunId, ScheduleId, Uid};
pub use moment::Moment;
pub use schedule::{
    Action, AfterCondition, Backoff, CatchUp, Enabled, JitterMode, Keep, Limits, Origin, Overlap, Retries, Sandbox,
    Schedule,
};
