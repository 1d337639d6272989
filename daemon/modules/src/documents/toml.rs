//! TOML. Dates are text. A document is a table, and has no null.

use sloth_lua::Data;
use toml::{Table, Value};

use super::json::integer_of;
use super::{DEPTH_MAX, Style};

/// Reads a document.
pub(crate) fn decode(text: &[u8], _nulls: bool) -> Result<Data, String> {
    let text = std::str::from_utf8(text).map_err(|error| format!("not valid UTF-8 at byte {}", error.valid_up_to()))?;
    let table: Table = toml::from_str(text).map_err(|error| match error.span() {
        Some(span) => {
            let (line, column) = line_column(text, span.start);
            format!("{} at line {line} column {column}", error.message())
        }
        None => error.message().to_owned(),
    })?;
    Ok(to_data(Value::Table(table)))
}

/// Line and column, from 1, of a byte.
pub(crate) fn line_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    (line, String::from_utf8_lossy(&before[start..]).chars().count() + 1)
}

#[allow(clippy::cast_precision_loss)] // Lua has doubles only
fn to_data(value: Value) -> Data {
    match value {
        Value::String(text) => Data::text(text),
        Value::Integer(number) => Data::Num(number as f64),
        Value::Float(number) => Data::Num(number),
        Value::Boolean(value) => Data::Bool(value),
        Value::Datetime(at) => Data::text(at.to_string()),
        Value::Array(items) => Data::List(items.into_iter().map(to_data).collect()),
        Value::Table(table) => Data::Map(table.into_iter().map(|(key, value)| (key, to_data(value))).collect()),
    }
}

/// Writes a document.
pub(crate) fn encode(value: &Data, style: Style) -> Result<String, String> {
    let empty = Data::Map(Vec::new());
    let value = if matches!(value, Data::List(items) if items.is_empty()) { &empty } else { value };
    let Data::Map(_) = value else {
        return Err(format!("a document is a table with names, not a {}", kind(value)));
    };
    let value = from_data(value, style, "", 0)?;
    let text = if style.pretty { toml::to_string_pretty(&value) } else { toml::to_string(&value) };
    text.map_err(|error| error.to_string())
}

fn kind(value: &Data) -> &'static str {
    if matches!(value, Data::List(_)) { "list" } else { value.type_name() }
}

fn from_data(value: &Data, style: Style, name: &str, depth: usize) -> Result<Value, String> {
    if depth > DEPTH_MAX {
        return Err(format!("nested deeper than {DEPTH_MAX} levels"));
    }
    Ok(match value {
        Data::Nil | Data::Null => return Err(format!("`{name}` holds null, which TOML does not have")),
        Data::Bool(value) => Value::Boolean(*value),
        Data::Num(number) => integer_of(*number).map_or(Value::Float(*number), Value::Integer),
        Data::Str(bytes) => {
            Value::String(std::str::from_utf8(bytes).map_err(|_| format!("`{name}` is not valid UTF-8"))?.to_owned())
        }
        Data::List(items) => {
            Value::Array(items.iter().map(|item| from_data(item, style, name, depth + 1)).collect::<Result<_, _>>()?)
        }
        Data::Map(entries) => {
            let mut order: Vec<_> = entries.iter().filter(|(_, value)| *value != Data::Nil).collect();
            if style.sort_keys {
                order.sort_by(|a, b| a.0.cmp(&b.0));
            }
            let members = order
                .into_iter()
                .map(|(key, value)| Ok::<_, String>((key.clone(), from_data(value, style, key, depth + 1)?)));
            Value::Table(members.collect::<Result<Table, _>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written() {
        let text = "z = 1\na = []\nf = 1.5\ns = \"é\"\n\n[m]\ni = -7\n\n[[t]]\nx = true\n";
        assert_eq!(encode(&decode(text.as_bytes(), false).unwrap(), Style::default()).unwrap(), text);
        let date = decode(b"at = 2030-01-31T06:00:00Z\n", false).unwrap();
        assert_eq!(date.get("at"), Some(&Data::text("2030-01-31T06:00:00Z")));
    }

    #[test]
    fn errors_name_the_place() {
        let error = decode(b"a = 1\nb = = 2\n", false).unwrap_err();
        assert!(error.contains("line 2 column 5"), "{error}");
        let error = encode(&Data::map([("a", Data::Null)]), Style::default()).unwrap_err();
        assert_eq!(error, "`a` holds null, which TOML does not have");
        assert!(encode(&Data::List(vec![Data::Num(1.0)]), Style::default()).unwrap_err().contains("not a list"));
    }
}
