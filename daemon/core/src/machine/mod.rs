//! The state machine of the daemon: what is due, what runs, what waits. It owns no clock, no database and no process.
//!
//! Facts come in as [`Input`]s with the time at which they are handled; what must follow goes out as [`Effects`]. The driver commits
//! `records` in one transaction, may carry out `early` at any time, and carries out `late` only when the commit is durable. Then it
//! hands `arms` back with [`Input::Committed`]. Batches are committed in the order in which they were filled.
//!
//! ```text
//!             Refilled            time comes             Prepared            Ended
//!  schedule ──────────▶ planned ──────────────▶ starting ─────────▶ running ───────▶ completed | failed | cancelled
//!     │                    │                       ▲                   │
//!     │ found late         │ overlap, paused, …    │ slot, turn        │ retry: waiting, then starting
//!     ▼                    ▼                       │                   ▼
//!  missed ─▶ catch-up   skipped                  queued ◀──────────────┘
//! ```
//!
//! Only schedules with something going on are in memory: a claimed instant, a run, or `after`. The rest is in the store, which the
//! planner asks for what becomes due soon.

mod cancel;
mod chain;
mod change;
mod clock;
mod effects;
mod ending;
mod entry;
mod fire;
mod inhibit;
mod missed;
mod notes;
mod plan;
mod recent;
mod reports;
mod run_set;
mod runs;
mod settle;
mod start;
mod worker;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub use change::Edit;
pub use clock::STEP_MAX;
pub use effects::{Answer, Arms, Early, Effects, Late, Refusal, Token};
pub use plan::jitter;
pub use start::{OpenRun, Recovered};
pub use worker::WorkerLimits;

use entry::{Active, Claim, Entry, Frozen, Phase, Timer, What};

use crate::ids::IdMap;
use crate::launch::Report;
use crate::random::Random;
use crate::record::{ClockEpoch, Stats};
use crate::run::{RunTrigger, WorkerNews};
use crate::{AttemptKey, Moment, RunId, Schedule, ScheduleId};

/// Limits and constants of a machine.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many runs may have a process at once; further ones wait.
    pub max_running: usize,
    /// How far ahead instants are claimed.
    pub horizon: Duration,
    /// Missed instants that are made up start spread over at most this time.
    pub catch_up_spread: Duration,
    /// How many schedules one refill reads at most.
    pub refill_max: usize,
    /// An instant claimed this late in a running daemon still fires as usual; later it is missed.
    pub late_grace: Duration,
    /// Name of the host, for `jitter_mode = host`.
    pub host: String,
    /// Boot id of the host.
    pub boot_id: String,
    /// When the host booted.
    pub booted_at: Moment,
    /// Seed of identities and of retry jitter.
    pub seed: u64,
    /// Limits of workflow runs.
    pub workers: WorkerLimits,
}

/// A schedule as the store hands it over.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The schedule.
    pub schedule: Arc<Schedule>,
    /// All instants up to here have a row.
    pub mark: Moment,
    /// Lower bound of the next instant without a row.
    pub next_due: Option<Moment>,
    /// Its counters.
    pub stats: Stats,
}

/// Everything that wakes the machine.
#[derive(Clone, Debug)]
pub enum Input {
    /// The daemon started; this is what the store holds.
    Recovered(Box<Recovered>),
    /// Time passed: `next_deadline` is reached.
    Woken,
    /// The planner's tick: look ahead when a third of the window is used up.
    RefillAsked,
    /// Answer to [`Late::Refill`].
    Refilled {
        /// Schedules whose `next_due` is not after `until`, in that order.
        loaded: Vec<Loaded>,
        /// End of the window that was asked for.
        until: Moment,
        /// Whether these were all.
        complete: bool,
    },
    /// [`Late::Refill`] could not be answered.
    RefillFailed,
    /// A batch of effects is durable and its `late` part was carried out.
    Committed(Arms),
    /// Nothing can be written: until further notice nothing fires.
    StorageBlocked,
    /// It can again.
    StorageFree,
    /// The wall clock was set.
    ClockSet {
        /// Reading just before.
        before: Moment,
        /// Reading just after.
        after: Moment,
    },
    /// The host slept for so long.
    Resumed(Duration),
    /// The rules for local time changed; what is claimed ahead is planned again.
    ZonesChanged,
    /// A fact from the executor.
    Reported(Report),
    /// Somebody wants a run now. Its effects are a batch of their own.
    RunAsked {
        /// Of this schedule, as it was read a moment ago.
        loaded: Box<Loaded>,
        /// `Manual`, `Api`.
        trigger: RunTrigger,
        /// Who, in words.
        asked_by: String,
        /// For the answer.
        token: Token,
    },
    /// Somebody wants a workflow to run now, without a schedule. Its effects are a batch of their own.
    WorkflowAsked {
        /// What it executes and how; listed nowhere.
        definition: Arc<Schedule>,
        /// `Manual`, `Api`.
        trigger: RunTrigger,
        /// Who, in words.
        asked_by: String,
        /// For the answer.
        token: Token,
    },
    /// Somebody wants a workflow run that has ended to go on. Its effects are a batch of their own.
    ResumeAsked {
        /// As the store holds it.
        open: Box<OpenRun>,
        /// For the answer.
        token: Token,
    },
    /// Somebody pauses a workflow run, or lets it go on.
    PauseAsked {
        /// Which.
        run: RunId,
        /// Pause it.
        pause: bool,
        /// For the answer.
        token: Token,
    },
    /// The worker of a run said something about it as a whole.
    WorkerSaid {
        /// Which worker of which run.
        key: AttemptKey,
        /// What.
        news: WorkerNews,
    },
    /// The commit of a [`Input::RunAsked`], [`Input::WorkflowAsked`] or [`Input::ResumeAsked`] failed: it never was.
    RunWithdrawn(RunId),
    /// Somebody wants a run to end.
    CancelAsked {
        /// Which.
        run: RunId,
        /// KILL at once.
        force: bool,
        /// Whether a workflow compensates what it has done.
        compensate: bool,
        /// Who, in words.
        asked_by: String,
        /// For the answer.
        token: Token,
    },
    /// A change of this schedule is on its way to the store: it must not fire meanwhile. Not before [`Machine::may_edit`]; a new trigger
    /// counts from the moment of this input, and the effects so far are committed before the change.
    EditBegun(ScheduleId),
    /// The change is durable, or did not happen.
    EditEnded(ScheduleId, Edit),
    /// Maintenance begins (with its reason) or ends.
    Quiesced(Option<String>),
    /// Whether somebody keeps schedules from firing.
    Inhibited(bool),
    /// Settings were read again.
    Configured {
        /// See [`Config::max_running`].
        max_running: usize,
        /// See [`Config::workers`].
        workers: WorkerLimits,
    },
}

/// See the module.
pub struct Machine {
    config: Config,
    random: Random,
    epochs: Vec<ClockEpoch>,
    entries: IdMap<ScheduleId, Entry>,
    /// Full name of a schedule → those that run after it.
    followers: HashMap<String, Vec<ScheduleId>>,
    last_asked: Moment,
    /// The latest mark at the start: so far instants of the present epoch may be decided, whatever the clock shows.
    decided_until: Moment,
    runs: IdMap<RunId, Active>,
    timers: BinaryHeap<Reverse<Timer>>,
    timer_seq: u64,
    /// Sum of all steps of the clock since this machine was made, microseconds.
    shift_us: i64,
    /// Steps that wait until everything before them is decided.
    steps: VecDeque<clock::Step>,
    /// Runs that wait for one of `max_running` places, in order; those that ended meanwhile are passed over.
    line: VecDeque<RunId>,
    left_line: usize,
    places_used: usize,
    workers: worker::WorkerPlaces,
    planner: plan::Planner,
    frozen: IdMap<ScheduleId, Frozen>,
    recent: recent::Recent,
    /// Entries to look at when memory is tidied up.
    perhaps_idle: Vec<ScheduleId>,
    quiesced: Option<String>,
    inhibited: bool,
    blocked: bool,
    executor_up: bool,
    counters: Counters,
}

/// What was counted since the start.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Runs made.
    pub runs: u64,
    /// Instants found late.
    pub missed: u64,
    /// Instants not run, by reason, in the order of [`Counters::REASONS`].
    pub skipped: [u64; 7],
    /// Instants coalesced.
    pub coalesced: u64,
}

impl Counters {
    /// Names of the places of `skipped`.
    pub const REASONS: [&'static str; 7] =
        ["paused", "overlap", "deadline", "catch_up", "quiesced", "limit", "calendar"];
}

impl Machine {
    /// An empty machine; it does nothing before [`Input::Recovered`].
    pub fn new(config: Config) -> Self {
        Machine {
            random: Random::new(config.seed),
            epochs: Vec::new(),
            entries: IdMap::default(),
            followers: HashMap::new(),
            last_asked: Moment::MIN,
            decided_until: Moment::MIN,
            runs: IdMap::default(),
            timers: BinaryHeap::new(),
            timer_seq: 0,
            shift_us: 0,
            steps: VecDeque::new(),
            line: VecDeque::new(),
            left_line: 0,
            places_used: 0,
            workers: worker::WorkerPlaces::default(),
            planner: plan::Planner::new(),
            frozen: IdMap::default(),
            recent: recent::Recent::default(),
            perhaps_idle: Vec::new(),
            quiesced: None,
            inhibited: false,
            blocked: false,
            executor_up: false,
            counters: Counters::default(),
            config,
        }
    }

    /// Takes one fact in. What must follow is added to `effects`.
    pub fn handle(&mut self, now: Moment, input: Input, effects: &mut Effects) {
        match input {
            Input::Recovered(state) => self.recover(now, *state, effects),
            Input::Woken => self.fire_due(now, effects),
            Input::RefillAsked => self.tick(now, effects),
            Input::Refilled { loaded, until, complete } => self.refilled(now, loaded, until, complete, effects),
            Input::RefillFailed => self.planner.failed(now),
            Input::Committed(arms) => self.committed(now, arms, effects),
            Input::StorageBlocked => self.blocked = true,
            Input::StorageFree => {
                self.blocked = false;
                self.advance_steps(now, effects);
            }
            Input::ClockSet { before, after } => self.clock_set(before, after, effects),
            Input::Resumed(slept) => self.resumed(now, slept, effects),
            Input::ZonesChanged => self.plan_again(now, effects),
            Input::Reported(report) => self.reported(now, report, effects),
            Input::RunAsked { loaded, trigger, asked_by, token } => {
                self.run_asked(now, *loaded, trigger, asked_by, token, effects);
            }
            Input::WorkflowAsked { definition, trigger, asked_by, token } => {
                self.workflow_asked(now, definition, trigger, asked_by, token, effects);
            }
            Input::ResumeAsked { open, token } => self.resume_asked(now, *open, token, effects),
            Input::PauseAsked { run, pause, token } => self.pause_run(run, pause, token, effects),
            Input::WorkerSaid { key, news } => self.worker_said(now, key, news, effects),
            Input::RunWithdrawn(run) => self.run_withdrawn(now, run, effects),
            Input::CancelAsked { run, force, compensate, asked_by, token } => {
                self.cancel_asked(now, run, (force, compensate), &asked_by, token, effects);
            }
            Input::EditBegun(id) => self.edit_begun(now, id, effects),
            Input::EditEnded(id, edit) => self.edit_ended(now, id, edit, effects),
            Input::Quiesced(reason) => self.quiesced = reason,
            Input::Inhibited(inhibited) => self.inhibit(now, inhibited, effects),
            Input::Configured { max_running, workers } => {
                self.config.max_running = max_running;
                self.config.workers = workers;
                self.fill_places(effects);
                self.fill_worker_places(now, effects);
            }
        }
    }

    /// When the machine wants [`Input::Woken`] next. `None`: not before another input.
    pub fn next_deadline(&self) -> Option<Moment> {
        if self.blocked {
            return None;
        }
        let timer = self.timers.peek().map(|Reverse(timer)| timer.at);
        let refill = self.wants_refill_at();
        match (timer, refill) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        }
    }

    /// Unfinished runs that have a place, and all others.
    pub fn load(&self) -> (usize, usize) {
        let used = self.places_used + self.workers.used();
        (used, self.runs.len() - used.min(self.runs.len()))
    }

    /// What was counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The present clock epoch.
    pub fn epoch(&self) -> u32 {
        self.epochs.last().map_or(0, |e| e.epoch)
    }

    /// Why nothing fires, during maintenance.
    pub fn quiesced(&self) -> Option<&str> {
        self.quiesced.as_deref()
    }

    /// Whether this run is unfinished.
    pub fn is_open(&self, run: RunId) -> bool {
        self.runs.contains_key(&run)
    }

    /// Whether what a worker says still counts: not when its process is known to have ended, or another one goes on. What such a one
    /// had recorded without an answer is done again by the next; kept half, it would mislead that one.
    pub fn hears(&self, key: AttemptKey) -> bool {
        self.runs.get(&key.run).is_some_and(|active| active.attempt == key.attempt && active.phase != Phase::Resting)
    }

    /// Whether the executor is connected.
    pub fn executor_up(&self) -> bool {
        self.executor_up
    }

    /// How many schedules are in memory.
    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    fn timer(&mut self, at: Moment, what: What) -> Timer {
        self.timer_seq += 1;
        Timer { at, seq: self.timer_seq, what }
    }

    fn set_timer(&mut self, at: Moment, what: What) {
        let timer = self.timer(at, what);
        self.timers.push(Reverse(timer));
    }

    /// A timer that is set when the batch is durable.
    fn arm(&mut self, at: Moment, what: What, effects: &mut Effects) {
        let timer = self.timer(at, what);
        effects.arms.timers.push(timer);
        effects.arms.shift_us = self.shift_us;
    }

    /// The batch is durable: what it claimed may fire, what was asked for may start, and entries without any work may be forgotten.
    fn committed(&mut self, now: Moment, mut arms: Arms, effects: &mut Effects) {
        self.shift_arms(&mut arms);
        self.timers.extend(arms.timers.into_iter().map(Reverse));
        for id in arms.touched {
            self.settled(id);
        }
        for run in arms.born {
            self.born(now, run, effects);
        }
    }

    /// One batch less that changes this schedule.
    fn settled(&mut self, id: ScheduleId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.unsettled = entry.unsettled.saturating_sub(1);
        if entry.is_idle() {
            self.perhaps_idle.push(id);
        }
    }
}
