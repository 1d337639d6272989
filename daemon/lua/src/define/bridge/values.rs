//! `values`, `params` and outputs.

use mlua::{Lua, Table, Value};
use serde_json::Map;

use super::{Define, define_of};
use crate::data::Data;
use crate::vm::{Alien, to_data, to_lua};

impl Define {
    /// JSON as a value of the VM.
    pub(super) fn to_lua(&self, lua: &Lua, value: &serde_json::Value) -> mlua::Result<Value> {
        to_lua(lua, &Data::from_json(value), &self.inner()?.kernel().metas.list)
    }

    /// A map as a table.
    pub(super) fn map_to_lua(&self, lua: &Lua, map: &Map<String, serde_json::Value>) -> mlua::Result<Table> {
        let table = lua.create_table_with_capacity(0, map.len())?;
        for (key, value) in map {
            table.raw_set(key.as_str(), self.to_lua(lua, value)?)?;
        }
        Ok(table)
    }

    /// Values as they are now: those given over the file's own defaults.
    pub(super) fn current_values(&self) -> Map<String, serde_json::Value> {
        let mut dropped = Vec::new();
        match to_data(&Value::Table(self.values.clone()), Alien::Drop(&mut dropped)).map(|data| data.to_json()) {
            Ok(serde_json::Value::Object(mut map)) => {
                map.extend(self.given.values.get_key_value("get").map(|(key, value)| (key.clone(), value.clone())));
                map
            }
            _ => Map::new(),
        }
    }

    /// Adds defaults of a workflow under what was given, over those of the file.
    pub(super) fn add_values(&self, lua: &Lua, layer: &Map<String, serde_json::Value>) -> mlua::Result<()> {
        for (key, value) in layer {
            let merged = match self.given.values.get(key) {
                None => value.clone(),
                Some(given) => merge(value, given),
            };
            self.values.raw_set(key.as_str(), self.to_lua(lua, &merged)?)?;
        }
        Ok(())
    }

    /// The outputs: what was exported, and the global table `outputs`.
    pub(super) fn outputs(&self) -> Map<String, serde_json::Value> {
        let mut outputs = self.exports.borrow().clone();
        let table = self.vm.upgrade().and_then(|inner| inner.lua.globals().raw_get::<Value>("outputs").ok());
        let mut dropped = Vec::new();
        if let Some(table @ Value::Table(_)) = table
            && let Ok(data) = to_data(&table, Alien::Drop(&mut dropped))
        {
            match data.to_json() {
                serde_json::Value::Object(map) => outputs.extend(map),
                serde_json::Value::Array(items) => {
                    outputs.extend((1..).zip(items).map(|(at, item): (u32, _)| (at.to_string(), item)));
                }
                _ => {}
            }
        }
        outputs
    }
}

/// `over` wins; maps merge, lists replace.
pub(super) fn merge(under: &serde_json::Value, over: &serde_json::Value) -> serde_json::Value {
    match (under, over) {
        (serde_json::Value::Object(under), serde_json::Value::Object(over)) => {
            let mut merged = under.clone();
            for (key, value) in over {
                let value = under.get(key).map_or_else(|| value.clone(), |under| merge(under, value));
                merged.insert(key.clone(), value);
            }
            serde_json::Value::Object(merged)
        }
        (_, over) => over.clone(),
    }
}

/// `export{k = v}` and `export(k, v)`.
pub(super) fn export(lua: &Lua, (first, second): (Value, Value)) -> mlua::Result<()> {
    let define = define_of(lua)?;
    define.enter(lua);
    let read = |value: &Value| {
        to_data(value, Alien::Refuse)
            .map(|data| data.to_json())
            .map_err(|problem| mlua::Error::runtime(format!("export: {problem}")))
    };
    match (&first, read(&first)?) {
        (Value::String(key), _) => {
            let value = read(&second)?;
            define.exports.borrow_mut().insert(key.to_string_lossy(), value);
        }
        (_, serde_json::Value::Object(map)) => define.exports.borrow_mut().extend(map),
        _ => return Err(mlua::Error::runtime("export: a table or a name and a value expected")),
    }
    Ok(())
}

/// A path such as `a.b[1]` in a table of values, with a default.
pub(super) fn get(lua: &Lua, (path, default): (Value, Value)) -> mlua::Result<Value> {
    let define = define_of(lua)?;
    let Value::String(text) = &path else { return Err(mlua::Error::runtime("values.get: a path expected")) };
    let text = text.to_string_lossy();
    let mut value = Value::Table(define.values.clone());
    let mut steps = steps(&text).into_iter();
    if let (Some(Step::Key("get")), Some(given)) = (steps.as_slice().first(), define.given.values.get("get")) {
        value = define.to_lua(lua, given)?;
        steps.next();
    }
    for step in steps {
        let Value::Table(table) = &value else { return Ok(default) };
        value = match step {
            Step::Key(key) => table.raw_get(key)?,
            Step::Index(index) => table.raw_get(index)?,
        };
    }
    Ok(if value.is_nil() { default } else { value })
}

enum Step<'t> {
    Key(&'t str),
    Index(i64),
}

fn steps(path: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (name, rest) = part.find('[').map_or((part, ""), |at| part.split_at(at));
        if !name.is_empty() {
            steps.push(Step::Key(name));
        }
        for index in rest.split('[').filter(|text| !text.is_empty()) {
            let index = index.trim_end_matches(']').trim_matches(['"', '\'']);
            steps.push(index.parse().map_or(Step::Key(index), Step::Index));
        }
    }
    steps
}
