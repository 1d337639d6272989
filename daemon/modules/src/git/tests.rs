//! Functions of `git` with a real git and repositories on this disk.

use std::fs;

use sloth_lua::{Args, Data, Reply};

use super::MODULE;
use crate::testing::{Caller, call as invoke};

fn call(caller: &Caller, name: &str, args: Args) -> Reply {
    invoke(&MODULE, caller, name, args)
}

fn path(path: &str) -> Args {
    Args::default().with("path", path)
}

fn changed(reply: Reply) -> bool {
    let info = reply.unwrap_or_else(|failure| panic!("{}", failure.message)).remove(0);
    info.get("changed") == Some(&Data::Bool(true))
}

fn text(reply: Reply) -> String {
    reply.unwrap_or_else(|failure| panic!("{}", failure.message))[0].to_text().unwrap()
}

/// A repository with one commit, its name `origin`.
fn origin() -> Caller {
    let caller = Caller::with(sloth_lua::Mode::Normal, |ctx| {
        let mut env = ctx.env.lock().unwrap();
        for name in ["AUTHOR", "COMMITTER"] {
            env.insert(format!("GIT_{name}_NAME"), Some("Ann".into()));
            env.insert(format!("GIT_{name}_EMAIL"), Some("ann@example.test".into()));
        }
    });
    let made = std::process::Command::new("git")
        .args(["init", "--quiet", "--initial-branch=main"])
        .arg(caller.work().join("origin"))
        .status();
    assert!(made.unwrap().success());
    fs::write(caller.work().join("origin/file"), "one").unwrap();
    assert!(changed(call(&caller, "commit", path("origin").with("message", "-first").with("add_all", true))));
    caller
}

#[test]
fn a_repository_is_cloned_and_kept_up_to_date() {
    let caller = origin();
    let clone = || {
        call(&caller, "_clone", Args::default().with("url", "origin").with("local_path", "copy").with("update", true))
    };
    // A relative url is git's business: it resolves against the working directory.
    let info = clone().unwrap().remove(0);
    for key in ["path", "url", "exists", "commit", "changed"] {
        assert!(info.get(key).is_some(), "{key}");
    }
    assert!(!changed(clone()));
    fs::write(caller.work().join("origin/file"), "two").unwrap();
    assert!(changed(call(&caller, "commit", path("origin").with("message", "second").with("add_all", true))));
    assert!(!changed(call(&caller, "commit", path("origin").with("message", "none").with("add_all", true))));
    assert!(changed(clone()));
    assert_eq!(fs::read_to_string(caller.work().join("copy/file")).unwrap(), "two");
    assert_eq!(text(call(&caller, "get_commit", path("copy"))), text(call(&caller, "get_commit", path("origin"))));
    assert_eq!(text(call(&caller, "get_branch", path("copy"))), "main");
    let Data::List(log) = call(&caller, "log", path("copy")).unwrap().remove(0) else { panic!() };
    assert_eq!((log.len(), log[1].get("message")), (2, Some(&"-first".into())));
    assert_eq!(call(&caller, "is_repo", path("copy")).unwrap(), [Data::Bool(true)]);
    assert_eq!(call(&caller, "is_repo", path(".")).unwrap(), [Data::Bool(false)]);
}

#[test]
fn changes_are_told_truthfully() {
    let caller = origin();
    assert!(changed(call(&caller, "checkout", path("origin").with("branch", "next").with("create", true))));
    assert!(!changed(call(&caller, "checkout", path("origin").with("branch", "next"))));
    assert!(changed(call(&caller, "tag", path("origin").with("name", "v1"))));
    assert!(!changed(call(&caller, "tag", path("origin").with("name", "v1"))));
    assert!(call(&caller, "ensure_clean", path("origin")).is_ok());
    fs::write(caller.work().join("origin/new"), "x").unwrap();
    assert!(call(&caller, "ensure_clean", path("origin")).unwrap_err().message.contains("?? new"));
    assert!(changed(call(&caller, "add", path("origin"))));
    assert!(text(call(&caller, "status", path("origin"))).contains("A  new"));
    assert!(changed(call(&caller, "reset", path("origin").with("hard", true))));
    assert!(!caller.work().join("origin/new").exists());
}

#[test]
fn a_working_copy_is_ensured_at_a_ref() {
    let caller = origin();
    let url = caller.work().join("origin").display().to_string();
    let ensure = |name: &str| {
        let args = Args::default().with("url", url.as_str()).with("path", "copy").with("ref", name);
        call(&caller, "ensure", args)
    };
    assert!(changed(ensure("main")));
    assert!(!changed(ensure("main")));
    assert!(ensure("none").unwrap_err().message.contains("there is no none"));
    let head = text(call(&caller, "remote_head", Args::default().with("url", url.as_str()).with("branch", "main")));
    assert_eq!(head, text(call(&caller, "get_commit", path("copy"))));
    let args = Args::default().with("url", "elsewhere").with("path", "copy");
    assert!(call(&caller, "ensure", args).unwrap_err().message.contains("is a working copy of"));
}

#[test]
fn options_cannot_be_smuggled_in() {
    let caller = origin();
    let url = Args::default().with("url", "--upload-pack=touch evil").with("local_path", "x");
    assert!(call(&caller, "_clone", url).unwrap_err().raise);
    assert!(call(&caller, "checkout", path("origin").with("branch", "--orphan")).unwrap_err().raise);
    let failure = call(&caller, "_clone", Args::default().with("url", "none").with("local_path", "x")).unwrap_err();
    assert!(failure.message.starts_with("git clone: fatal: repository 'none' does not exist"), "{}", failure.message);
}
