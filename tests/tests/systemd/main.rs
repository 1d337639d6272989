//! Runs as transient units, on a Debian system booted with a real systemd as PID 1: each test has a machine of its own.

#![allow(clippy::panic, reason = "a test that cannot go on fails")]

mod limits;
mod machine;
mod many;
mod network;
mod places;
mod sandbox;
mod start;
mod survival;

pub use machine::Machine;
