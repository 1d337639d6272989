//! `file`: short names for what `fs` and `file_ops` do.

use sloth_lua::{Call, Family, Function, Module, Param, Reply, Tier, Type};

use super::content as c;
use super::edit;
use super::table::{DEST, MAYBE_SRC, PATH, TEMPLATE_OPTIONS, change, file_options};
use crate::describe::{also, blocking, family, may, need, options};

/// Files, by short names.
pub static MODULE: Module = Module {
    name: "file",
    aliases: &[],
    tier: Tier::Here,
    about: "Files by short names: the functions of file_ops and fs",
    functions: FUNCTIONS,
    prelude: "",
};

const CONTENT: Param = may("content", Type::Str, "\"\"");

/// Of family `C`: the body gives `true, info` for `file_ops`, and the info alone here.
const fn short(name: &'static str, params: &'static [Param], about: &'static str, body: fn(Call) -> Reply) -> Function {
    Function { family: Family::C, ..change(name, params, about, body) }
}

/// The info of `true, info` or `true, nil, info`.
fn info(reply: Reply) -> Reply {
    reply.map(|values| values.into_iter().last().into_iter().collect())
}

macro_rules! info {
    ($body:path) => {
        |call| info($body(call))
    };
}

const FUNCTIONS: &[Function] = &[
    options(
        short("copy", &[MAYBE_SRC, DEST], "Makes a file or tree equal to another", info!(c::copy)),
        file_options![
            may("content", Type::Str, ""),
            may("recursive", Type::Bool, "true"),
            may("force", Type::Bool, "true")
        ],
    ),
    also(short("create", &[PATH, CONTENT], "Makes a file with this content", info!(c::create)), &["write"]),
    blocking("read", &[PATH], "string", "Content of a file", crate::fs::read),
    short("append", &[PATH, need("content", Type::Str)], "Adds to a file", info!(crate::fs::append)),
    also(
        options(
            short("remove", &[PATH], "Removes a file or tree", info!(c::remove)),
            &[may("force", Type::Bool, "false")],
        ),
        &["delete"],
    ),
    family(blocking("exists", &[PATH], "boolean", "Whether something is there", crate::fs::exists), Family::Raw),
    options(short("chmod", &[PATH, need("mode", Type::Any)], "Sets the mode", info!(crate::fs::chmod)), &[]),
    options(
        short(
            "chown",
            &[PATH, Param { aliases: &["user"], ..may("owner", Type::Str, "") }, may("group", Type::Str, "")],
            "Sets owner and group",
            info!(crate::fs::chown_path),
        ),
        &[],
    ),
    blocking("hash", &[PATH, may("alg", Type::Str, "\"sha256\"")], "string", "Checksum of a file", crate::fs::checksum),
    short("mkdir", &[PATH], "Makes a directory", info!(c::mkdir)),
    options(
        short(
            "template",
            &[MAYBE_SRC, DEST, may("vars", Type::Map, "{}")],
            "Writes a file from a template",
            info!(c::template),
        ),
        TEMPLATE_OPTIONS,
    ),
    options(
        short("line", &[PATH, may("line", Type::Str, "")], "Makes a line be there, or not", info!(edit::lineinfile)),
        file_options![
            may("state", Type::Str, "\"present\""),
            may("regexp", Type::Str, ""),
            may("create", Type::Bool, "false"),
            may("insertafter", Type::Str, ""),
            may("insertbefore", Type::Str, ""),
            may("backrefs", Type::Bool, "false"),
        ],
    ),
];
