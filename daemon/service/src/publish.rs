//! Events that users publish: types outside the families of the daemon, with a payload of their own.

use std::sync::Mutex;
use std::time::Instant;

use serde_json::{Map, Value as Json};
use sloth_api::ErrorCode;
use sloth_api::event::TYPES;
use sloth_core::EventId;
use sloth_core::record::{Published, Record};

use crate::access::Action;
use crate::{Caller, Service, ServiceError};

/// Families whose events only the daemon makes, beside those of its present types.
const RESERVED: &[&str] = &[
    "run", "workflow", "task", "stack", "lock", "snapshot", "drift", "schedule", "agent", "security", "system",
    "secret", "audit",
];
/// Payload of one event, bytes of JSON.
const PAYLOAD_BYTES_MAX: usize = 256 * 1024;
/// Characters of a type.
const TYPE_MAX: usize = 100;
/// Events of all users per second, for longer than a moment.
const PER_SECOND: f64 = 200.0;
/// Events at once.
const BURST: f64 = 1000.0;

/// A bucket of tokens: each event takes one, time brings them back.
#[derive(Debug)]
pub(crate) struct Pace(Mutex<(Instant, f64)>);

impl Default for Pace {
    fn default() -> Self {
        Pace(Mutex::new((Instant::now(), BURST)))
    }
}

impl Pace {
    fn take(&self, now: Instant) -> bool {
        let mut bucket = self.0.lock().unwrap_or_else(|e| e.into_inner());
        let (then, left) = *bucket;
        let left = (left + now.saturating_duration_since(then).as_secs_f64() * PER_SECOND).min(BURST);
        *bucket = (now, if left >= 1.0 { left - 1.0 } else { left });
        left >= 1.0
    }
}

impl Service {
    /// Adds an event to the feed. Its sequence number, when it is on disk.
    pub async fn publish(&self, caller: &Caller, kind: &str, data: Map<String, Json>) -> Result<i64, ServiceError> {
        self.require_owner(caller, caller.uid, Action::new("event:emit", "event", kind)).await?;
        check_type(kind)?;
        let text = Json::Object(data).to_string();
        if text.len() > PAYLOAD_BYTES_MAX {
            let message = format!("data: {} bytes of JSON are more than {PAYLOAD_BYTES_MAX}", text.len());
            return Err(
                ServiceError::new(ErrorCode::PayloadTooLarge, message).hint("publish where the data is instead")
            );
        }
        if !self.pace.take(Instant::now()) {
            let message = format!("more than {PER_SECOND} events per second are published");
            return Err(ServiceError::new(ErrorCode::RateLimited, message).hint("try again in a second"));
        }
        let now = self.host.now();
        let id = EventId::v7(now, self.host.random());
        let event = Published { id, kind: kind.to_owned(), user: caller.name.clone(), at: now, data: text };
        let audit = self.audit_ok(caller, &Action::new("event:emit", "event", kind), Vec::new());
        self.engine.commit(vec![Record::Published(Box::new(event)), audit]).await?;
        let stored = self.store.event(id)?;
        stored.map(|row| row.seq).ok_or_else(|| ServiceError::new(ErrorCode::Internal, "the event is not in the feed"))
    }
}

fn check_type(kind: &str) -> Result<(), ServiceError> {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    if kind.len() > TYPE_MAX || !kind.split('.').all(word) {
        return Err(ServiceError::field("type", format!("{kind:?} is no event type")).hint(format!(
            "words of a-z, 0-9 and _ with dots between, at most {TYPE_MAX} characters: deploy.finished"
        )));
    }
    let family = kind.split('.').next().unwrap_or(kind);
    let ours = TYPES.iter().any(|known| known.split('.').next() == Some(family));
    if ours || RESERVED.contains(&family) {
        return Err(ServiceError::field("type", format!("the family {family:?} is reserved for slothd"))
            .hint("begin the type with a word of your own"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn types_are_words_of_the_users_own() {
        for good in ["deploy", "deploy.finished", "a_1.b.c"] {
            check_type(good).expect(good);
        }
        for bad in ["", ".", "a.", "a b", "Deploy", "run", "run.x", "system.startup", "db.x", "backup.mine", "ü"] {
            assert_eq!(check_type(bad).expect_err(bad).code, ErrorCode::InvalidArgument, "{bad}");
        }
        assert!(check_type(&"a".repeat(101)).is_err());
    }

    #[test]
    fn a_burst_is_let_through_and_then_a_pace_held() {
        let pace = Pace::default();
        let start = Instant::now();
        let through = (0..5000).filter(|_| pace.take(start)).count();
        assert!((1000..1010).contains(&through), "{through}");
        let later = (0..5000).filter(|_| pace.take(start + Duration::from_secs(1))).count();
        assert!((199..=201).contains(&later), "{later}");
    }
}
