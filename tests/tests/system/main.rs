//! The real slothd, slothctl and sloth-exec on temporary directories.

mod backup;
mod behaviour;
mod configuration;
mod contract;
mod crash;
mod ctl;
mod damage;
mod disk;
mod hostile;
mod rights;
mod streams;
mod torture;
