//! Makes a held process: complete in every respect, one byte away from the user's program.

mod child;
mod plan;

pub(crate) use child::reserve_descriptors;
pub use child::{Held, Status, StatusKind, start};
pub use plan::{Plan, Resource};
