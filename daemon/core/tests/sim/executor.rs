//! An executor that outlives the daemon: holds processes, lets them run, keeps their ends. It can be killed, and tells the truth.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use sloth_core::launch::{Finding, Known, KnownState, Launch, Order, Report};
use sloth_core::run::{AttemptEnd, Outcome, ProcessId, StartFailure, StartFailureKind, Usage};
use sloth_core::{AttemptKey, Moment, RunId};

use super::chance::Chance;

/// What a program does.
#[derive(Clone, Debug)]
pub struct Behaviour {
    pub outcome: Outcome,
    pub after: Duration,
}

pub struct Process {
    pub schedule: String,
    pub behaviour: Behaviour,
    timeout: Option<Duration>,
    pub state: State,
}

impl Process {
    pub fn is_held(&self) -> bool {
        matches!(self.state, State::Held)
    }
}

#[derive(Clone, Debug)]
pub enum State {
    Held,
    /// Counts the ends that were planned for it, so that a kill voids the earlier one.
    Running {
        since: Moment,
        plan: u32,
    },
    Ended(AttemptEnd),
}

#[derive(Default)]
pub struct Executor {
    pub processes: BTreeMap<AttemptKey, Process>,
    /// Every start of a user's program: which, of what, when.
    pub starts: Vec<(AttemptKey, String, Moment)>,
    /// Ends written to output files.
    files: BTreeMap<AttemptKey, AttemptEnd>,
    /// By schedule: what its programs do, the first entry once, the last one for ever.
    pub scripts: HashMap<String, Vec<Behaviour>>,
    /// Longest random run, and how often in a thousand something goes wrong.
    pub longest: Duration,
    pub trouble: u64,
    /// Whether the end of a program is on disk when the executor dies.
    pub files_survive: bool,
}

/// What follows from an order.
pub enum Happens {
    Report(Report),
    /// The process ends by itself.
    EndsIn(AttemptKey, u32, Duration, Outcome),
}

impl Executor {
    pub fn obey(&mut self, now: Moment, order: Order, chance: &mut Chance) -> Vec<Happens> {
        match order {
            Order::Prepare(launch) => self.prepare(*launch, chance),
            Order::Release(key) => self.release(now, key),
            Order::Discard(key) => {
                if matches!(self.processes.get(&key), Some(Process { state: State::Held, .. })) {
                    self.processes.remove(&key);
                }
                Vec::new()
            }
            Order::Kill { key, grace } => self.kill(now, key, grace, chance),
            Order::Forget(key) => {
                if matches!(self.processes.get(&key), Some(Process { state: State::Ended(_), .. })) {
                    self.processes.remove(&key);
                }
                Vec::new()
            }
            Order::Inspect(traces) => {
                self.processes.remove(&traces.key);
                let finding = match (self.has_started(traces.key), self.files.get(&traces.key)) {
                    (_, Some(end)) => Finding::Ended(end.clone()),
                    (true, None) => Finding::Lost("its supervisor is gone".to_owned()),
                    (false, None) => Finding::NeverStarted,
                };
                vec![Happens::Report(Report::Inspected { key: traces.key, finding })]
            }
        }
    }

    fn prepare(&mut self, launch: Launch, chance: &mut Chance) -> Vec<Happens> {
        let key = launch.key;
        match self.processes.get(&key).map(|p| &p.state) {
            Some(State::Held) => {
                return vec![Happens::Report(Report::Prepared { key, process: process(key) })];
            }
            Some(_) => return Vec::new(),
            None => {}
        }
        let schedule = launch.env["SLOTH_SCHEDULE"].clone();
        if chance.permille(self.trouble) {
            let kind = *chance.pick(&[StartFailureKind::Resources, StartFailureKind::Program, StartFailureKind::User]);
            let failure = StartFailure { kind, message: "it cannot be".to_owned() };
            return vec![Happens::Report(Report::Refused { key, failure })];
        }
        let behaviour = self.behaviour(&schedule, key, chance);
        let process_ = Process { schedule, behaviour, timeout: launch.timeout, state: State::Held };
        self.processes.insert(key, process_);
        vec![Happens::Report(Report::Prepared { key, process: process(key) })]
    }

    fn behaviour(&mut self, schedule: &str, _key: AttemptKey, chance: &mut Chance) -> Behaviour {
        if let Some(script) = self.scripts.get_mut(schedule) {
            return if script.len() > 1 { script.remove(0) } else { script[0].clone() };
        }
        let outcome = match chance.below(10) {
            0 => Outcome::Exited(1),
            1 => Outcome::Signaled(11),
            2 => Outcome::Oom,
            _ => Outcome::Exited(0),
        };
        let longest = self.longest.as_micros() as u64 + 1;
        Behaviour { outcome, after: Duration::from_micros(chance.below(longest)) }
    }

    fn release(&mut self, now: Moment, key: AttemptKey) -> Vec<Happens> {
        let Some(process) = self.processes.get_mut(&key) else {
            return Vec::new();
        };
        if !matches!(process.state, State::Held) {
            return Vec::new();
        }
        process.state = State::Running { since: now, plan: 0 };
        self.starts.push((key, process.schedule.clone(), now));
        let Behaviour { mut outcome, mut after } = process.behaviour.clone();
        if let Some(timeout) = process.timeout.filter(|timeout| *timeout < after) {
            (outcome, after) = (Outcome::TimedOut, timeout);
        }
        vec![Happens::Report(Report::Started { key, at: now }), Happens::EndsIn(key, 0, after, outcome)]
    }

    fn kill(&mut self, now: Moment, key: AttemptKey, grace: Duration, chance: &mut Chance) -> Vec<Happens> {
        match self.processes.get_mut(&key).map(|p| &mut p.state) {
            Some(State::Running { plan, .. }) => {
                *plan += 1;
                let after = Duration::from_micros(chance.below(grace.as_micros() as u64 + 1));
                vec![Happens::EndsIn(key, *plan, after, Outcome::Killed)]
            }
            Some(State::Held) => {
                let failure =
                    StartFailure { kind: StartFailureKind::Other, message: "ended before its release".to_owned() };
                self.end(now, key, Outcome::NotStarted(failure)).into_iter().map(Happens::Report).collect()
            }
            _ => Vec::new(),
        }
    }

    /// A planned end is reached.
    pub fn ends(&mut self, now: Moment, key: AttemptKey, plan: u32, outcome: Outcome) -> Option<Report> {
        match self.processes.get(&key)?.state {
            State::Running { plan: current, .. } if current == plan => self.end(now, key, outcome),
            _ => None,
        }
    }

    fn end(&mut self, now: Moment, key: AttemptKey, outcome: Outcome) -> Option<Report> {
        let end = AttemptEnd {
            outcome,
            ended_at: now,
            usage: Usage::default(),
            output_bytes: 7,
            dropped_bytes: 0,
            stderr_tail: String::new(),
        };
        self.processes.get_mut(&key)?.state = State::Ended(end.clone());
        self.files.insert(key, end.clone());
        Some(Report::Ended { key, end })
    }

    pub fn has_started(&self, key: AttemptKey) -> bool {
        self.starts.iter().any(|(started, _, _)| *started == key)
    }

    pub fn known(&self) -> Vec<Known> {
        let state = |key: &AttemptKey, p: &Process| match &p.state {
            State::Held => KnownState::Held(process(*key)),
            State::Running { since, .. } => KnownState::Running { process: process(*key), since: *since },
            State::Ended(end) => KnownState::Ended(end.clone()),
        };
        self.processes.iter().map(|(key, p)| Known { key: *key, state: state(key, p) }).collect()
    }

    /// All processes die with it.
    pub fn killed(&mut self) {
        self.processes.clear();
        if !self.files_survive {
            self.files.clear();
        }
    }

    pub fn alive(&self) -> impl Iterator<Item = (RunId, &str)> {
        let running = |p: &&Process| matches!(p.state, State::Running { .. });
        let all = self.processes.iter().filter(move |(_, p)| running(p));
        all.map(|(key, p)| (key.run, p.schedule.as_str()))
    }
}

fn process(key: AttemptKey) -> ProcessId {
    ProcessId { pid: 1000 + key.attempt, start_ticks: 1, boot_id: "boot".to_owned() }
}
