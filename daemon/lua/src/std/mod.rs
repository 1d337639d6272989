//! The standard library of the language: what scripts have without any module of the host. It is written in Luau over
//! the primitives of the VM; here is its description.

mod describe;
mod flow;
mod goroutine;
mod system;

use crate::module::Module;

/// Its modules.
pub(crate) const STANDARD: &[&Module] = &[
    &goroutine::MODULE,
    &flow::ASYNC,
    &flow::FLOW,
    &flow::CIRCUIT,
    &flow::PERF,
    &system::OS,
    &system::IO,
    &system::BRIDGE,
];
