//! From what a command returned to the result of its task.

use serde_json::{Map, Value, json};
use sloth_core::workflow::{Diagnostic, Place};

use crate::data::Data;
use crate::vm::{CallEnd, Raised};

/// Largest output of a task, as JSON.
pub const OUTPUT_MAX: usize = 1 << 20;

/// Deepest output.
pub const OUTPUT_DEPTH_MAX: usize = 32;

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskResult {
    /// Whether it succeeded.
    pub success: bool,
    /// One sentence; may be empty on success.
    pub message: String,
    /// JSON, usually an object.
    pub output: Value,
    /// Of the failure: `error`, `exit`, `timeout`, `cancelled`, …
    pub kind: Option<String>,
    /// Of a command that failed.
    pub exit_code: Option<i32>,
    /// Whether it changed something.
    pub changed: Option<bool>,
    /// Where an error was raised.
    pub traceback: Option<String>,
    /// Values that were dropped.
    pub warnings: Vec<Diagnostic>,
}

impl TaskResult {
    fn new(success: bool, message: impl Into<String>, output: Value) -> TaskResult {
        TaskResult {
            success,
            message: message.into(),
            output,
            kind: (!success).then(|| "error".to_owned()),
            exit_code: None,
            changed: None,
            traceback: None,
            warnings: Vec::new(),
        }
    }

    fn failed(message: impl Into<String>) -> TaskResult {
        TaskResult::new(false, message, json!({}))
    }
}

/// What the returned values mean.
pub fn task_result(end: CallEnd) -> TaskResult {
    let mut result = match (&end.cancelled, end.result) {
        (Some(reason), _) => {
            let message = if reason.is_empty() { "cancelled by the task" } else { reason };
            TaskResult { kind: Some("cancelled".to_owned()), ..TaskResult::failed(message) }
        }
        (None, Ok(values)) => returned(&values),
        (None, Err(raised)) => raise(raised),
    };
    if !end.output.is_empty() {
        result.output = merged(result.output, end.output);
    }
    result.warnings = end.warnings.into_iter().map(dropped).collect();
    limit(&mut result);
    if result.success {
        // Its own word, else that of its resources, else a command that made none has changed something.
        let own = result.output.get("changed").and_then(Value::as_bool);
        result.changed = Some(own.or(end.changed).unwrap_or(true));
    }
    result
}

fn dropped(message: String) -> Diagnostic {
    Diagnostic {
        code: "W302",
        message: format!("value dropped from output: {message}"),
        place: Place::default(),
        excerpt: String::new(),
        hint: None,
    }
}

fn raise(raised: Raised) -> TaskResult {
    if raised.kind.as_deref() == Some("exit") && raised.exit_code == Some(0) {
        return TaskResult::new(true, "", json!({}));
    }
    TaskResult {
        kind: Some(raised.kind.unwrap_or_else(|| "error".to_owned())),
        exit_code: raised.exit_code,
        traceback: Some(raised.traceback).filter(|traceback| !traceback.is_empty()),
        ..TaskResult::failed(raised.message)
    }
}

fn returned(values: &[Data]) -> TaskResult {
    let (first, rest) = match values.split_first() {
        None => return TaskResult::new(true, "", json!({})),
        Some((Data::Nil | Data::Null, rest)) if rest.iter().all(|value| matches!(value, Data::Nil | Data::Null)) => {
            return TaskResult::new(true, "", json!({}));
        }
        Some(split) => split,
    };
    match first {
        Data::Bool(true) => success(rest),
        Data::Bool(false) | Data::Nil | Data::Null => failure(rest),
        Data::Map(_) => table(first),
        Data::List(_) => TaskResult::new(true, "", first.to_json()),
        other => TaskResult::new(true, "", json!({ "value": other.to_json() })),
    }
}

/// `true [, message [, output]]`: a table as the second value without a third is the output.
fn success(rest: &[Data]) -> TaskResult {
    match rest {
        [] => TaskResult::new(true, "", json!({})),
        [table @ (Data::Map(_) | Data::List(_))] | [table @ (Data::Map(_) | Data::List(_)), Data::Nil, ..] => {
            TaskResult::new(true, "", table.to_json())
        }
        [message, rest @ ..] => {
            let output = match rest.first() {
                None | Some(Data::Nil | Data::Null) => json!({}),
                Some(table @ (Data::Map(_) | Data::List(_))) => table.to_json(),
                Some(other) => json!({ "value": other.to_json() }),
            };
            TaskResult::new(true, message.to_text().unwrap_or_default(), output)
        }
    }
}

/// `false`, then a message: the first text among the next two; a table among them is kept.
fn failure(rest: &[Data]) -> TaskResult {
    let near = &rest[..rest.len().min(2)];
    let message = near.iter().find(|value| matches!(value, Data::Str(_))).and_then(Data::to_text);
    let table = near.iter().find(|value| matches!(value, Data::Map(_) | Data::List(_)));
    let inner = || table.and_then(|table| table.get("message").or_else(|| table.get("error"))).and_then(Data::to_text);
    let message = message.or_else(inner).unwrap_or_else(|| "the command returned false".to_owned());
    TaskResult::new(false, message, table.map_or_else(|| json!({}), Data::to_json))
}

fn table(first: &Data) -> TaskResult {
    let flag = |key: &str| match first.get(key) {
        Some(Data::Bool(value)) => Some(*value),
        _ => None,
    };
    let is_command = ["stdout", "stderr", "exit_code"].iter().all(|key| first.get(key).is_some());
    let Some(success) = flag("success").or_else(|| flag("ok")) else {
        return TaskResult::new(true, "", first.to_json());
    };
    if is_command {
        return command(first, success);
    }
    let text = |key: &str| first.get(key).and_then(Data::to_text);
    let message = if success { text("message") } else { text("message").or_else(|| text("error")) };
    let output = match first.get("output") {
        Some(output @ (Data::Map(_) | Data::List(_))) => output.to_json(),
        Some(Data::Nil) | None => others(first),
        Some(other) => json!({ "value": other.to_json() }),
    };
    let fallback = if success { "" } else { "the command returned success = false" };
    TaskResult::new(success, message.unwrap_or_else(|| fallback.to_owned()), output)
}

/// A table's fields without those that have been used.
fn others(first: &Data) -> Value {
    match first.to_json() {
        Value::Object(mut map) => {
            for key in ["success", "ok", "message", "error"] {
                map.remove(key);
            }
            Value::Object(map)
        }
        other => other,
    }
}

/// The result of a command: standard error is the message.
fn command(first: &Data, success: bool) -> TaskResult {
    let mut result = TaskResult::new(success, "", first.to_json());
    #[allow(clippy::cast_possible_truncation)] // saturates
    let code = match first.get("exit_code") {
        Some(Data::Num(code)) => Some(*code as i32),
        _ => None,
    };
    result.exit_code = code;
    if !success {
        let stderr = first.get("stderr").and_then(Data::to_text).unwrap_or_default();
        let code = code.map_or_else(|| "?".to_owned(), |code| code.to_string());
        result.message = match stderr.trim() {
            "" => format!("exit code {code}"),
            text => text.to_owned(),
        };
        result.kind = Some("exit".to_owned());
    }
    result
}

/// Fields set with `this.output(k, v)` over those that were returned.
fn merged(output: Value, fields: Map<String, Value>) -> Value {
    match output {
        Value::Object(mut map) => {
            map.extend(fields);
            Value::Object(map)
        }
        other => {
            let mut map = Map::new();
            map.insert("value".to_owned(), other);
            map.extend(fields);
            Value::Object(map)
        }
    }
}

/// Too much output fails the task (E301): a part of it would be worse than none.
fn limit(result: &mut TaskResult) {
    let problem = if depth(&result.output, 0) > OUTPUT_DEPTH_MAX {
        format!("it is nested deeper than {OUTPUT_DEPTH_MAX}")
    } else {
        match length(&result.output) {
            length if length > OUTPUT_MAX => format!("it has {length} bytes as JSON, at most {OUTPUT_MAX} are kept"),
            _ => return,
        }
    };
    result.success = false;
    result.kind = Some("error".to_owned());
    result.message = format!("E301: output too large: {problem}; write it to a file or an artifact");
    result.output = json!({});
}

fn depth(value: &Value, at: usize) -> usize {
    if at > OUTPUT_DEPTH_MAX {
        return at;
    }
    match value {
        Value::Array(items) => items.iter().map(|item| depth(item, at + 1)).max().unwrap_or(at + 1),
        Value::Object(map) => map.values().map(|item| depth(item, at + 1)).max().unwrap_or(at + 1),
        _ => at,
    }
}

/// Bytes as JSON, without building them.
fn length(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => count.0,
        Err(_) => usize::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(values: Vec<Data>) -> CallEnd {
        CallEnd { result: Ok(values), changed: None, output: Map::new(), cancelled: None, warnings: Vec::new() }
    }

    fn of(values: Vec<Data>) -> TaskResult {
        task_result(end(values))
    }

    fn map(value: &Value) -> Data {
        Data::from_json(value)
    }

    #[test]
    fn nothing_or_a_lone_nil_is_success_with_empty_output() {
        for values in [vec![], vec![Data::Nil], vec![Data::Nil, Data::Nil]] {
            let result = of(values);
            assert!(result.success && result.message.is_empty() && result.output == json!({}));
        }
    }

    #[test]
    fn true_may_be_followed_by_message_and_output_and_a_lone_table_is_the_output() {
        let result = of(vec![Data::Bool(true), "bundled".into(), map(&json!({"file": "x"}))]);
        assert_eq!((result.success, result.message.as_str(), result.output), (true, "bundled", json!({"file": "x"})));
        let result = of(vec![Data::Bool(true), map(&json!({"file": "x"}))]);
        assert_eq!((result.message.as_str(), result.output), ("", json!({"file": "x"})));
    }

    #[test]
    fn false_or_nil_then_a_message_is_a_failure_and_a_table_is_kept_as_partial_output() {
        let partial = map(&json!({"done": 3}));
        for values in [
            vec![Data::Bool(false), "why".into(), partial.clone()],
            vec![Data::Nil, "why".into(), partial.clone()],
            vec![Data::Bool(false), partial, "why".into()],
        ] {
            let result = of(values);
            assert!(!result.success && result.kind.as_deref() == Some("error"));
            assert_eq!((result.message.as_str(), result.output), ("why", json!({"done": 3})));
        }
        assert_eq!(of(vec![Data::Bool(false)]).message, "the command returned false");
    }

    #[test]
    fn an_exec_result_decides_by_its_success_and_stderr_is_the_message() {
        let exec = json!({"stdout": "o", "stderr": "no such host\n", "exit_code": 6, "success": false});
        let result = of(vec![map(&exec), "no such host".into(), Data::Bool(true)]);
        assert!(!result.success);
        assert_eq!(
            (result.message.as_str(), result.exit_code, result.kind.as_deref()),
            ("no such host", Some(6), Some("exit"))
        );
        assert_eq!(result.output["stdout"], "o");
        let silent = of(vec![map(&json!({"stdout": "", "stderr": "", "exit_code": 3, "success": false}))]);
        assert_eq!(silent.message, "exit code 3");
        assert!(of(vec![map(&json!({"stdout": "", "stderr": "warning", "exit_code": 0, "success": true}))]).success);
    }

    #[test]
    fn a_table_with_success_or_ok_decides_and_its_other_fields_are_the_output() {
        let result = of(vec![map(&json!({"ok": false, "error": "full", "disk": "sda"}))]);
        assert_eq!((result.success, result.message.as_str(), result.output), (false, "full", json!({"disk": "sda"})));
        let result = of(vec![map(&json!({"success": true, "message": "fine", "output": {"n": 1}, "x": 2}))]);
        assert_eq!((result.success, result.message.as_str(), result.output), (true, "fine", json!({"n": 1})));
        let result = of(vec![map(&json!({"n": 1}))]);
        assert_eq!((result.success, result.output), (true, json!({"n": 1})));
        let result = of(vec![Data::Num(7.0)]);
        assert_eq!((result.success, result.output), (true, json!({"value": 7})));
        assert_eq!(of(vec![Data::List(vec![Data::Num(1.0)])]).output, json!([1]));
    }

    #[test]
    fn a_raised_error_is_a_failure_with_message_and_traceback() {
        let raised = Raised { traceback: "main:3".into(), ..Raised::of_kind("timeout", "too slow") };
        let result = task_result(CallEnd { result: Err(raised), ..end(vec![]) });
        assert_eq!((result.message.as_str(), result.kind.as_deref()), ("too slow", Some("timeout")));
        assert_eq!(result.traceback.as_deref(), Some("main:3"));
        let cancelled = task_result(CallEnd { cancelled: Some("enough".into()), ..end(vec![]) });
        assert_eq!((cancelled.success, cancelled.kind.as_deref()), (false, Some("cancelled")));
    }

    #[test]
    fn output_has_at_most_a_mebibyte_and_depth_32() {
        let result = of(vec![map(&json!({"big": "x".repeat(OUTPUT_MAX)}))]);
        assert!(!result.success && result.message.starts_with("E301: output too large"), "{}", result.message);
        let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!({ "in": inner }));
        assert!(of(vec![map(&nested(32))]).success);
        assert!(of(vec![map(&nested(33))]).message.starts_with("E301"));
    }

    #[test]
    fn changed_is_the_outputs_word_else_that_of_resources_else_true() {
        assert_eq!(of(vec![map(&json!({"changed": false}))]).changed, Some(false));
        assert_eq!(task_result(CallEnd { changed: Some(false), ..end(vec![]) }).changed, Some(false));
        assert_eq!(of(vec![]).changed, Some(true));
        assert_eq!(of(vec![Data::Bool(false)]).changed, None);
    }

    #[test]
    fn fields_set_by_hand_are_in_the_output_and_dropped_values_are_told() {
        let mut fields = Map::new();
        fields.insert("k".into(), json!(1));
        let call =
            CallEnd { output: fields, warnings: vec!["a function is not data".into()], ..end(vec![Data::Num(2.0)]) };
        let result = task_result(call);
        assert_eq!(result.output, json!({"value": 2, "k": 1}));
        assert_eq!(result.warnings[0].code, "W302");
    }
}
