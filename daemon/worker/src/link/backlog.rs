//! Records that are not durable yet: what was sent is kept until it is acknowledged, and sent again on a new connection.

use std::collections::VecDeque;

use sloth_api::worker::{Numbered, Record};

/// Numbered records, oldest first.
#[derive(Debug)]
pub(super) struct Backlog {
    records: VecDeque<(usize, String, u64)>,
    bytes: usize,
    next: u64,
    /// How many of `records` the present connection has.
    sent: usize,
}

impl Default for Backlog {
    fn default() -> Self {
        Backlog { records: VecDeque::new(), bytes: 0, next: 1, sent: 0 }
    }
}

impl Backlog {
    pub(super) fn begin_at(&mut self, next: u64) {
        self.next = next.max(1);
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends, and gives the number.
    pub(super) fn push(&mut self, at: i64, record: Record) -> u64 {
        let seq = self.next;
        self.next += 1;
        // Encoded at once: it is sent as it is now, perhaps several times.
        let text = serde_json::to_string(&Numbered { seq, at, record }).expect("records are made of JSON values");
        self.bytes += text.len();
        self.records.push_back((text.len(), text, seq));
        seq
    }

    /// Records up to here are durable.
    pub(super) fn acknowledge(&mut self, upto: u64) {
        while self.records.front().is_some_and(|(_, _, seq)| *seq <= upto) {
            if let Some((length, _, _)) = self.records.pop_front() {
                self.bytes -= length;
                self.sent = self.sent.saturating_sub(1);
            }
        }
    }

    /// A new connection has seen nothing of what is not durable.
    pub(super) fn rewind(&mut self) {
        self.sent = 0;
    }

    /// A message with the next records, at most about this long; `None`: everything is sent.
    pub(super) fn take_message(&mut self, bytes_max: usize) -> Option<Vec<u8>> {
        if self.sent >= self.records.len() {
            return None;
        }
        let mut message = br#"{"type":"records","records":["#.to_vec();
        let first = self.sent;
        while let Some((length, text, _)) = self.records.get(self.sent) {
            if self.sent > first && message.len() + length > bytes_max {
                break;
            }
            if self.sent > first {
                message.push(b',');
            }
            message.extend_from_slice(text.as_bytes());
            self.sent += 1;
        }
        message.extend_from_slice(b"]}");
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use sloth_api::worker::ToSlothd;

    use super::*;

    fn numbers(message: Option<Vec<u8>>) -> Vec<u64> {
        let Some(message) = message else { return Vec::new() };
        match serde_json::from_slice(&message).unwrap() {
            ToSlothd::Records { records } => records.iter().map(|record| record.seq).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn status(backlog: &mut Backlog) -> u64 {
        backlog.push(7, Record::Status { status: "running".to_owned() })
    }

    /// "says Hello with what it has sent, and sends again what was not acknowledged"
    #[test]
    fn what_is_not_acknowledged_is_sent_again() {
        let mut backlog = Backlog::default();
        backlog.begin_at(10);
        assert_eq!((status(&mut backlog), status(&mut backlog)), (10, 11));
        assert_eq!(numbers(backlog.take_message(1 << 20)), [10, 11]);
        assert_eq!(status(&mut backlog), 12);
        backlog.acknowledge(10);
        assert_eq!(numbers(backlog.take_message(1 << 20)), [12]);
        assert_eq!(numbers(backlog.take_message(1 << 20)), [0_u64; 0]);
        backlog.rewind();
        assert_eq!(numbers(backlog.take_message(1 << 20)), [11, 12]);
        backlog.acknowledge(12);
        assert_eq!(backlog.bytes(), 0);
    }

    #[test]
    fn a_message_has_an_end() {
        let mut backlog = Backlog::default();
        for _ in 0..10 {
            status(&mut backlog);
        }
        assert_eq!(numbers(backlog.take_message(200)), [1, 2]);
        assert_eq!(numbers(backlog.take_message(10)), [3], "at least one, however long");
        backlog.rewind();
        backlog.acknowledge(9);
        assert_eq!(numbers(backlog.take_message(200)), [10]);
    }
}
