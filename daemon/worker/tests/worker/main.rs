//! The worker against a slothd that is played by the test.
#![allow(clippy::panic, reason = "tests")]

mod basics;
mod crashes;
mod ends;
mod fake;
mod looks;
mod script;
