//! From a file to a graph: the constructors of tasks and workflows, compositions, values, imports, and what is wrong
//! with a definition.

mod desk;
mod draft;
mod expand;
mod fault;
mod raw;
mod read;
pub mod words;

pub use fault::CODES;
