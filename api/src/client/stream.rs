//! Server-sent events that survive a restart of the daemon: the id of the last message is where the next connection begins.

use std::collections::VecDeque;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::Incoming;
use tokio::time::{Instant, sleep, timeout};

use super::{Answer, Call, Client, ClientError, Connection, PATIENCE};

/// Longest message that is accepted, bytes.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How a new connection says where it wants to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Header `Last-Event-ID`.
    LastEventId,
    /// Parameter `offset` (and the header as well).
    Offset,
}

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseMessage {
    /// `message` when it has none.
    pub event: String,
    /// Of the message, or of the last one before that had any.
    pub id: Option<String>,
    /// Content.
    pub data: String,
}

/// A stream. Dropping it closes the connection.
#[derive(Debug)]
pub struct Stream<'c> {
    client: &'c Client,
    path: String,
    last_id: Option<String>,
    resume: Resume,
    patience: Duration,
    open: Option<(Incoming, Connection)>,
    reader: Reader,
    began: bool,
    away_since: Option<Instant>,
    reconnects: u32,
}

/// Takes bytes, gives messages; see the event stream format of the HTML standard.
#[derive(Debug, Default)]
struct Reader {
    line: Vec<u8>,
    event: String,
    id: Option<String>,
    data: String,
    has_data: bool,
    after_cr: bool,
    ready: VecDeque<SseMessage>,
}

impl<'c> Stream<'c> {
    pub(super) fn new(client: &'c Client, path: String, last_id: Option<String>, resume: Resume) -> Stream<'c> {
        Stream {
            client,
            path,
            last_id,
            resume,
            patience: PATIENCE,
            open: None,
            reader: Reader::default(),
            began: false,
            away_since: None,
            reconnects: 0,
        }
    }

    /// Waits this long for a daemon that went away, instead of [`PATIENCE`]; zero: not at all.
    pub fn with_patience(mut self, patience: Duration) -> Stream<'c> {
        self.patience = patience;
        self
    }

    /// How often the connection was made anew.
    pub fn reconnects(&self) -> u32 {
        self.reconnects
    }

    /// Whether the daemon is away at the moment.
    pub fn is_away(&self) -> bool {
        self.away_since.is_some()
    }

    /// Where another stream would go on.
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// The next message. The stream has no end of its own: the caller stops at the message that says so. A first connection that
    /// fails is an error at once; a later loss only after the patience is used up. May be dropped and called again.
    pub async fn next(&mut self) -> Result<SseMessage, ClientError> {
        let mut pause = Duration::from_millis(50);
        loop {
            if let Some(message) = self.reader.ready.pop_front() {
                if message.id.is_some() {
                    self.last_id.clone_from(&message.id);
                }
                return Ok(message);
            }
            let error = match self.advance().await {
                Ok(()) => continue,
                Err(error) => error,
            };
            let since = *self.away_since.get_or_insert_with(Instant::now);
            if !self.began || !error.is_passing() || since.elapsed() >= self.patience {
                return Err(error);
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// Connects, or reads one piece.
    async fn advance(&mut self) -> Result<(), ClientError> {
        let Some((body, _)) = self.open.as_mut() else {
            self.open = Some(self.connect().await?);
            self.reconnects += u32::from(self.began);
            self.began = true;
            self.reader = Reader { id: self.last_id.clone(), ..Reader::default() };
            return Ok(());
        };
        let lost = match body.frame().await {
            Some(Ok(frame)) => {
                self.away_since = None;
                match frame.data_ref() {
                    Some(bytes) => return self.reader.take(bytes),
                    None => return Ok(()),
                }
            }
            Some(Err(error)) => error.to_string(),
            None => "the stream ended".to_owned(),
        };
        self.open = None;
        Err(ClientError::Lost(lost))
    }

    async fn connect(&self) -> Result<(Incoming, Connection), ClientError> {
        let mut path = self.path.clone();
        let mut call = Call::new(Method::GET, String::new()).header("accept", "text/event-stream");
        if let Some(id) = &self.last_id {
            call = call.header("last-event-id", id.clone());
            if self.resume == Resume::Offset {
                path.push(if path.contains('?') { '&' } else { '?' });
                path.push_str("offset=");
                path.push_str(id);
            }
        }
        call.path = path;
        let limit = self.client.timeout;
        let (response, connection) =
            timeout(limit, self.client.open(&call)).await.unwrap_or(Err(ClientError::TimedOut(limit)))?;
        let (head, body) = response.into_parts();
        if head.status.is_success() {
            return Ok((body, connection));
        }
        let body = body.collect().await.map_err(|error| ClientError::Lost(error.to_string()))?.to_bytes();
        let refused = Answer { status: head.status.as_u16(), headers: head.headers, body }.accepted();
        Err(refused.err().unwrap_or_else(|| ClientError::Unreadable("a stream was expected".to_owned())))
    }
}

impl Reader {
    fn take(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        for &byte in bytes {
            match byte {
                b'\n' if self.after_cr => self.after_cr = false,
                b'\n' | b'\r' => {
                    self.after_cr = byte == b'\r';
                    self.end_line();
                }
                _ => {
                    self.after_cr = false;
                    self.line.push(byte);
                }
            }
            if self.line.len() + self.data.len() > MESSAGE_BYTES_MAX {
                return Err(ClientError::Unreadable("a message of the stream is too long".to_owned()));
            }
        }
        Ok(())
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            self.end_message();
            return;
        }
        let line = String::from_utf8_lossy(&line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.has_data = true;
                self.data.push_str(value);
            }
            _ => {} // a comment (keep-alive), `retry`, or unknown
        }
    }

    fn end_message(&mut self) {
        let event = std::mem::take(&mut self.event);
        let data = std::mem::take(&mut self.data);
        if std::mem::take(&mut self.has_data) {
            let event = if event.is_empty() { "message".to_owned() } else { event };
            self.ready.push_back(SseMessage { event, id: self.id.clone(), data });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Reader, SseMessage};

    fn read(pieces: &[&str]) -> Vec<SseMessage> {
        let mut reader = Reader::default();
        for piece in pieces {
            reader.take(piece.as_bytes()).expect("short");
        }
        reader.ready.into()
    }

    #[test]
    fn messages_may_be_cut_anywhere() {
        let whole = ": hello\r\n\r\nevent: log\nid: 7\ndata: {\"a\":\ndata: 1}\n\nid: 8\n\ndata:x\r\r";
        let expected = read(&[whole]);
        assert_eq!(expected.len(), 2);
        assert_eq!(expected[0], SseMessage { event: "log".into(), id: Some("7".into()), data: "{\"a\":\n1}".into() });
        assert_eq!(expected[1], SseMessage { event: "message".into(), id: Some("8".into()), data: "x".into() });
        for cut in 1..whole.len() {
            assert_eq!(read(&[&whole[..cut], &whole[cut..]]), expected);
        }
    }
}
