//! `a.b[0].c`: where a value of `--set` goes.

use serde_json::{Map, Value};

use crate::failure::Failure;

/// Longest list that `--set a[N]=x` makes: a slip of the finger must not fill the memory.
const INDEX_MAX: usize = 10_000;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// Reads a path. A backslash takes the meaning from the character after it.
pub(crate) fn parse(text: &str) -> Result<Vec<Step>, Failure> {
    let wrong = |why: &str| Failure::usage(format!("\"{text}\" is no path of a value: {why}; write it as a.b[0]"));
    let mut steps = Vec::new();
    let mut key = String::new();
    let mut after_index = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => key.push(chars.next().ok_or_else(|| wrong("a backslash at its end"))?),
            '.' if after_index && key.is_empty() => after_index = false,
            '.' | '[' => {
                if !(c == '[' && after_index && key.is_empty()) {
                    steps.push(Step::Key(named(std::mem::take(&mut key)).ok_or_else(|| wrong("an empty name"))?));
                }
                after_index = c == '[';
                if c == '[' {
                    let digits: String = chars.by_ref().take_while(|&c| c != ']').collect();
                    let index = digits.parse().map_err(|_| wrong("no number between the brackets"))?;
                    if index > INDEX_MAX {
                        return Err(wrong("a list that long is not made"));
                    }
                    steps.push(Step::Index(index));
                }
            }
            c if after_index => return Err(wrong(&format!("\"{c}\" behind a bracket"))),
            c => key.push(c),
        }
    }
    if !after_index {
        steps.push(Step::Key(named(key).ok_or_else(|| wrong("an empty name"))?));
    }
    match steps.first() {
        Some(Step::Key(_)) => Ok(steps),
        _ => Err(wrong("it begins with a bracket")),
    }
}

fn named(key: String) -> Option<String> {
    (!key.is_empty()).then_some(key)
}

/// Puts a value where the path leads. What is in the way and is neither a map nor a list is replaced.
pub(crate) fn set(root: &mut Map<String, Value>, path: &[Step], value: Value) {
    let Some((Step::Key(first), rest)) = path.split_first() else {
        return;
    };
    let mut at = root.entry(first.clone()).or_insert(Value::Null);
    for step in rest {
        at = match step {
            Step::Key(key) => {
                if !at.is_object() {
                    *at = Value::Object(Map::new());
                }
                match at {
                    Value::Object(map) => map.entry(key.clone()).or_insert(Value::Null),
                    _ => return,
                }
            }
            Step::Index(index) => {
                if !at.is_array() {
                    *at = Value::Array(Vec::new());
                }
                match at {
                    Value::Array(list) => {
                        if list.len() <= *index {
                            list.resize(index + 1, Value::Null);
                        }
                        &mut list[*index]
                    }
                    _ => return,
                }
            }
        };
    }
    *at = value;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_read_and_lead_where_they_say() {
        let mut root = Map::new();
        for (path, value) in [("a.b[1].c", 1), ("a.b[0]", 2), ("x\\.y", 3), ("m[0][1]", 4), ("a.b[1].d", 5)] {
            set(&mut root, &parse(path).expect(path), value.into());
        }
        let expected = json!({"a": {"b": [2, {"c": 1, "d": 5}]}, "x.y": 3, "m": [[null, 4]]});
        assert_eq!(Value::from(root), expected);
    }

    #[test]
    fn what_is_no_path_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "empty"),
            ("a..b", "empty"),
            (".a", "empty"),
            ("a.", "empty"),
            ("[0]", "empty"),
            ("a[x]", "no number"),
            ("a[-1]", "no number"),
            ("a[0]b", "behind"),
            ("a[99999]", "long"),
            ("a\\", "backslash"),
        ] {
            let failure = parse(text).expect_err(text);
            assert!(failure.message.contains(why), "{text}: {}", failure.message);
        }
    }
}
