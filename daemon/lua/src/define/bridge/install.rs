//! The globals of the definition side.

use mlua::{Lua, MultiValue, Table, Value};

use super::objects::{Kind, Object};
use super::{Define, compose, define_of, files, values};
use crate::define::fault::Fault;
use crate::define::raw::Raw;
use crate::vm::own_chunk;

/// What is in Luau.
const SOURCE: &str = include_str!("define.luau");

/// Libraries over the engine, in Luau.
const ENGINE: &str = include_str!("engine.luau");

/// What `this` and its like are, in Luau.
const OBJECTS: &str = include_str!("this.luau");

/// Sets everything up in a VM.
pub(super) fn install(lua: &Lua, define: &Define) -> mlua::Result<()> {
    define.make_metas(lua)?;
    let host = lua.create_table()?;
    constructors(lua, &host)?;
    lookups(lua, &host)?;
    files::install(lua, &host)?;
    for (name, maker) in compose::MAKERS {
        host.raw_set(*name, lua.create_function(move |lua, args: MultiValue| compose::make(lua, *maker, args))?)?;
    }
    host.raw_set("parts", lua.create_function(compose::parts)?)?;
    host.raw_set("export", lua.create_function(values::export)?)?;
    host.raw_set("get_value", lua.create_function(values::get)?)?;
    host.raw_set("values", &define.values)?;
    host.raw_set("version", env!("CARGO_PKG_VERSION"))?;
    let inner = define.inner()?;
    let sys = &inner.kernel().sys;
    let globals = lua.globals();
    own_chunk(lua, SOURCE, "=[sloth define]")?.call::<()>((sys, &globals, &host))?;
    own_chunk(lua, ENGINE, "=[sloth engine]")?.call::<()>((sys, &globals, &host))?;
    let makers: Table = own_chunk(lua, OBJECTS, "=[sloth this]")?.call((sys, &globals, &host))?;
    *define.makers.borrow_mut() = Some(makers);
    for (kind, owner) in [(Kind::Task, "task"), (Kind::Workflow, "workflow"), (Kind::Desc, "descriptor")] {
        define.set_method(kind, "run", host.raw_get(format!("run_{owner}"))?);
    }
    globals.raw_set("params", define.map_to_lua(lua, &define.given.params)?)
}

fn constructors(lua: &Lua, host: &Table) -> mlua::Result<()> {
    host.raw_set("task", lua.create_function(task)?)?;
    host.raw_set("workflow", lua.create_function(workflow)?)?;
    host.raw_set(
        "stack",
        lua.create_function(|lua, name: Value| {
            let define = define_of(lua)?;
            define.enter(lua);
            match &name {
                Value::String(name) => define.desk.declare_stack(&name.to_string_lossy()),
                other => return Err(define.raise(Fault::wrong("name of a stack", other.type_name()))),
            }
            Ok(())
        })?,
    )
}

/// `task(name)` and `task(tbl)`.
fn task(lua: &Lua, args: MultiValue) -> mlua::Result<Table> {
    let define = define_of(lua)?;
    define.enter(lua);
    let raws = define.raws(&args).map_err(|fault| define.raise(fault))?;
    let made = match raws.first() {
        Some(Raw::Str(name)) => define.desk.new_task(name).and_then(|task| {
            define.desk.register(task.clone())?;
            Ok(task)
        }),
        Some(Raw::Table(table)) => define.desk.task_from_table(None, table, true),
        Some(Raw::Task(task)) => Ok(task.clone()),
        other => {
            let got = other.map_or("nothing", Raw::type_name);
            Err(Fault::new("E110", format!("a task is made from a name or a table, not from {got}")))
        }
    };
    let task = match made {
        Ok(task) => task,
        Err(fault) => return Err(define.raise(fault)),
    };
    let table = define.wrap(lua, Kind::Task, |table| Object::Task(task.clone(), table))?;
    match raws.get(1) {
        None | Some(Raw::Nil) => {}
        // `task(name, tbl)`
        Some(Raw::Table(keys)) => define.settle(define.desk.fill_task(&mut task.borrow_mut(), keys))?,
        // `task(name, command)`
        Some(command) => {
            let done = crate::define::read::doing(command)
                .and_then(|doing| crate::define::words::set_command(&mut task.borrow_mut(), doing, &define.desk));
            define.settle(done)?;
        }
    }
    Ok(table)
}

/// `workflow.define(name [, tbl])`.
fn workflow(lua: &Lua, args: MultiValue) -> mlua::Result<Table> {
    let define = define_of(lua)?;
    define.enter(lua);
    let raws = define.raws(&args).map_err(|fault| define.raise(fault))?;
    let (name, table) = match (raws.first(), raws.get(1)) {
        (Some(Raw::Str(name)), None | Some(Raw::Nil)) => (name.clone(), None),
        (Some(Raw::Str(name)), Some(Raw::Table(table))) => (name.clone(), Some(table)),
        (Some(Raw::Table(table)), _) => match table.get("name") {
            Some(Raw::Str(name)) => (name.clone(), Some(table)),
            _ => {
                return Err(define
                    .raise(Fault::new("E110", "a workflow without a name").hint("workflow.define(\"name\", {…})")));
            }
        },
        (other, _) => {
            let got = other.map_or("nothing", Raw::type_name);
            return Err(
                define.raise(Fault::new("E110", format!("a workflow is made from a name and a table, not from {got}")))
            );
        }
    };
    let made = define.desk.new_workflow(&name).map_err(|fault| define.raise(fault))?;
    if let Some(table) = table {
        define.settle(define.desk.workflow_table(&mut made.borrow_mut(), table))?;
    }
    define.wrap(lua, Kind::Workflow, |table| Object::Workflow(made, table))
}

fn lookups(lua: &Lua, host: &Table) -> mlua::Result<()> {
    host.raw_set(
        "shadowed",
        lua.create_function(|lua, name: String| {
            let define = define_of(lua)?;
            define.enter(lua);
            let fault = Fault::new("W101", format!("{name:?} hides the module of that name in this file"));
            define.desk.report(fault.hint("use a local variable of another name"));
            Ok(())
        })?,
    )?;
    host.raw_set(
        "is_module",
        lua.create_function(|lua, name: Value| {
            let Value::String(name) = &name else { return Ok(false) };
            Ok(define_of(lua)?.inner()?.registry.find(&name.to_string_lossy()).is_some())
        })?,
    )?;
    host.raw_set("defining", lua.create_function(|lua, ()| Ok(define_of(lua)?.defining.get()))?)?;
    host.raw_set(
        "get_task",
        lua.create_function(|lua, name: String| {
            let define = define_of(lua)?;
            define.desk.task(&name).map(|task| define.task_table(lua, &task)).transpose()
        })?,
    )?;
    host.raw_set("task_names", lua.create_function(|lua, ()| Ok(define_of(lua)?.desk.task_names()))?)?;
    host.raw_set(
        "get_workflow",
        lua.create_function(|lua, name: String| {
            let define = define_of(lua)?;
            define.desk.workflow(&name).map(|workflow| define.workflow_table(lua, &workflow)).transpose()
        })?,
    )?;
    host.raw_set(
        "workflow_names",
        lua.create_function(|lua, ()| {
            let workflows = define_of(lua)?.desk.workflows();
            Ok(workflows.iter().map(|workflow| workflow.borrow().workflow.name.clone()).collect::<Vec<_>>())
        })?,
    )?;
    // The name by which the engine finds a task or workflow; a new object gets registered.
    host.raw_set("name_of", lua.create_function(name_of)?)?;
    host.raw_set("select", lua.create_function(select)?)?;
    host.raw_set("ran", lua.create_function(ran)?)?;
    host.raw_set("results_now", lua.create_function(results_now)?)?;
    host.raw_set(
        "subscribe",
        lua.create_function(|lua, (event, function): (String, mlua::Function)| {
            define_of(lua)?.subscriptions.borrow_mut().push((event, function));
            Ok(())
        })?,
    )
}

fn name_of(lua: &Lua, value: Value) -> mlua::Result<(String, String)> {
    let define = define_of(lua)?;
    define.enter(lua);
    let raw = define.raw(&value).map_err(|fault| define.raise(fault))?;
    match raw {
        Raw::Str(name) => Ok(("name".to_owned(), name)),
        Raw::Task(task) => {
            let name = task.borrow().task.name.clone();
            if define.desk.task(&name).is_none() {
                define.desk.register(task).map_err(|fault| define.raise(fault))?;
            }
            Ok(("task".to_owned(), name))
        }
        Raw::Workflow(workflow) => Ok(("workflow".to_owned(), workflow.borrow().workflow.name.clone())),
        other => Err(define.raise(Fault::wrong("name, task or workflow", other.type_name()))),
    }
}

/// `workflow.run(x, params)` at file level.
fn select(lua: &Lua, (name, params): (String, Value)) -> mlua::Result<()> {
    let define = define_of(lua)?;
    define.enter(lua);
    let Some(workflow) = define.desk.workflow(&name) else {
        let names =
            define.desk.workflows().iter().map(|known| known.borrow().workflow.name.clone()).collect::<Vec<_>>();
        let near = sloth_core::workflow::suggest(&name, names.iter().map(String::as_str)).map(str::to_owned);
        return Err(
            define.raise(Fault::new("E201", format!("there is no workflow {name:?}")).did_you_mean(near.as_deref()))
        );
    };
    let params = match define.raw(&params).and_then(|raw| match raw {
        Raw::Nil => Ok(serde_json::Map::new()),
        raw => crate::define::read::json_map(&raw),
    }) {
        Ok(params) => params,
        Err(fault) => return Err(define.raise(fault.about("workflow.run"))),
    };
    workflow.borrow_mut().selected = Some(params);
    Ok(())
}

/// A task that is run at once.
fn ran(lua: &Lua, name: String) -> mlua::Result<()> {
    let define = define_of(lua)?;
    if let Some(task) = define.desk.task(&name)
        && define.defining.get()
    {
        task.borrow_mut().ran = true;
        define.desk.note_immediate();
    }
    Ok(())
}

/// The results of all finished tasks. The engine knows them without waiting, so that a metamethod may ask.
fn results_now(lua: &Lua, (): ()) -> mlua::Result<Value> {
    let define = define_of(lua)?;
    let inner = define.inner()?;
    let ctx = inner.ctx()?;
    let mut asked = inner.engine.call("results", crate::data::Data::Map(Vec::new()), ctx);
    let waker = std::task::Waker::noop();
    match asked.as_mut().poll(&mut std::task::Context::from_waker(waker)) {
        std::task::Poll::Ready(Ok(values)) => {
            let data = values.into_iter().next().unwrap_or_default();
            crate::vm::to_lua(lua, &data, &inner.kernel().metas.list)
        }
        std::task::Poll::Ready(Err(failure)) => Err(mlua::Error::runtime(failure.message)),
        std::task::Poll::Pending => Err(mlua::Error::runtime("the results of other tasks are not known here")),
    }
}
