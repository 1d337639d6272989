//! Ctrl-C and TERM as a question that long work asks now and then, so that whatever was started is also ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static ASKED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// How often a pause looks whether it should end.
const LOOK: Duration = Duration::from_millis(50);

/// From now on INT, TERM and HUP only raise a flag. Blocked signals would not do: programs started later inherit them.
pub fn watch() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, ASKED.clone()).context("cannot handle signals")?;
    }
    Ok(())
}

/// Whether somebody wants this to end.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// An error when somebody wants this to end.
pub fn check() -> Result<()> {
    if asked() {
        bail!("interrupted");
    }
    Ok(())
}

/// Sleeps, unless somebody wants this to end.
pub fn pause(time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    loop {
        check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(LOOK));
    }
}
