//! The values of a run. Later ones win: files in their order, `SLOTH_VALUES_…` of the environment, `--set-file`, `--set-string`, `--set`.
//! The defaults of the file and of its workflow lie below all of them; the worker knows those.

use std::ffi::OsString;
use std::path::Path;

use serde_json::{Map, Value};

use super::path::{self, Step};
use crate::failure::Failure;

/// Beginning of the variables that hold values.
const PREFIX: &str = "SLOTH_VALUES_";

/// Largest file of values, bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// What the command line says about values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given<'a> {
    pub(crate) files: &'a [String],
    pub(crate) set: &'a [String],
    pub(crate) set_string: &'a [String],
    pub(crate) set_file: &'a [String],
}

/// All of them, merged. `env`: the variables of the process.
pub(crate) fn merged(
    given: &Given<'_>,
    env: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Map<String, Value>, Failure> {
    let mut all = Map::new();
    for file in given.files {
        merge(&mut all, of_file(file)?);
    }
    for (path, value) in of_environment(env) {
        path::set(&mut all, &path, value);
    }
    for pair in given.set_file {
        let (path, file) = split("--set-file", pair, "KEY=PATH")?;
        let text =
            std::fs::read_to_string(file).map_err(|error| Failure::usage(format!("--set-file: {file}: {error}")))?;
        path::set(&mut all, &path, text.into());
    }
    for pair in given.set_string {
        let (path, text) = split("--set-string", pair, "KEY=TEXT")?;
        path::set(&mut all, &path, text.into());
    }
    for pair in given.set {
        let (path, text) = split("--set", pair, "KEY=VALUE")?;
        path::set(&mut all, &path, typed(text));
    }
    Ok(all)
}

/// `--param K=V`: names without structure.
pub(crate) fn params(pairs: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut all = Map::new();
    for pair in pairs {
        let Some((key, value)) = pair.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Failure::usage(format!("--param {pair}: expected NAME=VALUE")));
        };
        all.insert(key.to_owned(), typed(value));
    }
    Ok(all)
}

/// `true`, `false`, `null` and numbers as such, everything else as text.
pub(crate) fn typed(text: &str) -> Value {
    match text {
        "true" => return true.into(),
        "false" => return false.into(),
        "null" => return Value::Null,
        _ => {}
    }
    // Only what looks like a number: "inf", "nan" and "+5" are text, and so is "007", an id more often than seven.
    let digits = text.strip_prefix('-').unwrap_or(text);
    let padded = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if padded || !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return text.into();
    }
    if let Ok(whole) = text.parse::<i64>() {
        return whole.into();
    }
    match text.parse::<f64>() {
        Ok(fraction) if fraction.is_finite() => fraction.into(),
        _ => text.into(),
    }
}

fn split<'a>(flag: &str, pair: &'a str, form: &str) -> Result<(Vec<Step>, &'a str), Failure> {
    let at = equals_sign(pair).ok_or_else(|| Failure::usage(format!("{flag} {pair}: expected {form}")))?;
    Ok((path::parse(&pair[..at])?, &pair[at + 1..]))
}

/// The first equals sign that no backslash stands before.
fn equals_sign(pair: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in pair.char_indices() {
        match c {
            '=' if !escaped => return Some(at),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}

/// `SLOTH_VALUES_DB__HOST=x` is `db.host=x`. Names are lower-cased unless they hold a small letter already.
fn of_environment(env: impl Iterator<Item = (OsString, OsString)>) -> Vec<(Vec<Step>, Value)> {
    let mut found: Vec<(String, String)> = env
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter_map(|(name, value)| {
            Some((name.strip_prefix(PREFIX).filter(|rest| !rest.is_empty())?.to_owned(), value))
        })
        .collect();
    found.sort();
    let step = |level: &str| {
        if level.chars().any(|c| c.is_ascii_lowercase()) {
            return Step::Key(level.to_owned());
        }
        Step::Key(level.to_ascii_lowercase())
    };
    found.iter().map(|(name, value)| (name.split("__").map(step).collect(), typed(value))).collect()
}

/// A file of values, or standard input for `-`: JSON, TOML or YAML, by its name; without a known ending YAML, which JSON is as well.
fn of_file(name: &str) -> Result<Map<String, Value>, Failure> {
    let said = |what: String| Failure::usage(format!("--values: {name}: {what}"));
    if name != "-" && std::fs::metadata(name).is_ok_and(|about| about.len() > FILE_BYTES_MAX) {
        return Err(said(format!("larger than {} MiB", FILE_BYTES_MAX >> 20)));
    }
    let (_, text) = crate::commands::sources::read(name)?;
    let ending = Path::new(name).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let value: Value = match ending {
        "json" => serde_json::from_str(&text).map_err(|error| said(error.to_string()))?,
        "toml" => toml::from_str(&text).map_err(|error| said(error.to_string()))?,
        _ => serde_norway::from_str(&text).map_err(|error| said(error.to_string()))?,
    };
    match value {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => Err(said("must be a map of values".to_owned())),
    }
}

/// Maps are merged, everything else is replaced, lists too.
fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// "files in order (deep merge; lists replace) < environment < --set-file < --set-string < --set"
    #[test]
    fn each_source_wins_over_those_before_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let put = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path.display().to_string()
        };
        let files = [
            put("a.yaml", "region: us\nlist: [1, 2]\ndb: {host: a, port: 1, name: n}\nfile: f\nstring: f\nset: f\n"),
            put("b.json", r#"{"list": [3], "db": {"port": 2, "user": "b"}}"#),
            put("c.toml", "[db]\nuser = \"c\"\n"),
        ];
        let text = put("text", "from a file\n");
        let env = [
            ("SLOTH_VALUES_REGION", "eu"),
            ("SLOTH_VALUES_DB__HOST", "e"),
            ("SLOTH_VALUES_DB__maxConn", "7"),
            ("SLOTH_VALUES_FILE", "e"),
            ("SLOTH_VALUES_STRING", "e"),
            ("SLOTH_VALUES_SET", "e"),
            ("SLOTH_VALUES_", "nothing"),
            ("OTHER", "x"),
        ];
        let given = Given {
            files: &files,
            set_file: &[format!("file={text}"), format!("string={text}"), format!("set={text}")],
            set_string: &["string=5".to_owned(), "set=5".to_owned()],
            set: &["set=5".to_owned(), "db.list[1]=x=y".to_owned()],
        };
        let env = env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let expected = json!({
            "region": "eu", "list": [3],
            "db": {"host": "e", "port": 2, "name": "n", "user": "c", "maxConn": 7, "list": [null, "x=y"]},
            "file": "from a file\n", "string": "5", "set": 5,
        });
        assert_eq!(Value::from(merged(&given, env).expect("values")), expected);
    }

    /// "`--set a.b[0]=x` types `true false null` and numbers"
    #[test]
    fn words_have_types() {
        for (text, value) in [
            ("true", json!(true)),
            ("null", json!(null)),
            ("-5", json!(-5)),
            ("1.5", json!(1.5)),
            ("1e3", json!(1000.0)),
            ("0", json!(0)),
            ("007", json!("007")),
            ("inf", json!("inf")),
            ("1.2.3", json!("1.2.3")),
            ("", json!("")),
            ("True", json!("True")),
        ] {
            assert_eq!(typed(text), value, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let bad = dir.path().join("bad.json").display().to_string();
        std::fs::write(&bad, "[1]").expect("a file");
        let one = |text: &str| [text.to_owned()];
        let none = || std::iter::empty();
        for (given, word) in [
            (Given { files: &one(&bad), ..Given::default() }, "must be a map"),
            (Given { files: &one("/nonexistent"), ..Given::default() }, "/nonexistent"),
            (Given { set: &one("novalue"), ..Given::default() }, "KEY=VALUE"),
            (Given { set_file: &one("a=/nonexistent"), ..Given::default() }, "--set-file"),
            (Given { set_string: &one("a[=x"), ..Given::default() }, "no number"),
        ] {
            let failure = merged(&given, none()).expect_err(word);
            assert!(failure.message.contains(word), "{}", failure.message);
            assert_eq!(failure.exit, 2);
        }
        assert!(params(&one("=x")).is_err());
    }
}
