//! A subset of JSON Schema: `type properties required items enum minimum maximum pattern`, and of the same kind
//! `const minLength maxLength minItems maxItems additionalProperties`. An unknown word is an error, because a check that
//! is silently left out is worse than none.

use sloth_lua::{Data, Failure};

use crate::strings::compile;

/// Words that say nothing about a value.
const REMARKS: [&str; 8] = ["$schema", "$id", "$comment", "title", "description", "default", "examples", "format"];

/// Deepest nesting that is followed.
const DEPTH_MAX: usize = 64;

/// What does not fit, with its place; or that the schema itself is wrong.
pub(crate) fn check(value: &Data, schema: &Data) -> Result<Option<String>, Failure> {
    at("", value, schema, 0)
}

fn wrong(problem: String) -> Failure {
    Failure::argument("schema", problem)
}

fn at(place: &str, value: &Data, schema: &Data, depth: usize) -> Result<Option<String>, Failure> {
    let rules = match schema {
        Data::Map(rules) => rules,
        Data::List(items) if items.is_empty() => return Ok(None),
        Data::Bool(true) => return Ok(None),
        Data::Bool(false) => return Ok(Some(named(place, "is not allowed"))),
        other => return Err(wrong(format!("a schema is a table, not a {}", other.type_name()))),
    };
    if depth > DEPTH_MAX {
        return Err(wrong(format!("deeper than {DEPTH_MAX} levels")));
    }
    for (word, rule) in rules {
        let problem = match word.as_str() {
            "properties" => properties(place, value, rule, depth)?,
            "additionalProperties" => additional(place, value, rule, schema.get("properties"), depth)?,
            "required" => required(place, value, rule)?,
            "items" => items(place, value, rule, depth)?,
            word if REMARKS.contains(&word) => None,
            word => simple(place, value, word, rule)?,
        };
        if problem.is_some() {
            return Ok(problem);
        }
    }
    Ok(None)
}

fn named(place: &str, what: &str) -> String {
    if place.is_empty() { format!("the value {what}") } else { format!("{place} {what}") }
}

fn member(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

fn simple(place: &str, value: &Data, word: &str, rule: &Data) -> Result<Option<String>, Failure> {
    let bound = || match rule {
        Data::Num(number) => Ok(*number),
        _ => Err(wrong(format!("`{word}` is a number"))),
    };
    let size = |found: Option<f64>, low: bool, what: &str| -> Result<Option<String>, Failure> {
        let bound = bound()?;
        let Some(found) = found else { return Ok(None) };
        let outside = if low { found < bound } else { found > bound };
        Ok(outside.then(|| {
            named(place, &format!("is {found}{what}, at {} {bound} expected", if low { "least" } else { "most" }))
        }))
    };
    match word {
        "type" => kind(place, value, rule),
        "enum" => match rule {
            Data::List(allowed) => {
                Ok((!allowed.contains(value)).then(|| named(place, "is none of the allowed values")))
            }
            _ => Err(wrong("`enum` is a list".into())),
        },
        "const" => Ok((value != rule).then(|| named(place, "is not the only allowed value"))),
        "minimum" => size(number(value), true, ""),
        "maximum" => size(number(value), false, ""),
        "minLength" => size(characters(value), true, " characters long"),
        "maxLength" => size(characters(value), false, " characters long"),
        "minItems" => size(count(value), true, " items long"),
        "maxItems" => size(count(value), false, " items long"),
        "pattern" => {
            let pattern = rule.to_text().ok_or_else(|| wrong("`pattern` is a text".into()))?;
            let regex = compile(&pattern).map_err(wrong)?;
            let text = matches!(value, Data::Str(_)).then(|| value.to_text()).flatten();
            Ok(text.filter(|text| !regex.is_match(text)).map(|_| named(place, &format!("does not match `{pattern}`"))))
        }
        _ => Err(wrong(format!("`{word}` is not known"))),
    }
}

fn number(value: &Data) -> Option<f64> {
    if let Data::Num(number) = value { Some(*number) } else { None }
}

#[allow(clippy::cast_precision_loss)] // a length is below 2^53
fn characters(value: &Data) -> Option<f64> {
    matches!(value, Data::Str(_)).then(|| value.to_text().unwrap_or_default().chars().count() as f64)
}

#[allow(clippy::cast_precision_loss)] // as above
fn count(value: &Data) -> Option<f64> {
    if let Data::List(items) = value { Some(items.len() as f64) } else { None }
}

fn kind(place: &str, value: &Data, rule: &Data) -> Result<Option<String>, Failure> {
    let kinds: Vec<String> = match rule {
        Data::List(kinds) => kinds.iter().filter_map(Data::to_text).collect(),
        rule => rule.to_text().into_iter().collect(),
    };
    let mut fits = false;
    for kind in &kinds {
        fits |= match kind.as_str() {
            "string" => matches!(value, Data::Str(_)),
            "number" => matches!(value, Data::Num(_)),
            "integer" => matches!(value, Data::Num(number) if number.fract() == 0.0),
            "boolean" => matches!(value, Data::Bool(_)),
            "null" => matches!(value, Data::Nil | Data::Null),
            "array" => matches!(value, Data::List(_)) || empty(value),
            "object" => matches!(value, Data::Map(_)) || empty(value),
            other => return Err(wrong(format!("type `{other}` is not known"))),
        };
    }
    let got = match value {
        Data::List(_) => "array",
        Data::Map(_) => "object",
        other => other.type_name(),
    };
    Ok((!fits).then(|| named(place, &format!("is a {got}, {} expected", kinds.join(" or ")))))
}

/// An empty table is a list and a map.
fn empty(value: &Data) -> bool {
    match value {
        Data::List(items) => items.is_empty(),
        Data::Map(entries) => entries.is_empty(),
        _ => false,
    }
}

fn properties(place: &str, value: &Data, rule: &Data, depth: usize) -> Result<Option<String>, Failure> {
    let rules = match rule {
        Data::Map(rules) => rules,
        rule if empty(rule) => return Ok(None),
        _ => return Err(wrong("`properties` is a table".into())),
    };
    for (name, rule) in rules {
        if let Some(value) = value.get(name)
            && let Some(problem) = at(&member(place, name), value, rule, depth + 1)?
        {
            return Ok(Some(problem));
        }
    }
    Ok(None)
}

fn additional(
    place: &str,
    value: &Data,
    rule: &Data,
    known: Option<&Data>,
    depth: usize,
) -> Result<Option<String>, Failure> {
    let Data::Map(members) = value else { return Ok(None) };
    for (name, value) in members.iter().filter(|(name, _)| known.is_none_or(|known| known.get(name).is_none())) {
        if let Some(problem) = at(&member(place, name), value, rule, depth + 1)? {
            return Ok(Some(problem));
        }
    }
    Ok(None)
}

fn required(place: &str, value: &Data, rule: &Data) -> Result<Option<String>, Failure> {
    let Data::List(names) = rule else { return Err(wrong("`required` is a list".into())) };
    if !matches!(value, Data::Map(_)) && !empty(value) {
        return Ok(None);
    }
    let missing =
        names.iter().filter_map(Data::to_text).find(|name| value.get(name).is_none_or(|found| *found == Data::Nil));
    Ok(missing.map(|name| format!("{} is missing", member(place, &name))))
}

fn items(place: &str, value: &Data, rule: &Data, depth: usize) -> Result<Option<String>, Failure> {
    let Data::List(items) = value else { return Ok(None) };
    for (index, item) in items.iter().enumerate() {
        if let Some(problem) = at(&format!("{place}[{}]", index + 1), item, rule, depth + 1)? {
            return Ok(Some(problem));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Data {
        crate::documents::json::decode(text.as_bytes(), true).unwrap()
    }

    const SCHEMA: &str = r#"{"type":"object","required":["id","tags"],"additionalProperties":false,"properties":{
        "id":{"type":"integer","minimum":1,"maximum":9},
        "name":{"type":["string","null"],"pattern":"^[a-z]+$","maxLength":4},
        "state":{"enum":["on","off"]},
        "tags":{"type":"array","items":{"type":"string"},"minItems":1}}}"#;

    #[test]
    fn problems_name_their_place() {
        for (value, problem) in [
            (r#"{"id":1,"tags":["a"],"name":null,"state":"on"}"#, None),
            (r#"{"tags":["a"]}"#, Some("id is missing")),
            (r#"{"id":1.5,"tags":["a"]}"#, Some("id is a number, integer expected")),
            (r#"{"id":10,"tags":["a"]}"#, Some("id is 10, at most 9 expected")),
            (r#"{"id":1,"tags":["a",2]}"#, Some("tags[2] is a number, string expected")),
            (r#"{"id":1,"tags":[]}"#, Some("tags is 0 items long, at least 1 expected")),
            (r#"{"id":1,"tags":["a"],"name":"A"}"#, Some("name does not match `^[a-z]+$`")),
            (r#"{"id":1,"tags":["a"],"name":"abcde"}"#, Some("name is 5 characters long, at most 4 expected")),
            (r#"{"id":1,"tags":["a"],"state":"up"}"#, Some("state is none of the allowed values")),
            (r#"{"id":1,"tags":["a"],"x":1}"#, Some("x is not allowed")),
            (r#"[1]"#, Some("the value is a array, object expected")),
        ] {
            assert_eq!(check(&json(value), &json(SCHEMA)).unwrap().as_deref(), problem, "{value}");
        }
    }

    #[test]
    fn a_wrong_schema_is_an_error() {
        for schema in [r#"{"type":"text"}"#, r#"{"minimum":"1"}"#, r#"{"oneOf":[]}"#, r#"{"pattern":"("}"#, "3"] {
            assert!(check(&json(r#""x""#), &json(schema)).unwrap_err().raise, "{schema}");
        }
    }
}
