//! Answers of a daemon, as JSON.

use serde_json::{Value, json};

pub fn schedule(name: &str) -> Value {
    json!({
        "id": "0192f0c1-0000-7000-8000-000000000001", "name": name, "owner": "ann", "revision": 3, "origin": "api",
        "created_at": "2026-01-01T00:00:00.000Z", "trigger_text": "at 02:30", "paused": null,
        "next_due": "2099-03-09T02:30:00.000Z", "running": 0, "queued": 0, "runs": 12, "failures_in_a_row": 0,
        "last_success_at": "2026-03-08T02:30:04.000Z",
        "last": {"run_id": "0192f0c1-0000-7000-8000-0000000000aa", "status": "completed", "reason": null,
                 "ended_at": "2026-03-08T02:30:04.000Z", "duration_ms": 4000},
        "trigger": "30 2 * * *", "timezone": "UTC", "command": ["/bin/backup", "--all files"], "user": "ann",
        "enabled": true, "description": "Nightly"
    })
}

pub fn page(items: Vec<Value>, next_cursor: Option<&str>) -> Value {
    json!({"items": items, "next_cursor": next_cursor})
}

pub fn change(change: &str, name: &str) -> Value {
    json!({"change": change, "schedule": schedule(name), "next": [
        {"due_at": "2099-03-09T02:30:00.000Z", "local": "2099-03-09T02:30:00+00:00", "note": null}]})
}

pub fn run(id: &str, status: &str, reason: Option<&str>, exit_code: Option<i32>) -> Value {
    json!({
        "id": id, "schedule": "nightly", "schedule_id": "s", "revision": 3, "kind": "command", "owner": "ann", "user": "ann",
        "trigger": "schedule", "due_at": "2026-03-08T02:30:00.000Z", "clock_epoch": 1, "asked_by": "its schedule",
        "status": status, "reason": reason, "message": null, "queued_at": "2026-03-08T02:30:00.000Z",
        "started_at": "2026-03-08T02:30:00.002Z", "ended_at": "2026-03-08T02:30:04.000Z", "duration_ms": 3998,
        "attempts": 1, "retry_at": null, "exit_code": exit_code, "signal": null, "cpu_ms": 12.5,
        "memory_peak_bytes": 1048576, "io_read_bytes": null, "io_write_bytes": null, "ip_ingress_bytes": 1500, "ip_egress_bytes": 0,
        "output_bytes": 5,
        "stderr_tail": "", "host": "lab", "pid": 4711
    })
}

pub fn chunk(offset: u64, text: &str) -> Value {
    json!({"offset": offset, "attempt": 1, "stream": "stdout", "timestamp": "2026-03-08T02:30:01.000Z", "text": text})
}

pub fn sse(event: &str, id: u64, data: &Value) -> String {
    format!("event: {event}\nid: {id}\ndata: {data}\n\n")
}

pub fn event(seq: i64, kind: &str, message: &str) -> Value {
    json!({"seq": seq, "id": format!("e-{seq}"), "type": kind, "severity": "info", "source": "daemon", "message": message,
           "timestamp": "2026-03-08T02:30:00.000Z", "stack": null, "agent": null, "run_id": null, "task": null,
           "user": null, "data": {}, "trace_id": null})
}

pub fn refusal(code: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message, "hint": "look again", "details": {"field": "x"}, "request_id": "r-1"}})
}
