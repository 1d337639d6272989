//! The library modules of the `.sloth` language that touch the host: programs, files, network, facts.
//!
//! One directory or file per module; each gives a [`sloth_lua::Module`].

use sloth_lua::Module;

mod describe;
pub mod exec;
pub mod facts;
pub mod file_ops;
mod files;
pub mod fs;
mod modes;
pub mod template;
#[cfg(test)]
mod testing;

/// All of them, in the order of the documentation.
pub static MODULES: &[&Module] =
    &[&exec::MODULE, &fs::MODULE, &file_ops::MODULE, &file_ops::FILE, &facts::MODULE, &template::MODULE];
