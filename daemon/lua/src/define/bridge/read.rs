//! From values of the VM to values of the definition side.

use mlua::{Table, Value};

use super::Define;
use super::objects::Object;
use crate::define::fault::Fault;
use crate::define::raw::{Raw, RawTable};

/// Deepest nesting of tables.
const DEPTH_MAX: usize = 64;

/// Most values in one argument.
const NODES_MAX: usize = 1_000_000;

impl Define {
    /// Reads one value; cyclic and endless tables are refused.
    pub(super) fn raw(&self, value: &Value) -> Result<Raw, Fault> {
        self.read(value, 0, &mut 0)
    }

    /// Reads arguments.
    pub(super) fn raws<'v>(&self, values: impl IntoIterator<Item = &'v Value>) -> Result<Vec<Raw>, Fault> {
        values.into_iter().map(|value| self.raw(value)).collect()
    }

    fn read(&self, value: &Value, depth: usize, nodes: &mut usize) -> Result<Raw, Fault> {
        *nodes += 1;
        if *nodes > NODES_MAX {
            return Err(Fault::new("E115", format!("a table has more than {NODES_MAX} values")));
        }
        Ok(match value {
            Value::Nil => Raw::Nil,
            Value::LightUserData(pointer) if pointer.0.is_null() => Raw::Nil,
            Value::Boolean(value) => Raw::Bool(*value),
            #[allow(clippy::cast_precision_loss)] // Luau's numbers are doubles
            Value::Integer(number) => Raw::Num(*number as f64),
            Value::Number(number) => Raw::Num(*number),
            Value::String(text) => Raw::Str(text.to_string_lossy()),
            Value::Function(function) => {
                let inner = self.vm.upgrade().ok_or_else(|| Fault::new("E100", "the VM has ended"))?;
                Raw::Fn(inner.keep(function.clone()))
            }
            Value::Table(table) => match self.object(table) {
                Some(Object::Task(task, _)) => Raw::Task(task),
                Some(Object::Workflow(workflow, _)) => Raw::Workflow(workflow),
                Some(Object::Desc(desc, _)) => Raw::Desc(desc),
                None => Raw::Table(Box::new(self.table(table, depth, nodes)?)),
            },
            Value::Thread(_) => Raw::Other("a coroutine"),
            Value::Buffer(_) => Raw::Other("a buffer"),
            _ => Raw::Other("a host object"),
        })
    }

    fn table(&self, table: &Table, depth: usize, nodes: &mut usize) -> Result<RawTable, Fault> {
        if depth >= DEPTH_MAX {
            let message = format!("a table is nested deeper than {DEPTH_MAX}, or contains itself");
            return Err(Fault::new("E115", message));
        }
        let length = table.raw_len();
        let mut found = RawTable::default();
        let mut problem = None;
        let visited = table.for_each(|key: Value, value: Value| {
            match self.read(&value, depth + 1, nodes) {
                Ok(raw) => match key_of(&key) {
                    Key::Item(at) if at == found.list.len() + 1 && at <= length => found.list.push(raw),
                    Key::Item(at) => found.map.push((at.to_string(), raw)),
                    Key::Name(name) => found.map.push((name, raw)),
                    Key::Other => {
                        problem = Some(Fault::wrong("string or number as a key", key.type_name()));
                    }
                },
                Err(fault) => problem = Some(fault),
            }
            if problem.is_some() { Err(mlua::Error::StackError) } else { Ok(()) }
        });
        match (problem, visited) {
            (Some(fault), _) => Err(fault),
            (None, Err(error)) => Err(Fault::new("E115", error.to_string())),
            (None, Ok(())) => {
                found.map.sort_by(|(a, _), (b, _)| a.cmp(b));
                Ok(found)
            }
        }
    }
}

enum Key {
    Item(usize),
    Name(String),
    Other,
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole and in range
fn key_of(key: &Value) -> Key {
    match key {
        Value::String(text) => Key::Name(text.to_string_lossy()),
        Value::Integer(number) if *number > 0 => Key::Item(*number as usize),
        Value::Integer(number) => Key::Name(number.to_string()),
        Value::Number(number) if *number >= 1.0 && *number < 1e9 && number.fract() == 0.0 => {
            Key::Item(*number as usize)
        }
        Value::Number(number) => Key::Name(crate::data::number_text(*number)),
        Value::Boolean(value) => Key::Name(value.to_string()),
        _ => Key::Other,
    }
}
