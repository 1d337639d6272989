//! From the values of a call to arguments by name. A function accepts positional arguments, one table with names, or
//! positional arguments and a table of options as the last one.

use std::time::Duration;

use mlua::{MultiValue, Table, Value};
use sloth_core::units::{parse_duration, parse_size};

use super::convert::{self, Alien, to_data};
use crate::data::Data;
use crate::module::{Args, Function, Param, Type};

/// Options that every function that changes something accepts.
const COMMON: &[Param] = &[
    option("check", Type::Bool),
    option("user", Type::Str),
    option("sudo", Type::Any),
    option("timeout", Type::Duration),
    option("host", Type::Str),
    option("register", Type::Bool),
    option("resource_name", Type::Str),
    option("ignore_changes", Type::Any),
];

/// Understood by the VM itself.
const RAISE: Param = option("raise", Type::Bool);

/// Names of a first parameter that say nothing, so that a table with this one key is a value.
const VALUE_NAMES: &[&str] = &["value", "v", "t", "tbl", "data", "x", "a"];

const fn option(name: &'static str, kind: Type) -> Param {
    Param { name, aliases: &[], kind, required: false, default: "" }
}

/// Arguments of a call.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    pub(crate) args: Args,
    /// Names that the function does not know.
    pub(crate) unknown: Vec<String>,
    /// `raise = true`.
    pub(crate) raise: bool,
}

/// A wrong argument: its name, and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) name: String,
    pub(crate) problem: String,
}

/// Reads the values of a call.
pub(crate) fn bind(function: &'static Function, values: &MultiValue) -> Result<Bound, Wrong> {
    let mut binder = Binder { function, bound: Bound::default() };
    match one_table(function, values) {
        Some(table) => binder.named(&table, true)?,
        None => binder.positional(values)?,
    }
    for param in function.params.iter().chain(function.options).filter(|param| param.required) {
        if binder.bound.args.get(param.name).is_none() {
            return Err(wrong(param, &expected(param.kind, "nil")));
        }
    }
    Ok(binder.bound)
}

/// The table, when the call has the form with one table.
fn one_table(function: &'static Function, values: &MultiValue) -> Option<Table> {
    let (1, Some(Value::Table(table))) = (values.len(), values.front()) else { return None };
    if stands_for_text(table) || (function.params.is_empty() && function.options.is_empty() && function.variadic) {
        return None;
    }
    let Some(first) = function.params.first() else { return Some(table.clone()) };
    if table.raw_len() > 0 && (takes_table(first.kind) || !has_names(table)) {
        return None;
    }
    if !takes_table(first.kind) {
        return Some(table.clone());
    }
    let (known, count, has_first) = names_of(function, table, first);
    let value = count == 1 && VALUE_NAMES.contains(&first.name);
    (known && has_first && !value).then(|| table.clone())
}

fn stands_for_text(table: &Table) -> bool {
    table.metatable().is_some_and(|meta| meta.contains_key("__tostring").unwrap_or(false))
}

fn has_names(table: &Table) -> bool {
    let mut named = false;
    let _ = table.for_each(|key: Value, _: Value| {
        named |= matches!(key, Value::String(_));
        if named { Err(mlua::Error::StackError) } else { Ok(()) }
    });
    named
}

/// Whether all names are known, how many there are, and whether the first parameter is among them.
fn names_of(function: &'static Function, table: &Table, first: &Param) -> (bool, usize, bool) {
    let (mut known, mut count, mut has_first) = (true, 0, false);
    let _ = table.for_each(|key: Value, _: Value| {
        count += 1;
        let name = match &key {
            Value::String(text) => text.to_string_lossy(),
            _ => String::new(),
        };
        known &= find(function, &name).is_some();
        has_first |= is_named(first, &name);
        Ok(())
    });
    (known, count, has_first)
}

fn takes_table(kind: Type) -> bool {
    matches!(kind, Type::Any | Type::Map | Type::List | Type::StrOrList)
}

fn is_named(param: &Param, name: &str) -> bool {
    param.name == name || param.aliases.contains(&name)
}

fn find(function: &'static Function, name: &str) -> Option<&'static Param> {
    let own = || function.params.iter().chain(function.options).find(|param| is_named(param, name));
    let common = || COMMON.iter().filter(|_| function.mutates).find(|param| param.name == name);
    own().or_else(common).or_else(|| (name == RAISE.name).then_some(&RAISE))
}

struct Binder {
    function: &'static Function,
    bound: Bound,
}

impl Binder {
    fn positional(&mut self, values: &MultiValue) -> Result<(), Wrong> {
        let params = self.function.params;
        let last = values.len().checked_sub(1);
        for (index, value) in values.iter().enumerate() {
            let param = params.get(index);
            let kind = param.map(|param| param.kind);
            let options = match value {
                Value::Table(table) if Some(index) == last && index > 0 && !stands_for_text(table) => {
                    let kept = kind.is_none() && self.function.variadic && !self.is_options(table);
                    !(kind.is_some_and(takes_table) || kept)
                }
                _ => false,
            };
            match (value, param) {
                (Value::Table(table), _) if options => self.named(table, false)?,
                (Value::Nil, Some(_)) => {}
                (value, Some(param)) => self.set(param, value)?,
                (value, None) if self.function.variadic => {
                    let data = to_data(value, Alien::Refuse)
                        .map_err(|problem| Wrong { name: format!("#{}", index + 1), problem })?;
                    self.bound.args.rest.push(data);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether every name of a table is that of an option.
    fn is_options(&self, table: &Table) -> bool {
        let mut all = has_names(table);
        let _ = table.for_each(|key: Value, _: Value| {
            let Value::String(text) = &key else {
                all = false;
                return Ok(());
            };
            all &= find(self.function, &text.to_string_lossy()).is_some();
            Ok(())
        });
        all
    }

    /// Names of a table; in the form with one table its list part are positional arguments.
    fn named(&mut self, table: &Table, whole: bool) -> Result<(), Wrong> {
        let mut entries = Vec::new();
        table
            .for_each(|key: Value, value: Value| {
                entries.push((key, value));
                Ok(())
            })
            .map_err(|error| Wrong { name: "options".to_owned(), problem: error.to_string() })?;
        for (key, value) in entries {
            match &key {
                Value::String(text) => self.one(&text.to_string_lossy(), &value)?,
                Value::Integer(index) if whole => self.by_index(*index as f64, &value)?,
                Value::Number(index) if whole => self.by_index(*index, &value)?,
                other => self.bound.unknown.push(format!("[{}]", other.to_string().unwrap_or_default())),
            }
        }
        Ok(())
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates, and is looked up
    fn by_index(&mut self, index: f64, value: &Value) -> Result<(), Wrong> {
        match self.function.params.get((index as usize).wrapping_sub(1)) {
            Some(param) if self.bound.args.get(param.name).is_none() => self.set(param, value),
            _ => Ok(()),
        }
    }

    fn one(&mut self, name: &str, value: &Value) -> Result<(), Wrong> {
        match find(self.function, name) {
            Some(param) if std::ptr::eq(param, &RAISE) || param.name == RAISE.name => {
                self.bound.raise = matches!(value, Value::Boolean(true));
                Ok(())
            }
            Some(param) => self.set(param, value),
            None => {
                self.bound.unknown.push(name.to_owned());
                Ok(())
            }
        }
    }

    fn set(&mut self, param: &'static Param, value: &Value) -> Result<(), Wrong> {
        let data = coerce(param.kind, value).map_err(|problem| wrong(param, &problem))?;
        let args = std::mem::take(&mut self.bound.args);
        self.bound.args = args.with(param.name, data);
        Ok(())
    }
}

fn wrong(param: &Param, problem: &str) -> Wrong {
    Wrong { name: param.name.to_owned(), problem: problem.to_owned() }
}

fn expected(kind: Type, got: &str) -> String {
    let name = match kind {
        Type::Any => "value",
        Type::Bool => "boolean",
        Type::Int | Type::Num => "number",
        Type::Str => "string",
        Type::Duration => "duration",
        Type::Size => "size",
        Type::List => "list",
        Type::Map => "table",
        Type::StrOrList => "string or list",
        Type::Function => "function",
    };
    format!("{name} expected, got {got}")
}

/// A value as a parameter wants it.
fn coerce(kind: Type, value: &Value) -> Result<Data, String> {
    let got = if matches!(value, Value::LightUserData(_)) { "null" } else { value.type_name() };
    let got = if got == "integer" { "number" } else { got };
    let text = || convert::text(value);
    let refuse = || Err(expected(kind, got));
    match kind {
        Type::Any => to_data(value, Alien::Refuse),
        Type::Bool => match value {
            Value::Boolean(value) => Ok(Data::Bool(*value)),
            Value::String(text) => switch(&text.to_string_lossy()).map_or_else(refuse, |value| Ok(Data::Bool(value))),
            _ => refuse(),
        },
        Type::Num => number(value)?.map_or_else(refuse, |number| Ok(Data::Num(number))),
        Type::Int => match number(value)? {
            Some(number) if number.fract() == 0.0 => Ok(Data::Num(number)),
            Some(number) => Err(format!(
                "number without fraction expected, got {}",
                Data::Num(number).to_text().unwrap_or_default()
            )),
            None => refuse(),
        },
        Type::Str => text()?.map_or_else(refuse, |bytes| Ok(Data::Str(bytes))),
        Type::Duration => duration(value)?.map_or_else(refuse, |time| Ok(Data::Num(time.as_secs_f64() * 1000.0))),
        Type::Size => size(value)?.map_or_else(refuse, |bytes| Ok(Data::Num(bytes))),
        Type::List => match to_data(value, Alien::Refuse)? {
            list @ Data::List(_) => Ok(list),
            Data::Map(entries) if entries.is_empty() => Ok(Data::List(Vec::new())),
            _ => refuse(),
        },
        Type::Map => match to_data(value, Alien::Refuse)? {
            map @ Data::Map(_) => Ok(map),
            Data::List(items) if items.is_empty() => Ok(Data::Map(Vec::new())),
            Data::List(items) => {
                Ok(Data::Map(items.into_iter().enumerate().map(|(n, item)| ((n + 1).to_string(), item)).collect()))
            }
            _ => refuse(),
        },
        Type::StrOrList => match text()? {
            Some(bytes) => Ok(Data::Str(bytes)),
            None => strings(value, kind, got),
        },
        Type::Function => Err("a function cannot be given to the host".to_owned()),
    }
}

fn strings(value: &Value, kind: Type, got: &str) -> Result<Data, String> {
    let Value::Table(table) = value else { return Err(expected(kind, got)) };
    let mut items = Vec::new();
    for index in 1..=table.raw_len() {
        let item: Value = table.raw_get(index).map_err(|error| error.to_string())?;
        let bytes = convert::text(&item)?
            .ok_or_else(|| format!("list of strings expected, got a {} at {index}", item.type_name()))?;
        items.push(Data::Str(bytes));
    }
    if items.is_empty() && has_names(table) { Err(expected(kind, "a table with names")) } else { Ok(Data::List(items)) }
}

fn switch(text: &str) -> Option<bool> {
    match text {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn number(value: &Value) -> Result<Option<f64>, String> {
    Ok(match value {
        #[allow(clippy::cast_precision_loss)] // Luau's numbers are doubles
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        other => convert::text(other)?.and_then(|text| std::str::from_utf8(&text).ok()?.trim().parse().ok()),
    })
}

/// Milliseconds of a duration: a number of seconds, or a text.
pub(crate) fn duration_ms(value: &Value) -> Option<f64> {
    duration(value).ok().flatten().map(|time| time.as_secs_f64() * 1000.0)
}

fn duration(value: &Value) -> Result<Option<Duration>, String> {
    match value {
        Value::Integer(_) | Value::Number(_) => {
            let seconds = number(value)?.unwrap_or(f64::NAN);
            Duration::try_from_secs_f64(seconds).map(Some).map_err(|_| format!("duration expected, got {seconds}"))
        }
        other => match convert::text(other)? {
            Some(text) => parse_duration(&String::from_utf8_lossy(&text)).map(Some).map_err(|error| error.to_string()),
            None => Ok(None),
        },
    }
}

fn size(value: &Value) -> Result<Option<f64>, String> {
    match value {
        Value::Integer(_) | Value::Number(_) => match number(value)? {
            Some(bytes) if bytes >= 0.0 => Ok(Some(bytes.trunc())),
            other => Err(format!("size expected, got {}", other.unwrap_or(f64::NAN))),
        },
        other => match convert::text(other)? {
            #[allow(clippy::cast_precision_loss)] // Luau's numbers are doubles
            Some(text) => parse_size(&String::from_utf8_lossy(&text))
                .map(|bytes| Some(bytes as f64))
                .map_err(|error| error.to_string()),
            None => Ok(None),
        },
    }
}
