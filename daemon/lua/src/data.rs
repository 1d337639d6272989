//! Values that cross the border between the VM and the host: JSON with byte strings.

use serde_json::{Map, Number, Value};

/// A value without identity. Lua numbers are doubles; integral ones print without a fraction.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Data {
    /// `nil`.
    #[default]
    Nil,
    /// `json.null`: a null that a script holds on purpose, other than nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Num(f64),
    /// A string: any bytes.
    Str(Vec<u8>),
    /// A table with keys 1 to n; an empty list is encoded as `[]`.
    List(Vec<Data>),
    /// Any other table, in the order given; an empty one is encoded as `{}`.
    Map(Vec<(String, Data)>),
}

impl Data {
    /// Text.
    pub fn text(text: impl Into<String>) -> Data {
        Data::Str(text.into().into_bytes())
    }

    /// A map.
    pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Data)>) -> Data {
        Data::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// A list of texts.
    pub fn texts<T: Into<String>>(items: impl IntoIterator<Item = T>) -> Data {
        Data::List(items.into_iter().map(Data::text).collect())
    }

    /// Member of a map.
    pub fn get(&self, key: &str) -> Option<&Data> {
        match self {
            Data::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Text of a string, or a number as Lua prints it; invalid UTF-8 is replaced.
    pub fn to_text(&self) -> Option<String> {
        match self {
            Data::Str(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Data::Num(number) => Some(number_text(*number)),
            _ => None,
        }
    }

    /// Name of its type, as Lua says it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Data::Nil => "nil",
            Data::Null => "null",
            Data::Bool(_) => "boolean",
            Data::Num(_) => "number",
            Data::Str(_) => "string",
            Data::List(_) | Data::Map(_) => "table",
        }
    }

    /// As JSON: invalid UTF-8 is replaced, a number without fraction becomes an integer, what JSON has not (NaN,
    /// infinity) becomes null.
    pub fn to_json(&self) -> Value {
        match self {
            Data::Nil | Data::Null => Value::Null,
            Data::Bool(value) => Value::Bool(*value),
            Data::Num(number) => json_number(*number),
            Data::Str(bytes) => Value::String(String::from_utf8_lossy(bytes).into_owned()),
            Data::List(items) => Value::Array(items.iter().map(Data::to_json).collect()),
            Data::Map(entries) => {
                Value::Object(entries.iter().map(|(key, value)| (key.clone(), value.to_json())).collect::<Map<_, _>>())
            }
        }
    }

    /// From JSON.
    pub fn from_json(value: &Value) -> Data {
        match value {
            Value::Null => Data::Nil,
            Value::Bool(value) => Data::Bool(*value),
            Value::Number(number) => Data::Num(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => Data::text(text.clone()),
            Value::Array(items) => Data::List(items.iter().map(Data::from_json).collect()),
            Value::Object(map) => {
                Data::Map(map.iter().map(|(key, value)| (key.clone(), Data::from_json(value))).collect())
            }
        }
    }
}

/// Largest magnitude below which every integer is a double.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn json_number(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() <= EXACT {
        #[allow(clippy::cast_possible_truncation)] // integral and below 2^53
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// As `tostring` prints it.
pub(crate) fn number_text(number: f64) -> String {
    match json_number(number) {
        Value::Null => format!("{number}").to_lowercase(),
        number => number.to_string(),
    }
}

impl From<&str> for Data {
    fn from(text: &str) -> Data {
        Data::text(text)
    }
}

impl From<String> for Data {
    fn from(text: String) -> Data {
        Data::text(text)
    }
}

impl From<bool> for Data {
    fn from(value: bool) -> Data {
        Data::Bool(value)
    }
}

impl From<f64> for Data {
    fn from(number: f64) -> Data {
        Data::Num(number)
    }
}

impl From<i64> for Data {
    #[allow(clippy::cast_precision_loss)] // Lua has doubles only
    fn from(number: i64) -> Data {
        Data::Num(number as f64)
    }
}

impl From<u64> for Data {
    #[allow(clippy::cast_precision_loss)] // Lua has doubles only
    fn from(number: u64) -> Data {
        Data::Num(number as f64)
    }
}

impl<T: Into<Data>> From<Option<T>> for Data {
    fn from(value: Option<T>) -> Data {
        value.map_or(Data::Nil, Into::into)
    }
}
