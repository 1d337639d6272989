//! `file_ops`: files as they should be. `file` offers the same under short names.

mod content;
mod edit;
mod file;
mod packing;
mod table;
#[cfg(test)]
mod tests;

pub use content::template;
pub use file::MODULE as FILE;
pub use table::{MODULE, TEMPLATE_OPTIONS};

use sloth_lua::{Call, Reply};

use crate::files::change::{Change, simulated};

/// `true, info`.
#[allow(clippy::unnecessary_wraps)] // the shape of bodies
fn done(call: &Call, change: Change) -> Reply {
    Ok(vec![true.into(), change.info(simulated(call))])
}
