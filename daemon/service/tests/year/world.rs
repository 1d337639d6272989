//! Time, an executor whose runs end at once, and a daemon that dies. Time passes from one deadline of the machine to the next.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use sloth_core::launch::{Finding, Order, Report};
use sloth_core::machine::{Config, Early, Effects, Input, Late, Machine};
use sloth_core::run::{AttemptEnd, Outcome, ProcessId, Usage};
use sloth_core::{AttemptKey, Moment};

use crate::store::Store;

pub struct World {
    pub store: Store,
    now: Moment,
    machine: Machine,
    /// What the executor remembers of attempts that ended.
    ends: HashMap<AttemptKey, AttemptEnd>,
    waiting: VecDeque<Input>,
    crash_every: u64,
    boots: u64,
    is_dead: bool,
}

impl World {
    pub fn new(now: Moment, schedules: Vec<sloth_core::Schedule>, crash_every: u64) -> World {
        let mut world = World {
            store: Store::new(schedules),
            now,
            machine: Machine::new(config(now, 1)),
            ends: HashMap::new(),
            waiting: VecDeque::new(),
            crash_every,
            boots: 1,
            is_dead: false,
        };
        world.start();
        world
    }

    pub fn run_until(&mut self, end: Moment) {
        while let Some(at) = self.machine.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.input(Input::Woken);
            if self.is_dead {
                self.now = (self.now + Duration::from_secs(1)).min(end);
                self.start();
            }
        }
        self.now = end;
    }

    /// The daemon is away for so long; after an hour or more the host has booted meanwhile.
    pub fn die(&mut self, length: Duration) {
        self.now = self.now + length;
        self.boots += u64::from(length >= Duration::from_secs(3600));
        self.start();
    }

    fn start(&mut self) {
        self.is_dead = false;
        self.waiting.clear();
        self.store.restarts += 1;
        let mut config = config(self.now, self.boots);
        config.seed = self.store.restarts;
        self.machine = Machine::new(config);
        let recovered = self.store.recovered();
        self.waiting.push_back(Input::Reported(Report::Connected(Vec::new())));
        self.input(Input::Recovered(Box::new(recovered)));
    }

    /// One fact, and everything that follows from it at once.
    fn input(&mut self, input: Input) {
        self.waiting.push_front(input);
        while let Some(input) = self.waiting.pop_front() {
            let mut effects = Effects::default();
            self.machine.handle(self.now, input, &mut effects);
            if effects.is_empty() {
                continue;
            }
            for order in effects.early {
                match order {
                    Early::Prepare { start, .. } => self.obey(Order::Prepare(Box::new(start.launch()))),
                    Early::Order(order) => self.obey(order),
                }
            }
            self.store.apply(effects.records);
            if self.store.transactions.is_multiple_of(self.crash_every) {
                // It dies when the transaction is durable and nothing that stands on it was done.
                self.is_dead = true;
                return;
            }
            for late in effects.late {
                match late {
                    Late::Order(order) => self.obey(order),
                    Late::Refill { until, max } => {
                        let (loaded, complete) = self.store.load_due(until, max);
                        self.waiting.push_back(Input::Refilled { loaded, until, complete });
                    }
                    Late::Prepare(start) => self.obey(Order::Prepare(Box::new(start.launch()))),
                    Late::Reply(..) => panic!("nobody asked"),
                    Late::Worker(..) => panic!("commands have no worker"),
                }
            }
            self.waiting.push_front(Input::Committed(effects.arms));
        }
    }

    fn obey(&mut self, order: Order) {
        let mut report = |report| self.waiting.push_back(Input::Reported(report));
        match order {
            Order::Prepare(launch) => {
                let process = ProcessId { pid: 1, start_ticks: 1, boot_id: String::new() };
                report(Report::Prepared { key: launch.key, process });
            }
            Order::Release(key) => {
                report(Report::Started { key, at: self.now });
                let end = end(self.now);
                let earlier = self.ends.insert(key, end.clone());
                assert!(earlier.is_none(), "{key} runs twice");
                report(Report::Ended { key, end });
            }
            Order::Inspect(traces) => {
                let key = traces.key;
                let finding = self.ends.get(&key).cloned().map_or(Finding::NeverStarted, Finding::Ended);
                report(Report::Inspected { key, finding });
            }
            Order::Forget(_) | Order::Discard(_) => {}
            Order::Kill { .. } => panic!("there is nothing to kill"),
        }
    }
}

fn config(now: Moment, boots: u64) -> Config {
    Config {
        max_running: 2000,
        workers: Default::default(),
        // Looking far ahead is what makes a year short; beyond 90 s a mark counts as made by another clock.
        horizon: Duration::from_secs(80),
        catch_up_spread: Duration::from_secs(60),
        refill_max: 20_000,
        late_grace: Duration::from_secs(2),
        host: "host".to_owned(),
        boot_id: format!("boot {boots}"),
        booted_at: now - Duration::from_secs(5),
        seed: 1,
    }
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
