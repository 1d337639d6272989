//! The worker against a slothd that is played by the test.

mod basics;
mod crashes;
mod ends;
mod fake;
mod looks;
mod script;
