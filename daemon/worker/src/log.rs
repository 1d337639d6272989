//! The log of the run: one JSON object a line on standard output, written by a thread of its own. Whoever logs waits
//! while the reader is slow, but not for ever.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value};
use sloth_lua::{LogLevel, LogLine, Sink, Stream};

/// Longest text of one line, bytes; longer ones are split.
const LINE_MAX: usize = 64 << 10;

/// What may wait for the reader, bytes.
const WAITING_MAX: usize = 1 << 20;

/// How long a line waits for a reader that does not read; then it is dropped, and counted.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes lines.
pub struct Log {
    shared: Arc<Shared>,
    with_debug: bool,
    limit: u64,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    writing: bool,
    written: u64,
    dropped: u64,
    full: bool,
    /// Nobody reads any more.
    broken: bool,
}

impl Log {
    /// A log that ends at `limit` bytes (0: 256 MiB).
    pub fn new(limit: u64, with_debug: bool) -> io::Result<Log> {
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        thread::Builder::new().name("log".to_owned()).stack_size(64 << 10).spawn(move || write_all(&writer))?;
        Ok(Log { shared, with_debug, limit: if limit == 0 { 256 << 20 } else { limit } })
    }

    /// A log that nobody reads.
    pub fn quiet() -> Log {
        let shared = Arc::new(Shared::default());
        shared.state.lock().unwrap_or_else(PoisonError::into_inner).broken = true;
        Log { shared, with_debug: false, limit: 0 }
    }

    /// Waits until everything is written, or nobody reads.
    pub fn flush(&self) {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        while (!state.waiting.is_empty() || state.writing) && !state.broken {
            let (next, timeout) =
                self.shared.emptied.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            if timeout.timed_out() {
                return;
            }
            state = next;
        }
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.broken || state.full {
            return;
        }
        if state.written + line.len() as u64 > self.limit {
            state.full = true;
            let marker =
                encode(&note(format!("the log ends here: it has reached {} bytes (engine.log_max)", self.limit)), None);
            state.waiting.extend_from_slice(&marker);
            self.shared.filled.notify_one();
            return;
        }
        while state.waiting.len() > WAITING_MAX && !state.broken {
            let (next, timeout) =
                self.shared.emptied.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            state = next;
            if timeout.timed_out() && state.waiting.len() > WAITING_MAX {
                state.dropped += 1;
                return;
            }
        }
        if state.dropped > 0 {
            let marker = encode(&note(format!("{} lines are missing: the log was not read", state.dropped)), None);
            state.dropped = 0;
            state.waiting.extend_from_slice(&marker);
        }
        state.written += line.len() as u64;
        state.waiting.extend_from_slice(line);
        self.shared.filled.notify_one();
    }
}

impl Sink for Log {
    fn line(&self, line: LogLine) {
        if line.level == LogLevel::Debug && !self.with_debug {
            return;
        }
        let mut rest = line.message.as_str();
        loop {
            let (part, after) = rest.split_at(cut(rest));
            self.push(&encode(&line, Some(part)));
            rest = after;
            if rest.is_empty() {
                return;
            }
        }
    }
}

fn note(message: String) -> LogLine {
    LogLine {
        workflow: None,
        task: None,
        attempt: 0,
        level: LogLevel::Warn,
        stream: Stream::Log,
        message,
        fields: Map::new(),
    }
}

/// Where a text is cut, so that no character is.
fn cut(text: &str) -> usize {
    if text.len() <= LINE_MAX {
        return text.len();
    }
    (0..=LINE_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

fn encode(line: &LogLine, part: Option<&str>) -> Vec<u8> {
    let level = match line.level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    let stream = match line.stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
        Stream::Log => "log",
    };
    let mut object = Map::new();
    object.insert("ts".to_owned(), crate::clock::millis().into());
    if let Some(workflow) = &line.workflow {
        object.insert("workflow".to_owned(), workflow.as_str().into());
    }
    if let Some(task) = &line.task {
        object.insert("task".to_owned(), task.as_str().into());
        object.insert("attempt".to_owned(), line.attempt.into());
    }
    object.insert("stream".to_owned(), stream.into());
    object.insert("level".to_owned(), level.into());
    object.insert("msg".to_owned(), part.unwrap_or(&line.message).into());
    if !line.fields.is_empty() {
        object.insert("fields".to_owned(), Value::Object(line.fields.clone()));
    }
    let mut text = Value::Object(object).to_string().into_bytes();
    text.push(b'\n');
    text
}

fn write_all(shared: &Shared) {
    let mut out = io::stdout();
    let mut batch = Vec::new();
    loop {
        {
            let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.writing = false;
            shared.emptied.notify_all();
            while state.waiting.is_empty() {
                state = shared.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            batch.clear();
            std::mem::swap(&mut batch, &mut state.waiting);
            state.writing = true;
        }
        shared.emptied.notify_all();
        if out.write_all(&batch).and_then(|()| out.flush()).is_err() {
            let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.broken = true;
            state.waiting.clear();
            shared.emptied.notify_all();
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_objects_without_empty_keys() {
        let mut line = note("ready".to_owned());
        let bare: Value = serde_json::from_slice(&encode(&line, None)).unwrap();
        assert_eq!(bare.as_object().unwrap().keys().collect::<Vec<_>>(), ["ts", "stream", "level", "msg"]);
        line.task = Some("pack".to_owned());
        line.attempt = 2;
        line.fields.insert("n".to_owned(), 1.into());
        let full: Value = serde_json::from_slice(&encode(&line, None)).unwrap();
        assert_eq!((&full["task"], &full["attempt"], &full["fields"]["n"]), (&"pack".into(), &2.into(), &1.into()));
    }

    /// "log line 64 KiB (longer lines are split)"
    #[test]
    fn long_lines_are_split_between_characters() {
        let text = "ü".repeat(LINE_MAX);
        assert_eq!(cut(&text), LINE_MAX);
        assert_eq!(cut(&text[..LINE_MAX]), LINE_MAX);
        let odd = format!("a{text}");
        assert_eq!(cut(&odd), LINE_MAX - 1);
    }
}
