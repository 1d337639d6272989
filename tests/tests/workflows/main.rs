//! Workflows through the real slothd, sloth-worker and slothctl: the language, the engine, and what is left after kills.

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
