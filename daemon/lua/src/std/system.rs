//! `os`, `io`, `bridge`.

use super::describe::{fun, module, need, opt, rest};
use crate::module::{Module, Type};

pub(super) static OS: Module = module(
    "os",
    &[],
    "The operating system, as Lua knows it; commands and files obey the policy of the run.",
    &[
        fun(
            "execute",
            &[opt("command", Type::Str, "nil")],
            "number, string?, number?",
            "Runs a shell command; its output goes to the log.",
        ),
        fun("getenv", &[need("name", Type::Str)], "string?", "A variable of the task's environment."),
        fun(
            "setenv",
            &[need("name", Type::Str), opt("value", Type::Str, "nil")],
            "boolean",
            "Changes the environment of later commands of the task.",
        ),
        fun(
            "date",
            &[opt("format", Type::Str, "\"%c\""), opt("time", Type::Num, "now")],
            "any",
            "A time as text or table.",
        ),
        fun("time", &[opt("table", Type::Map, "now")], "number", "Seconds since 1970."),
        fun("clock", &[], "number", "Seconds, for measuring."),
        fun("difftime", &[need("a", Type::Num), need("b", Type::Num)], "number", "Seconds between."),
        fun(
            "remove",
            &[need("path", Type::Str)],
            "boolean?, string?, number?",
            "Deletes a file or an empty directory.",
        ),
        fun("rename", &[need("from", Type::Str), need("to", Type::Str)], "boolean?, string?, number?", "Renames."),
        fun("tmpname", &[], "string", "Path of a new empty file in the run's temporary directory."),
        fun("exit", &[opt("code", Type::Int, "0")], "()", "Ends the task, or the evaluation of the file."),
    ],
    concat!(
        "local M, sys = ... local P = {} do local run = function(...) ",
        include_str!("os.luau"),
        " end run(P, sys) end P.os(M)"
    ),
);

pub(super) static IO: Module = module(
    "io",
    &[],
    "Files and pipes, as Lua knows them.",
    &[
        fun(
            "open",
            &[need("path", Type::Str), opt("mode", Type::Str, "\"r\"")],
            "any, string?, number?",
            "A file: read, lines, write, seek, flush, close, setvbuf.",
        ),
        fun(
            "popen",
            &[need("command", Type::Str), opt("mode", Type::Str, "\"r\"")],
            "any",
            "A file over a shell command.",
        ),
        fun(
            "lines",
            &[need("path", Type::Str), opt("format", Type::Str, "\"l\"")],
            "() -> string?",
            "Iterator over lines.",
        ),
        rest(fun("write", &[], "any", "Writes to the log.")),
        fun("read", &[], "nil", "Always nil: there is no terminal."),
        fun("type", &[need("value", Type::Any)], "string?", "file, closed file or nil."),
    ],
    concat!(
        "local M, sys = ... local P = {} do local run = function(...) ",
        include_str!("os.luau"),
        " end run(P, sys) end P.io(M)"
    ),
);

pub(super) static BRIDGE: Module = module(
    "bridge",
    &["go_bridge"],
    "Functions by name, for modules in Lua.",
    &[
        fun(
            "call",
            &[need("name", Type::Str), opt("args", Type::Map, "{}")],
            "...any",
            "Calls module.function with its table form.",
        ),
        fun("exists", &[need("name", Type::Str)], "boolean", "Whether it is there."),
        fun("list", &[], "{string}", "All of them."),
    ],
    concat!(
        "local M, sys = ... local P = {} do local run = function(...) ",
        include_str!("misc.luau"),
        " end run(P, sys) end P.bridge(M)"
    ),
);
