//! Whole-system tests of slothd: the real programs on a temporary directory, looked at from outside.

#![allow(clippy::panic, reason = "a harness: what it cannot do fails the test")]

pub mod booted;
pub mod bus;
pub mod client;
pub mod instance;
pub mod paths;
pub mod process;
pub mod random;
pub mod skips;
pub mod torture;

pub use client::{Reply, Request};
pub use instance::Instance;
