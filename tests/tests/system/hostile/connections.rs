//! Statements that would change something, and connections that do not speak the language.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};
use sloth_tests::random::{self, Random};
use sloth_tests::{Instance, Request};

use super::asked;

#[test]
fn statements_that_are_not_for_reading() {
    let instance = Instance::start();
    instance.add_shell("x", "true");
    let mut asked = asked(&instance);
    for sql in [
        "DELETE FROM schedules",
        "UPDATE schedules SET owner = 0",
        "DROP TABLE runs",
        "ATTACH '/tmp/x.db' AS x",
        "VACUUM INTO '/tmp/x.db'",
        "PRAGMA writable_schema = 1",
        "PRAGMA journal_mode = DELETE",
        "SELECT load_extension('x')",
        "SELECT 1; DELETE FROM runs",
        "BEGIN",
        "",
        "SELECT",
        "SELECT readfile('/etc/shadow')",
        "SELECT writefile('/tmp/x', 'x')",
        "\u{0}",
        "WITH x AS (SELECT 1) DELETE FROM runs",
        "--",
        "EXPLAIN DELETE FROM runs; DELETE FROM runs",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
        "SELECT zeroblob(1000000000)",
        "SELECT randomblob(1000000000)",
        "CREATE TEMP TABLE t (a)",
        "REINDEX",
        "ANALYZE",
        "DETACH main",
    ] {
        let request = Request::new("POST", "/db/query").json(&json!({ "sql": sql }));
        asked.ask(sql, &request.patience(Duration::from_secs(30)), false);
    }
    instance.ok("GET", "/schedules/x", Value::Null);
    asked.done();
}

#[test]
fn connections_that_are_none() {
    let instance = Instance::start();
    let mut random = Random::new(random::seed("connections"));
    let pieces: Vec<Vec<u8>> = vec![
        b"GET".to_vec(), b"\0\0\0\0\r\n\r\n".to_vec(), b"GET / HTTP/9.9\r\n\r\n".to_vec(), b"GET /api/v1/status HTTP/1.1\r\n\r\n".to_vec(),
        format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(1 << 20)).into_bytes(),
        format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(1 << 20)).into_bytes(),
        format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(5000)).into_bytes(),
        b"POST /api/v1/schedules HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{".to_vec(),
        b"POST /api/v1/schedules HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n{}".to_vec(),
        b"POST /api/v1/schedules HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n".to_vec(),
        b"POST /api/v1/schedules HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), b"CONNECT / HTTP/1.1\r\n\r\n".to_vec(), b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"GET http://[::1/ HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), b"GET /api/v1/../../etc HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), (0..=255).collect(),
    ];
    for piece in &pieces {
        let mut stream = UnixStream::connect(instance.socket()).expect("connected");
        let _ = stream.write_all(piece);
        stream.set_read_timeout(Some(Duration::from_millis(50))).expect("set");
        let mut answer = [0; 4096];
        let _ = stream.read(&mut answer);
        instance.ok("GET", "/version", Value::Null);
    }
    for _ in 0..300 {
        let mut stream = UnixStream::connect(instance.socket()).expect("connected");
        let mut bytes = random.pick(&pieces).clone();
        bytes.truncate(5000);
        let at = random.between(0, bytes.len() as u64) as usize;
        bytes[at] ^= 1 << random.between(0, 8);
        let _ = stream.write_all(&bytes);
    }
    // People who connect and say nothing do not keep others out.
    let idle: Vec<_> = (0..400).filter_map(|_| UnixStream::connect(instance.socket()).ok()).collect();
    instance.ok("GET", "/status", Value::Null);
    drop(idle);
    assert!(!instance.log().contains("panicked"), "{}", instance.log());
    instance.ok("GET", "/status", Value::Null);
}
