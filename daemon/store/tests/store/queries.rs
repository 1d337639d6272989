//! Statements of administrators: what they may see, and that they can change nothing and cost little.

use std::time::{Duration, Instant};

use serde_json::json;
use sloth_store::{QueryLimits, QueryResult, Store, StoreError, VERSION};

use crate::things::*;

fn ask(store: &Store, sql: &str) -> Result<QueryResult, StoreError> {
    store.query(sql, QueryLimits::default())
}

#[test]
fn columns_are_named_like_the_fields() {
    let (_dir, store, _) = store_with_schedule();
    let fields = "id, owner, name, revision, enabled, mark, next_due, trigger, timezone, created_at, command, shell, user, \"group\", cwd, env,
      umask, stdin, overlap, queue_limit, catch_up, catch_up_max, catch_up_window, start_deadline, jitter, jitter_mode, timeout, kill_grace,
      retries, retry_lost, limits, success_codes, pause_after_failures, after, keep, sandbox, output_limit, journal, tags, description";
    ask(&store, &format!("SELECT {fields} FROM schedules")).expect("all are there");
    let runs = "id, schedule_id, schedule, revision, kind, owner, user, trigger, due_at, clock_epoch, asked_by, status, reason, message,
      queued_at, started_at, ended_at, attempts, retry_at, exit_code, signal, cpu_us, memory_peak_bytes, io_read_bytes, io_write_bytes,
      output_bytes, stderr_tail, host, pid, start_ticks, boot_id, ip_ingress_bytes, ip_egress_bytes";
    ask(&store, &format!("SELECT {runs} FROM runs")).expect("all are there");
    let events = "seq, id, type, severity, source, message, stack_id, stack, agent, run_id, task, user, data, timestamp, created_at,
      processed_at, status, error, correlation_id, trace_id, dedup_key";
    ask(&store, &format!("SELECT {events} FROM events")).expect("all are there");
    let found =
        ask(&store, "SELECT name, trigger, overlap, kill_grace, command ->> 0 AS program, timeout FROM schedules")
            .expect("read");
    assert_eq!(found.columns, ["name", "trigger", "overlap", "kill_grace", "program", "timeout"]);
    assert_eq!(
        found.rows,
        [[json!("nightly"), json!("30 2 * * *"), json!("skip"), json!(10.0), json!("/usr/bin/true"), json!(null)]]
    );
}

#[test]
fn values() {
    let (_dir, store) = store();
    let found = ask(&store, "SELECT 1, 2.5, 'x', NULL, x'00ff'").expect("read");
    assert_eq!(found.rows, [[json!(1), json!(2.5), json!("x"), json!(null), json!("00ff")]]);
    assert_eq!(ask(&store, "PRAGMA user_version").expect("read").rows, [[json!(VERSION)]]);
    assert!(!ask(&store, "PRAGMA table_info(runs)").expect("read").rows.is_empty());
    assert!(!ask(&store, "EXPLAIN QUERY PLAN SELECT * FROM runs").expect("read").rows.is_empty());
    assert!(!ask(&store, "SELECT name FROM pragma_table_info('runs')").expect("read").rows.is_empty());
    ask(&store, "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 9) SELECT * FROM n")
        .expect("read");
}

#[test]
fn nothing_can_be_changed() {
    let (dir, store, _) = store_with_schedule();
    let before = store.status().expect("status").rows;
    let outside = dir.path().join("outside.db");
    let attach = format!("ATTACH '{}' AS x", outside.display());
    let vacuum = format!("VACUUM INTO '{}'", outside.display());
    for sql in [
        "DELETE FROM schedules",
        "UPDATE schedules SET name = 'x'",
        "INSERT INTO meta VALUES ('a', 'b')",
        "DROP TABLE runs",
        "CREATE TABLE x (y)",
        "CREATE TEMP TABLE x (y)",
        "CREATE TEMP VIEW x AS SELECT 1",
        "EXPLAIN DELETE FROM schedules",
        "WITH x AS (SELECT 1) DELETE FROM schedules",
        "PRAGMA query_only = OFF",
        "PRAGMA user_version = 7",
        "PRAGMA writable_schema = ON",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA incremental_vacuum",
        "BEGIN",
        "SAVEPOINT x",
        "REINDEX",
        "ANALYZE",
        "VACUUM",
        attach.as_str(),
        vacuum.as_str(),
        "SELECT load_extension('/tmp/x.so')",
        "SELECT 1; DELETE FROM schedules",
        "SELECT 1; SELECT 2",
        "",
        "-- nothing",
        "nonsense",
    ] {
        match ask(&store, sql) {
            Err(StoreError::Query(_)) => {}
            other => panic!("{sql:?}: {other:?}"),
        }
    }
    assert_eq!(store.status().expect("status").rows, before);
    assert!(!outside.exists());
}

#[test]
fn limits() {
    let (_dir, store) = store();
    let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)";
    let limits = QueryLimits { rows: 10, bytes: 1 << 20, time: Duration::from_millis(200) };
    let found = store.query(&format!("{endless} SELECT x FROM n"), limits).expect("read");
    assert_eq!((found.rows.len(), found.truncated), (10, true));
    let found = store
        .query(&format!("{endless} SELECT printf('%.*c', 100000, 'x') FROM n"), QueryLimits { rows: 1000, ..limits });
    let found = found.expect("read");
    assert!(found.truncated && found.rows.len() == 10, "{}", found.rows.len());
    let begin = Instant::now();
    let error = store.query(&format!("{endless} SELECT count(*) FROM n"), limits).expect_err("endless");
    assert!(error.to_string().contains("took longer than 0.2 s"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(5));
    store.query("SELECT zeroblob(1000000000)", limits).expect_err("too large");
}
