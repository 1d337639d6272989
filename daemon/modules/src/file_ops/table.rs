//! The description of `file_ops`.

use sloth_lua::{Body, Call, Failure, Family, Function, Module, Param, Reply, Tier, Type};

use super::{content as c, edit, packing};
use crate::describe::{also, may, need, options, value};

/// Files as they should be.
pub static MODULE: Module = Module {
    name: "file_ops",
    aliases: &[],
    tier: Tier::Here,
    about: "Makes files as they should be",
    functions: FUNCTIONS,
    prelude: "",
};

pub(super) const PATH: Param = need("path", Type::Str);
pub(super) const SRC: Param = need("src", Type::Str);
pub(super) const MAYBE_SRC: Param = may("src", Type::Str, "");
pub(super) const DEST: Param = Param { aliases: &["dst"], ..need("dest", Type::Str) };

/// Options of every function that writes, and further ones.
macro_rules! file_options {
    ($($more:expr),* $(,)?) => {
        &[
            may("mode", Type::Any, ""),
            may("owner", Type::Str, ""),
            may("group", Type::Str, ""),
            may("backup", Type::Bool, "false"),
            may("validate", Type::Str, ""),
            may("selinux", Type::Any, ""),
            $($more),*
        ]
    };
}
pub(super) use file_options;

const PLAIN: &[Param] = file_options![];

/// Options of templates.
pub const TEMPLATE_OPTIONS: &[Param] =
    file_options![may("content", Type::Str, ""), may("missing", Type::Str, "\"error\"")];

/// A function that changes files: `true, info`, or `nil` and why not.
pub(super) const fn change(
    name: &'static str,
    params: &'static [Param],
    about: &'static str,
    body: fn(Call) -> Reply,
) -> Function {
    let function = value(name, params, "boolean, ChangeInfo", about, Body::Blocking(body));
    Function { mutates: true, family: Family::V, options: PLAIN, ..function }
}

fn later(_: Call) -> Reply {
    Err(Failure::new("editing keys of files is not available in this build"))
}

const KEY: &[Param] = &[PATH, need("pointer", Type::Str), need("value", Type::Any)];

const FUNCTIONS: &[Function] = &[
    options(
        change("copy", &[MAYBE_SRC, DEST], "Makes a file or tree equal to another, or to a text", c::copy),
        file_options![
            may("content", Type::Str, ""),
            may("recursive", Type::Bool, "true"),
            may("force", Type::Bool, "true"),
        ],
    ),
    options(
        change("fetch", &[SRC, DEST], "Brings a file from elsewhere", c::fetch),
        file_options![may("checksum", Type::Str, ""), may("headers", Type::Map, ""), may("flat", Type::Bool, "")],
    ),
    options(
        change(
            "template",
            &[MAYBE_SRC, DEST, may("vars", Type::Map, "{}")],
            "Writes a file from a template",
            c::template,
        ),
        TEMPLATE_OPTIONS,
    ),
    options(
        change("lineinfile", &[PATH, may("line", Type::Str, "")], "Makes a line be there, or not", edit::lineinfile),
        file_options![
            may("state", Type::Str, "\"present\""),
            may("regexp", Type::Str, ""),
            may("create", Type::Bool, "false"),
            may("insertafter", Type::Str, ""),
            may("insertbefore", Type::Str, ""),
            may("backrefs", Type::Bool, "false"),
        ],
    ),
    options(
        change(
            "blockinfile",
            &[PATH, may("block", Type::Str, "")],
            "Makes lines between markers be there",
            edit::blockinfile,
        ),
        file_options![
            may("state", Type::Str, "\"present\""),
            may("marker_begin", Type::Str, "\"# BEGIN SLOTH MANAGED BLOCK\""),
            may("marker_end", Type::Str, "\"# END SLOTH MANAGED BLOCK\""),
            may("create", Type::Bool, "false"),
            may("insertafter", Type::Str, ""),
            may("insertbefore", Type::Str, ""),
        ],
    ),
    change(
        "replace",
        &[PATH, need("pattern", Type::Str), may("replacement", Type::Str, "\"\"")],
        "Replaces what matches a pattern",
        edit::replace,
    ),
    options(
        change("unarchive", &[SRC, DEST], "Extracts an archive", packing::unarchive),
        file_options![
            may("strip", Type::Int, "0"),
            may("include", Type::StrOrList, ""),
            may("exclude", Type::StrOrList, ""),
            may("creates", Type::Str, ""),
            may("remote", Type::Bool, "false"),
        ],
    ),
    options(
        change("archive", &[SRC, DEST], "Packs a file or tree", packing::archive),
        file_options![may("format", Type::Str, ""), may("exclude", Type::StrOrList, "")],
    ),
    value("stat", &[PATH], "boolean, FileStat", "What is known about a path", Body::Blocking(c::stat)),
    also(change("mkdir", &[PATH], "Makes a directory", c::mkdir), &["directory"]),
    also(
        options(change("remove", &[PATH], "Removes a file or tree", c::remove), &[may("force", Type::Bool, "false")]),
        &["absent"],
    ),
    options(change("symlink", &[SRC, DEST], "Makes a symbolic link", c::symlink), &[may("force", Type::Bool, "false")]),
    change("touch", &[PATH], "Makes a file, or sets its time", c::touch),
    change(
        "ini",
        &[PATH, need("section", Type::Str), need("key", Type::Str), may("value", Type::Any, "")],
        "Sets a key of an INI file",
        later,
    ),
    change("json_set", KEY, "Sets a value of a JSON file", later),
    change("yaml_set", KEY, "Sets a value of a YAML file", later),
];
