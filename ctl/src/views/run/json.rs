//! A run as JSON: one object a line, the summary last.

use serde_json::{Map, Value};

use super::event::RunEvent;
use super::logline::LogLine;

/// `{"type": …, "ts": …, "run_id": …, "task": …, …}`
pub(crate) fn event(event: &RunEvent, run: &str) -> Value {
    let mut out = Map::new();
    out.insert("type".to_owned(), event.kind.as_str().into());
    out.insert("ts".to_owned(), event.timestamp.as_str().into());
    out.insert("run_id".to_owned(), run.into());
    out.insert("task".to_owned(), event.field("task").clone());
    out.insert("message".to_owned(), event.field("message").clone());
    out.insert("seq".to_owned(), event.seq.into());
    for (name, value) in event.record()["data"].as_object().into_iter().flatten() {
        if !out.contains_key(name) {
            out.insert(name.clone(), value.clone());
        }
    }
    out.into()
}

/// `{"type":"log","task":…,"stream":…,"level":…,"msg":…,"fields":{…}}`
pub(crate) fn log(line: &LogLine, run: &str) -> Value {
    let ts = jiff::Timestamp::from_millisecond(line.ts).ok().filter(|_| line.ts > 0);
    serde_json::json!({
        "type": "log",
        "ts": ts.map(|ts| format!("{ts:.3}")),
        "run_id": run,
        "workflow": line.workflow,
        "task": line.task,
        "attempt": line.attempt,
        "stream": line.stream,
        "level": line.level,
        "msg": line.msg,
        "fields": line.fields,
    })
}

/// The summary as the last object.
pub(crate) fn summary(summary: &Value) -> Value {
    let mut out = Map::new();
    out.insert("type".to_owned(), "summary".into());
    for (name, value) in summary.as_object().into_iter().flatten() {
        if name != "type" {
            out.insert(name.clone(), value.clone());
        }
    }
    out.into()
}
