//! The description of `exec`.

use sloth_lua::{Body, Family, Function, Module, Param, Tier, Type};

use super::functions as f;
use crate::describe::{also, family, luau, may, named, need, options, value};

/// Commands.
pub static MODULE: Module = Module {
    name: "exec",
    aliases: &["cmd"],
    tier: Tier::Here,
    about: "Runs programs and shell commands",
    functions: FUNCTIONS,
    prelude: include_str!("exec.luau"),
};

const CMD: Param = named("cmd", &["command"], Type::StrOrList);
const ID: Param = need("id", Type::Int);
const SIGNAL: Param = may("signal", Type::Str, "\"TERM\"");

const fn alias(param: Param, aliases: &'static [&'static str]) -> Param {
    Param { aliases, ..param }
}

macro_rules! exec_options {
    ($($more:expr),* $(,)?) => {
        &[
            alias(may("workdir", Type::Str, ""), &["cwd"]),
            may("env", Type::Map, "{}"),
            may("clear_env", Type::Bool, "false"),
            may("timeout", Type::Duration, ""),
            may("stdin", Type::Any, ""),
            may("user", Type::Str, ""),
            may("sudo", Type::Any, "false"),
            may("umask", Type::Any, ""),
            may("nice", Type::Int, ""),
            may("shell", Type::Str, ""),
            may("stream", Type::Bool, "true"),
            may("quiet", Type::Bool, "false"),
            may("capture", Type::Bool, "true"),
            may("max_output", Type::Size, "\"16Mi\""),
            alias(may("raise", Type::Bool, "false"), &["check"]),
            may("retries", Type::Int, "0"),
            may("delay", Type::Duration, "\"1s\""),
            may("expect_codes", Type::Any, "{0}"),
            may("mask", Type::StrOrList, "{}"),
            may("check_safe", Type::Bool, "false"),
            may("creates", Type::Str, ""),
            may("removes", Type::Str, ""),
            $($more),*
        ]
    };
}

/// Options of `exec.run`.
pub const OPTIONS: &[Param] = exec_options![];
const SCRIPT_OPTIONS: &[Param] = exec_options![may("interpreter", Type::Str, ""), may("args", Type::StrOrList, "{}")];
const START_OPTIONS: &[Param] = exec_options![may("detach", Type::Bool, "false"), may("_lines", Type::Bool, "false")];
const SSH_OPTIONS: &[Param] = exec_options![
    may("port", Type::Int, "22"),
    may("remote_user", Type::Str, ""),
    may("private_key", Type::Str, ""),
    may("jump", Type::Str, ""),
    may("known_hosts", Type::Str, ""),
    may("host_key_check", Type::Str, "\"accept_new\""),
    may("connect_timeout", Type::Duration, "\"30s\""),
];

const R: &str = "ExecResult";

const fn result(name: &'static str, params: &'static [Param], about: &'static str, body: Body) -> Function {
    let function = family(value(name, params, R, about, body), Family::R);
    Function { mutates: true, ..options(function, OPTIONS) }
}

const FUNCTIONS: &[Function] = &[
    also(
        result("run", &[CMD], "Runs a shell text, or a list of words without a shell", Body::Async(f::run)),
        &["command", "shell"],
    ),
    Function {
        mutates: true,
        ..options(
            family(
                value("sh", &[CMD], "boolean, string", "Runs a command: success and its text", Body::Async(f::sh)),
                Family::P,
            ),
            OPTIONS,
        )
    },
    options(
        result(
            "script",
            &[named("text", &["script"], Type::Str)],
            "Runs a text as a script file",
            Body::Async(f::script),
        ),
        SCRIPT_OPTIONS,
    ),
    result(
        "run_timeout",
        &[CMD, need("seconds", Type::Duration)],
        "Runs a command for at most this time",
        Body::Async(f::run_timeout),
    ),
    options(
        also(luau("background", &[CMD], "ExecHandle", "Starts a command that ends with the run"), &["start"]),
        START_OPTIONS,
    ),
    luau("kill", &[alias(need("pid", Type::Any), &["handle"]), SIGNAL], "boolean, string", "Sends a signal"),
    luau("is_running", &[alias(need("pid", Type::Any), &["handle"])], "boolean", "Whether a process or handle runs"),
    options(
        result("ssh", &[need("host", Type::Str), CMD], "Runs a command on another host", Body::Async(f::ssh)),
        SSH_OPTIONS,
    ),
    value("which", &[need("name", Type::Str)], "string", "Path of a program", Body::Blocking(f::which)),
    family(
        value("exists", &[need("name", Type::Str)], "boolean", "Whether a program exists", Body::Blocking(f::exists)),
        Family::Raw,
    ),
    options(
        luau("lines", &[CMD, need("fn", Type::Function)], R, "Calls fn(line, stream) while a command runs"),
        OPTIONS,
    ),
    result(
        "pipeline",
        &[need("commands", Type::List)],
        "Runs commands whose outputs are the inputs of the next",
        Body::Async(f::pipeline),
    ),
    Function {
        mutates: true,
        ..options(value("_start", &[CMD], "{id: number}", "", Body::Async(f::start)), START_OPTIONS)
    },
    family(value("_wait", &[ID, may("timeout", Type::Duration, "")], R, "", Body::Async(f::wait)), Family::R),
    value("_read", &[ID], "string?", "", Body::Async(f::read)),
    value("_next_line", &[ID], "string?, string?", "", Body::Async(f::next_line)),
    value("_write", &[ID, need("text", Type::Str)], "boolean", "", Body::Async(f::write)),
    value("_close_stdin", &[ID], "boolean", "", Body::Async(f::close_stdin)),
    family(value("_kill_handle", &[ID, SIGNAL], "boolean, string", "", Body::Blocking(f::kill_handle)), Family::P),
    family(value("_handle_is_running", &[ID], "boolean", "", Body::Blocking(f::handle_is_running)), Family::Raw),
    family(
        value("_kill", &[need("pid", Type::Int), SIGNAL], "boolean, string", "", Body::Blocking(f::kill)),
        Family::P,
    ),
    family(value("_is_running", &[need("pid", Type::Int)], "boolean", "", Body::Blocking(f::is_running)), Family::Raw),
];
