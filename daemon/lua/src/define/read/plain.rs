//! Texts, numbers, durations, lists of texts, JSON.

use serde_json::{Map, Value};
use sloth_core::units::{DURATION_MAX, parse_duration};
use sloth_core::workflow::FnRef;

use crate::define::fault::Fault;
use crate::define::raw::Raw;

type Read<T> = Result<T, Fault>;

/// A string, or a number as text.
pub(crate) fn text(raw: &Raw) -> Read<String> {
    match raw {
        Raw::Str(text) => Ok(text.clone()),
        Raw::Num(number) => Ok(crate::data::number_text(*number)),
        other => Err(Fault::wrong("string", other.type_name())),
    }
}

/// A switch; absent is true, so that `async()` switches on.
pub(crate) fn boolean(raw: &Raw) -> Read<bool> {
    match raw {
        Raw::Nil => Ok(true),
        Raw::Bool(value) => Ok(*value),
        other => Err(Fault::wrong("boolean", other.type_name())),
    }
}

/// A function of the script.
pub(crate) fn function(raw: &Raw) -> Read<FnRef> {
    match raw {
        Raw::Fn(number) => Ok(*number),
        other => Err(Fault::wrong("function", other.type_name())),
    }
}

/// A whole number in a range.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // checked, and the ranges are small
pub(crate) fn int(raw: &Raw, least: i64, most: i64) -> Read<i64> {
    let number = match raw {
        Raw::Num(number) => *number,
        Raw::Str(text) => match text.trim().parse() {
            Ok(number) => number,
            Err(_) => return Err(Fault::new("E113", format!("{text:?} is not a whole number"))),
        },
        other => return Err(Fault::wrong("whole number", other.type_name())),
    };
    if number.fract() != 0.0 || !(least as f64..=most as f64).contains(&number) {
        return Err(Fault::new("E113", format!("{number} is not a whole number from {least} to {most}")));
    }
    Ok(number as i64)
}

/// A duration in milliseconds: a number is seconds.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked
pub(crate) fn duration_ms(raw: &Raw) -> Read<u64> {
    let ms = match raw {
        Raw::Num(number) if *number >= 0.0 && *number <= DURATION_MAX.as_secs_f64() => (number * 1000.0).round() as u64,
        Raw::Num(number) => {
            let problem = if *number < 0.0 { "is negative" } else { "is no duration" };
            return Err(
                Fault::new("E113", format!("{number} {problem}")).hint("a number of seconds, or \"90s\", \"1h30m\"")
            );
        }
        Raw::Str(text) => {
            let duration = parse_duration(text)?;
            // What is above zero stays above zero: zero often means "none".
            duration.as_millis().max(u128::from(!duration.is_zero())) as u64
        }
        other => return Err(Fault::wrong("duration", other.type_name())),
    };
    Ok(ms)
}

/// A duration, where zero means none.
pub(crate) fn optional_duration(raw: &Raw) -> Read<Option<u64>> {
    duration_ms(raw).map(|ms| (ms > 0).then_some(ms))
}

/// Strings and lists of strings, mixed.
pub(crate) fn strings(raws: &[Raw]) -> Read<Vec<String>> {
    let mut found = Vec::new();
    for raw in raws {
        match raw {
            Raw::Nil => {}
            Raw::Table(table) if table.map.is_empty() => found.extend(strings(&table.list)?),
            other => found.push(text(other)?),
        }
    }
    Ok(found)
}

/// Names and values of an environment; `false` unsets.
pub(crate) fn env(raw: &Raw) -> Read<Vec<(String, Option<String>)>> {
    let table = raw.table().ok_or_else(|| Fault::wrong("table", raw.type_name()))?;
    let mut found = Vec::new();
    for (name, value) in &table.map {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(Fault::new("E110", format!("{name:?} is no name of an environment variable")));
        }
        let value = match value {
            Raw::Bool(false) => None,
            Raw::Bool(true) => Some("true".to_owned()),
            other => Some(text(other).map_err(|fault| fault.about(&format!("env.{name}")))?),
        };
        found.push((name.clone(), value));
    }
    if table.list.is_empty() { Ok(found) } else { Err(Fault::wrong("table of names and values", "a list")) }
}

/// Any JSON value; what has no JSON form is refused.
pub(crate) fn json(raw: &Raw) -> Read<Value> {
    let mut dropped = 0;
    let value = raw.to_json(false, &mut dropped);
    if dropped == 0 { Ok(value) } else { Err(Fault::wrong("data", "a function or object inside it")) }
}

/// A table as JSON; a list counts as one with the names 1 to n.
pub(crate) fn json_map(raw: &Raw) -> Read<Map<String, Value>> {
    match json(raw)? {
        Value::Object(map) => Ok(map),
        Value::Array(items) => Ok((1..).zip(items).map(|(at, item): (u32, Value)| (at.to_string(), item)).collect()),
        _ => Err(Fault::wrong("table", raw.type_name())),
    }
}

/// Where a task runs; `None`: here.
pub(crate) fn delegate(raw: &Raw) -> Read<Option<Value>> {
    match raw {
        Raw::Str(name) if name == "local" || name == "localhost" => Ok(None),
        Raw::Str(name) if name.is_empty() => Err(Fault::new("E110", "the name of an agent is empty")),
        Raw::Str(_) | Raw::Table(_) | Raw::Fn(_) => {
            let mut dropped = 0;
            Ok(Some(raw.to_json(true, &mut dropped)))
        }
        other => Err(Fault::wrong("name, list, table or function", other.type_name())),
    }
}
