//! A small client of the API that shares no code with the project: what is sent and what comes is seen byte by byte.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Verb.
    pub method: String,
    /// Whole path with query, as it stands on the wire.
    pub target: String,
    /// Beside host, length and kind.
    pub headers: Vec<(String, String)>,
    /// Content.
    pub body: Option<Vec<u8>>,
    /// How long an answer may take.
    pub patience: Duration,
}

impl Request {
    /// Of a path below `/api/v1`.
    pub fn new(method: &str, path: &str) -> Request {
        Request {
            method: method.to_owned(),
            target: format!("/api/v1{path}"),
            headers: Vec::new(),
            body: None,
            patience: Duration::from_secs(30),
        }
    }

    /// With this content.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = Some(body.into());
        self
    }

    /// With JSON, unless it is `null`.
    pub fn json(self, body: &Value) -> Request {
        if body.is_null() { self } else { self.body(body.to_string()) }
    }

    /// With a header.
    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With another limit.
    pub fn patience(mut self, patience: Duration) -> Request {
        self.patience = patience;
        self
    }

    fn head(&self) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: slothd\r\nconnection: close\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &self.body {
            head.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
        }
        head + "\r\n"
    }

    /// Sends it and reads the whole answer.
    pub fn send(&self, socket: &Path) -> io::Result<Reply> {
        let (mut reply, mut rest) = self.open(socket)?;
        rest.read_to_end(&mut reply.body)?;
        Ok(reply)
    }

    /// Sends it and reads the head of the answer; the content can be read as it comes.
    pub fn open(&self, socket: &Path) -> io::Result<(Reply, Content)> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(self.patience))?;
        stream.set_write_timeout(Some(self.patience))?;
        let mut sent = stream.write_all(self.head().as_bytes());
        if let Some(body) = &self.body {
            sent = sent.and_then(|()| stream.write_all(body));
        }
        // A refusal may come before everything is sent; then it is there to be read.
        match sent {
            Err(error) if !matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
                return Err(error);
            }
            _ => {}
        }
        read_head(BufReader::new(stream))
    }
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    /// Content.
    pub body: Vec<u8>,
}

impl Reply {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The content as JSON; `null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The content as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `error.code` of a refusal, or nothing.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// The content of an answer.
pub struct Content {
    stream: BufReader<UnixStream>,
    /// Bytes left of the whole (`None`: until the end), or of this chunk.
    left: Option<u64>,
    chunked: bool,
}

fn read_head(mut stream: BufReader<UnixStream>) -> io::Result<(Reply, Content)> {
    let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed without an answer"));
    }
    let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
    let mut reply = Reply { status: status.ok_or_else(|| broken("no status"))?, ..Reply::default() };
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(broken("the head ends too early"));
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        reply.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let chunked = reply.header("transfer-encoding") == Some("chunked");
    let length = reply.header("content-length").and_then(|text| text.parse().ok());
    let left = if chunked { Some(0) } else { length };
    Ok((reply, Content { stream, left, chunked }))
}

impl Read for Content {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.chunked && self.left == Some(0) {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            if line == "\r\n" {
                line.clear();
                self.stream.read_line(&mut line)?;
            }
            let size = u64::from_str_radix(line.trim(), 16)
                .map_err(|_| io::Error::new(io::ErrorKind::UnexpectedEof, "the answer was cut off"))?;
            if size == 0 {
                self.chunked = false;
                return Ok(0);
            }
            self.left = Some(size);
        }
        if self.left == Some(0) {
            return Ok(0);
        }
        let most = self.left.map_or(buf.len(), |left| buf.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        let read = self.stream.read(&mut buf[..most])?;
        match &mut self.left {
            Some(left) if read == 0 && *left > 0 => {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer was cut off"));
            }
            Some(left) => *left -= read as u64,
            None => {}
        }
        Ok(read)
    }
}

/// One message of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Kind.
    pub event: String,
    /// Where to go on.
    pub id: String,
    /// Content.
    pub data: String,
}

/// Messages of a stream (server-sent events).
pub struct Messages(BufReader<Content>);

impl Messages {
    /// Opens a stream that must be accepted.
    pub fn open(request: &Request, socket: &Path) -> io::Result<Messages> {
        let (reply, content) = request.open(socket)?;
        if reply.status != 200 {
            return Err(io::Error::other(format!("status {}", reply.status)));
        }
        Ok(Messages(BufReader::new(content)))
    }
}

impl Iterator for Messages {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        let mut message = Message::default();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end_matches(['\r', '\n']);
            match line.split_once(": ").or_else(|| line.split_once(':')) {
                None if line.is_empty() && !message.data.is_empty() => return Some(message),
                Some(("event", value)) => value.clone_into(&mut message.event),
                Some(("id", value)) => value.clone_into(&mut message.id),
                Some(("data", value)) => message.data.push_str(value),
                _ => {}
            }
        }
    }
}
