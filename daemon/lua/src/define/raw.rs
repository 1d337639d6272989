//! Values of the script as the definition side sees them: data, functions by number, and the objects that it made
//! itself. Readers work on these and need no VM.

use serde_json::{Map, Value};
use sloth_core::workflow::FnRef;

use super::draft::{DescRef, TaskRef, WorkflowRef};
use crate::Data;

/// A value.
#[derive(Clone, Debug)]
pub enum Raw {
    /// `nil`.
    Nil,
    /// A boolean.
    Bool(bool),
    /// A number.
    Num(f64),
    /// A string; invalid UTF-8 is replaced.
    Str(String),
    /// A function of the script.
    Fn(FnRef),
    /// A table.
    Table(Box<RawTable>),
    /// A task or its builder.
    Task(TaskRef),
    /// A workflow.
    Workflow(WorkflowRef),
    /// A descriptor.
    Desc(DescRef),
    /// Something that has no place in a definition; its type.
    Other(&'static str),
}

/// A table: the items 1 to n, and all other keys in alphabetical order (the VM keeps none).
#[derive(Clone, Debug, Default)]
pub struct RawTable {
    /// Items.
    pub list: Vec<Raw>,
    /// Named.
    pub map: Vec<(String, Raw)>,
}

impl RawTable {
    /// A named value, `None` when absent.
    pub fn get(&self, key: &str) -> Option<&Raw> {
        self.map.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The first of several names that is there.
    pub fn any(&self, keys: &[&str]) -> Option<&Raw> {
        keys.iter().find_map(|key| self.get(key))
    }
}

impl Raw {
    /// Its table.
    pub fn table(&self) -> Option<&RawTable> {
        match self {
            Raw::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Its text, when it is a string.
    pub fn str(&self) -> Option<&str> {
        match self {
            Raw::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Name of its type for messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Raw::Nil => "nil",
            Raw::Bool(_) => "a boolean",
            Raw::Num(_) => "a number",
            Raw::Str(_) => "a string",
            Raw::Fn(_) => "a function",
            Raw::Table(_) => "a table",
            Raw::Task(_) => "a task",
            Raw::Workflow(_) => "a workflow",
            Raw::Desc(_) => "a descriptor",
            Raw::Other(name) => name,
        }
    }

    /// As JSON. Tables with keys 1 to n are arrays; tasks and workflows become their names; functions become
    /// `{"$fn": n}` where that is wanted, else they and everything without a JSON form are dropped and counted.
    pub fn to_json(&self, functions: bool, dropped: &mut usize) -> Value {
        match self {
            Raw::Nil => Value::Null,
            Raw::Bool(value) => Value::Bool(*value),
            Raw::Num(number) => Data::Num(*number).to_json(),
            Raw::Str(text) => Value::String(text.clone()),
            Raw::Fn(number) if functions => serde_json::json!({ "$fn": number.0 }),
            // One that is being changed is inside its own method: it names itself.
            Raw::Task(task) => task.try_borrow().map_or(Value::Null, |task| Value::String(task.task.name.clone())),
            Raw::Workflow(workflow) => {
                workflow.try_borrow().map_or(Value::Null, |known| Value::String(known.workflow.name.clone()))
            }
            Raw::Fn(_) | Raw::Desc(_) | Raw::Other(_) => {
                *dropped += 1;
                Value::Null
            }
            Raw::Table(table) if table.map.is_empty() && !table.list.is_empty() => {
                Value::Array(table.list.iter().map(|item| item.to_json(functions, dropped)).collect())
            }
            Raw::Table(table) => {
                let mut map = Map::new();
                for (at, item) in table.list.iter().enumerate() {
                    map.insert((at + 1).to_string(), item.to_json(functions, dropped));
                }
                for (key, item) in &table.map {
                    let before = *dropped;
                    let value = item.to_json(functions, dropped);
                    // What was dropped itself leaves no key behind.
                    if *dropped == before || !value.is_null() {
                        map.insert(key.clone(), value);
                    }
                }
                Value::Object(map)
            }
        }
    }
}
