//! The doors of slothd. A door converts, calls the service and maps the error; it decides nothing.

pub mod dbus;
pub mod http;
pub mod worker;

use sloth_service::Service;
use tokio::sync::watch;

/// What every door can reach.
#[derive(Clone)]
pub struct Door {
    /// The use cases.
    pub service: Service,
    /// Changes with each new event: its sequence number.
    pub events: watch::Receiver<i64>,
    /// True when the daemon stops: streams end.
    pub closing: watch::Receiver<bool>,
}

/// Identity of a request: in its answer, in the log and in the audit trail.
fn request_id(prefix: &str) -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{prefix}-{:x}-{:x}", now.as_micros(), COUNT.fetch_add(1, Ordering::Relaxed))
}
