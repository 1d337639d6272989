//! The description of `fs`.

use sloth_lua::{Body, Family, Function, Module, Param, Reply, Tier, Type};

use super::{changing as c, finding, names, reading as r};
use crate::describe::{also, blocking, family, luau, may, need, options, pure, value, variadic};

/// Files and directories.
pub static MODULE: Module = Module {
    name: "fs",
    aliases: &[],
    tier: Tier::Here,
    about: "Reads and changes files and directories",
    functions: FUNCTIONS,
    prelude: include_str!("fs.luau"),
};

const PATH: Param = need("path", Type::Str);
const SRC: Param = need("src", Type::Str);
const DST: Param = Param { aliases: &["dest"], ..need("dst", Type::Str) };
const CONTENT: Param = Param { aliases: &["data", "text"], ..need("content", Type::Str) };
const MODE: Param = may("mode", Type::Any, "");

/// Options of what is written.
pub const ATTRIBUTES: &[Param] = &[MODE, may("owner", Type::Str, ""), may("group", Type::Str, "")];
const WRITE: &[Param] = &[
    may("mode", Type::Any, "\"0644\""),
    may("owner", Type::Str, ""),
    may("group", Type::Str, ""),
    may("backup", Type::Bool, "false"),
    may("validate", Type::Str, ""),
];

const fn change(
    name: &'static str,
    params: &'static [Param],
    about: &'static str,
    body: fn(sloth_lua::Call) -> Reply,
) -> Function {
    let function = value(name, params, "boolean", about, Body::Blocking(body));
    Function { family: Family::P, mutates: true, ..function }
}

const fn is(name: &'static str, about: &'static str, body: fn(sloth_lua::Call) -> Reply) -> Function {
    family(blocking(name, &[PATH], "boolean", about, body), Family::Raw)
}

const FUNCTIONS: &[Function] = &[
    also(blocking("read", &[PATH], "string", "Content of a file", r::read), &["read_file"]),
    blocking("read_lines", &[PATH], "{string}", "Lines of a file", r::read_lines),
    blocking("read_bytes", &[PATH], "string", "Content of a file", r::read),
    also(
        options(change("write", &[PATH, CONTENT], "Replaces the content of a file", c::write), WRITE),
        &["write_file"],
    ),
    change("append", &[PATH, CONTENT], "Adds to a file", c::append),
    is("exists", "Whether something is there", r::exists),
    is("is_file", "Whether it is a file", r::is_file),
    is("is_dir", "Whether it is a directory", r::is_dir),
    is("is_link", "Whether it is a symbolic link", r::is_link),
    options(change("mkdir", &[PATH], "Makes a directory and its parents", c::mkdir), ATTRIBUTES),
    also(change("rm", &[PATH], "Removes a file, a link or an empty directory", c::rm), &["remove"]),
    also(
        options(change("rmr", &[PATH], "Removes a tree", c::rmr), &[may("force", Type::Bool, "false")]),
        &["rm_r", "remove_recursive"],
    ),
    also(
        blocking("ls", &[may("path", Type::Str, "\".\"")], "{string}", "Names in a directory", finding::ls),
        &["list"],
    ),
    blocking("glob", &[need("pattern", Type::Str)], "{string}", "Paths that match a pattern", finding::glob),
    luau("walk", &[PATH, need("fn", Type::Function)], "boolean", "Calls fn(path, entry) for everything below"),
    blocking("_walk", &[PATH], "{any}", "", finding::walk),
    options(
        blocking("find", &[PATH], "{string}", "Paths below with these properties", finding::find),
        &[
            may("name", Type::Str, ""),
            may("type", Type::Str, ""),
            may("size", Type::Str, ""),
            may("mtime", Type::Str, ""),
            may("depth", Type::Int, ""),
        ],
    ),
    options(change("copy", &[SRC, DST], "Copies a file or a tree", c::copy), WRITE),
    also(change("move", &[SRC, DST], "Moves a file or a tree", c::rename), &["rename"]),
    options(
        change("symlink", &[need("target", Type::Str), need("link", Type::Str)], "Makes a symbolic link", c::symlink),
        &[may("force", Type::Bool, "false")],
    ),
    change("link", &[need("target", Type::Str), need("link", Type::Str)], "Gives a file another name", c::link),
    options(change("touch", &[PATH], "Makes a file, or sets its time", c::touch), ATTRIBUTES),
    change("chmod", &[PATH, need("mode", Type::Any)], "Sets the mode", c::chmod),
    change(
        "chown",
        &[PATH, Param { aliases: &["user"], ..may("owner", Type::Str, "") }, may("group", Type::Str, "")],
        "Sets owner and group",
        c::chown_path,
    ),
    change("truncate", &[PATH, may("size", Type::Size, "0")], "Sets the size", c::truncate),
    family(blocking("stat", &[PATH], "FileStat", "What is known about a path", r::stat), Family::V),
    blocking("size", &[PATH], "number", "Bytes of a file", r::size),
    blocking("mtime", &[PATH], "number", "When it was changed, seconds since 1970", r::mtime),
    blocking("checksum", &[PATH, may("alg", Type::Str, "\"sha256\"")], "string", "Checksum of a file", r::checksum),
    blocking("readlink", &[PATH], "string", "Where a symbolic link leads", r::readlink),
    blocking("realpath", &[PATH], "string", "The path without links", r::realpath),
    blocking("tmpname", &[may("prefix", Type::Str, "\"tmp-\"")], "string", "A new temporary file", names::tmpname),
    blocking("tmpdir", &[may("prefix", Type::Str, "\"tmp-\"")], "string", "A new temporary directory", names::tmpdir),
    value("cwd", &[], "string", "Directory of the task", Body::Now(names::cwd)),
    value("home", &[], "string", "Home directory of the run's user", Body::Now(names::home)),
    pure("basename", &[PATH], "string", "Last part of a path", names::basename),
    pure("dirname", &[PATH], "string", "A path without its last part", names::dirname),
    pure("ext", &[PATH], "string", "Extension with its dot", names::ext),
    variadic(pure("join", &[need("path", Type::Any)], "string", "Parts as one path", names::join)),
    value("abs", &[PATH], "string", "The absolute path", Body::Now(names::abs)),
    pure("split", &[PATH], "string, string", "Directory and name", names::split),
    Function {
        family: Family::C,
        mutates: true,
        ..options(
            blocking("sync", &[SRC, DST], "ChangeInfo", "Makes a directory equal to another", c::sync),
            &[may("delete", Type::Bool, "false"), may("exclude", Type::StrOrList, "{}")],
        )
    },
    also(
        Function {
            mutates: true,
            ..options(
                blocking(
                    "template",
                    &[SRC, DST, may("vars", Type::Map, "{}")],
                    "boolean, ChangeInfo",
                    "Writes a file from a template",
                    crate::file_ops::template,
                ),
                crate::file_ops::TEMPLATE_OPTIONS,
            )
        },
        &[],
    ),
    blocking("disk_usage", &[may("path", Type::Str, "\".\"")], "DiskUsage", "Space of a file system", r::disk_usage),
];
