//! Words that no command knows: those of a later version get a clear answer, for others clap names the nearest.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::failure::Failure;

/// Commands that the command line reserves. A word below a group stands as `group word`.
const RESERVED: &[&str] = &[
    "agent",
    "artifact",
    "context",
    "docs",
    "dsl",
    "executions",
    "facts",
    "group",
    "hist",
    "history",
    "hook",
    "login",
    "logout",
    "lsp",
    "master",
    "metrics",
    "modules",
    "new",
    "plugin",
    "policy",
    "repl",
    "role",
    "run-module",
    "secrets",
    "ssh",
    "stack",
    "state",
    "test",
    "token",
    "top",
    "ui",
    "user",
    "watcher",
    "audit export",
    "audit verify",
    "config diff",
    "config set",
    "config validate",
    "daemon restart",
    "daemon start",
    "daemon stop",
    "db export",
    "db migrate",
    "events clear",
    "events cleanup",
    "events dead-letters",
    "events delete",
    "events emit",
    "events pending",
    "events replay",
    "events stats",
    "runs approve",
    "runs reject",
    "saved diff",
    "saved history",
    "saved import",
    "scheduler backfill",
    "scheduler simulate",
    "sysadmin alerting",
    "sysadmin config",
    "sysadmin debug",
    "sysadmin deployment",
    "sysadmin logs",
    "sysadmin maintenance",
    "sysadmin network",
    "sysadmin packages",
    "sysadmin performance",
    "sysadmin process",
    "sysadmin resources",
    "sysadmin security",
    "sysadmin services",
    "sysadmin systemd",
    "sysadmin users",
    "workflow fmt",
    "backup schedule",
];

/// The answer to a reserved word, if that is what is wrong.
pub(crate) fn reserved(error: &clap::Error, words: &[String]) -> Option<Failure> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    let at = words.iter().position(|other| other == word)?;
    let parent = at.checked_sub(1).and_then(|before| words.get(before)).map(String::as_str);
    let parent = match parent {
        Some("sched") => "scheduler",
        Some(parent) => parent,
        None => "",
    };
    let below = format!("{parent} {word}");
    let found = RESERVED.iter().find(|name| **name == below).or_else(|| RESERVED.iter().find(|name| *name == word))?;
    let failure = Failure::not_supported(&format!("\"slothctl {found}\""));
    Some(match *found {
        "daemon start" | "daemon stop" | "daemon restart" => failure.hint(format!("use systemctl {word} slothd")),
        _ => failure.hint("see slothctl commands"),
    })
}
