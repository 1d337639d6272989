//! What the words of tasks do when it takes more than one line.

use serde_json::Value;
use sloth_core::workflow::{HookWhen, Retry};

use super::arg;
use crate::define::desk::Desk;
use crate::define::draft::{Doing, TaskDraft};
use crate::define::fault::Fault;
use crate::define::raw::Raw;
use crate::define::read;

type Done = Result<(), Fault>;

pub(super) fn command(draft: &mut TaskDraft, args: &[Raw], desk: &Desk) -> Done {
    set_command(draft, read::doing(arg(args, 0))?, desk)
}

/// Sets the command; a second one is an error, unless the first was inherited.
pub(crate) fn set_command(draft: &mut TaskDraft, doing: Doing, _desk: &Desk) -> Done {
    if draft.doing.is_some() && !draft.inherited {
        let message = format!("task {:?} has two commands", draft.task.name);
        return Err(Fault::new("E114", message).hint("keep one of command, run, shell, execute, action, module"));
    }
    draft.doing = Some(doing);
    Ok(())
}

pub(super) fn set_delay(policy: &mut Retry, delay: &Raw) -> Done {
    policy.delay_ms = read::duration_ms(delay)?;
    Ok(())
}

/// Several registrations all run; what a task inherited with `uses` is replaced.
pub(super) fn handler(draft: &mut TaskDraft, args: &[Raw], desk: &Desk, when: HookWhen) -> Done {
    let mut found = Vec::new();
    for raw in args {
        match raw {
            Raw::Table(table) if table.map.is_empty() => {
                for item in &table.list {
                    found.push(desk.handler(when, read::function(item)?));
                }
            }
            other => found.push(desk.handler(when, read::function(other)?)),
        }
    }
    let entries = &mut draft.task.handlers.entries;
    if draft.inherited {
        entries.retain(|entry| entry.when != when || entry.with_ctx);
    }
    entries.extend(found);
    Ok(())
}

pub(super) fn replace<T>(inherited: bool, old: &mut Vec<T>, new: Vec<T>) {
    if inherited {
        old.clear();
    }
    old.extend(new);
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // in range
pub(super) fn concurrency(draft: &mut TaskDraft, args: &[Raw], _: &Desk) -> Done {
    // The key form gives `{key, n}` or `{key=, n=}` as one table.
    let (key, n) = match arg(args, 0) {
        Raw::Table(table) => (
            table.list.first().or_else(|| table.get("key")).unwrap_or(&Raw::Nil),
            table.list.get(1).or_else(|| table.any(&["n", "limit"])).unwrap_or(&Raw::Nil),
        ),
        key => (key, arg(args, 1)),
    };
    let n = match n {
        Raw::Nil => 1,
        number => read::int(number, 1, 100_000)? as u32,
    };
    draft.task.concurrency = Some((read::text(key)?, n));
    Ok(())
}

pub(super) fn health_check(draft: &mut TaskDraft, args: &[Raw], desk: &Desk) -> Done {
    // The key form gives `{f, interval=, timeout=}` as one table.
    let (check, options) = match arg(args, 0) {
        Raw::Table(table) => (table.list.first().or_else(|| table.get("command")).unwrap_or(&Raw::Nil), Some(&**table)),
        check => (check, arg(args, 1).table()),
    };
    let (mut interval, mut timeout) = (5_000, 60_000);
    if let Some(table) = options {
        desk.unknown_keys("health_check", table, &["interval", "timeout", "retries", "command"]);
        if let Some(time) = table.get("interval") {
            interval = read::duration_ms(time)?.max(1);
        }
        if let Some(time) = table.get("timeout") {
            timeout = read::duration_ms(time)?;
        }
        if let Some(Raw::Num(retries)) = table.get("retries")
            && *retries > 0.0
        {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive, saturates
            let tries = (*retries as u64).saturating_add(1);
            timeout = timeout.min(interval.saturating_mul(tries));
        }
    }
    draft.task.health_check = Some((read::function(check)?, interval, timeout));
    Ok(())
}

/// Metadata of an unknown key.
pub(crate) fn keep_unknown(draft: &mut TaskDraft, key: &str, value: &Raw) {
    let mut dropped = 0;
    let value = value.to_json(false, &mut dropped);
    if value != Value::Null {
        draft.task.metadata.insert(key.to_owned(), value);
    }
}
