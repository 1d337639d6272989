//! The package on a Debian system booted with a real systemd as PID 1: each test has a machine of its own.

mod install;
mod journal;
mod life;
mod lints;
mod reboot;
mod reload;
mod rights;
mod rpm;
mod units;
mod upgrade;
mod user;
