//! The library modules of the `.sloth` language that touch the host: programs, files, network, facts.
//!
//! One directory or file per module; each gives a [`sloth_lua::Module`].

mod absent;
mod crypto;
mod data;
mod describe;
mod documents;
mod ending;
pub mod exec;
pub mod facts;
pub mod file_ops;
mod files;
pub mod fs;
pub mod git;
mod http;
mod io_shim;
mod keep;
pub mod log;
mod math;
mod metrics;
mod modes;
mod net;
mod reliability;
mod strings;
pub mod system;
mod temp;
pub mod template;
#[cfg(test)]
mod testing;
mod time;
mod utils;
mod validate;
pub mod workdir;

use sloth_lua::Module;

pub(crate) use ending::ended;

/// What this build has, in the order of the documentation.
static HERE: &[&Module] = &[
    &exec::MODULE,
    &log::MODULE,
    &fs::MODULE,
    &file_ops::MODULE,
    &file_ops::FILE,
    &workdir::MODULE,
    &template::MODULE,
    &git::MODULE,
    &facts::MODULE,
    &system::MODULE,
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
    &net::MODULE,
    &data::MODULE,
    &metrics::MODULE,
    &reliability::MODULE,
    &io_shim::MODULE,
];

const ALL: usize = HERE.len() + absent::ABSENT.len();

static EVERY: [&Module; ALL] = {
    let mut every = [HERE[0]; ALL];
    let mut index = 0;
    while index < ALL {
        every[index] = if index < HERE.len() { HERE[index] } else { &absent::ABSENT[index - HERE.len()] };
        index += 1;
    }
    every
};

/// All of them: first those of this build, then those that are known and not in it.
pub static MODULES: &[&Module] = &EVERY;
