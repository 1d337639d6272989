//! The description of `git`.

use sloth_lua::{Body, BoxFuture, Call, Family, Function, Module, Param, Reply, Tier, Type};

use super::{changing as c, reading as r};
use crate::describe::{family, luau, may, need, options, value};

/// Working copies.
pub static MODULE: Module = Module {
    name: "git",
    aliases: &[],
    tier: Tier::Here,
    about: "Working copies of git repositories",
    functions: FUNCTIONS,
    prelude: include_str!("git.luau"),
};

const PATH: Param = Param { aliases: &["local_path", "repo"], ..may("path", Type::Str, "\".\"") };
const BRANCH: Param = may("branch", Type::Str, "");
const REMOTE: Param = may("remote", Type::Str, "\"origin\"");
const KEY: &[Param] = &[may("ssh_key", Type::Str, "")];
const CLONE: &[Param] = &[
    BRANCH,
    may("depth", Type::Int, ""),
    may("clean", Type::Bool, "false"),
    may("submodules", Type::Bool, "false"),
    may("ssh_key", Type::Str, ""),
    may("update", Type::Bool, "false"),
];

type Work = fn(Call) -> BoxFuture<Reply>;

const fn change(name: &'static str, params: &'static [Param], about: &'static str, body: Work) -> Function {
    let function = family(value(name, params, "ChangeInfo", about, Body::Async(body)), Family::T);
    Function { mutates: true, ..options(function, KEY) }
}

const fn read(
    name: &'static str,
    params: &'static [Param],
    returns: &'static str,
    about: &'static str,
    body: Work,
) -> Function {
    options(value(name, params, returns, about, Body::Async(body)), KEY)
}

const FUNCTIONS: &[Function] = &[
    options(
        luau("clone", &[need("url", Type::Str), may("local_path", Type::Str, "")], "GitRepo", "Makes a working copy"),
        CLONE,
    ),
    luau("repo", &[need("path", Type::Str)], "GitRepo", "An object with the functions of a working copy"),
    options(
        change(
            "_clone",
            &[need("url", Type::Str), Param { aliases: &["path", "dest"], ..may("local_path", Type::Str, "") }],
            "",
            c::clone,
        ),
        CLONE,
    ),
    change("pull", &[PATH], "Brings a working copy up to date", c::pull),
    options(
        change("push", &[PATH, REMOTE, BRANCH], "Sends commits", c::push),
        &[may("tags", Type::Bool, "false"), may("ssh_key", Type::Str, "")],
    ),
    read("status", &[PATH], "string", "What is not committed", r::status),
    options(
        change("checkout", &[PATH, need("branch", Type::Str)], "Checks a branch, tag or commit out", c::checkout),
        &[may("create", Type::Bool, "false")],
    ),
    options(
        change("commit", &[PATH, need("message", Type::Str)], "Commits", c::commit),
        &[may("add_all", Type::Bool, "false")],
    ),
    change("fetch", &[PATH, REMOTE], "Fetches", c::fetch),
    change("tag", &[PATH, need("name", Type::Str), may("message", Type::Str, "")], "Tags the commit", c::tag),
    change("add", &[PATH, may("files", Type::StrOrList, "")], "Stages files, or all", c::add),
    options(
        change("reset", &[PATH, may("ref", Type::Str, "\"HEAD\"")], "Resets the branch", c::reset),
        &[may("hard", Type::Bool, "false")],
    ),
    family(read("is_repo", &[PATH], "boolean", "Whether it is a repository", r::is_repository), Family::Raw),
    family(read("ensure_clean", &[PATH], "boolean, string?", "Whether all is committed", r::ensure_clean), Family::P),
    read("get_commit", &[PATH], "string", "The commit that is checked out", r::get_commit),
    read("get_branch", &[PATH], "string", "The branch that is checked out", r::get_branch),
    read("log", &[PATH, may("n", Type::Int, "10")], "{GitCommit}", "The last commits", r::log),
    read("diff", &[PATH, may("from", Type::Str, ""), may("to", Type::Str, "")], "string", "Differences", r::diff),
    read("remote_head", &[need("url", Type::Str), BRANCH], "string", "Commit of a branch there", r::remote_head),
    family(
        change(
            "ensure",
            &[need("url", Type::Str), need("path", Type::Str), may("ref", Type::Str, "")],
            "Makes a working copy be at a commit, branch or tag",
            c::ensure,
        ),
        Family::C,
    ),
];
