//! `fs`: files and directories.

mod changing;
mod finding;
mod names;
mod reading;
mod table;
#[cfg(test)]
mod tests;

pub use changing::{append, chmod, chown_path, copy, linked, make_directory, mkdir, remove_tree, rename, touch_file};
pub use names::{cwd, home};
pub use reading::{checksum, disk_usage, exists, facts, path, percent, read, stat};
pub use table::{ATTRIBUTES, MODULE};
