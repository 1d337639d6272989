//! Cuts a byte stream into messages: four bytes of length, little endian, then the body. Both ends of the socket use it,
//! one blocking and one async, so it only knows buffers.

use serde::Serialize;

use crate::wire::MESSAGE_BYTES_MAX;

/// Why a stream cannot be understood any further.
#[derive(Debug, thiserror::Error)]
pub enum FramingError {
    /// A message is longer than [`MESSAGE_BYTES_MAX`].
    #[error("message of {0} bytes is longer than {MESSAGE_BYTES_MAX}")]
    TooLong(usize),
    /// A message cannot be written as, or read from, JSON.
    #[error("malformed message: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// Received bytes that wait to be cut into messages.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    start: usize,
}

impl Inbox {
    /// Adds what was received.
    pub fn push(&mut self, received: &[u8]) {
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        } else if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(received);
    }

    /// The next whole message.
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, FramingError> {
        let waiting = &self.bytes[self.start..];
        let Some((length, rest)) = waiting.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > MESSAGE_BYTES_MAX {
            return Err(FramingError::TooLong(length));
        }
        if rest.len() < length {
            return Ok(None);
        }
        let from = self.start + 4;
        self.start = from + length;
        Ok(Some(&self.bytes[from..from + length]))
    }

    /// Gives memory back after a large message.
    pub fn shrink(&mut self) {
        if self.start == self.bytes.len() && self.bytes.capacity() > 256 << 10 {
            *self = Inbox::default();
        }
    }
}

/// Appends a message to `out`; `out` is unchanged when that fails.
pub fn encode(message: &impl Serialize, out: &mut Vec<u8>) -> Result<(), FramingError> {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    if let Err(error) = serde_json::to_writer(&mut *out, message) {
        out.truncate(at);
        return Err(error.into());
    }
    let length = out.len() - at - 4;
    if length > MESSAGE_BYTES_MAX {
        out.truncate(at);
        return Err(FramingError::TooLong(length));
    }
    out[at..at + 4].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(())
}
