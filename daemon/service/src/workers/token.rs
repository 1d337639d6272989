//! What proves to slothd that a process is the worker of a run: derived from a secret of this daemon, so that it needs no place of its
//! own and survives every restart.

use sha2::{Digest, Sha256};
use sloth_core::RunId;

/// The secret; it never leaves the daemon.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// From 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Secret {
        Secret(bytes)
    }

    /// From its text, as it is stored.
    pub fn parse(text: &str) -> Option<Secret> {
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return None;
        }
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
        }
        Some(Secret(bytes))
    }

    /// Its text.
    pub fn text(&self) -> String {
        crate::runs::hex(&self.0)
    }

    /// The token of a worker. Its last part is of fixed length, and so is what comes before: nothing can be moved between them.
    pub fn token(&self, run: RunId, worker: u32) -> String {
        let mut inner = Sha256::new();
        inner.update(self.0);
        inner.update(run.uuid().as_bytes());
        inner.update(worker.to_be_bytes());
        let mut outer = Sha256::new();
        outer.update(self.0);
        outer.update(inner.finalize());
        crate::runs::hex(&outer.finalize())
    }

    /// Whether this is the token, in a time that tells nothing about it.
    pub(crate) fn is_token(&self, run: RunId, worker: u32, given: &str) -> bool {
        let right = self.token(run, worker);
        let differing = right.bytes().zip(given.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
        given.len() == right.len() && differing == 0
    }
}

#[cfg(test)]
mod tests {
    use sloth_core::Moment;

    use super::*;

    #[test]
    fn a_token_is_good_for_one_worker_of_one_run_of_one_daemon() {
        let (secret, other) = (Secret::new([1; 32]), Secret::new([2; 32]));
        let (run, another) = (RunId::v7(Moment::from_secs(1), 1), RunId::v7(Moment::from_secs(1), 2));
        let token = secret.token(run, 1);
        assert!(secret.is_token(run, 1, &token));
        assert!(!secret.is_token(run, 2, &token));
        assert!(!secret.is_token(another, 1, &token));
        assert!(!other.is_token(run, 1, &token));
        assert!(!secret.is_token(run, 1, &token[..63]) && !secret.is_token(run, 1, ""));
        assert_eq!(Secret::parse(&secret.text()).expect("its own text").token(run, 1), token);
        assert!(Secret::parse("é").is_none());
    }
}
