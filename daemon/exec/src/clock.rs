//! The two clocks of this crate. Deadlines count on `CLOCK_BOOTTIME`: it cannot be set, and unlike the monotonic clock it
//! goes on in suspend, so a time limit means the same to a laptop that slept as to the person who wrote it.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use sloth_core::Moment;

/// A point on the boot-time clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(pub Duration);

impl Tick {
    /// Now.
    pub fn now() -> Tick {
        Tick(read(ClockId::CLOCK_BOOTTIME))
    }

    /// This much later.
    pub fn after(self, wait: Duration) -> Tick {
        Tick(self.0.saturating_add(wait))
    }
}

/// Now on the wall clock.
pub fn wall_now() -> Moment {
    Moment::from_micros(i64::try_from(read(ClockId::CLOCK_REALTIME).as_micros()).unwrap_or(i64::MAX))
}

fn read(clock: ClockId) -> Duration {
    // Both clocks exist on every Linux that has pidfds; a failure would be a broken sandbox, where zero is as good as any.
    clock_gettime(clock).map(Duration::from).unwrap_or_default()
}

/// Whether the kernel says that the wall clock is synchronised (adjtimex(2)); `None` when it does not say.
#[allow(unsafe_code)]
pub fn clock_is_synchronised() -> Option<bool> {
    // SAFETY: an all-zero timex is a valid argument that changes nothing (modes = 0); the kernel only writes into it.
    let state = unsafe {
        let mut timex: nix::libc::timex = std::mem::zeroed();
        nix::libc::adjtimex(&raw mut timex)
    };
    match state {
        nix::libc::TIME_ERROR => Some(false),
        state if state >= 0 => Some(true),
        _ => None,
    }
}
