//! What differs between two runs.

use serde_json::{Value, json};

use crate::output::details::Details;
use crate::output::table::{Cell, Table};

/// Fields of a task that are compared.
const TASK_FIELDS: &[&str] =
    &["status", "kind", "message", "skip_reason", "changed", "attempts", "exit_code", "output"];

/// Each as `{what, a, b}`; a side without it is null.
pub(crate) fn differences(a: &Value, b: &Value) -> Vec<Value> {
    let mut out = Vec::new();
    for field in ["stack", "workflow", "status", "reason", "compensation"] {
        add(&mut out, field, &a["summary"][field], &b["summary"][field]);
    }
    maps(&mut out, "program", &a["bundle"]["files"], &b["bundle"]["files"]);
    maps(&mut out, "value", &a["values"], &b["values"]);
    maps(&mut out, "output", &a["summary"]["outputs"], &b["summary"]["outputs"]);
    let (left, right) = (tasks(&a["summary"]), tasks(&b["summary"]));
    for name in left.keys().chain(right.keys().filter(|name| !left.contains_key(*name))) {
        match (left.get(name), right.get(name)) {
            (Some(one), Some(other)) => {
                for field in TASK_FIELDS {
                    add(&mut out, &format!("task {name} {field}"), &one[*field], &other[*field]);
                }
            }
            (one, other) => {
                let status = |task: Option<&&Value>| task.map_or(Value::Null, |task| task["status"].clone());
                add(&mut out, &format!("task {name}"), &status(one), &status(other));
            }
        }
    }
    out
}

fn add(out: &mut Vec<Value>, what: &str, a: &Value, b: &Value) {
    if a != b {
        out.push(json!({ "what": what, "a": a, "b": b }));
    }
}

fn maps(out: &mut Vec<Value>, what: &str, a: &Value, b: &Value) {
    let empty = serde_json::Map::new();
    let (left, right) = (a.as_object().unwrap_or(&empty), b.as_object().unwrap_or(&empty));
    for name in left.keys().chain(right.keys().filter(|name| !left.contains_key(*name))) {
        add(
            out,
            &format!("{what} {name}"),
            left.get(name).unwrap_or(&Value::Null),
            right.get(name).unwrap_or(&Value::Null),
        );
    }
}

fn tasks(summary: &Value) -> std::collections::BTreeMap<String, &Value> {
    let name = |task: &Value| {
        let text = |key: &str| task[key].as_str().unwrap_or_default().to_owned();
        format!("{}/{}", text("workflow"), text("name")).trim_start_matches('/').to_owned()
    };
    summary["tasks"].as_array().into_iter().flatten().map(|task| (name(task), task)).collect()
}

/// As a table; long texts are not repeated.
pub(crate) fn show(differences: &[Value], out: &mut Details) {
    if differences.is_empty() {
        out.line("no difference");
        return;
    }
    let mut table = Table::new(&["WHAT", "A", "B"]);
    for difference in differences {
        let what = difference["what"].as_str().unwrap_or_default();
        table.push(what, vec![Cell::new(what), Cell::new(short(&difference["a"])), Cell::new(short(&difference["b"]))]);
    }
    out.table(table);
}

fn short(value: &Value) -> String {
    let text = match value {
        Value::Null => return "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let lines = text.lines().count();
    if lines > 1 { format!("{lines} lines") } else { text.chars().take(60).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_differences_are_named() {
        let side = |status: &str, extra: &str| {
            json!({"summary": {"status": status, "outputs": {"x": 1}, "tasks": [
                {"workflow": "w", "name": "a", "status": status, "attempts": 1}, {"workflow": "w", "name": extra, "status": "completed"}]},
                "values": {"same": 1, extra: true}, "bundle": {"files": {"/x": "a\nb\n"}}})
        };
        let found = differences(&side("completed", "b"), &side("failed", "c"));
        let named: Vec<&str> = found.iter().filter_map(|one| one["what"].as_str()).collect();
        assert_eq!(named, ["status", "value b", "value c", "task w/a status", "task w/b", "task w/c"]);
        assert!(differences(&side("completed", "b"), &side("completed", "b")).is_empty());
    }
}
