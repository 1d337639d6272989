//! Tasks, workflows and descriptors as the script holds them: locked tables with a number, whose methods are found in the
//! table of words.

use std::rc::Rc;

use mlua::{Function, Lua, MultiValue, Table, Value};
use sloth_core::workflow::Command;

use super::{Define, define_of};

use crate::define::draft::{Desc, DescRef, Doing, TaskRef, WorkflowRef};
use crate::define::fault::Fault;
use crate::define::raw::Raw;
use crate::define::words::{self, method, near_method};

/// Kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Task,
    Workflow,
    Desc,
}

/// An object and its table.
#[derive(Clone)]
pub(super) enum Object {
    Task(TaskRef, Table),
    Workflow(WorkflowRef, Table),
    Desc(DescRef, Table),
}

impl Object {
    fn table(&self) -> &Table {
        match self {
            Object::Task(_, table) | Object::Workflow(_, table) | Object::Desc(_, table) => table,
        }
    }
}

/// Methods that are functions in Luau or that need more than the draft.
const TASK_EXTRA: &[&str] = &["build", "run"];
const WORKFLOW_EXTRA: &[&str] = &["build", "run"];
const DESC_METHODS: &[&str] = &["then", "then_", "then_do", "elseif_", "else", "else_", "else_do", "build", "run"];

impl Define {
    /// What a table stands for.
    pub(super) fn object(&self, table: &Table) -> Option<Object> {
        let meta = table.metatable()?;
        let metas = self.metas.borrow();
        let is_ours = metas.as_ref()?.iter().any(|known| known.to_pointer() == meta.to_pointer());
        if !is_ours {
            return None;
        }
        let number: usize = table.raw_get("__id").ok()?;
        self.objects.borrow().get(number).cloned()
    }

    /// A new table for an object.
    pub(super) fn wrap(&self, lua: &Lua, kind: Kind, make: impl FnOnce(Table) -> Object) -> mlua::Result<Table> {
        let table = lua.create_table_with_capacity(0, 1)?;
        table.raw_set("__id", self.objects.borrow().len())?;
        let meta = self.metas.borrow().as_ref().map(|metas| metas[kind as usize].clone());
        table.set_metatable(meta)?;
        table.set_readonly(true);
        self.objects.borrow_mut().push(make(table.clone()));
        Ok(table)
    }

    /// The table of a task; made when the script has none yet.
    pub(super) fn task_table(&self, lua: &Lua, task: &TaskRef) -> mlua::Result<Table> {
        let known = self.objects.borrow().iter().rev().find_map(|object| match object {
            Object::Task(known, table) if Rc::ptr_eq(known, task) => Some(table.clone()),
            _ => None,
        });
        known.map_or_else(|| self.wrap(lua, Kind::Task, |table| Object::Task(Rc::clone(task), table)), Ok)
    }

    /// The table of a workflow.
    pub(super) fn workflow_table(&self, lua: &Lua, workflow: &WorkflowRef) -> mlua::Result<Table> {
        let known = self.objects.borrow().iter().find_map(|object| match object {
            Object::Workflow(known, table) if Rc::ptr_eq(known, workflow) => Some(table.clone()),
            _ => None,
        });
        known.map_or_else(|| self.wrap(lua, Kind::Workflow, |table| Object::Workflow(Rc::clone(workflow), table)), Ok)
    }

    /// The table of a new descriptor.
    pub(super) fn desc_table(&self, lua: &Lua, desc: Desc) -> mlua::Result<Table> {
        let desc = desc.shared();
        self.wrap(lua, Kind::Desc, |table| Object::Desc(desc, table))
    }

    /// Makes the metatables.
    pub(super) fn make_metas(&self, lua: &Lua) -> mlua::Result<()> {
        let make = |kind: Kind, name: &str| -> mlua::Result<Table> {
            let meta = lua.create_table()?;
            meta.raw_set("__sloth", name)?;
            meta.raw_set("__metatable", "locked")?;
            meta.raw_set(
                "__index",
                lua.create_function(move |lua, (this, key): (Table, Value)| index(lua, kind, &this, &key))?,
            )?;
            meta.raw_set("__tostring", lua.create_function(move |lua, this: Table| describe(lua, kind, &this))?)?;
            meta.raw_set(
                "__call",
                lua.create_function(move |lua, (this, table): (Table, Value)| fill(lua, &this, &table))?,
            )?;
            Ok(meta)
        };
        let metas = [make(Kind::Task, "task")?, make(Kind::Workflow, "workflow")?, make(Kind::Desc, "descriptor")?];
        *self.metas.borrow_mut() = Some(metas);
        Ok(())
    }

    /// Sets a method that is a function in Luau.
    pub(super) fn set_method(&self, kind: Kind, name: &'static str, function: Function) {
        self.methods.borrow_mut().insert((kind, name), function);
    }

    fn cached(&self, lua: &Lua, kind: Kind, name: &'static str) -> mlua::Result<Value> {
        if let Some(known) = self.methods.borrow().get(&(kind, name)) {
            return Ok(Value::Function(known.clone()));
        }
        let function = lua.create_function(move |lua, values: MultiValue| {
            let mut values = values;
            let this = values.pop_front();
            call(lua, kind, name, this, values)
        })?;
        self.methods.borrow_mut().insert((kind, name), function.clone());
        Ok(Value::Function(function))
    }
}

fn index(lua: &Lua, kind: Kind, this: &Table, key: &Value) -> mlua::Result<Value> {
    let define = define_of(lua)?;
    let Value::String(text) = key else { return Ok(Value::Nil) };
    let name = text.to_string_lossy();
    let known = match kind {
        Kind::Task => method(words::TASK, &name).map(|word| word.name),
        Kind::Workflow => method(words::WORKFLOW, &name)
            .map(|word| word.name)
            .or_else(|| method(words::CONFIG, &name).map(|word| word.name)),
        Kind::Desc => None,
    };
    let extra = match kind {
        Kind::Task => TASK_EXTRA,
        Kind::Workflow => WORKFLOW_EXTRA,
        Kind::Desc => DESC_METHODS,
    };
    let known = known.or_else(|| extra.iter().find(|extra| **extra == name).copied());
    if let Some(known) = known {
        return define.cached(lua, kind, known);
    }
    match (define.object(this), name.as_str()) {
        (Some(Object::Task(task, _)), "name") => {
            let name = task.try_borrow().map(|task| task.task.name.clone()).unwrap_or_default();
            return Ok(Value::String(lua.create_string(name)?));
        }
        (Some(Object::Workflow(workflow, _)), "name") => {
            let name = workflow.try_borrow().map(|workflow| workflow.workflow.name.clone()).unwrap_or_default();
            return Ok(Value::String(lua.create_string(name)?));
        }
        _ => {}
    }
    define.enter(lua);
    let (what, near) = match kind {
        Kind::Task => ("task", near_method(words::TASK, TASK_EXTRA, &name)),
        Kind::Workflow => ("workflow", near_method(words::WORKFLOW, WORKFLOW_EXTRA, &name)),
        Kind::Desc => ("descriptor", sloth_core::workflow::suggest(&name, DESC_METHODS.iter().copied())),
    };
    let short: String = name.chars().take(60).collect();
    Err(define.raise(Fault::new("E112", format!("a {what} has no method {short:?}")).did_you_mean(near)))
}

fn describe(lua: &Lua, kind: Kind, this: &Table) -> mlua::Result<String> {
    Ok(match define_of(lua)?.object(this) {
        Some(Object::Task(task, _)) => task.try_borrow().map(|task| task.task.name.clone()).unwrap_or_default(),
        Some(Object::Workflow(workflow, _)) => {
            workflow.try_borrow().map(|workflow| workflow.workflow.name.clone()).unwrap_or_default()
        }
        _ => format!("{kind:?}").to_lowercase(),
    })
}

/// `task "x" { … }` and `workflow "x" { … }`.
fn fill(lua: &Lua, this: &Table, table: &Value) -> mlua::Result<Table> {
    let define = define_of(lua)?;
    define.enter(lua);
    let raw = define.raw(table).map_err(|fault| define.raise(fault))?;
    let Raw::Table(table) = &raw else {
        return Err(define.raise(Fault::wrong("table", raw.type_name())));
    };
    let done = match define.object(this) {
        Some(Object::Task(task, _)) => match task.try_borrow_mut() {
            Ok(mut task) => define.desk.fill_task(&mut task, table),
            Err(_) => Err(Fault::new("E115", "the task is being changed")),
        },
        Some(Object::Workflow(workflow, _)) => match workflow.try_borrow_mut() {
            Ok(mut workflow) => define.desk.workflow_table(&mut workflow, table),
            Err(_) => Err(Fault::new("E115", "the workflow is being changed")),
        },
        _ => Err(Fault::wrong("task or workflow", "something else")),
    };
    define.settle(done)?;
    Ok(this.clone())
}

/// Calls a method of the table of words.
fn call(lua: &Lua, kind: Kind, name: &'static str, this: Option<Value>, args: MultiValue) -> mlua::Result<Value> {
    let define = define_of(lua)?;
    define.enter(lua);
    let object = match &this {
        Some(Value::Table(table)) => define.object(table),
        _ => None,
    };
    let Some(object) = object else {
        let fault =
            Fault::new("E112", format!("{name} is a method")).hint(format!("write it with a colon: x:{name}(…)"));
        return Err(define.raise(fault));
    };
    let raws = match define.raws(&args) {
        Ok(raws) => raws,
        Err(fault) => {
            define.settle(Err(fault.about(name)))?;
            return Ok(Value::Table(object.table().clone()));
        }
    };
    let done = match (kind, &object) {
        (Kind::Task, Object::Task(task, _)) => task_method(&define, name, task, &raws),
        (Kind::Workflow, Object::Workflow(workflow, _)) => workflow_method(&define, name, workflow, &raws),
        (Kind::Desc, Object::Desc(desc, _)) => super::compose::desc_method(&define, name, desc, &raws),
        _ => Err(Fault::new("E112", format!("{name} is a method of something else"))),
    };
    define.settle(done)?;
    Ok(Value::Table(object.table().clone()))
}

fn task_method(define: &Define, name: &str, task: &TaskRef, raws: &[Raw]) -> Result<(), Fault> {
    let mut draft = task.try_borrow_mut().map_err(|_| Fault::new("E115", "the task is being changed"))?;
    if name == "build" {
        draft.frozen = true;
        return Ok(());
    }
    if draft.frozen {
        let message = format!("task {:?} is built: {name} comes too late", draft.task.name);
        return Err(Fault::new("E112", message).hint("call build() last"));
    }
    let label = |fault: Fault, task: &str| match fault.code {
        "E114" => fault,
        _ => fault.about(&format!("task {task:?}: {name}")),
    };
    let apply = method(words::TASK, name).and_then(|word| word.apply);
    match apply {
        Some(apply) => apply(&mut draft, raws, &define.desk).map_err(|fault| {
            // A wrong command is a command all the same: that there is none would be a second finding.
            if matches!(name, "command" | "shell") {
                draft.doing.get_or_insert(Doing::Command(Command::Shell(String::new())));
            }
            label(fault, &draft.task.name)
        }),
        None => Err(Fault::absent(&format!("the method {name:?} of tasks"))),
    }
}

fn workflow_method(define: &Define, name: &str, workflow: &WorkflowRef, raws: &[Raw]) -> Result<(), Fault> {
    if name == "build" {
        return Ok(());
    }
    let mut draft = workflow.try_borrow_mut().map_err(|_| Fault::new("E115", "the workflow is being changed"))?;
    let word = method(words::WORKFLOW, name).or_else(|| method(words::CONFIG, name));
    match word.and_then(|word| word.apply) {
        Some(apply) => apply(&mut draft, raws, &define.desk)
            .map_err(|fault| fault.about(&format!("workflow {:?}: {name}", draft.workflow.name))),
        None => Err(Fault::absent(&format!("the method {name:?} of workflows"))),
    }
}
