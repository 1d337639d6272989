//! What a command writes: kept up to a limit, and handed on line by line while it runs.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use sloth_lua::{Ctx, LogLevel, Stream};
use tokio::sync::mpsc;

/// Longest line of the log, bytes; longer ones are split.
const LINE_MAX: usize = 64 << 10;

/// Takes one stream.
pub struct Taker<'a> {
    /// What is kept.
    pub kept: Vec<u8>,
    /// Whether more came than is kept.
    pub truncated: bool,
    max: usize,
    line: Vec<u8>,
    log: Option<&'a Ctx>,
    stream: Stream,
    mask: &'a [String],
    whole: Option<Vec<Vec<u8>>>,
}

impl<'a> Taker<'a> {
    /// Keeps at most `max` bytes; logs lines where there is a log.
    pub fn new(max: usize, log: Option<&'a Ctx>, stream: Stream, mask: &'a [String]) -> Taker<'a> {
        Taker { kept: Vec::new(), truncated: false, max, line: Vec::new(), log, stream, mask, whole: None }
    }

    /// Also keeps lines until they are fetched by [`Taker::whole`].
    pub fn keep_lines(&mut self) {
        self.whole = Some(Vec::new());
    }

    /// The whole lines since the last call.
    pub fn whole(&mut self) -> Vec<Vec<u8>> {
        self.whole.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Which stream.
    pub fn stream(&self) -> Stream {
        self.stream
    }

    /// The next bytes.
    pub fn take(&mut self, bytes: &[u8]) {
        let room = self.max - self.kept.len();
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.truncated |= bytes.len() > room && self.max > 0;
        if self.log.is_none() && self.whole.is_none() {
            return;
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.line.pop();
                self.flush();
            }
            while self.line.len() > LINE_MAX {
                let rest = self.line.split_off(split_at(&self.line));
                self.flush();
                self.line = rest;
            }
        }
    }

    /// The stream has ended: a last line without its end counts, too.
    pub fn finish(&mut self) {
        if !self.line.is_empty() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        if line.ends_with(b"\r") {
            line.pop();
        }
        if let Some(whole) = &mut self.whole {
            whole.push(masked_bytes(line.clone(), self.mask));
        }
        let Some(ctx) = self.log else { return };
        let text = String::from_utf8_lossy(&line);
        let level = if self.stream == Stream::Stderr { LogLevel::Warn } else { LogLevel::Info };
        ctx.say(level, self.stream, masked(&text, self.mask));
    }
}

/// Lines on their way to a script that takes them one by one; the command waits when the script is slow.
pub struct Lines {
    sender: Mutex<Option<mpsc::Sender<Line>>>,
    receiver: tokio::sync::Mutex<mpsc::Receiver<Line>>,
}

/// A line and where it comes from.
pub type Line = (Vec<u8>, Stream);

/// Lines that may wait.
const LINES_MAX: usize = 256;

impl Lines {
    /// For somebody who takes them.
    pub fn open() -> Lines {
        let (sender, receiver) = mpsc::channel(LINES_MAX);
        Lines { sender: Mutex::new(Some(sender)), receiver: tokio::sync::Mutex::new(receiver) }
    }

    /// For nobody.
    pub fn closed() -> Lines {
        let lines = Lines::open();
        lines.close();
        lines
    }

    /// No more will come.
    pub fn close(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Whether somebody takes them.
    pub fn is_open(&self) -> bool {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Hands one over; waits for room.
    pub async fn send(&self, line: Vec<u8>, stream: Stream) {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(sender) = sender {
            let _ = sender.send((line, stream)).await;
        }
    }

    /// The next one; `None` after the last.
    pub async fn next(&self) -> Option<Line> {
        self.receiver.lock().await.recv().await
    }
}

/// Where a line that is too long is cut: not within a character.
fn split_at(line: &[u8]) -> usize {
    (LINE_MAX - 3..=LINE_MAX).rev().find(|at| line[*at] & 0xC0 != 0x80).unwrap_or(LINE_MAX)
}

/// The text with masked words replaced.
pub fn masked<'a>(text: &'a str, mask: &[String]) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(text);
    for secret in mask.iter().filter(|secret| !secret.is_empty()) {
        if text.contains(secret.as_str()) {
            text = Cow::Owned(text.replace(secret.as_str(), "***"));
        }
    }
    text
}

/// The same for bytes.
pub fn masked_bytes(bytes: Vec<u8>, mask: &[String]) -> Vec<u8> {
    mask.iter().filter(|secret| !secret.is_empty()).fold(bytes, |bytes, secret| replace(bytes, secret.as_bytes()))
}

fn replace(bytes: Vec<u8>, secret: &[u8]) -> Vec<u8> {
    if !bytes.windows(secret.len()).any(|window| window == secret) {
        return bytes;
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(secret) {
            out.extend_from_slice(b"***");
            at += secret.len();
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_limit_is_counted_but_not_kept() {
        let mut taker = Taker::new(4, None, Stream::Stdout, &[]);
        taker.take(b"abc");
        assert!(!taker.truncated);
        taker.take(b"def");
        assert_eq!((taker.kept.as_slice(), taker.truncated), (&b"abcd"[..], true));
    }

    #[test]
    fn masked_words_appear_nowhere() {
        let mask = vec!["s3cret".to_owned(), String::new()];
        assert_eq!(masked("a s3cret s3cret", &mask), "a *** ***");
        assert_eq!(masked_bytes(b"\xffs3cret".to_vec(), &mask), b"\xff***");
    }
}
