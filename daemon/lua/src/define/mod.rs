//! From a file to a graph: the constructors of tasks and workflows, compositions, values, imports, and what is wrong
//! with a definition.

mod bridge;
mod desk;
mod draft;
mod expand;
mod fault;
mod raw;
pub(crate) mod read;
mod result;
#[cfg(test)]
mod testing;
pub mod words;

pub use bridge::{Given, Loader, Program};
pub use fault::CODES;
pub use result::{OUTPUT_DEPTH_MAX, OUTPUT_MAX, TaskResult, task_result};
