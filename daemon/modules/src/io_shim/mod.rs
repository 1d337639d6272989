//! What `os`, `io` and `perf` of the language need of the host. Scripts see these functions through those libraries only.

mod files;
mod load;

use sloth_lua::{Body, Call, Failure, Family, Function, Module, Param, Reply, Tier, Type};

use crate::describe::need;

/// The module; its name keeps it out of sight.
pub(crate) static MODULE: Module = Module {
    name: "_host",
    aliases: &[],
    tier: Tier::Here,
    about: "Files and load, for the standard library.",
    functions: FUNCTIONS,
    prelude: "",
};

const ID: Param = need("id", Type::Int);
const PATH: Param = need("path", Type::Str);

const FUNCTIONS: &[Function] = &[
    blocking("open", &[PATH, need("mode", Type::Str)], files::open),
    blocking("read", &[ID, need("count", Type::Int)], files::read),
    blocking("write", &[ID, need("data", Type::Str)], files::write),
    blocking("seek", &[ID, need("whence", Type::Str), need("offset", Type::Int)], files::seek),
    blocking("close", &[ID], files::close),
    Function { mutates: true, ..blocking("remove", &[PATH], files::remove) },
    Function { mutates: true, ..blocking("rename", &[need("from", Type::Str), need("to", Type::Str)], files::rename) },
    blocking("tmpname", &[], files::tmpname),
    blocking("memory", &[], load::memory),
    blocking("cpu", &[], load::cpu),
];

const fn blocking(name: &'static str, params: &'static [Param], body: fn(Call) -> Reply) -> Function {
    Function {
        name,
        aliases: &[],
        params,
        options: &[],
        variadic: false,
        family: Family::V,
        returns: "any",
        mutates: false,
        about: "For the standard library.",
        body: Body::Blocking(body),
    }
}

/// `path: No such file or directory (os error 2)`; the library takes the number apart again.
fn failed(path: &str, error: &std::io::Error) -> Failure {
    match error.raw_os_error() {
        Some(_) => Failure::new(format!("{path}: {error}")),
        None => Failure::new(format!("{path}: {error} (os error 5)")),
    }
}
