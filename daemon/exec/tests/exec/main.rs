//! What the executor promises, shown with real processes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod crashes;
mod door;
mod environment;
mod harness;
mod life;
mod many;
mod output;
mod refusals;
mod trees;
