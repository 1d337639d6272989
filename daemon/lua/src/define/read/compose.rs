//! Commands, elements of compositions, stages and sagas.

use serde_json::Value;
use sloth_core::workflow::{Command, HookWhen};

use super::plain::{boolean, delegate, duration_ms, env, function, int, optional_duration, strings, text};
use super::{condition, hooks, resources, retry};
use crate::define::desk::Desk;
use crate::define::draft::{Desc, DescRef, Doing, Element, Reference, SagaDraft, StageDraft, Undo};
use crate::define::fault::Fault;
use crate::define::raw::{Raw, RawTable};

type Read<T> = Result<T, Fault>;

/// A command: function, text for a shell, list of strings, `{cmd=…}` as for `exec.run`, or a descriptor.
pub(crate) fn doing(raw: &Raw) -> Read<Doing> {
    Ok(match raw {
        Raw::Fn(function) => Doing::Command(Command::Function(*function)),
        Raw::Str(text) => Doing::Command(Command::Shell(text.clone())),
        Raw::Desc(desc) => Doing::Desc(desc.clone()),
        Raw::Table(table) if table.get("cmd").is_some() => {
            let mut dropped = 0;
            let args = raw.to_json(false, &mut dropped);
            Doing::Command(Command::Module { module: "exec".into(), action: "run".into(), args: Box::new(args) })
        }
        Raw::Table(table) if !table.list.is_empty() && table.map.is_empty() => {
            Doing::Command(Command::Argv(table.list.iter().map(text).collect::<Read<_>>()?))
        }
        Raw::Table(_) => return Err(Fault::wrong("list of strings or a table with `cmd`", "another table")),
        other => return Err(Fault::wrong("function, string, list of strings or descriptor", other.type_name())),
    })
}

/// One element: a name, a task, a task table, a function, a descriptor, or a list (a sequence).
pub(crate) fn element(raw: &Raw, desk: &Desk) -> Read<Element> {
    Ok(match raw {
        Raw::Str(name) => Element::Name(name.clone(), desk.place()),
        Raw::Fn(function) => Element::Function(*function, None, desk.place()),
        Raw::Task(task) => Element::Task(task.clone()),
        Raw::Desc(desc) => Element::Desc(desc.clone()),
        Raw::Table(table) if table.map.is_empty() => Element::Desc(Desc::Sequence(listed(&table.list, desk)?).shared()),
        Raw::Table(table) => Element::Task(desk.task_from_table(None, table, false)?),
        other => return Err(Fault::wrong("task, name, function, table or descriptor", other.type_name())),
    })
}

fn listed(items: &[Raw], desk: &Desk) -> Read<Vec<Element>> {
    items.iter().map(|item| element(item, desk)).collect()
}

/// The value of `tasks`: a list, a map, a descriptor, a function, or one name.
pub(crate) fn elements(raw: &Raw, desk: &Desk) -> Read<Vec<Element>> {
    let table = match raw {
        // `tasks = {name = "x", command = …}` is one task, though a list was meant.
        Raw::Table(table) if !is_task_table(table) => table,
        other => return Ok(vec![element(other, desk)?]),
    };
    let mut found = listed(&table.list, desk)?;
    for (name, value) in &table.map {
        found.push(match value {
            Raw::Fn(function) => Element::Function(*function, Some(name.clone()), desk.place()),
            Raw::Table(inner) if inner.list.is_empty() => {
                Element::Task(desk.task_from_table(Some(name), inner, false)?)
            }
            Raw::Str(_) => {
                let table = RawTable { list: Vec::new(), map: vec![("command".into(), value.clone())] };
                Element::Task(desk.task_from_table(Some(name), &table, false)?)
            }
            other => element(other, desk)?,
        });
    }
    Ok(found)
}

fn is_task_table(table: &RawTable) -> bool {
    table.list.is_empty()
        && matches!(table.get("name"), Some(Raw::Str(_)))
        && ["command", "run", "shell", "execute", "action", "module", "depends_on"]
            .iter()
            .any(|key| matches!(table.get(key), Some(Raw::Str(_) | Raw::Fn(_) | Raw::Desc(_) | Raw::Table(_))))
}

/// Names, tasks and lists of these, mixed.
pub(crate) fn reference_list(raws: &[Raw]) -> Read<Vec<Reference>> {
    let mut found = Vec::new();
    for raw in raws {
        match raw {
            Raw::Nil => {}
            Raw::Str(name) if name.is_empty() => return Err(Fault::new("E110", "the name of a task is empty")),
            Raw::Str(name) => found.push(Reference::Name(name.clone())),
            Raw::Task(task) => found.push(Reference::Task(task.clone())),
            Raw::Table(table) if table.map.is_empty() => found.extend(reference_list(&table.list)?),
            other => return Err(Fault::wrong("task, name or list of these", other.type_name())),
        }
    }
    Ok(found)
}

pub(super) const SAGA_KEYS: [&str; 7] =
    ["participants", "coordinator", "compensation", "timeout", "retry", "retries", "name"];

/// `saga = {participants=, coordinator=, compensation=, timeout=, retry=}`.
pub(crate) fn saga(raw: &Raw, desk: &Desk) -> Read<SagaDraft> {
    if let Raw::Desc(desc) = raw
        && let Desc::Saga(saga) = &*desc.borrow()
    {
        return Ok(saga.clone());
    }
    let table = raw.table().ok_or_else(|| Fault::wrong("table", raw.type_name()))?;
    desk.unknown_keys("saga", table, &SAGA_KEYS);
    let mut found = SagaDraft { place: desk.place(), ..SagaDraft::default() };
    if let Some(participants) = table.get("participants") {
        found.participants = elements(participants, desk)?;
    }
    found.coordinator = match table.get("coordinator") {
        None => table.get("name").map(text).transpose()?,
        Some(Raw::Task(task)) => Some(task.borrow().task.name.clone()),
        Some(label) => Some(text(label)?),
    };
    if let Some(compensation) = table.get("compensation") {
        let map = compensation.table().ok_or_else(|| Fault::wrong("table", compensation.type_name()))?;
        for (participant, undo) in &map.map {
            found.compensation.push((participant.clone(), self::undo(undo, desk)?));
        }
    }
    found.timeout_ms = table.get("timeout").map(duration_ms).transpose()?;
    if let Some(how) = table.any(&["retry", "retries"]) {
        let mut policy = sloth_core::workflow::Retry::times(2);
        retry(&mut policy, std::slice::from_ref(how), desk)?;
        found.retry = Some(policy);
    }
    Ok(found)
}

fn undo(raw: &Raw, desk: &Desk) -> Read<Undo> {
    Ok(match raw {
        Raw::Fn(function) => Undo::Function(*function),
        Raw::Str(name) => Undo::Task(Reference::Name(name.clone())),
        Raw::Task(task) => Undo::Task(Reference::Task(task.clone())),
        Raw::Table(table) => Undo::Task(Reference::Task(desk.task_from_table(Some("compensation"), table, false)?)),
        other => return Err(Fault::wrong("function, task or name", other.type_name())),
    })
}

/// Keys of a stage, with their Luau types and meaning.
pub(crate) const STAGE_KEYS: [(&str, &str, &str); 15] = [
    ("name", "string?", "Unique in the workflow; default `stage_<n>`."),
    ("tasks", "Tasks?", "List, map, descriptor or function."),
    ("condition", "Condition?", "False skips the stage."),
    ("saga", "Saga?", "Participants and what undoes them."),
    ("timeout", "Duration?", "Of the stage as a whole."),
    ("retries", "Retries?", "Of the stage as a whole: runs its unfinished tasks again."),
    ("max_workers", "number?", "Concurrent tasks of the stage."),
    ("fail_fast", "boolean?", "Cancel running tasks at the first failure."),
    ("continue_on_error", "boolean?", "Go on with what does not depend on a failure."),
    ("on_success", "((ctx: any, results: any) -> ...any)?", "Called when the stage succeeded."),
    ("on_failure", "((ctx: any, err: any) -> ...any)?", "Called when the stage failed."),
    ("hooks", "Hooks?", "Hooks, inherited by the tasks where they fit."),
    ("env", "{[string]: any}?", "Environment, inherited by the tasks."),
    ("delegate_to", "any?", "Where the tasks run."),
    ("resources", "Resources?", "Requests and limits, inherited by the tasks."),
];

/// A stage of a `stages` list.
pub(crate) fn stage(raw: &Raw, number: usize, desk: &Desk) -> Read<StageDraft> {
    let mut draft = StageDraft { place: desk.place(), ..StageDraft::default() };
    draft.stage.name = format!("stage_{number}");
    let table = match raw {
        Raw::Table(table) => table,
        // A descriptor alone is a stage without a name.
        Raw::Desc(_) => {
            draft.tasks = Some(element(raw, desk)?);
            return Ok(draft);
        }
        other => return Err(Fault::wrong("table", other.type_name())),
    };
    desk.unknown_keys("stage", table, &STAGE_KEYS.map(|(name, ..)| name));
    if let Some(name) = table.get("name") {
        draft.stage.name = text(name)?;
        desk.check_name(&draft.stage.name)?;
    }
    for (key, value) in &table.map {
        let label = format!("stage {:?}: {key}", draft.stage.name);
        stage_key(&mut draft, key, value, desk).map_err(|fault| fault.about(&label))?;
    }
    Ok(draft)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // in range
fn stage_key(draft: &mut StageDraft, key: &str, value: &Raw, desk: &Desk) -> Read<()> {
    match key {
        "tasks" => draft.tasks = Some(set(value, desk)?),
        "condition" => draft.condition = Some(condition(value, &desk.place())?),
        "saga" => draft.saga = Some(saga(value, desk)?),
        "timeout" => draft.stage.timeout_ms = optional_duration(value)?,
        "retries" => {
            let mut policy = sloth_core::workflow::Retry::default();
            retry(&mut policy, std::slice::from_ref(value), desk)?;
            draft.stage.retry = Some(policy);
        }
        "max_workers" => draft.stage.max_workers = Some(int(value, 1, 100_000)? as u32),
        "fail_fast" => draft.stage.fail_fast = Some(boolean(value)?),
        "continue_on_error" => draft.stage.continue_on_error = Some(boolean(value)?),
        "on_success" => draft.stage.handlers.entries.push(desk.handler(HookWhen::OnSuccess, function(value)?)),
        "on_failure" => draft.stage.handlers.entries.push(desk.handler(HookWhen::OnFailure, function(value)?)),
        "hooks" => {
            for entry in hooks(value, &desk.place(), desk)? {
                match entry.when {
                    HookWhen::OnSuccess | HookWhen::OnFailure => draft.stage.handlers.entries.push(entry),
                    _ => draft.task_hooks.push(entry),
                }
            }
        }
        "env" => draft.env = env(value)?,
        "delegate_to" => draft.delegate_to = delegate(value)?.or_else(|| Some(Value::from("local"))),
        "resources" => draft.resources = Some(resources(value)?),
        _ => {}
    }
    Ok(())
}

/// The value of `tasks` as one element.
pub(crate) fn set(raw: &Raw, desk: &Desk) -> Read<Element> {
    if let Raw::Desc(desc) = raw {
        return Ok(Element::Desc(desc.clone()));
    }
    Ok(Element::Desc(Desc::Set(elements(raw, desk)?).shared()))
}

/// `artifacts` and `consumes`: strings, lists, or a map from name to glob.
pub(crate) fn artifacts(raws: &[Raw]) -> Read<Vec<(String, String)>> {
    let mut found = Vec::new();
    for raw in raws {
        if let Raw::Table(table) = raw {
            for (name, glob) in &table.map {
                found.push((name.clone(), text(glob)?));
            }
            found.extend(strings(&table.list)?.into_iter().map(|glob| (glob.clone(), glob)));
        } else {
            found.extend(strings(std::slice::from_ref(raw))?.into_iter().map(|glob| (glob.clone(), glob)));
        }
    }
    Ok(found)
}

impl Desc {
    /// As the script holds it.
    pub(crate) fn shared(self) -> DescRef {
        std::rc::Rc::new(std::cell::RefCell::new(self))
    }
}
