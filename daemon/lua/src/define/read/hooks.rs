//! `hooks = {…}`.

use sloth_core::workflow::{Condition, HookEntry, HookWhen, Place};

use super::plain::{boolean, duration_ms, text};
use crate::define::desk::Desk;
use crate::define::fault::Fault;
use crate::define::raw::{Raw, RawTable};

pub(super) const KINDS: [(&str, HookWhen); 10] = [
    ("pre_task", HookWhen::PreTask),
    ("post_task", HookWhen::PostTask),
    ("on_success", HookWhen::OnSuccess),
    ("on_failure", HookWhen::OnFailure),
    ("on_timeout", HookWhen::OnTimeout),
    ("on_retry", HookWhen::OnRetry),
    ("on_start", HookWhen::OnStart),
    ("on_complete", HookWhen::OnComplete),
    ("on_skip", HookWhen::OnSkip),
    ("on_error", HookWhen::OnFailure),
];

/// A map from kind to a function, one entry, or a list of entries.
pub(crate) fn hooks(raw: &Raw, place: &Place, desk: &Desk) -> Result<Vec<HookEntry>, Fault> {
    let table = raw.table().ok_or_else(|| Fault::wrong("table", raw.type_name()))?;
    desk.unknown_keys("hooks", table, &KINDS.map(|(name, _)| name));
    let mut found = Vec::new();
    for (name, when) in KINDS {
        match table.get(name) {
            None => {}
            Some(Raw::Table(entries)) if !entries.list.is_empty() => {
                for entry in &entries.list {
                    found.push(one(entry, when, place, desk).map_err(|fault| fault.about(&format!("hooks.{name}")))?);
                }
            }
            Some(entry) => {
                found.push(one(entry, when, place, desk).map_err(|fault| fault.about(&format!("hooks.{name}")))?)
            }
        }
    }
    Ok(found)
}

fn one(raw: &Raw, when: HookWhen, place: &Place, desk: &Desk) -> Result<HookEntry, Fault> {
    let table = match raw {
        Raw::Table(table) => table,
        command => {
            let run = desk.hook_function(command)?;
            return Ok(HookEntry {
                when,
                run,
                with_ctx: true,
                name: None,
                condition: None,
                is_async: false,
                timeout_ms: None,
            });
        }
    };
    desk.unknown_keys("hook", table, &["name", "command", "condition", "async", "timeout", "run"]);
    let command = table.any(&["command", "run"]).ok_or_else(|| Fault::wrong("command of the hook", "nil"))?;
    Ok(HookEntry {
        when,
        run: desk.hook_function(command)?,
        with_ctx: true,
        name: table.get("name").map(text).transpose()?,
        condition: table.get("condition").map(|raw| hook_condition(raw, place)).transpose()?,
        is_async: table.get("async").map_or(Ok(false), boolean)?,
        timeout_ms: timeout(table)?,
    })
}

fn timeout(table: &RawTable) -> Result<Option<u64>, Fault> {
    table.get("timeout").map(duration_ms).transpose()
}

/// A function or an expression: a hook's condition is no shell command. Its names are checked when it runs.
fn hook_condition(raw: &Raw, _place: &Place) -> Result<Condition, Fault> {
    match raw {
        Raw::Bool(value) => Ok(Condition::Fixed(*value)),
        Raw::Fn(function) => Ok(Condition::Function(*function)),
        Raw::Str(text) => {
            sloth_core::workflow::expr::Expr::parse(text)
                .map_err(|error| Fault::new("E205", error.message).did_you_mean(error.suggestion.as_deref()))?;
            Ok(Condition::Expression(text.clone()))
        }
        other => Err(Fault::wrong("function or expression", other.type_name())),
    }
}
