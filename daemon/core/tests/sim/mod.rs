//! A world for the machine: a store, an executor and clocks that can fail in every way the real ones can, all from one seed.

#![allow(dead_code)]

pub mod chance;
pub mod check;
pub mod deeds;
pub mod driver;
pub mod executor;
pub mod schedules;
pub mod store;
pub mod world;
