//! What systemd wants to know: ready, stopping, status, and that the engine is alive.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use sloth_engine::IDLE_MAX;

/// Tells systemd, if it listens.
pub fn tell(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}

/// A sentence for `systemctl status`.
pub fn status(sentence: &str) {
    tell(&[NotifyState::Status(sentence)]);
}

/// Feeds the watchdog from the engine's loop, at most four times per period.
pub struct Watchdog {
    every: Option<Duration>,
    last: Mutex<Option<Instant>>,
}

impl Watchdog {
    /// By `WATCHDOG_USEC`.
    pub fn from_environment() -> Watchdog {
        Watchdog { every: sd_notify::watchdog_enabled().map(|period| period / 4), last: Mutex::new(None) }
    }

    /// How long the loop may sleep at most.
    pub fn patience(&self) -> Duration {
        self.every.unwrap_or(IDLE_MAX).min(IDLE_MAX)
    }

    /// The engine's loop has turned.
    pub fn feed(&self) {
        let Some(every) = self.every else { return };
        let mut last = self.last.lock().unwrap_or_else(|e| e.into_inner());
        if last.is_none_or(|last| last.elapsed() >= every) {
            *last = Some(Instant::now());
            tell(&[NotifyState::Watchdog]);
        }
    }
}
