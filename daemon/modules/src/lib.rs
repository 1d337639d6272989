//! The library modules of the `.sloth` language that touch the host: programs, files, network, facts.
//!
//! One directory or file per module; each gives a [`sloth_lua::Module`].

mod crypto;
mod describe;
mod documents;
pub mod exec;
mod keep;
mod math;
mod modes;
mod strings;
#[cfg(test)]
mod testing;

use sloth_lua::Module;

/// All of them, in the order of the documentation.
pub static MODULES: &[&Module] = &[
    &exec::MODULE,
    &documents::JSON_MODULE,
    &documents::YAML_MODULE,
    &documents::TOML_MODULE,
    &crypto::MODULE,
    &math::MODULE,
    &strings::MODULE,
];
