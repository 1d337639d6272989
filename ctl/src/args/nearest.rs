//! Words that no command knows: those of a later version get a clear answer, for others clap names the nearest.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::failure::Failure;

/// Commands that the command line reserves. A word below a group stands as `group word`.
const RESERVED: &[&str] = &[
    "agent",
    "artifact",
    "attach",
    "check",
    "context",
    "docs",
    "dsl",
    "executions",
    "facts",
    "group",
    "hist",
    "history",
    "hook",
    "list",
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
    "run",
    "run-module",
    "saved",
    "secrets",
    "sloth",
    "ssh",
    "stack",
    "state",
    "test",
    "token",
    "top",
    "ui",
    "user",
    "validate",
    "watcher",
    "workflow",
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
    "runs artifacts",
    "runs attach",
    "runs checkpoints",
    "runs compensate",
    "runs diff",
    "runs events",
    "runs graph",
    "runs outputs",
    "runs pause",
    "runs prune",
    "runs reject",
    "runs rerun",
    "runs resume",
    "runs unpause",
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
        Some("run") => return Some(run_of_a_workflow()),
        Some("sched") => "scheduler",
        Some(parent) => parent,
        None => "",
    };
    let below = format!("{parent} {word}");
    let found = RESERVED.iter().find(|name| **name == below).or_else(|| RESERVED.iter().find(|name| *name == word))?;
    let failure = Failure::not_supported(&format!("\"slothctl {found}\""));
    Some(match *found {
        "daemon start" | "daemon stop" | "daemon restart" => failure.hint(format!("use systemctl {word} slothd")),
        "run" | "stack" | "workflow" | "saved" | "sloth" => failure.hint("slothctl scheduler runs commands"),
        _ => failure.hint("see slothctl commands"),
    })
}

fn run_of_a_workflow() -> Failure {
    Failure::not_supported("running a workflow")
        .hint("slothctl scheduler add NAME --manual -- CMD, then slothctl scheduler run NAME")
}
