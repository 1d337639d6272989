//! Messages on a stream: four bytes of length, little endian, and that many bytes of JSON.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Read at once.
const PIECE: usize = 64 << 10;

/// What came in and was not taken yet.
pub(super) struct Incoming<R> {
    stream: R,
    buffer: Vec<u8>,
    /// Where the next message begins.
    at: usize,
    longest: usize,
}

/// Why a message could not be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The other side is gone, between two messages.
    End,
    /// The stream failed or broke off.
    Io,
    /// It says something that is no message.
    Wrong(String),
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    /// Messages of at most so many bytes.
    pub(super) fn new(stream: R, longest: usize) -> Self {
        Incoming { stream, buffer: Vec::new(), at: 0, longest }
    }

    /// From now on messages may be so long.
    pub(super) fn allow(&mut self, longest: usize) {
        self.longest = longest;
    }

    /// The next message that is here already.
    pub(super) fn ready<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ReadError> {
        let rest = &self.buffer[self.at..];
        let Some((head, body)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*head) as usize;
        if length > self.longest {
            return Err(ReadError::Wrong(format!("a message of {length} bytes is longer than {}", self.longest)));
        }
        let Some(json) = body.get(..length) else { return Ok(None) };
        let message = serde_json::from_slice(json)
            .map_err(|error| ReadError::Wrong(format!("a message is none of the protocol: {error}")))?;
        self.at += 4 + length;
        if self.at == self.buffer.len() {
            self.buffer.clear();
            self.buffer.shrink_to(PIECE * 4);
            self.at = 0;
        }
        Ok(Some(message))
    }

    /// Waits for more. Cancel safe. Memory grows with what has come, never with what a length promises.
    pub(super) async fn more(&mut self) -> Result<(), ReadError> {
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        self.buffer.reserve(PIECE);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) if self.buffer.is_empty() => Err(ReadError::End),
            Ok(0) => Err(ReadError::Wrong("the connection broke off within a message".to_owned())),
            Ok(_) => Ok(()),
            Err(_) => Err(ReadError::Io),
        }
    }

    /// The next message, waiting for it.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<T, ReadError> {
        loop {
            if let Some(message) = self.ready()? {
                return Ok(message);
            }
            self.more().await?;
        }
    }
}

/// A message with its length.
pub(super) fn frame(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = u32::try_from(bytes.len() - 4).map_err(|_| io::Error::other("a message is longer than 4 GiB"))?;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

/// Sends a message.
pub(super) async fn send(stream: &mut (impl AsyncWrite + Unpin), message: &impl Serialize) -> io::Result<()> {
    stream.write_all(&frame(message)?).await
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn bytes(messages: &[Value]) -> Vec<u8> {
        messages.iter().flat_map(|message| frame(message).expect("short")).collect()
    }

    #[tokio::test]
    async fn messages_come_out_as_they_went_in_however_they_were_cut() {
        let messages = [json!({"a": 1}), json!("x".repeat(200_000)), json!(null)];
        let (mut to, from) = tokio::io::duplex(777);
        let all = bytes(&messages);
        #[allow(clippy::disallowed_methods)] // it ends with the runtime of the test
        let writing = tokio::spawn(async move { to.write_all(&all).await });
        let mut incoming = Incoming::new(from, 1 << 20);
        for message in &messages {
            assert_eq!(incoming.next::<Value>().await.expect("a message"), *message);
        }
        writing.await.expect("no panic").expect("written");
        assert!(matches!(incoming.next::<Value>().await, Err(ReadError::End)));
    }

    #[tokio::test]
    async fn what_is_too_long_or_no_message_is_refused_before_it_costs_memory() {
        let mut long = Incoming::new(&[0xff, 0xff, 0xff, 0x7f, b'x'][..], 1000);
        assert!(matches!(long.next::<Value>().await, Err(ReadError::Wrong(_))));
        assert!(long.buffer.capacity() < 1 << 20);
        let mut broken = Incoming::new(&[2, 0, 0, 0, b'{', b'{'][..], 1000);
        assert!(matches!(broken.next::<Value>().await, Err(ReadError::Wrong(_))));
        let mut cut = Incoming::new(&[9, 0, 0, 0, b'{'][..], 1000);
        assert!(matches!(cut.next::<Value>().await, Err(ReadError::Wrong(_))));
    }
}
