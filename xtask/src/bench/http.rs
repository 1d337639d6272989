//! A bare client of the API: it must cost less than what it measures.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context, Result};

/// One connection, kept alive.
pub struct Connection {
    reader: BufReader<UnixStream>,
}

impl Connection {
    pub fn open(socket: &Path) -> Result<Connection> {
        let stream = UnixStream::connect(socket).context("cannot connect to slothd")?;
        Ok(Connection { reader: BufReader::new(stream) })
    }

    /// Sends JSON and returns the status; the answer is read and thrown away.
    pub fn post(&mut self, path: &str, body: &str) -> Result<u16> {
        let request = format!(
            "POST /api/v1{path} HTTP/1.1\r\nhost: slothd\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.reader.get_mut().write_all(request.as_bytes()).context("cannot send")?;
        let mut status = 0;
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            self.reader.read_line(&mut line).context("no answer")?;
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(rest) = header.strip_prefix("http/1.1 ") {
                status = rest.split(' ').next().and_then(|code| code.parse().ok()).context("no status")?;
            } else if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().context("no length")?;
            }
        }
        let mut rest = vec![0; length];
        self.reader.read_exact(&mut rest).context("a short answer")?;
        Ok(status)
    }
}
