//! Arguments of the functions of the script.

use std::sync::Arc;

use mlua::{Function, Lua, MultiValue, Table, Value};

use super::{Define, define_of};
use crate::host::Ctx;
use crate::vm::{Shape, View, Vm};

/// Makes the values for a shape.
pub(super) fn arguments(vm: &Vm, shape: Shape, ctx: &Arc<Ctx>) -> mlua::Result<MultiValue> {
    let lua = vm.lua();
    let define = define_of(lua)?;
    let maker = |name: &str| -> mlua::Result<Function> {
        match &*define.makers.borrow() {
            Some(makers) => makers.raw_get(name),
            None => Err(mlua::Error::runtime("nothing has been defined yet")),
        }
    };
    let value = |json: &serde_json::Value| define.to_lua(lua, json);
    match shape {
        Shape::Command(seen) => maker("command")?.call(view(lua, &define, &seen, ctx)?),
        Shape::Condition(seen) => maker("condition")?.call(view(lua, &define, &seen, ctx)?),
        Shape::Hook { view: seen, third, error } => {
            maker("hook")?.call((view(lua, &define, &seen, ctx)?, value(&third)?, error))
        }
        Shape::Ctx(fields) | Shape::Compensation(fields) => maker("ctx")?.call(value(&fields)?),
        Shape::WorkflowEnd { ok, results, ctx } => {
            let ctx: Value = maker("ctx")?.call(value(&ctx)?)?;
            Ok(MultiValue::from_vec(vec![Value::Boolean(ok), value(&results)?, ctx]))
        }
        Shape::Error { ctx, error } => {
            let ctx: Value = maker("ctx")?.call(value(&ctx)?)?;
            let error: Value = maker("error")?.call(value(&error)?)?;
            Ok(MultiValue::from_vec(vec![ctx, error]))
        }
        Shape::Plain(values) => values.iter().map(value).collect(),
    }
}

/// What `this` is made of, as a table.
fn view(lua: &Lua, define: &Define, view: &View, ctx: &Arc<Ctx>) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, 20)?;
    table.raw_set("name", view.name.as_str())?;
    table.raw_set("params", define.map_to_lua(lua, &view.params)?)?;
    table.raw_set("deps", define.map_to_lua(lua, &view.deps)?)?;
    if let Some(previous) = &view.previous {
        table.raw_set("previous", define.to_lua(lua, previous)?)?;
    }
    if !view.results.is_empty() {
        table.raw_set("results", define.map_to_lua(lua, &view.results)?)?;
    }
    table.raw_set("attempt", view.attempt)?;
    table.raw_set("max_attempts", view.max_attempts)?;
    table.raw_set("stage", view.stage.as_deref())?;
    table.raw_set("workflow", view.workflow.as_str())?;
    table.raw_set("workdir", view.workdir.to_string_lossy().as_ref())?;
    table.raw_set("temp_directory", view.temp_directory.to_string_lossy().as_ref())?;
    if let Some(checkpoint) = &view.last_checkpoint {
        table.raw_set("last_checkpoint", define.to_lua(lua, checkpoint)?)?;
    }
    table.raw_set("agent", view.agent.as_str())?;
    table.raw_set("run_id", ctx.run.id.as_str())?;
    table.raw_set("stack", ctx.run.stack.as_str())?;
    table.raw_set("started_at", ctx.run.started_at.as_str())?;
    table.raw_set("check_mode", ctx.is_simulated())?;
    Ok(table)
}
