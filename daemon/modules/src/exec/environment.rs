//! The environment of commands.

use std::collections::BTreeMap;
use std::sync::{OnceLock, PoisonError};

use sloth_exec::command::User;
use sloth_lua::Ctx;

use super::settings::settings;
use super::spec::CommandSpec;

/// Search path where the worker has none.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables by name.
pub type Variables = BTreeMap<String, String>;

/// All variables of a command of this caller. `account` is whom it runs as.
pub fn of(spec: &CommandSpec, ctx: &Ctx, account: &User, mark: &str) -> Variables {
    let mut env = if spec.clear_env { Variables::new() } else { inherited().clone() };
    let foreign = account.name != own().name;
    base(&mut env, account, foreign);
    env.insert("TMPDIR".to_owned(), crate::temp::directory(ctx).to_string_lossy().into_owned());
    let mut apply = |name: &str, value: Option<&String>| match value {
        Some(value) => drop(env.insert(name.to_owned(), value.clone())),
        None => drop(env.remove(name)),
    };
    if !spec.clear_env {
        let task = ctx.env.lock().unwrap_or_else(PoisonError::into_inner);
        task.iter().for_each(|(name, value)| apply(name, value.as_ref()));
    }
    spec.env.iter().for_each(|(name, value)| apply(name, value.as_ref()));
    env.extend(identity(ctx));
    if let Some((name, value)) = mark.split_once('=') {
        env.insert(name.to_owned(), value.to_owned());
    }
    env
}

/// Where programs are searched for this caller.
pub fn search_path(ctx: &Ctx) -> String {
    let task = ctx.env.lock().unwrap_or_else(PoisonError::into_inner);
    let own = task.get("PATH").cloned().flatten();
    own.or_else(|| inherited().get("PATH").cloned()).unwrap_or_else(|| PATH.to_owned())
}

/// What tells a command whose it is.
pub fn identity(ctx: &Ctx) -> [(String, String); 7] {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    [
        ("SLOTH_RUN_ID", ctx.run.id.clone()),
        ("SLOTH_STACK", ctx.run.stack.clone()),
        ("SLOTH_WORKFLOW", text(&ctx.workflow)),
        ("SLOTH_TASK", text(&ctx.task)),
        ("SLOTH_ATTEMPT", ctx.attempt.to_string()),
        ("SLOTH_WORKSPACE", ctx.workdir.to_string_lossy().into_owned()),
        ("SLOTH_AGENT", settings().agent.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}

/// Whom this process runs as; asked once.
pub fn own() -> &'static User {
    static OWN: OnceLock<User> = OnceLock::new();
    OWN.get_or_init(User::own)
}

/// The environment of the worker, without what belongs to the shell that started it.
pub fn inherited() -> &'static Variables {
    static INHERITED: OnceLock<Variables> = OnceLock::new();
    INHERITED.get_or_init(|| {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        // SHLVL and the like belong to the shell that started the worker, not to its commands.
        let ours = |name: &str| !matches!(name, "_" | "OLDPWD" | "PWD" | "SHLVL");
        std::env::vars_os().filter_map(text).filter(|(name, _)| ours(name)).collect()
    })
}

fn base(env: &mut Variables, account: &User, foreign: bool) {
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    for (name, value) in [
        ("HOME", text(&account.home)),
        ("USER", account.name.clone()),
        ("LOGNAME", account.name.clone()),
        ("SHELL", text(&account.shell)),
    ] {
        if foreign || !env.contains_key(name) {
            env.insert(name.to_owned(), value);
        }
    }
    for (name, value) in [("PATH", PATH), ("LANG", "C.UTF-8")] {
        env.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
}
