//! The library modules of the `.sloth` language that touch the host: programs, files, network, facts.
//!
//! One directory or file per module; each gives a [`sloth_lua::Module`].

mod absent;
mod crypto;
mod describe;
mod documents;
mod ending;
pub mod exec;
mod http;
mod keep;
mod math;
mod modes;
mod strings;
#[cfg(test)]
mod testing;
mod time;
mod utils;
mod validate;

use sloth_lua::Module;

pub use absent::ABSENT;
pub(crate) use ending::ended;

/// All of them, in the order of the documentation.
pub static MODULES: &[&Module] = &[
    &exec::MODULE,
    &http::MODULE,
    &documents::JSON_MODULE,
    &documents::YAML_MODULE,
    &documents::TOML_MODULE,
    &crypto::MODULE,
    &math::MODULE,
    &strings::MODULE,
    &time::MODULE,
    &validate::MODULE,
    &utils::MODULE,
];
