//! Things to store: a schedule, a run, an event, each with some value in every field; and dice to vary them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sloth_core::record::{Audit, Event, Occurrence, Record, Severity, Value};
use sloth_core::run::{Attempt, AttemptEnd, Outcome, ProcessId, Reason, Run, RunStatus, RunTrigger, Usage};
use sloth_core::{
    Action, AfterCondition, AttemptKey, Backoff, CatchUp, Enabled, EventId, JitterMode, Keep, Limits, Moment, Origin,
    Overlap, Retries, RunId, Schedule, ScheduleId, Uid,
};
use sloth_store::{OpenOptions, Opened, Store};

pub const NOON: Moment = Moment::from_secs(1_900_000_000);

pub fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect("proc")) == 0
}

pub fn at(seconds: i64) -> Moment {
    Moment::from_secs(NOON.secs() + seconds)
}

pub fn open(path: &Path) -> (Store, Opened) {
    Store::open(path, OpenOptions::default()).expect("opens")
}

/// A store in a directory of its own.
pub fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(&dir.path().join("stacks.db")).0;
    (dir, store)
}

pub fn schedule_id(n: u128) -> ScheduleId {
    ScheduleId::v7(NOON, n)
}

pub fn run_id(n: u32) -> RunId {
    RunId::v7(at(i64::from(n)), u128::from(n) * 0x1_0001_0001)
}

pub fn event_id(n: u64) -> EventId {
    EventId::v7(NOON, u128::from(n))
}

pub fn schedule(n: u128, name: &str, trigger: &str) -> Schedule {
    let zone = jiff::tz::TimeZone::get("Europe/Lisbon").expect("zone data");
    let action = Action::Command(vec!["/usr/bin/true".into(), "--all".into()]);
    let plain = Schedule::new(schedule_id(n), name, trigger, zone, action, NOON).expect("a trigger");
    Schedule {
        owner: Uid(1000),
        owner_name: "ann".into(),
        user: "ann".into(),
        timezone: Some("Europe/Lisbon".into()),
        trigger: plain.trigger.clone().with_anchor(NOON),
        ..plain
    }
}

/// A schedule in which every field has some value.
pub fn any_schedule(dice: &mut Dice) -> Schedule {
    let triggers = [
        "30 2 * * *",
        "*/5 * * * *",
        "0 3-5 * * MON-FRI",
        "@every 90s",
        "@daily",
        "@reboot",
        "manual",
        "@at 2031-01-01T09:00",
    ];
    let n = u128::from(dice.roll());
    let trigger: &str = dice.pick::<&str>(&triggers);
    let mut s = schedule(n, &format!("s-{n}"), trigger);
    s.revision = 1 + dice.below(9) as u32;
    s.owner = Uid(dice.roll() as u32);
    s.owner_name = dice.text();
    s.created_at = dice.moment();
    s.trigger_since = dice.moment();
    s.trigger_epoch = dice.below(5) as u32;
    s.user = dice.text();
    s.group = dice.maybe(Dice::text);
    s.cwd = dice.maybe(|d| format!("/home/{}", d.text()).into());
    s.env = (0..dice.below(4)).map(|_| (dice.text(), dice.text())).collect();
    s.umask = dice.below(0o1000) as u32;
    s.stdin = dice.maybe(Dice::text);
    s.enabled =
        dice.maybe(|d| Enabled::Paused { reason: d.text(), until: d.maybe(Dice::moment) }).unwrap_or(Enabled::Yes);
    if dice.below(2) == 0 {
        s.action = Action::Shell(dice.text());
    }
    s.overlap = *dice.pick(&[Overlap::Skip, Overlap::Queue, Overlap::QueueAll, Overlap::Replace, Overlap::Allow]);
    s.queue_limit = dice.roll() as u32;
    s.catch_up = dice.maybe(|d| *d.pick(&[CatchUp::None, CatchUp::Latest, CatchUp::All]));
    s.catch_up_max = dice.roll() as u32;
    s.catch_up_window = dice.duration();
    s.start_deadline = dice.maybe(Dice::duration);
    s.jitter = dice.duration();
    s.jitter_mode = *dice.pick(&[JitterMode::Instant, JitterMode::Host]);
    s.timeout = dice.maybe(Dice::duration);
    s.kill_grace = dice.duration();
    s.retries = Retries {
        max: dice.roll() as u32,
        delay: dice.duration(),
        backoff: *dice.pick(&[Backoff::Fixed, Backoff::Linear, Backoff::Exponential]),
        max_delay: dice.duration(),
        jitter: dice.roll() as f64 / u64::MAX as f64,
    };
    s.retry_lost = dice.below(2) == 0;
    s.limits = Limits {
        cpu_millis: dice.maybe(|d| d.roll() as u32),
        memory_bytes: dice.maybe(|d| d.roll() >> 1),
        io_weight: dice.maybe(|d| d.roll() as u16),
        nofile: dice.maybe(|d| d.roll() >> 1),
        tasks: dice.maybe(|d| d.roll() >> 1),
        nice: dice.maybe(|d| d.roll() as i8),
    };
    s.success_codes = (0..dice.below(4)).map(|_| dice.roll() as i32).collect();
    s.pause_after_failures = dice.maybe(|d| d.roll() as u32);
    let conditions = [AfterCondition::Success, AfterCondition::Failure, AfterCondition::Any];
    s.after = (0..dice.below(3)).map(|_| (dice.text(), *dice.pick(&conditions))).collect();
    s.keep = Keep { runs: dice.roll() as u32, age: dice.duration() };
    s.output_limit = dice.roll() >> 1;
    s.journal = dice.below(2) == 0;
    s.tags = (0..dice.below(3)).map(|_| dice.text()).collect();
    s.description = dice.text();
    if dice.below(2) == 0 {
        s.origin = Origin::File(format!("/etc/{}.toml", dice.text()).into());
    }
    s
}

pub fn run(n: u32, of: &Schedule) -> Run {
    Run {
        id: run_id(n),
        schedule: of.id,
        revision: of.revision,
        schedule_name: of.name.clone(),
        owner: of.owner,
        user: of.user.clone(),
        trigger: RunTrigger::Due,
        due_at: at(i64::from(n)),
        epoch: 0,
        asked_by: "schedule".into(),
        status: RunStatus::Queued,
        reason: None,
        message: None,
        queued_at: at(i64::from(n)),
        started_at: None,
        ended_at: None,
        attempts: 0,
        retry_at: None,
        exit_code: None,
        signal: None,
        usage: Usage::default(),
        output_bytes: 0,
        stderr_tail: String::new(),
        process: None,
        workflow: None,
    }
}

pub fn ended(mut run: Run, status: RunStatus) -> Run {
    run.status = status;
    run.ended_at = Some(run.queued_at + Duration::from_secs(1));
    run
}

pub fn any_run(n: u32, of: &Schedule, dice: &mut Dice) -> Run {
    use Reason::*;
    let mut r = run(n, of);
    let triggers = [
        RunTrigger::Due,
        RunTrigger::CatchUp,
        RunTrigger::Manual,
        RunTrigger::After,
        RunTrigger::Api,
        RunTrigger::Boot,
    ];
    r.trigger = *dice.pick(&triggers);
    r.due_at = dice.moment();
    r.epoch = dice.roll() as u32;
    r.asked_by = dice.text().into();
    r.status = *dice.pick(&[RunStatus::Queued, RunStatus::Starting, RunStatus::Running]);
    r.reason =
        dice.maybe(|d| *d.pick(&[TaskFailed, Timeout, Oom, Lost, Denied, User, Superseded, Shutdown, QueueTimeout]));
    r.message = dice.maybe(Dice::text);
    r.started_at = dice.maybe(Dice::moment);
    r.ended_at = dice.maybe(Dice::moment);
    r.attempts = dice.roll() as u32;
    r.retry_at = dice.maybe(Dice::moment);
    r.exit_code = dice.maybe(|d| d.roll() as i32);
    r.signal = dice.maybe(|d| d.roll() as i32);
    r.usage = any_usage(dice);
    r.output_bytes = dice.roll() >> 1;
    r.stderr_tail = dice.text();
    r.process = dice.maybe(any_process);
    r
}

pub fn any_usage(dice: &mut Dice) -> Usage {
    Usage {
        cpu: Duration::from_micros(dice.roll() >> 20),
        memory_peak_bytes: dice.maybe(|d| d.roll() >> 1),
        io_read_bytes: dice.maybe(|d| d.roll() >> 1),
        io_write_bytes: dice.maybe(|d| d.roll() >> 1),
        ip_ingress_bytes: dice.maybe(|d| d.roll() >> 1),
        ip_egress_bytes: dice.maybe(|d| d.roll() >> 1),
    }
}

pub fn any_process(dice: &mut Dice) -> ProcessId {
    ProcessId { pid: dice.roll() as u32, start_ticks: dice.roll() >> 1, boot_id: dice.text() }
}

pub fn attempt(run: RunId, n: u32) -> Attempt {
    let process = ProcessId { pid: 4711, start_ticks: 99, boot_id: "boot".into() };
    Attempt { key: AttemptKey { run, attempt: n }, started_at: at(1), process: Some(process), end: None }
}

pub fn end(outcome: Outcome) -> AttemptEnd {
    AttemptEnd {
        outcome,
        ended_at: at(9),
        usage: Usage { cpu: Duration::from_micros(1234), ..Usage::default() },
        output_bytes: 17,
        dropped_bytes: 3,
        stderr_tail: "no such file".into(),
    }
}

pub fn event(n: u64, kind: &'static str) -> Event {
    Event {
        id: event_id(n),
        kind,
        severity: Severity::Info,
        message: format!("event {n}"),
        run: None,
        task: None,
        user: None,
        at: NOON,
        data: vec![("n", Value::Int(n as i64)), ("text", Value::Text("ä \" \\".into())), ("x", Value::Float(0.25))],
    }
}

pub fn audit(n: u32) -> Audit {
    Audit {
        at: at(i64::from(n)),
        uid: Uid(1000),
        user: "ann".into(),
        method: "socket",
        action: "schedule:create",
        object: "schedule",
        object_id: format!("nightly-{n}"),
        result: "ok",
        reason: None,
        request_id: format!("r{n}"),
        details: vec![("trigger", Value::Text("30 2 * * *".into()))],
    }
}

pub fn due(of: &Schedule, seconds: i64) -> Occurrence {
    Occurrence { schedule: of.id, due_at: at(seconds), epoch: 0 }
}

pub fn created(s: &Schedule) -> Record {
    Record::ScheduleCreated(Arc::new(s.clone()))
}

/// A store with one schedule, `nightly`.
pub fn store_with_schedule() -> (tempfile::TempDir, Store, Schedule) {
    let (dir, store) = store();
    let s = schedule(1, "nightly", "30 2 * * *");
    store.write(vec![created(&s)]).expect("written");
    (dir, store, s)
}

/// Deterministic random numbers (splitmix64, Steele, Lea and Flood 2014).
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    pub fn maybe<T>(&mut self, make: impl FnOnce(&mut Dice) -> T) -> Option<T> {
        (self.below(2) == 0).then(|| make(self))
    }

    pub fn text(&mut self) -> String {
        let letters: Vec<char> = "abc xyz/._-\"'\n\tß日🦥%".chars().collect();
        (0..self.below(12)).map(|_| *self.pick(&letters)).collect()
    }

    pub fn moment(&mut self) -> Moment {
        Moment::from_micros((self.roll() % 4_000_000_000_000_000) as i64)
    }

    /// Zero, whole seconds, or anything down to nanoseconds.
    pub fn duration(&mut self) -> Duration {
        match self.below(4) {
            0 => Duration::ZERO,
            1 => Duration::from_secs(self.below(100_000)),
            2 => Duration::from_millis(self.below(100_000_000)),
            _ => Duration::from_nanos(self.roll() >> 1),
        }
    }
}
