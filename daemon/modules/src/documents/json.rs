//! JSON (RFC 8259). Members keep their order. Numbers are doubles, as everything in Lua: integral ones are written
//! without a fraction.

use serde_json::Value;
use sloth_lua::Data;

use super::{DEPTH_MAX, Style};

/// Reads one value. Nesting is bounded by serde_json at 128.
pub(crate) fn decode(text: &[u8], nulls: bool) -> Result<Data, String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    serde_json::from_slice(text).map(|value| to_data(value, nulls)).map_err(|error| error.to_string())
}

/// The value as scripts see it.
pub(crate) fn to_data(value: Value, nulls: bool) -> Data {
    match value {
        Value::Null if nulls => Data::Null,
        Value::Null => Data::Nil,
        Value::Bool(value) => Data::Bool(value),
        Value::Number(number) => Data::Num(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Data::Str(text.into_bytes()),
        Value::Array(items) => Data::List(items.into_iter().map(|item| to_data(item, nulls)).collect()),
        Value::Object(map) => Data::Map(map.into_iter().map(|(key, value)| (key, to_data(value, nulls))).collect()),
    }
}

/// Writes a value. What JSON has not is an error that says where it is.
pub(crate) fn encode(value: &Data, style: Style) -> Result<String, String> {
    let mut writer = Writer { text: String::new(), style, place: Vec::new() };
    writer.value(value)?;
    Ok(writer.text)
}

struct Writer<'a> {
    text: String,
    style: Style,
    place: Vec<Step<'a>>,
}

enum Step<'a> {
    Member(&'a str),
    Item(usize),
}

impl<'a> Writer<'a> {
    fn value(&mut self, value: &'a Data) -> Result<(), String> {
        if self.place.len() > DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX} levels"));
        }
        match value {
            Data::Nil | Data::Null => self.text.push_str("null"),
            Data::Bool(value) => self.text.push_str(if *value { "true" } else { "false" }),
            Data::Num(number) => {
                let text = number_text(*number).ok_or_else(|| self.complain("is not a number that JSON has"))?;
                self.text.push_str(&text);
            }
            Data::Str(bytes) => {
                let text = std::str::from_utf8(bytes).map_err(|_| self.complain("is not valid UTF-8"))?;
                self.string(text);
            }
            Data::List(items) => self.list(items)?,
            Data::Map(entries) => self.map(entries)?,
        }
        Ok(())
    }

    fn list(&mut self, items: &'a [Data]) -> Result<(), String> {
        self.text.push('[');
        for (index, item) in items.iter().enumerate() {
            self.separate(index, self.place.len() + 1);
            self.place.push(Step::Item(index + 1));
            self.value(item)?;
            self.place.pop();
        }
        self.close(items.is_empty(), ']');
        Ok(())
    }

    fn map(&mut self, entries: &'a [(String, Data)]) -> Result<(), String> {
        let mut order: Vec<&(String, Data)> = entries.iter().filter(|(_, value)| *value != Data::Nil).collect();
        if self.style.sort_keys {
            order.sort_by(|a, b| a.0.cmp(&b.0));
        }
        self.text.push('{');
        for (index, (key, value)) in order.iter().enumerate() {
            self.separate(index, self.place.len() + 1);
            self.string(key);
            self.text.push_str(if self.style.pretty { ": " } else { ":" });
            self.place.push(Step::Member(key));
            self.value(value)?;
            self.place.pop();
        }
        self.close(order.is_empty(), '}');
        Ok(())
    }

    fn separate(&mut self, index: usize, depth: usize) {
        if index > 0 {
            self.text.push(',');
        }
        self.line(depth);
    }

    fn close(&mut self, empty: bool, end: char) {
        if !empty {
            self.line(self.place.len());
        }
        self.text.push(end);
    }

    fn line(&mut self, depth: usize) {
        if self.style.pretty {
            self.text.push('\n');
            (0..depth).for_each(|_| self.text.push_str("  "));
        }
    }

    fn string(&mut self, text: &str) {
        self.text.push_str(&Value::from(text).to_string());
    }

    fn complain(&self, what: &str) -> String {
        let mut place = String::new();
        for step in &self.place {
            match step {
                Step::Member(name) if place.is_empty() => place.push_str(name),
                Step::Member(name) => {
                    place.push('.');
                    place.push_str(name);
                }
                Step::Item(index) => place.push_str(&format!("[{index}]")),
            }
        }
        if place.is_empty() { format!("the value {what}") } else { format!("{place} {what}") }
    }
}

/// 2^63: integral doubles below it are written as integers.
const INTEGER_MAX: f64 = 9_223_372_036_854_775_808.0;

/// A number as JSON has it; `None` for NaN and infinity.
pub(crate) fn number_text(number: f64) -> Option<String> {
    integer_of(number)
        .map(|integer| integer.to_string())
        .or_else(|| serde_json::Number::from_f64(number).map(|number| number.to_string()))
}

/// The integer that a double is, if it is one.
#[allow(clippy::cast_possible_truncation)] // integral and in range
pub(crate) fn integer_of(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < INTEGER_MAX).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(text: &str) -> String {
        encode(&decode(text.as_bytes(), true).unwrap(), Style::default()).unwrap()
    }

    /// "Objects keep integer-valued numbers without fraction"; order, nulls, and empty arrays stay.
    #[test]
    fn what_is_read_is_written() {
        for text in [
            r#"{"z":1,"a":[],"m":{},"n":null,"f":1.5,"i":-7,"big":9007199254740992}"#,
            r#"["é","\"","\n",true,false,0.1,1e300]"#,
            "[]",
            "{}",
            "null",
        ] {
            assert_eq!(again(text).replace("e+", "e"), text);
        }
        assert_eq!(again("3.0"), "3");
    }

    /// "decodes to json.null only with {nulls=true}, else absent".
    #[test]
    fn nulls_are_absent_unless_asked_for() {
        let value = decode(br#"{"a":null,"b":1}"#, false).unwrap();
        assert_eq!(encode(&value, Style::default()).unwrap(), r#"{"b":1}"#);
        assert_eq!(decode(br#"{"a":null}"#, true).unwrap().get("a"), Some(&Data::Null));
    }

    #[test]
    fn errors_name_the_place() {
        let error = decode(b"{\n  \"a\": x\n}", false).unwrap_err();
        assert!(error.contains("at line 2 column"), "{error}");
        let nested = Data::map([("a", Data::List(vec![Data::Num(1.0), Data::map([("b", Data::Num(f64::NAN))])]))]);
        assert_eq!(encode(&nested, Style::default()).unwrap_err(), "a[2].b is not a number that JSON has");
        assert_eq!(encode(&Data::Str(vec![0xff]), Style::default()).unwrap_err(), "the value is not valid UTF-8");
    }

    #[test]
    fn depth_is_bounded_both_ways() {
        assert!(decode("[".repeat(100_000).as_bytes(), false).is_err());
        let deep = (0..5000).fold(Data::Nil, |inner, _| Data::List(vec![inner]));
        assert!(encode(&deep, Style::default()).unwrap_err().contains("nested deeper"));
    }

    #[test]
    fn pretty_and_sorted() {
        let value = Data::map([("b", Data::List(vec![Data::Num(1.0)])), ("a", Data::Map(vec![]))]);
        let text = encode(&value, Style { pretty: true, sort_keys: true }).unwrap();
        assert_eq!(text, "{\n  \"a\": {},\n  \"b\": [\n    1\n  ]\n}");
    }
}
