//! Between values of the VM and [`Data`]. A table can be cyclic, endlessly nested or share its parts, so that it would
//! grow without bound when copied: depth, number and size are limited.

use mlua::{Function, Lua, LuaString, Table, Value};

use crate::data::{Data, number_text};

/// Nesting of tables.
const DEPTH_MAX: usize = 100;
/// Values in one argument.
const NODES_MAX: usize = 1_000_000;
/// Bytes of its strings.
const BYTES_MAX: usize = 256 << 20;

/// What happens with functions, coroutines and other values that are not data.
pub(crate) enum Alien<'a> {
    /// It is an error.
    Refuse,
    /// They are left out; their number is counted.
    Drop(&'a mut Vec<String>),
    /// Functions become `{"$fn": n}`, others are an error.
    Keep(&'a dyn Fn(Function) -> u32),
}

/// Field of a metatable that says what the table stands for: `text`, or `result`.
const MARK: &str = "__sloth";

/// From the VM.
pub(crate) fn to_data(value: &Value, alien: Alien<'_>) -> Result<Data, String> {
    Reader { alien, nodes: 0, bytes: 0 }.read(value, 0)
}

struct Reader<'a> {
    alien: Alien<'a>,
    nodes: usize,
    bytes: usize,
}

impl Reader<'_> {
    fn read(&mut self, value: &Value, depth: usize) -> Result<Data, String> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(format!("the table has more than {NODES_MAX} values"));
        }
        Ok(match value {
            Value::Nil => Data::Nil,
            Value::LightUserData(pointer) if pointer.0.is_null() => Data::Null,
            Value::Boolean(value) => Data::Bool(*value),
            #[allow(clippy::cast_precision_loss)] // Luau's numbers are doubles
            Value::Integer(number) => Data::Num(*number as f64),
            Value::Number(number) => Data::Num(*number),
            Value::String(text) => Data::Str(self.bytes(text)?),
            Value::Table(table) => self.table(table, depth)?,
            Value::Buffer(buffer) => {
                let bytes = buffer.to_vec();
                self.count(bytes.len())?;
                Data::Str(bytes)
            }
            other => return self.alien(other),
        })
    }

    fn alien(&mut self, value: &Value) -> Result<Data, String> {
        match (&mut self.alien, value) {
            (Alien::Keep(number), Value::Function(function)) => {
                Ok(Data::map([("$fn", Data::from(u64::from(number(function.clone()))))]))
            }
            (Alien::Drop(dropped), value) => {
                dropped.push(format!("a {} is not data", value.type_name()));
                Ok(Data::Nil)
            }
            (_, value) => Err(format!("a {} is not data", value.type_name())),
        }
    }

    fn bytes(&mut self, text: &LuaString) -> Result<Vec<u8>, String> {
        let bytes = text.as_bytes().to_vec();
        self.count(bytes.len())?;
        Ok(bytes)
    }

    fn count(&mut self, bytes: usize) -> Result<(), String> {
        self.bytes += bytes;
        if self.bytes > BYTES_MAX { Err(format!("the table has more than {BYTES_MAX} bytes")) } else { Ok(()) }
    }

    fn table(&mut self, table: &Table, depth: usize) -> Result<Data, String> {
        if depth >= DEPTH_MAX {
            return Err(format!("the table is nested deeper than {DEPTH_MAX}, or contains itself"));
        }
        if let Some(meta) = table.metatable() {
            match mark(&meta).as_deref() {
                Some("text") => return text_of(table).map(Data::Str),
                Some("list") if table.raw_len() == 0 => return Ok(Data::List(Vec::new())),
                _ => {}
            }
        }
        let length = table.raw_len();
        let mut list = Vec::new();
        for index in 1..=length {
            let value: Value = table.raw_get(index).map_err(|error| error.to_string())?;
            list.push(self.read(&value, depth + 1)?);
        }
        let mut map = Vec::new();
        let mut problem = None;
        let visited = table.for_each(|key: Value, value: Value| {
            if is_index(&key, length) {
                return Ok(());
            }
            match (self.read(&value, depth + 1), key_text(&key)) {
                (Ok(Data::Nil), Some(_)) => {}
                (Ok(data), Some(key)) => map.push((key, data)),
                (Ok(_), None) => problem = Some(format!("a {} cannot be the key of a field", key.type_name())),
                (Err(message), _) => problem = Some(message),
            }
            if problem.is_some() { Err(mlua::Error::StackError) } else { Ok(()) }
        });
        if let Some(message) = problem {
            return Err(message);
        }
        visited.map_err(|error| error.to_string())?;
        if map.is_empty() && !list.is_empty() {
            return Ok(Data::List(list));
        }
        map.sort_by(|(a, _), (b, _)| a.cmp(b));
        let numbered = list.into_iter().enumerate().map(|(index, data)| ((index + 1).to_string(), data));
        Ok(Data::Map(numbered.chain(map).collect()))
    }
}

/// Whether a key is one of the list's.
fn is_index(key: &Value, length: usize) -> bool {
    #[allow(clippy::cast_precision_loss)] // lengths of tables are exact doubles
    let (number, length) = match key {
        Value::Integer(number) => (*number as f64, length as f64),
        Value::Number(number) => (*number, length as f64),
        _ => return false,
    };
    number.fract() == 0.0 && number >= 1.0 && number <= length
}

fn key_text(key: &Value) -> Option<String> {
    Some(match key {
        Value::String(text) => text.to_string_lossy(),
        #[allow(clippy::cast_precision_loss)] // Luau's numbers are doubles
        Value::Integer(number) => number_text(*number as f64),
        Value::Number(number) => number_text(*number),
        Value::Boolean(value) => value.to_string(),
        _ => return None,
    })
}

fn mark(meta: &Table) -> Option<String> {
    meta.raw_get::<Option<String>>(MARK).ok().flatten()
}

/// Text of a string, a number, or a table that stands for a text. `None`: it is none.
pub(crate) fn text(value: &Value) -> Result<Option<Vec<u8>>, String> {
    Ok(match value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Integer(_) | Value::Number(_) => key_text(value).map(String::into_bytes),
        Value::Buffer(buffer) => Some(buffer.to_vec()),
        Value::Table(table)
            if table.metatable().is_some_and(|meta| meta.contains_key("__tostring").unwrap_or(false)) =>
        {
            Some(text_of(table)?)
        }
        _ => None,
    })
}

fn text_of(table: &Table) -> Result<Vec<u8>, String> {
    Value::Table(table.clone()).to_string().map(String::into_bytes).map_err(|error| error.to_string())
}

/// To the VM. `list` marks tables that came from an empty list, so that they go back as one.
pub(crate) fn to_lua(lua: &Lua, data: &Data, list: &Table) -> mlua::Result<Value> {
    Ok(match data {
        Data::Nil => Value::Nil,
        Data::Null => Value::NULL,
        Data::Bool(value) => Value::Boolean(*value),
        Data::Num(number) => Value::Number(*number),
        Data::Str(bytes) => Value::String(lua.create_string(bytes)?),
        Data::List(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            for (index, item) in items.iter().enumerate() {
                table.raw_seti(index + 1, to_lua(lua, item, list)?)?;
            }
            if items.is_empty() {
                table.set_metatable(Some(list.clone()))?;
            }
            Value::Table(table)
        }
        Data::Map(entries) => {
            let table = lua.create_table_with_capacity(0, entries.len())?;
            for (key, value) in entries {
                table.raw_set(key.as_str(), to_lua(lua, value, list)?)?;
            }
            Value::Table(table)
        }
    })
}
