//! Limits of a command's processes: rlimits, and a warning W303 for what those cannot enforce.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use sloth_exec::command::{Limit, User};
use sloth_lua::{Ctx, LogLevel, Stream};

use super::spec::{CommandSpec, Limits};

/// Limits of the attempts that run, by workflow, task and attempt, for the commands of their functions.
static ATTEMPTS: Mutex<BTreeMap<Key, Limits>> = Mutex::new(BTreeMap::new());

type Key = (Option<String>, Option<String>, u32);

/// Limits for every command that this attempt starts until [`release`].
pub fn limit_attempt(ctx: &Ctx, limits: Limits) {
    if !limits.is_empty() {
        ATTEMPTS.lock().unwrap_or_else(PoisonError::into_inner).insert(key(ctx), limits);
    }
}

/// The attempt is over.
pub fn release(ctx: &Ctx) {
    ATTEMPTS.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(ctx));
}

/// Those of the command, else those of its attempt.
pub(super) fn wanted(spec: &CommandSpec, ctx: &Ctx) -> Limits {
    if !spec.limits.is_empty() {
        return spec.limits.clone();
    }
    let attempts = ATTEMPTS.lock().unwrap_or_else(PoisonError::into_inner);
    if attempts.is_empty() { Limits::default() } else { attempts.get(&key(ctx)).cloned().unwrap_or_default() }
}

/// The limits that can be set on the process; a warning for the others.
pub(super) fn enforce(wanted: &Limits, ctx: &Ctx) -> Vec<(Limit, u64)> {
    let mut limits = Vec::new();
    if let Some(bytes) = wanted.memory_bytes {
        limits.push((Limit::AddressSpace, bytes));
        warn(ctx, "memory is limited per process, not for the whole task");
    }
    if let Some(pids) = wanted.pids {
        if User::is_root() {
            warn(ctx, "pids cannot be limited for root");
        } else {
            limits.push((Limit::Processes, pids));
            warn(ctx, "pids are limited for the user, not for the task");
        }
    }
    if wanted.cpu_millis.is_some() {
        warn(ctx, "cpu cannot be limited");
    }
    limits
}

fn warn(ctx: &Ctx, what: &str) {
    ctx.say(LogLevel::Warn, Stream::Log, format!("W303 {what}: no control group of version 2 is delegated to the run"));
}

fn key(ctx: &Ctx) -> Key {
    (ctx.workflow.clone(), ctx.task.clone(), ctx.attempt)
}
