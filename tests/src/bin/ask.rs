//! Sends requests as the user that runs it, because the kernel tells the daemon who asks.
//!
//! `sloth-ask SOCKET` reads lines of JSON from its standard input, `[method, path, body]`, and answers each with a line `[status, body]`;
//! `null` for the status when there was no answer, with the error as the body.

use std::io::{BufRead, Read, Write};
use std::path::PathBuf;

use serde_json::{Value, json};
use sloth_tests::Request;

fn main() -> anyhow::Result<()> {
    let socket: PathBuf = std::env::args_os().nth(1).unwrap_or_default().into();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let asked: Value = serde_json::from_str(&line?)?;
        let text = |at: usize| asked[at].as_str().unwrap_or_default();
        let request = Request::new(text(0), text(1)).json(&asked[2]);
        // Of a stream only the beginning: it has no end.
        let answered = request.open(&socket).and_then(|(mut reply, mut rest)| {
            if reply.header("content-type") != Some("text/event-stream") {
                rest.read_to_end(&mut reply.body)?;
            }
            Ok(reply)
        });
        let line = match answered {
            Ok(reply) if reply.json().is_null() => json!([reply.status, reply.text()]),
            Ok(reply) => json!([reply.status, reply.json()]),
            Err(error) => json!([null, error.to_string()]),
        };
        writeln!(out, "{line}")?;
    }
    Ok(())
}
