//! The store as its users see it: what is written is read back, what must not happen does not, and what is acknowledged
//! survives whatever happens to the process and the disk.

#![allow(missing_docs, clippy::panic)]

mod audit;
mod backup;
mod crash;
mod disk;
mod fixture;
mod opening;
mod queries;
mod reading;
mod records;
mod retention;
mod roundtrip;
mod runs;
mod things;
mod vacuum;
mod writing;
