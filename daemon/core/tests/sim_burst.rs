//! Many at once: 10,000 instants due together are decided in moments, and the end of a run costs the same however many others wait.

mod sim;

use std::sync::Arc;
use std::time::Duration;

use sim::schedules::schedule;
use sloth_core::launch::Report;
use sloth_core::machine::{Config, Early, Effects, Input, Late, Loaded, Machine, Recovered};
use sloth_core::record::Stats;
use sloth_core::run::{AttemptEnd, Outcome, ProcessId, Usage};
use sloth_core::{AttemptKey, Moment, Overlap, ScheduleId};

const START: Moment = Moment::from_secs(1_777_888_800);

/// Processor time of this thread, so that a busy host changes nothing.
struct Stopwatch(u64);

impl Stopwatch {
    fn start() -> Self {
        Stopwatch(Self::read())
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(Self::read() - self.0)
    }

    fn read() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("proc(5)");
        stat.split(' ').next().and_then(|ns| ns.parse().ok()).expect("nanoseconds on the processor")
    }
}

/// The test profile is slow; what counts is that nothing grows with the square of the number.
const PATIENCE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 4 } else { 1 });

fn machine(max_running: usize) -> Machine {
    let mut machine = Machine::new(Config {
        max_running,
        workers: Default::default(),
        horizon: Duration::from_secs(10),
        catch_up_spread: Duration::ZERO,
        refill_max: 1_000_000,
        late_grace: Duration::from_secs(5),
        host: "host".to_owned(),
        boot_id: "boot".to_owned(),
        booted_at: START,
        seed: 1,
    });
    let mut effects = Effects::default();
    machine.handle(START, Input::Recovered(Box::default() as Box<Recovered>), &mut effects);
    machine.handle(START, Input::Committed(std::mem::take(&mut effects.arms)), &mut effects);
    machine
}

fn loaded(n: u32, overlap: Overlap) -> Loaded {
    let id = ScheduleId::v7(START, u128::from(n));
    let mut s = schedule(id, &format!("s{n}"), "* * * * *", "UTC");
    s.overlap = overlap;
    s.trigger_since = START;
    Loaded { schedule: Arc::new(s), mark: START, next_due: Some(START), stats: Stats::default() }
}

/// Takes in so many schedules that are due in a second, and fires them. How long the firing took, and what it asked for.
fn burst(machine: &mut Machine, all: Vec<Loaded>) -> (Duration, Effects) {
    let at = START + Duration::from_secs(59);
    let due = START + Duration::from_secs(60);
    let mut effects = Effects::default();
    machine.handle(at, Input::Refilled { loaded: Vec::new(), until: at, complete: true }, &mut effects);
    machine.handle(at, Input::RefillAsked, &mut effects);
    let until = due + Duration::from_secs(1);
    machine.handle(at, Input::Refilled { loaded: all, until, complete: true }, &mut effects);
    let arms = std::mem::take(&mut effects.arms);
    machine.handle(at, Input::Committed(arms), &mut effects);
    let mut effects = Effects::default();
    let begun = Stopwatch::start();
    while machine.next_deadline().is_some_and(|at| at <= due) {
        machine.handle(due, Input::Woken, &mut effects);
    }
    (begun.elapsed(), effects)
}

fn keys(effects: &mut Effects) -> Vec<AttemptKey> {
    let launches = std::mem::take(&mut effects.early).into_iter().filter_map(|early| match early {
        Early::Prepare { start, .. } => Some(start.key()),
        Early::Order(_) => None,
    });
    launches.collect()
}

fn end(now: Moment) -> AttemptEnd {
    AttemptEnd {
        outcome: Outcome::Exited(0),
        ended_at: now,
        usage: Usage::default(),
        output_bytes: 0,
        dropped_bytes: 0,
        stderr_tail: String::new(),
    }
}

#[test]
fn ten_thousand_due_at_one_instant() {
    let times = (0..3).map(|_| {
        let mut machine = machine(20_000);
        let (took, mut effects) = burst(&mut machine, (0..10_000).map(|n| loaded(n, Overlap::Skip)).collect());
        assert_eq!(keys(&mut effects).len(), 10_000);
        took
    });
    let took = times.min().unwrap_or_default();
    println!("10,000 instants were decided in {took:?}");
    assert!(took < PATIENCE / 4, "it took {took:?}");
}

/// All runs to their end; how long the machine took in all.
fn run_to_the_end(machine: &mut Machine, mut effects: Effects) -> (usize, Duration) {
    let mut now = START + Duration::from_secs(60);
    let mut ended = 0;
    let begun = Stopwatch::start();
    let mut prepared = keys(&mut effects);
    while let Some(key) = prepared.pop() {
        now = now + Duration::from_millis(1);
        let process = ProcessId { pid: 1, start_ticks: 1, boot_id: String::new() };
        machine.handle(now, Input::Reported(Report::Prepared { key, process }), &mut effects);
        machine.handle(now, Input::Reported(Report::Ended { key, end: end(now) }), &mut effects);
        ended += 1;
        prepared.extend(keys(&mut effects));
        effects.records.clear();
        effects.late.retain(|late| matches!(late, Late::Refill { .. }));
    }
    assert_eq!(machine.load(), (0, 0));
    (ended, begun.elapsed())
}

#[test]
fn ten_thousand_in_line_for_two_thousand_places() {
    let mut machine = machine(2000);
    let (_, effects) = burst(&mut machine, (0..12_000).map(|n| loaded(n, Overlap::Skip)).collect());
    assert_eq!(machine.load(), (2000, 10_000));
    let (ended, took) = run_to_the_end(&mut machine, effects);
    println!("{ended} runs ended in {took:?}");
    assert_eq!(ended, 12_000);
    assert!(took < PATIENCE, "it took {took:?}");
}

#[test]
fn idle_schedules_cost_nothing() {
    let mut machine = machine(2000);
    let (_, effects) = burst(&mut machine, (0..10_000).map(|n| loaded(n, Overlap::Allow)).collect());
    let mut arms = effects.arms.clone();
    run_to_the_end(&mut machine, effects);
    let later = START + Duration::from_secs(70);
    let mut effects = Effects::default();
    // Each run changed its schedule twice: when it was made, with the burst, and when it ended.
    machine.handle(later, Input::Committed(std::mem::take(&mut arms)), &mut effects);
    let begun = Stopwatch::start();
    for _ in 0..1000 {
        machine.handle(later, Input::Woken, &mut effects);
    }
    assert!(begun.elapsed() < PATIENCE / 4, "1,000 wakes took {:?}", begun.elapsed());
}
