//! The world: clocks, queues between the parts, crashes. Time passes from one event to the next.

use std::collections::BTreeMap;
use std::time::Duration;

use sloth_core::launch::{Order, Report};
use sloth_core::machine::{Config, Input, Loaded};
use sloth_core::run::Outcome;
use sloth_core::{AttemptKey, Moment, Overlap, ScheduleId};

use super::chance::Chance;
use super::driver::{Batch, Daemon, Purpose};
use super::executor::{Executor, Happens};
use super::store::Store;

/// Something on its way.
#[derive(Debug)]
pub enum Event {
    Committed { life: u64, batch: Box<Batch> },
    Refill { life: u64, until: Moment, max: usize },
    RefillRead { life: u64, loaded: Vec<Loaded>, until: Moment, complete: bool },
    RefillFailed { life: u64 },
    Order { connection: u64, order: Order },
    Report { connection: u64, report: Report },
    Ends { key: AttemptKey, plan: u32, outcome: Outcome },
    ExecutorBack,
    DaemonStarts,
    Tick { life: u64 },
    RunAsked { loaded: Box<Loaded> },
}

/// Where the daemon dies: at the `n`-th transaction.
#[derive(Clone, Copy, Debug)]
pub struct Crash {
    pub n: usize,
    pub point: Point,
    pub down: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    BeforeCommit,
    AfterCommit,
    AfterLate,
}

pub struct World {
    pub chance: Chance,
    /// Microseconds that passed while the host was awake.
    pub real: i64,
    /// Wall clock minus that.
    pub offset: i64,
    pub store: Store,
    pub executor: Executor,
    pub daemon: Option<Daemon>,
    pub config: Config,
    pub crash: Option<Crash>,
    pub commits: usize,
    /// Transactions and reads fail until then.
    pub failing_until: i64,
    /// Slowest transaction, read, report.
    pub slowest: Duration,
    pub ticking: bool,
    pub catch_up_not_before: Option<Moment>,
    pub lives: u64,
    pub(super) queue: BTreeMap<(i64, u64), Event>,
    pub(super) seq: u64,
    pub(super) executor_up: bool,
    pub(super) connected: bool,
    pub(super) connection: u64,
    pub(super) last_report: i64,
    pub(super) wakes: (i64, u32),
    pub(super) next_id: u64,
    pub stepped: bool,
    pub printing: bool,
}

impl World {
    pub fn new(seed: u64, start: Moment) -> Self {
        let config = Config {
            max_running: 100,
            workers: Default::default(),
            horizon: Duration::from_secs(10),
            catch_up_spread: Duration::from_secs(60),
            refill_max: 1000,
            late_grace: Duration::from_secs(5),
            host: "host".to_owned(),
            boot_id: "boot".to_owned(),
            booted_at: start - Duration::from_secs(3600),
            seed,
        };
        let mut world = World {
            chance: Chance::new(seed),
            real: 1_000_000_000,
            offset: start.micros() - 1_000_000_000,
            store: Store::default(),
            executor: Executor::default(),
            daemon: None,
            config,
            crash: None,
            commits: 0,
            failing_until: 0,
            slowest: Duration::from_millis(5),
            ticking: true,
            catch_up_not_before: None,
            lives: 0,
            queue: BTreeMap::new(),
            seq: 0,
            executor_up: true,
            connected: false,
            connection: 0,
            last_report: 0,
            wakes: (0, 0),
            next_id: 0,
            stepped: false,
            printing: std::env::var_os("SLOTH_SIM_TRACE").is_some(),
        };
        world.executor.longest = Duration::from_secs(90);
        world.start_daemon();
        world
    }

    pub fn wall(&self) -> Moment {
        Moment::from_micros(self.real + self.offset)
    }

    pub fn new_id(&mut self) -> ScheduleId {
        self.next_id += 1;
        ScheduleId::v7(Moment::from_secs(1_700_000_000), u128::from(self.next_id))
    }

    pub(super) fn push(&mut self, after: i64, event: Event) {
        self.push_at(self.real + after, event);
    }

    pub(super) fn push_at(&mut self, at: i64, event: Event) {
        self.seq += 1;
        self.queue.insert((at, self.seq), event);
    }

    fn latency(&mut self) -> i64 {
        self.chance.below(self.slowest.as_micros() as u64 + 1) as i64
    }

    pub fn trace(&self, what: impl FnOnce() -> String) {
        if self.printing {
            println!("{} {}", self.wall(), what());
        }
    }

    /// Until this much time has passed.
    pub fn advance(&mut self, length: Duration) {
        let end = self.real + length.as_micros() as i64;
        while self.step(end) {}
        self.real = self.real.max(end);
    }

    /// Until it holds, at most so long; whether it does.
    pub fn advance_until(&mut self, length: Duration, holds: impl Fn(&World) -> bool) -> bool {
        let end = self.real + length.as_micros() as i64;
        while !holds(self) {
            if !self.step(end) {
                return false;
            }
        }
        true
    }

    /// The next thing that happens up to `end`.
    fn step(&mut self, end: i64) -> bool {
        let deadline = self.daemon.as_ref().and_then(|daemon| {
            let wake = daemon.machine.next_deadline().map(|at| at.micros().saturating_sub(self.offset));
            [wake, daemon.retry_at].into_iter().flatten().min()
        });
        let deadline = deadline.map(|at| at.max(self.real));
        let event = self.queue.first_key_value().map(|((at, _), _)| *at);
        let next = match (deadline, event) {
            (None, None) => return false,
            (a, b) => a.unwrap_or(i64::MAX).min(b.unwrap_or(i64::MAX)),
        };
        if next > end {
            return false;
        }
        self.real = self.real.max(next);
        if event == Some(next) {
            if let Some((_, event)) = self.queue.pop_first() {
                self.happens(event);
            }
        } else {
            self.wake();
        }
        self.flush();
        true
    }

    fn wake(&mut self) {
        let now = self.wall();
        let Some(daemon) = &mut self.daemon else { return };
        if daemon.machine.next_deadline().is_some_and(|at| at <= now) {
            daemon.input(now, Input::Woken);
            let second = self.real / 1_000_000;
            let count = if self.wakes.0 == second { self.wakes.1 + 1 } else { 1 };
            self.wakes = (second, count);
            assert!(count < 500, "the machine wakes {count} times in one second");
        }
    }

    fn is_alive(&self, life: u64) -> bool {
        self.daemon.as_ref().is_some_and(|daemon| daemon.life == life)
    }

    fn happens(&mut self, event: Event) {
        let now = self.wall();
        match event {
            Event::Committed { life, batch } if self.is_alive(life) => self.commit(now, *batch),
            Event::Refill { life, until, max } if self.is_alive(life) => {
                let after = self.latency();
                if self.real < self.failing_until {
                    self.push(after, Event::RefillFailed { life });
                } else {
                    let (loaded, complete) = self.store.load_due(until, max);
                    self.push(after, Event::RefillRead { life, loaded, until, complete });
                }
            }
            Event::RefillRead { life, loaded, until, complete } if self.is_alive(life) => {
                self.input(Input::Refilled { loaded, until, complete });
            }
            Event::RefillFailed { life } if self.is_alive(life) => self.input(Input::RefillFailed),
            Event::Tick { life } if self.is_alive(life) => {
                self.input(Input::RefillAsked);
                self.push(1_000_000, Event::Tick { life });
            }
            Event::RunAsked { loaded } => {
                if let Some(daemon) = self.daemon.as_mut().filter(|daemon| !daemon.blocked) {
                    daemon.ask_run(now, *loaded);
                }
            }
            Event::Order { connection, order } if connection == self.connection => self.obey(now, order),
            Event::Report { connection, report } if connection == self.connection => {
                self.trace(|| format!("   {}", short(&report)));
                self.input(Input::Reported(report));
            }
            Event::Ends { key, plan, outcome } => {
                if let Some(report) = self.executor.ends(now, key, plan, outcome) {
                    self.report(report);
                }
            }
            Event::ExecutorBack => {
                self.executor_up = true;
                if !self.connected {
                    self.connect();
                }
            }
            Event::DaemonStarts if self.daemon.is_none() => self.start_daemon(),
            // Of a former life or connection.
            _ => {}
        }
    }

    fn obey(&mut self, now: Moment, order: Order) {
        self.trace(|| format!("   order {}", format!("{order:?}").chars().take(110).collect::<String>()));
        if let Order::Release(key) = &order {
            self.check_release(*key);
        }
        let happens = self.executor.obey(now, order, &mut self.chance);
        for happens in happens {
            match happens {
                Happens::Report(report) => self.report(report),
                Happens::EndsIn(key, plan, after, outcome) => {
                    self.push(after.as_micros() as i64, Event::Ends { key, plan, outcome });
                }
            }
        }
    }

    /// In order, late, sometimes twice.
    pub(super) fn report(&mut self, report: Report) {
        if !self.connected {
            return;
        }
        let at = self.last_report.max(self.real + self.latency());
        self.last_report = at;
        let connection = self.connection;
        let twice = self.chance.permille(self.executor.trouble * 3);
        if twice && !matches!(report, Report::Connected(_)) {
            self.push_at(at, Event::Report { connection, report: report.clone() });
        }
        self.push_at(at, Event::Report { connection, report });
    }

    /// Nothing of the user runs before its start is durable, nothing runs twice, nothing overlaps.
    fn check_release(&self, key: AttemptKey) {
        use super::executor::State;
        let held = self.executor.processes.get(&key).is_some_and(|p| matches!(p.state, State::Held));
        if !held {
            return;
        }
        assert!(!self.executor.has_started(key), "{key} starts twice");
        let run = self.store.runs.get(&key.run).expect("what starts has a run");
        assert!(self.store.attempts.contains_key(&key), "{key} starts before it is durable");
        assert!(!run.status.is_terminal(), "{key} starts after its run has ended");
        let row = self.store.rows.get(&(run.schedule, run.due_at, run.epoch));
        let decided = matches!(row, Some(Some(sloth_core::record::Decision::Run { run, .. })) if *run == key.run);
        assert!(decided, "{key} starts without its row: {row:?}");
        if self.store.schedules[&run.schedule].schedule.overlap != Overlap::Allow {
            let other = self.executor.alive().find(|(id, name)| *id != key.run && *name == run.schedule_name);
            assert!(other.is_none(), "{key} of {} overlaps {other:?}", run.schedule_name);
        }
    }

    fn commit(&mut self, now: Moment, batch: Batch) {
        let n = self.commits;
        self.commits += 1;
        let crash = self.crash.filter(|crash| crash.n == n);
        if let Some(Crash { point: Point::BeforeCommit, down, .. }) = crash {
            self.crash_daemon(down);
            return;
        }
        let Some(daemon) = &mut self.daemon else { return };
        daemon.in_flight = false;
        if self.real < self.failing_until {
            daemon.failed(now, batch, self.real + 500_000);
            return;
        }
        if let Err(conflict) = self.store.apply(&batch.records) {
            assert!(matches!(batch.purpose, Purpose::Edit { .. }), "{conflict:?} in {:#?}", batch.records);
            daemon.withdrawn(now, batch);
            return;
        }
        if self.printing {
            println!("{now} commit {n}: {:?}", batch.records.iter().map(super::check::word).collect::<Vec<_>>());
        }
        if let Some(Crash { point: Point::AfterCommit, down, .. }) = crash {
            self.crash_daemon(down);
            return;
        }
        daemon.storage_free(now);
        daemon.succeeded(now, batch, crash.is_some());
        if let Some(Crash { down, .. }) = crash {
            self.send();
            self.crash_daemon(down);
        }
    }

    /// Everything the daemon wants done goes on its way.
    pub fn flush(&mut self) {
        let now = self.wall();
        loop {
            let Some(daemon) = &mut self.daemon else { return };
            daemon.begin_edits(now);
            let Some(batch) = daemon.next_batch(self.real) else {
                break;
            };
            if batch.records.is_empty() {
                daemon.succeeded(now, batch, false);
                continue;
            }
            daemon.in_flight = true;
            let life = daemon.life;
            let after = 1 + self.latency();
            self.push(after, Event::Committed { life, batch: Box::new(batch) });
        }
        self.send();
    }

    fn send(&mut self) {
        let Some(daemon) = &mut self.daemon else { return };
        let out = std::mem::take(&mut daemon.out);
        let orders = if self.connected { std::mem::take(&mut daemon.orders) } else { Vec::new() };
        let connection = self.connection;
        for event in out {
            self.push(0, event);
        }
        for order in orders {
            self.push(200, Event::Order { connection, order });
        }
    }
}

fn short(report: &Report) -> String {
    match report {
        Report::Connected(known) => format!("connected, knows {}", known.len()),
        other => format!("{other:?}").chars().take(120).collect(),
    }
}
