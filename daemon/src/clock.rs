//! The clocks of Linux, and a timer that wakes at a wall-clock time or when the clock is set.

use std::future::Future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId as TimerClock, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId, clock_gettime};
use sloth_core::Moment;
use sloth_engine::{Alarm, Reading};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

fn read(clock: ClockId) -> Duration {
    // These clocks exist on every Linux that this program starts on; a failure would mean a bad constant.
    clock_gettime(clock).map(Duration::from).unwrap_or_default()
}

/// `CLOCK_REALTIME`.
pub fn now() -> Moment {
    Moment::from_micros(i64::try_from(read(ClockId::CLOCK_REALTIME).as_micros()).unwrap_or(i64::MAX))
}

/// Time since boot, suspend included.
pub fn uptime() -> Duration {
    read(ClockId::CLOCK_BOOTTIME)
}

/// All clocks.
pub fn reading() -> Reading {
    Reading { wall: now(), boot: uptime(), monotonic: read(ClockId::CLOCK_MONOTONIC) }
}

/// A `timerfd` on `CLOCK_REALTIME` with `TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET` (timerfd_create(2)): it does not stop in
/// suspend, and a set clock ends the wait at once with `ECANCELED`.
pub struct WallAlarm {
    timer: TimerFd,
    /// Another descriptor of the same timer, watched by the runtime.
    ready: AsyncFd<OwnedFd>,
}

impl WallAlarm {
    /// Must be called within a runtime.
    // An `OwnedFd` keeps its descriptor for its whole life, which is all that the unsafe successor asks to be promised.
    #[allow(deprecated)]
    pub fn new() -> io::Result<WallAlarm> {
        let timer = TimerFd::new(TimerClock::CLOCK_REALTIME, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        let ready = AsyncFd::with_interest(timer.as_fd().try_clone_to_owned()?, Interest::READABLE)?;
        Ok(WallAlarm { timer, ready })
    }

    fn set(&self, until: Option<Moment>) -> nix::Result<()> {
        // The kernel takes zero for "disarm"; a time in the past fires at once.
        let at = until.map_or(i64::from(i32::MAX) * 1_000_000, |until| until.micros().max(1));
        let at = TimeSpec::new(at.div_euclid(1_000_000), at.rem_euclid(1_000_000) * 1000);
        let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        self.timer.set(Expiration::OneShot(at), flags)
    }

    async fn fire(&mut self, until: Option<Moment>) {
        if let Err(error) = self.set(until) {
            tracing::error!(%error, "the timer cannot be set");
            tokio::time::sleep(Duration::from_millis(100)).await;
            return;
        }
        loop {
            let Ok(mut guard) = self.ready.readable().await else {
                return;
            };
            let mut ticks = [0; 8];
            match nix::unistd::read(guard.get_inner().as_fd(), &mut ticks) {
                Err(Errno::EAGAIN) => guard.clear_ready(),
                // ECANCELED: the clock was set.
                _ => {
                    guard.clear_ready();
                    return;
                }
            }
        }
    }
}

impl Alarm for WallAlarm {
    fn wait(&mut self, until: Option<Moment>) -> impl Future<Output = ()> + Send {
        self.fire(until)
    }
}
