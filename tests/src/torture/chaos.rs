//! The part that kills.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Options;
use crate::Instance;
use crate::random::Random;

/// What was done, for the verdict.
#[derive(Debug, Default)]
pub(super) struct Chaos {
    /// SIGKILL to slothd.
    pub(super) kills: u32,
    /// Of them before it was ready.
    pub(super) early: u32,
    /// SIGTERM to slothd.
    pub(super) stops: u32,
    /// SIGKILL to the supervisor: when, µs.
    pub(super) supervisor_kills: Vec<i64>,
    /// Of them together with slothd.
    pub(super) both: u32,
    /// From start to readiness.
    pub(super) starts: Vec<Duration>,
    /// Ends of slothd that nobody asked for, with their exit codes.
    pub(super) surprises: Vec<String>,
}

/// The time as the database writes it.
fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Kills until it is enough.
pub(super) fn rage(instance: &mut Instance, options: &Options, say: &dyn Fn(String)) -> Chaos {
    let mut random = Random::new(options.seed);
    let mut chaos = Chaos::default();
    let began = Instant::now();
    while chaos.kills < options.kills || began.elapsed() < options.at_least {
        let wait_first = instance.pid() == 0 && random.chance(60);
        if instance.pid() == 0 {
            let start = Instant::now();
            instance.spawn();
            if wait_first && instance.is_ready_within(Duration::from_secs(60)) {
                chaos.starts.push(start.elapsed());
            }
        }
        let pause = if random.chance(6) { random.between(1000, 3000) } else { random.between(20, 400) };
        std::thread::sleep(Duration::from_millis(pause));
        if let Some(status) = instance.ended() {
            chaos.surprises.push(format!("slothd ended by itself: {status}"));
            instance.kill9();
            continue;
        }
        one_blow(instance, options, &mut random, &mut chaos, wait_first);
        if chaos.kills.is_multiple_of(50) && options.progress {
            say(format!("{} kills of slothd, {} of sloth-exec", chaos.kills, chaos.supervisor_kills.len()));
        }
    }
    chaos
}

fn one_blow(instance: &mut Instance, options: &Options, random: &mut Random, chaos: &mut Chaos, was_ready: bool) {
    let supervisor = random.chance(options.supervisor_percent);
    let both = supervisor && random.chance(50);
    if both && random.chance(50) {
        instance.kill9();
    }
    // Taken before the blow: slothd may see and record the loss before this thread runs again.
    let at = now_us();
    if supervisor && instance.kill_supervisor().is_some() {
        chaos.supervisor_kills.push(at);
        chaos.both += u32::from(both);
    }
    if supervisor && !both {
        return;
    }
    if random.chance(3) && instance.pid() != 0 && was_ready {
        if instance.term() != Some(0) {
            chaos.surprises.push("SIGTERM was not answered with exit code 0".to_owned());
        }
        chaos.stops += 1;
        return;
    }
    instance.kill9();
    chaos.kills += 1;
    chaos.early += u32::from(!was_ready);
}
