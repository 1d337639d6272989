//! The machine of workflows: stories, and random graphs against a naive model with a crash at every record.
#![allow(clippy::panic, reason = "tests")]

mod ledger;
mod naive;
mod random;
mod sim;
mod stories;
mod story;
