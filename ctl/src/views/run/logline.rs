//! The log of a workflow run: one JSON object a line, cut into chunks anywhere. What is no such line is shown as it is.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// Longest line that is put together, bytes; longer ones come in pieces.
const LINE_BYTES_MAX: usize = 1 << 20;

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct LogLine {
    /// Milliseconds since 1970.
    pub(crate) ts: i64,
    pub(crate) workflow: Option<String>,
    pub(crate) task: Option<String>,
    pub(crate) attempt: Option<u32>,
    pub(crate) stream: String,
    pub(crate) level: String,
    pub(crate) msg: String,
    pub(crate) fields: Map<String, Value>,
}

/// Puts lines together.
#[derive(Debug, Default)]
pub(crate) struct LogSplitter {
    open: BTreeMap<String, Vec<u8>>,
}

impl LogSplitter {
    /// The lines that end in this chunk.
    pub(crate) fn take(&mut self, stream: &str, bytes: &[u8]) -> Vec<LogLine> {
        let open = self.open.entry(stream.to_owned()).or_default();
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            open.extend_from_slice(part);
            if part.ends_with(b"\n") || open.len() > LINE_BYTES_MAX {
                lines.push(read(stream, &std::mem::take(open)));
            }
        }
        lines
    }

    /// What was left without an end of line.
    pub(crate) fn finish(&mut self) -> Vec<LogLine> {
        let open = std::mem::take(&mut self.open);
        open.iter().filter(|(_, bytes)| !bytes.is_empty()).map(|(stream, bytes)| read(stream, bytes)).collect()
    }
}

fn read(stream: &str, line: &[u8]) -> LogLine {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    if stream == "stdout"
        && line.starts_with(b"{")
        && let Ok(line) = serde_json::from_slice::<LogLine>(line)
        && !line.stream.is_empty()
    {
        return line;
    }
    let level = if stream == "stdout" { "info" } else { "warn" };
    let msg = String::from_utf8_lossy(line).into_owned();
    LogLine { stream: stream.to_owned(), level: level.to_owned(), msg, ..LogLine::default() }
}

impl LogLine {
    /// Whether it passes these filters.
    pub(crate) fn is_wanted(&self, task: Option<&str>, stream: Option<&str>) -> bool {
        let of_task = |wanted: &str| self.task.as_deref() == Some(wanted);
        task.is_none_or(of_task) && stream.is_none_or(|wanted| self.stream == wanted)
    }

    /// Its message with its fields, for people; not cleaned.
    pub(crate) fn text(&self) -> String {
        let mut text = self.msg.trim_end_matches(['\n', '\r']).to_owned();
        for (name, value) in &self.fields {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text.push_str(&format!(" {name}={value}"));
        }
        match (self.stream.as_str(), self.level.as_str()) {
            ("log", level @ ("warn" | "error" | "debug")) => format!("{level}: {text}"),
            _ => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let text = "{\"ts\":1,\"task\":\"a\",\"stream\":\"stdout\",\"level\":\"info\",\"msg\":\"one\"}\nplain\n{\"no\":1}\n{\"ts\":2,\"stream\":\"log\",\
                    \"level\":\"warn\",\"msg\":\"two\",\"fields\":{\"n\":1,\"s\":\"x\"}}";
        let whole = {
            let mut splitter = LogSplitter::default();
            let mut lines = splitter.take("stdout", text.as_bytes());
            lines.extend(splitter.finish());
            lines
        };
        let texts: Vec<String> = whole.iter().map(LogLine::text).collect();
        assert_eq!(texts, ["one", "plain", "{\"no\":1}", "warn: two n=1 s=x"]);
        assert_eq!(whole[0].task.as_deref(), Some("a"));
        for cut in 1..text.len() {
            let mut splitter = LogSplitter::default();
            let mut lines = splitter.take("stdout", &text.as_bytes()[..cut]);
            lines.extend(splitter.take("stdout", &text.as_bytes()[cut..]));
            lines.extend(splitter.finish());
            assert_eq!(lines, whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_line_without_end_does_not_grow_for_ever() {
        let mut splitter = LogSplitter::default();
        let lines = splitter.take("stderr", &vec![b'x'; 3 << 20]);
        assert_eq!(lines.len(), 1);
        assert!(splitter.finish().is_empty());
    }
}
