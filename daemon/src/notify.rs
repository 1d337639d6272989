//! What systemd wants to know: ready, stopping, status, patience, and that the engine is alive.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use sloth_engine::IDLE_MAX;

/// How often systemd is asked for more time, and for how much. It may miss two of three.
const PULSE: Duration = Duration::from_secs(5);
const PATIENCE_MICROS: u32 = 20_000_000;

/// Tells systemd, if it listens.
pub fn tell(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}

/// A sentence for `systemctl status`. It is one line there, and the message has a limit.
pub fn status(sentence: &str) {
    let line: String = sentence.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect();
    tell(&[NotifyState::Status(&line)]);
}

/// The configuration is being read again. The time is for `Type=notify-reload`, which wants proof that this answers its signal.
pub fn reloading() {
    let mut states = vec![NotifyState::Reloading];
    states.extend(NotifyState::monotonic_usec_now());
    tell(&states);
}

/// Drops a descriptor from the store of systemd.
pub fn give_up(name: &str) {
    let name = format!("FDNAME={name}");
    tell(&[NotifyState::Custom("FDSTOREREMOVE=1"), NotifyState::Custom(&name)]);
}

/// Waits for what has a limit of its own; systemd shall not lose its patience before that.
pub async fn patiently<T>(work: impl Future<Output = T>) -> T {
    let mut pulse = tokio::time::interval(PULSE);
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = pulse.tick() => tell(&[NotifyState::ExtendTimeoutUsec(PATIENCE_MICROS)]),
        }
    }
}

/// The same for work that blocks: checking or migrating a large database may take minutes.
pub fn patiently_blocking<T>(work: impl FnOnce() -> T) -> T {
    let (done, waiting) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = waiting.recv_timeout(PULSE) {
                tell(&[NotifyState::ExtendTimeoutUsec(PATIENCE_MICROS)]);
            }
        });
        // Dropped at the end, and in a panic as well: the thread above ends with it.
        let _done = done;
        work()
    })
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
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= every) {
            *last = Some(Instant::now());
            tell(&[NotifyState::Watchdog]);
        }
    }
}
