//! `fs`: files and directories.

mod changing;
mod finding;
mod names;
mod reading;
mod table;
#[cfg(test)]
mod tests;

pub use changing::{append, chmod, chown_path, linked, make_directory, remove_tree, touch_file};
pub use reading::{checksum, exists, facts, path, percent, read};
pub use table::{ATTRIBUTES, MODULE};
