//! Workflows through the real slothd, sloth-worker and slothctl: the language, the engine, and what is left after kills.

#![allow(clippy::panic, reason = "helpers of tests: what they cannot do fails the test")]

mod control;
mod crash;
mod diagnostics;
mod examples;
mod hostile;
mod language;
mod life;
mod proxy;
mod schedule;
mod support;
