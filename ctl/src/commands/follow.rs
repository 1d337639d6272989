//! Waiting for runs and following their output. Both survive a restart of the daemon, and leave the run alone when they are interrupted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sloth_api::client::{Call, ClientError, Method, PATIENCE, Target};
use sloth_api::{ExitCode, LogChunk, RunView};

use crate::failure::Failure;
use crate::output::text::{clean, clean_bytes};
use crate::output::{print, print_bytes};
use crate::session::{Session, typed};

/// How long one request waits for the end of a run.
const WAIT: Duration = Duration::from_secs(25);

/// Output of a run on its way to the screen.
pub(crate) struct LogPrinter<'s> {
    session: &'s Session,
    /// Bytes go out as they are.
    exact: bool,
    timestamps: bool,
    at_line_start: bool,
    /// Characters that are cut between two chunks, by stream.
    cut: BTreeMap<String, Vec<u8>>,
}

impl<'s> LogPrinter<'s> {
    pub(crate) fn new(session: &'s Session, raw: bool, timestamps: bool) -> LogPrinter<'s> {
        let exact = raw || !session.screen.terminal;
        LogPrinter { session, exact, timestamps, at_line_start: true, cut: BTreeMap::new() }
    }

    /// Prints one chunk; `raw` is its form on the wire.
    pub(crate) fn chunk(&mut self, chunk: &LogChunk, raw: &Value) -> Result<(), Failure> {
        if self.session.screen.is_data() {
            return self.session.screen.stream(raw, String::new);
        }
        if chunk.stream == "note" {
            self.session.say(format!("slothd: {}", chunk.text.trim_end()));
            return Ok(());
        }
        let bytes = exact_bytes(chunk);
        if self.exact && !self.timestamps {
            return print_bytes(&bytes);
        }
        let bytes = self.whole_characters(&chunk.stream, bytes);
        let text = if self.exact { bytes } else { clean_bytes(&bytes).into_bytes() };
        if !self.timestamps {
            return print_bytes(&text);
        }
        let time = self.session.screen.clock.absolute(&chunk.timestamp);
        let mut out = Vec::new();
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            if std::mem::replace(&mut self.at_line_start, line.ends_with(b"\n")) {
                out.extend_from_slice(format!("{time} {:<6} ", clean(&chunk.stream)).as_bytes());
            }
            out.extend_from_slice(line);
        }
        print_bytes(&out)
    }

    /// Prints what was kept of characters that never became whole.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        for bytes in std::mem::take(&mut self.cut).into_values() {
            print(&clean_bytes(&bytes))?;
        }
        Ok(())
    }

    fn whole_characters(&mut self, stream: &str, bytes: Vec<u8>) -> Vec<u8> {
        let mut all = self.cut.remove(stream).unwrap_or_default();
        all.extend(bytes);
        if let Some(last) = all.utf8_chunks().last().map(|chunk| chunk.invalid().to_vec())
            && !last.is_empty()
            && std::str::from_utf8(&last).is_err_and(|error| error.error_len().is_none())
        {
            all.truncate(all.len() - last.len());
            self.cut.insert(stream.to_owned(), last);
        }
        all
    }
}

/// The bytes of a chunk.
pub(crate) fn exact_bytes(chunk: &LogChunk) -> Vec<u8> {
    let decoded = chunk.bytes.as_ref().and_then(|bytes| STANDARD.decode(bytes).ok());
    decoded.unwrap_or_else(|| chunk.text.clone().into_bytes())
}

/// Prints output from `offset` on until the run ends, and gives the run.
pub(crate) async fn follow(
    session: &Session,
    run: &str,
    stream: Option<&str>,
    offset: u64,
    printer: &mut LogPrinter<'_>,
) -> Result<Value, Failure> {
    let target = Target::new("/runs").name(run).then("/logs/stream").with_some("stream", stream);
    let mut messages = session.client.follow_logs(target.as_str(), offset);
    let mut reconnects = 0;
    loop {
        let message = messages.next().await?;
        if messages.reconnects() > reconnects {
            reconnects = messages.reconnects();
            if session.globals.verbose {
                session.say("connected again");
            }
        }
        let data: Value = serde_json::from_str(&message.data)
            .map_err(|error| Failure::from(ClientError::Unreadable(error.to_string())))?;
        match message.event.as_str() {
            "log" => printer.chunk(&typed(&data)?, &data)?,
            "end" => {
                printer.finish()?;
                return Ok(data);
            }
            _ => {} // of a later version
        }
    }
}

/// Waits until the run has ended; `limit`: at most so long.
pub(crate) async fn wait(session: &Session, run: &str, limit: Option<Duration>) -> Result<Value, Failure> {
    let give_up = limit.map(|limit| Instant::now() + limit);
    loop {
        let left = give_up.map_or(WAIT, |at| at.saturating_duration_since(Instant::now()).min(WAIT));
        let target = Target::new("/runs").name(run).with("wait", format!("{}ms", left.as_millis()));
        let call = Call::new(Method::GET, target.as_str()).within(left + Duration::from_secs(10));
        let patience = give_up.map_or(PATIENCE, |_| left.min(PATIENCE));
        let answer: Value = session.client.get_patient(call, patience).await?;
        if is_terminal(&answer) {
            return Ok(answer);
        }
        if give_up.is_some_and(|at| Instant::now() >= at) {
            return Err(Failure::timed_out(format!("run {run} has not ended yet")).hint("it goes on; wait again"));
        }
    }
}

fn is_terminal(run: &Value) -> bool {
    matches!(run["status"].as_str(), Some("completed" | "failed" | "cancelled"))
}

/// Exit code of a run that has ended.
pub(crate) fn exit_code(run: &RunView) -> u8 {
    exit_code_of(&run.status, run.reason.as_deref())
}

/// Exit code of a status and its reason.
pub(crate) fn exit_code_of(status: &str, reason: Option<&str>) -> u8 {
    match (status, reason) {
        ("completed", _) => ExitCode::Success as u8,
        ("cancelled", _) | ("failed", Some("timeout")) => ExitCode::TimedOut as u8,
        ("failed", Some("definition" | "unresolved" | "validation")) => ExitCode::Usage as u8,
        ("failed", Some("denied")) => ExitCode::Denied as u8,
        ("failed", Some("lock_held")) => sloth_api::ErrorCode::LockHeld.exit_code(),
        ("failed", Some("agent_unreachable")) => sloth_api::ErrorCode::AgentUnreachable.exit_code(),
        _ => ExitCode::Failed as u8,
    }
}

/// Runs `work` unless Ctrl-C comes first.
pub(crate) async fn unless_interrupted<T>(
    session: &Session,
    remark: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => {
            if !remark.is_empty() {
                session.say(format!("interrupted; {remark}"));
            }
            Err(Failure::exit(ExitCode::Interrupted as u8))
        }
    }
}
