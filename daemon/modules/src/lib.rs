//! The library modules of the `.sloth` language that touch the host: programs, files, network, facts.
//!
//! One directory or file per module; each gives a [`sloth_lua::Module`].

mod crypto;
mod describe;
mod documents;
mod keep;
mod math;
mod strings;

use sloth_lua::Module;

/// All of them, in the order of the documentation.
pub const MODULES: &[&Module] = &[
    &documents::JSON_MODULE,
    &documents::YAML_MODULE,
    &documents::TOML_MODULE,
    &crypto::MODULE,
    &math::MODULE,
    &strings::MODULE,
];
