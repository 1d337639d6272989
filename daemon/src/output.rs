//! The output of a run, for readers: text where it is text, exact bytes where it is not.

use std::collections::VecDeque;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sloth_api::{LogChunk, LogPage};
use sloth_core::run::Run;
use sloth_exec::output::{Entry, Frame, FrameKind, OutputError, OutputReader};
use sloth_service::{LogWish, ServiceError};

/// Reads a piece.
pub fn read(data: &Path, run: &Run, wish: &LogWish) -> Result<LogPage, ServiceError> {
    let wanted = match wish.stream.as_deref() {
        None => None,
        Some("stdout") => Some(FrameKind::Stdout),
        Some("stderr") => Some(FrameKind::Stderr),
        Some("note") => Some(FrameKind::Note),
        Some(other) => {
            return Err(ServiceError::field("stream", format!("{other:?} is not one of stdout, stderr, note")));
        }
    };
    let mut page = LogPage { chunks: Vec::new(), next_offset: wish.offset, dropped_bytes: 0, complete: false };
    let path = data.join(sloth_core::launch::output_path(run.id, run.queued_at));
    let mut reader = match OutputReader::open(&path) {
        Ok(reader) => reader,
        Err(OutputError::Empty(_)) => return Ok(page),
        Err(OutputError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(page),
        Err(error) => return Err(failed(&error)),
    };
    if wish.offset > std::fs::metadata(&path).map_or(0, |meta| meta.len()) {
        // Beyond what was written there is nothing, however far.
        return Ok(page);
    }
    if wish.offset > 0 {
        reader.seek(wish.offset);
    }
    let mut budget = wish.bytes_max;
    let mut tail = wish.tail.map(|lines| Tail { lines, chunks: VecDeque::new(), count: 0 });
    while budget > 0 || tail.is_some() {
        let entry = match reader.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(error) => return Err(failed(&error)),
        };
        let chunk = match entry {
            Entry::Missing { bytes } => {
                page.dropped_bytes += bytes;
                let at = run.queued_at.rfc3339();
                let text = format!("[{bytes} bytes of output are missing here: output_limit]\n");
                Some(LogChunk {
                    offset: reader.offset(),
                    attempt: 0,
                    stream: "note".to_owned(),
                    timestamp: at,
                    text,
                    bytes: None,
                })
            }
            Entry::Frame(frame) if wanted.is_none_or(|wanted| wanted == frame.kind) => chunk(frame, reader.offset()),
            Entry::Frame(_) => None,
        };
        page.next_offset = reader.offset();
        let Some(chunk) = chunk else { continue };
        match &mut tail {
            Some(tail) => tail.push(chunk),
            None => {
                budget = budget.saturating_sub(chunk.text.len().max(1));
                page.chunks.push(chunk);
            }
        }
    }
    page.next_offset = page.next_offset.max(reader.offset());
    if let Some(tail) = tail {
        page.chunks = tail.finish();
    }
    Ok(page)
}

fn failed(error: &OutputError) -> ServiceError {
    ServiceError::new(sloth_api::ErrorCode::StorageUnavailable, format!("the output cannot be read: {error}"))
}

fn chunk(frame: Frame, offset: u64) -> Option<LogChunk> {
    let stream = match frame.kind {
        FrameKind::Stdout => "stdout",
        FrameKind::Stderr => "stderr",
        FrameKind::Note => "note",
        _ => return None,
    };
    let (text, bytes) = match String::from_utf8(frame.bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let bytes = error.into_bytes();
            (String::from_utf8_lossy(&bytes).into_owned(), Some(STANDARD.encode(&bytes)))
        }
    };
    let timestamp = frame.at.rfc3339();
    Some(LogChunk { offset, attempt: frame.attempt, stream: stream.to_owned(), timestamp, text, bytes })
}

/// The last lines, with no more memory than they need.
struct Tail {
    lines: usize,
    chunks: VecDeque<LogChunk>,
    count: usize,
}

impl Tail {
    fn push(&mut self, chunk: LogChunk) {
        self.count += chunk.text.matches('\n').count();
        self.chunks.push_back(chunk);
        while let Some(first) = self.chunks.front() {
            let lines = first.text.matches('\n').count();
            if self.count.saturating_sub(lines) <= self.lines {
                break;
            }
            self.count -= lines;
            self.chunks.pop_front();
        }
    }

    fn finish(mut self) -> Vec<LogChunk> {
        let ends_open = self.chunks.back().is_some_and(|last| !last.text.ends_with('\n'));
        let total = self.count + usize::from(ends_open);
        let mut surplus = total.saturating_sub(self.lines);
        while surplus > 0 {
            let Some(first) = self.chunks.front_mut() else { break };
            match first.text.match_indices('\n').nth(surplus - 1) {
                Some((at, _)) => {
                    first.text.drain(..=at);
                    first.bytes = None;
                    surplus = 0;
                }
                None => {
                    surplus -= first.text.matches('\n').count();
                    self.chunks.pop_front();
                }
            }
        }
        self.chunks.into_iter().filter(|chunk| !chunk.text.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(lines: usize, texts: &[&str]) -> String {
        let mut tail = Tail { lines, chunks: VecDeque::new(), count: 0 };
        for text in texts {
            let chunk = LogChunk {
                offset: 0,
                attempt: 1,
                stream: "stdout".to_owned(),
                timestamp: String::new(),
                text: (*text).to_owned(),
                bytes: None,
            };
            tail.push(chunk);
        }
        tail.finish().into_iter().map(|chunk| chunk.text).collect()
    }

    #[test]
    fn the_tail_is_the_last_lines_whatever_the_chunks() {
        assert_eq!(tail(2, &["a\nb\nc\n"]), "b\nc\n");
        assert_eq!(tail(2, &["a\nb", "c\nd\ne"]), "d\ne");
        assert_eq!(tail(1, &["a\n", "b\n", "c\n"]), "c\n");
        assert_eq!(tail(5, &["a\n", "b"]), "a\nb");
        assert_eq!(tail(1, &["a\nb"]), "b");
    }
}
