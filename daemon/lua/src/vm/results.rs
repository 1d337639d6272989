//! From the reply of a host function to what its caller gets, as the family of the function says.

use mlua::{IntoLua, Lua, MultiValue, Table, Value};

use super::convert::to_lua;
use super::ops::Finish;
use crate::data::Data;
use crate::module::{Failure, Family, Reply};

/// Metatables of what the script gets.
pub(crate) struct Metas {
    /// Of tables that came from an empty list.
    pub(crate) list: Table,
    /// Of the info of families C, M and T: converts to its message.
    pub(crate) info: Table,
    /// Of the result of a command: acts as its standard output.
    pub(crate) result: Table,
}

/// What is said to the waiting coroutine: `0, values…` or `1, error`.
pub(crate) fn answer(lua: &Lua, metas: &Metas, finish: Finish, reply: Reply) -> mlua::Result<MultiValue> {
    let (family, name, raise) = match finish {
        Finish::Values => (Family::Raw, None, true),
        Finish::Family { module, function, raise } => (function.family, Some((module.name, function.name)), raise),
    };
    let mut values = MultiValue::new();
    let failed = match (reply, family) {
        (Err(failure), family) if failure.raise || raise || family == Family::Raw => {
            return raised(lua, name, failure);
        }
        (Ok(data), _) => success(lua, metas, family, data, &mut values)?,
        (Err(failure), _) => {
            refusal(lua, metas, family, failure, &mut values)?;
            None
        }
    };
    if let (Some(message), true) = (failed, raise) {
        return raised(lua, name, Failure { kind: Some("exit"), ..Failure::new(message) });
    }
    values.push_front(Value::Number(0.0));
    Ok(values)
}

/// `1, error`.
pub(crate) fn raised(lua: &Lua, name: Option<(&str, &str)>, failure: Failure) -> mlua::Result<MultiValue> {
    let message = match (name, failure.message.strip_prefix("bad argument '")) {
        (Some((module, function)), Some(rest)) if !failure.message.contains(" to '") => {
            rest.split_once("' ").map_or_else(
                || failure.message.clone(),
                |(arg, problem)| format!("bad argument '{arg}' to '{module}.{function}' {problem}"),
            )
        }
        _ => failure.message.clone(),
    };
    let error = match failure.kind {
        None => message.into_lua(lua)?,
        Some(kind) => {
            let fields = lua.create_table()?;
            fields.raw_set("message", message)?;
            fields.raw_set("kind", kind)?;
            let make: mlua::Function = lua.named_registry_value("sloth.error_object")?;
            make.call(fields)?
        }
    };
    Ok(MultiValue::from_vec(vec![Value::Number(1.0), error]))
}

/// Pushes the values; the message, when it is the result of a command that failed.
fn success(
    lua: &Lua,
    metas: &Metas,
    family: Family,
    data: Vec<Data>,
    values: &mut MultiValue,
) -> mlua::Result<Option<String>> {
    let value = |data: &Data| to_lua(lua, data, &metas.list);
    let info = |data: Option<&Data>| -> mlua::Result<Value> {
        with_meta(value(data.unwrap_or(&Data::Map(Vec::new())))?, &metas.info)
    };
    match family {
        Family::V | Family::Raw | Family::P => {
            for item in &data {
                // What was changed converts to its message, wherever it stands.
                let is_info = item.get("changed").is_some() && item.get("message").is_some();
                values.push_back(if is_info { info(Some(item))? } else { value(item)? });
            }
        }
        Family::C => {
            values.push_back(Value::Boolean(true));
            values.push_back(info(data.first())?);
        }
        Family::M => {
            values.push_back(Value::Boolean(true));
            let (message, map) = message_and_info(&data);
            values.push_back(value(message)?);
            values.push_back(info(map)?);
        }
        Family::T => {
            values.push_back(info(data.first())?);
            values.push_back(Value::Nil);
        }
        Family::R => return result(lua, metas, data.first().unwrap_or(&Data::Nil), values),
    }
    Ok(None)
}

fn message_and_info(data: &[Data]) -> (&Data, Option<&Data>) {
    match data {
        [message @ Data::Str(_), rest @ ..] => (message, rest.first()),
        [info, ..] => (info.get("message").unwrap_or(&Data::Nil), Some(info)),
        [] => (&Data::Nil, None),
    }
}

fn with_meta(value: Value, meta: &Table) -> mlua::Result<Value> {
    if let Value::Table(table) = &value {
        table.set_metatable(Some(meta.clone()))?;
    }
    Ok(value)
}

/// An exec result, then `err`, `failed`.
fn result(lua: &Lua, metas: &Metas, map: &Data, values: &mut MultiValue) -> mlua::Result<Option<String>> {
    let failed = map.get("success") != Some(&Data::Bool(true));
    let error = if failed { failure_text(map) } else { None };
    let object = to_lua(lua, map, &metas.list)?;
    if let Value::Table(table) = &object {
        table.raw_set("failed", failed)?;
        table.raw_set("error", error.clone())?;
    }
    values.push_back(with_meta(object, &metas.result)?);
    values.push_back(error.clone().into_lua(lua)?);
    values.push_back(Value::Boolean(failed));
    Ok(error)
}

/// Standard error, or what the exit status was.
fn failure_text(map: &Data) -> Option<String> {
    let text = |key: &str| map.get(key).and_then(Data::to_text).filter(|text| !text.trim().is_empty());
    let code = map.get("exit_code").or_else(|| map.get("code")).and_then(Data::to_text);
    text("stderr").or_else(|| text("error")).or_else(|| Some(format!("exit status {}", code.unwrap_or_default())))
}

fn refusal(lua: &Lua, metas: &Metas, family: Family, failure: Failure, values: &mut MultiValue) -> mlua::Result<()> {
    let message = failure.message.clone().into_lua(lua)?;
    match family {
        Family::V | Family::T | Family::Raw => values.extend([Value::Nil, message]),
        Family::C | Family::P => values.extend([Value::Boolean(false), message]),
        Family::M => {
            let info = to_lua(lua, &failure.info, &metas.list)?;
            values.extend([Value::Boolean(false), message, with_meta(info, &metas.info)?]);
        }
        Family::R => {
            let code = failure.info.get("exit_code").cloned().unwrap_or(Data::Num(127.0));
            let map = Data::map([
                ("stdout", Data::text("")),
                ("output", Data::text("")),
                ("stderr", Data::text(failure.message)),
                ("exit_code", code.clone()),
                ("code", code.clone()),
                ("status", code),
                ("success", Data::Bool(false)),
            ]);
            result(lua, metas, &map, values)?;
        }
    }
    Ok(())
}
