//! slothd on a private message bus, driven by zbus, busctl and gdbus.

#![allow(clippy::panic, reason = "a test that cannot go on fails")]

mod contract;
mod inhibit;
mod log_control;
mod objects;
mod polkit;
mod refusals;
mod resilience;
mod rights;
mod signals;
mod world;
