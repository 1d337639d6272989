//! The real slothd, slothctl and sloth-exec on temporary directories.

mod crash;
mod torture;
