//! YAML. Aliases are bounded by the library, so that a short text cannot become a large value; tags are ignored; `<<`
//! merges.

use serde_norway::{Mapping, Number, Value};
use sloth_lua::Data;

use super::json::integer_of;
use super::{DEPTH_MAX, Style};

/// Reads one document; an empty one is nothing.
pub(crate) fn decode(text: &[u8], nulls: bool) -> Result<Data, String> {
    let text = std::str::from_utf8(text).map_err(|error| format!("not valid UTF-8 at byte {}", error.valid_up_to()))?;
    let mut value: Value = serde_norway::from_str(text).map_err(|error| error.to_string())?;
    value.apply_merge().map_err(|error| error.to_string())?;
    to_data(value, nulls)
}

fn to_data(value: Value, nulls: bool) -> Result<Data, String> {
    Ok(match value {
        Value::Null if nulls => Data::Null,
        Value::Null => Data::Nil,
        Value::Bool(value) => Data::Bool(value),
        Value::Number(number) => Data::Num(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Data::text(text),
        Value::Sequence(items) => {
            Data::List(items.into_iter().map(|item| to_data(item, nulls)).collect::<Result<_, _>>()?)
        }
        Value::Mapping(map) => Data::Map(
            map.into_iter()
                .map(|(key, value)| Ok((key_text(key)?, to_data(value, nulls)?)))
                .collect::<Result<_, String>>()?,
        ),
        Value::Tagged(tagged) => to_data(tagged.value, nulls)?,
    })
}

fn key_text(key: Value) -> Result<String, String> {
    match key {
        Value::String(text) => Ok(text),
        Value::Null => Ok("null".into()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Tagged(tagged) => key_text(tagged.value),
        Value::Sequence(_) | Value::Mapping(_) => Err("a list or a map is the name of a member".into()),
    }
}

/// Writes a document.
pub(crate) fn encode(value: &Data, style: Style) -> Result<String, String> {
    serde_norway::to_string(&from_data(value, style, 0)?).map_err(|error| error.to_string())
}

fn from_data(value: &Data, style: Style, depth: usize) -> Result<Value, String> {
    if depth > DEPTH_MAX {
        return Err(format!("nested deeper than {DEPTH_MAX} levels"));
    }
    Ok(match value {
        Data::Nil | Data::Null => Value::Null,
        Data::Bool(value) => Value::Bool(*value),
        Data::Num(number) => Value::Number(integer_of(*number).map_or_else(|| Number::from(*number), Number::from)),
        Data::Str(bytes) => {
            Value::String(std::str::from_utf8(bytes).map_err(|_| "a string is not valid UTF-8")?.to_owned())
        }
        Data::List(items) => {
            Value::Sequence(items.iter().map(|item| from_data(item, style, depth + 1)).collect::<Result<_, _>>()?)
        }
        Data::Map(entries) => {
            let mut order: Vec<_> = entries.iter().filter(|(_, value)| *value != Data::Nil).collect();
            if style.sort_keys {
                order.sort_by(|a, b| a.0.cmp(&b.0));
            }
            let members = order
                .into_iter()
                .map(|(key, value)| Ok::<_, String>((Value::String(key.clone()), from_data(value, style, depth + 1)?)));
            Value::Mapping(members.collect::<Result<Mapping, _>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(text: &str) -> String {
        encode(&decode(text.as_bytes(), true).unwrap(), Style::default()).unwrap()
    }

    #[test]
    fn what_is_read_is_written() {
        for text in ["z: 1\na: []\nm: {}\nn: null\nf: 1.5\n", "- é\n- true\n- 'true'\n- '1'\n- ''\n"] {
            assert_eq!(again(text), text);
        }
    }

    /// Strings that another reader would take for something else are quoted.
    #[test]
    fn strings_stay_strings() {
        for text in ["no", "yes", "null", "~", "1e3", "0x10", "a: b", "# c", " x", "-", "2024-01-01"] {
            let value = Data::text(text);
            assert_eq!(decode(encode(&value, Style::default()).unwrap().as_bytes(), true).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn merges_tags_and_odd_names() {
        let value = decode(b"base: &b {x: 1, y: 2}\nc:\n  <<: *b\n  y: 3\n1: !tag one\ntrue: t\n", false).unwrap();
        assert_eq!(value.get("c").unwrap().get("x"), Some(&Data::Num(1.0)));
        assert_eq!(value.get("c").unwrap().get("y"), Some(&Data::Num(3.0)));
        assert_eq!(value.get("1"), Some(&Data::text("one")));
        assert_eq!(value.get("true"), Some(&Data::text("t")));
    }

    #[test]
    fn errors_name_the_place() {
        let error = decode(b"a: 1\nb: [1, 2\nc: 3\n", false).unwrap_err();
        assert!(error.contains("line") && error.contains("column"), "{error}");
        assert!(decode(&[0xff, 0xfe, 0xfd], false).unwrap_err().contains("byte 0"));
    }

    /// A text of a few hundred bytes must not become a value of gigabytes.
    #[test]
    fn bombs_are_refused() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let refs = vec![format!("*a{}", level - 1); 10].join(",");
            bomb.push_str(&format!("a{level}: &a{level} [{refs}]\n"));
        }
        assert!(decode(bomb.as_bytes(), false).is_err());
        assert!(decode("[".repeat(50_000).as_bytes(), false).is_err());
    }
}
