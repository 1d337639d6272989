//! The loop: one message at a time into the machine, its effects out in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use sloth_core::launch::Report;
use sloth_core::machine::{Config, Early, Effects, Input, Late, Loaded, Machine, Recovered};
use sloth_core::{Moment, RunId};
use tokio::sync::{mpsc, oneshot};

use crate::batch::{Batch, Flight, Purpose};
use crate::clock_watch::{ClockChange, ClockWatch};
use crate::commands::{Command, Reply};
use crate::handle::MAILBOX_MAX;
use crate::{Alarm, Handle, Ports, Published, StoreError};
use sloth_core::machine::{Answer, Token};

/// Messages of one kind that are handled before the others get their turn.
const TURN_MAX: usize = 512;
/// The loop turns at least this often, so that the watchdog sees it and a set clock is noticed.
const IDLE_MAX: Duration = Duration::from_secs(1);
/// Between two tries to write what could not be written.
const RETRY: Duration = Duration::from_millis(500);

/// What the engine starts with.
pub struct Settings {
    /// Of the machine.
    pub config: Config,
    /// What the store holds.
    pub recovered: Recovered,
}

/// A contradiction between memory and disk: going on could run something twice. The process must end and recover from the disk.
#[derive(Debug, thiserror::Error)]
#[error("the store contradicts the engine: {0}")]
pub struct Fatal(pub StoreError);

type Refilled = Result<(Vec<Loaded>, bool, Moment), StoreError>;
type Landed = (u64, usize, Result<(), StoreError>);

/// The engine; [`Engine::run`] is its life.
pub struct Engine<P: Ports> {
    ports: Arc<P>,
    machine: Machine,
    pub(crate) config: Config,
    published: Arc<Published>,
    watch: ClockWatch,
    mailbox: mpsc::Receiver<Command>,
    reports: mpsc::Receiver<Report>,
    refills: (mpsc::Sender<Refilled>, mpsc::Receiver<Refilled>),
    landings: (mpsc::Sender<Landed>, mpsc::Receiver<Landed>),
    pub(crate) current: Effects,
    pub(crate) pending: VecDeque<Batch>,
    flight: Option<Flight<StoreError>>,
    flights: u64,
    retry_at: Option<Moment>,
    pub(crate) blocked: Option<StoreError>,
    answers: std::collections::HashMap<Token, Reply<Answer>>,
    tokens: u64,
    stopping: Option<oneshot::Sender<()>>,
}

impl<P: Ports> Engine<P> {
    /// Takes over the recovered state. Nothing moves before [`Engine::run`].
    pub fn new(ports: Arc<P>, settings: Settings, reports: mpsc::Receiver<Report>) -> (Self, Handle) {
        let (sender, mailbox) = mpsc::channel(MAILBOX_MAX);
        let published = Arc::new(Published::default());
        let reading = ports.read_clocks();
        let mut engine = Engine {
            machine: Machine::new(settings.config.clone()),
            config: settings.config,
            published: published.clone(),
            watch: ClockWatch::new(reading),
            mailbox,
            reports,
            refills: mpsc::channel(4),
            landings: mpsc::channel(MAILBOX_MAX * 2),
            current: Effects::default(),
            pending: VecDeque::new(),
            flight: None,
            flights: 0,
            retry_at: None,
            blocked: None,
            answers: std::collections::HashMap::new(),
            tokens: 0,
            stopping: None,
            ports,
        };
        engine.input(reading.wall, Input::Recovered(Box::new(settings.recovered)));
        (
            engine,
            Handle {
                mailbox: sender,
                published,
            },
        )
    }

    /// Runs until [`Handle::stop`], or until the disk contradicts the memory.
    pub async fn run(mut self, mut alarm: impl Alarm) -> Result<(), Fatal> {
        loop {
            self.flush();
            self.publish();
            if self.stopping.is_some() && self.flight.is_none() && (self.pending.is_empty() || self.blocked.is_some()) {
                if let Some(done) = self.stopping.take() {
                    let _ = done.send(());
                }
                return Ok(());
            }
            let deadline = self.deadline();
            tokio::select! {
                biased;
                Some(landed) = self.landings.1.recv() => self.landed(landed)?,
                Some(report) = self.reports.recv() => {
                    let now = self.now();
                    self.input(now, Input::Reported(report));
                    for _ in 1..TURN_MAX {
                        let Ok(report) = self.reports.try_recv() else { break };
                        self.input(now, Input::Reported(report));
                    }
                }
                Some(refilled) = self.refills.1.recv() => self.refilled(refilled),
                Some(command) = self.mailbox.recv() => {
                    self.command(command);
                    for _ in 1..TURN_MAX {
                        let Ok(command) = self.mailbox.try_recv() else { break };
                        self.command(command);
                    }
                }
                () = alarm.wait(Some(deadline)) => {}
            }
            self.woken();
        }
    }

    /// The time, after everything that happened to the clock has been handled.
    pub(crate) fn now(&mut self) -> Moment {
        let reading = self.ports.read_clocks();
        for change in self.watch.compare(reading) {
            match change {
                ClockChange::Set(before, after) => {
                    tracing::warn!(%before, %after, "the clock was set");
                    self.input(after, Input::ClockSet { before, after });
                }
                ClockChange::Slept(length) => {
                    tracing::info!(seconds = length.as_secs(), "the host slept");
                    self.input(reading.wall, Input::Resumed(length));
                }
            }
        }
        reading.wall
    }

    fn woken(&mut self) {
        let now = self.now();
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
        }
        if self.stopping.is_none() && self.machine.next_deadline().is_some_and(|at| at <= now) {
            self.input(now, Input::Woken);
        }
    }

    fn deadline(&self) -> Moment {
        let idle = self.ports.read_clocks().wall + IDLE_MAX;
        let machine = if self.stopping.is_some() {
            None
        } else {
            self.machine.next_deadline()
        };
        [machine, self.retry_at].into_iter().flatten().fold(idle, Moment::min)
    }

    /// One fact into the machine. Its early orders go out at once.
    pub(crate) fn input(&mut self, now: Moment, input: Input) {
        self.machine.handle(now, input, &mut self.current);
        let early = std::mem::take(&mut self.current.early);
        self.carry_out_early(early);
    }

    fn carry_out_early(&mut self, early: Vec<Early>) {
        for order in early {
            match order {
                Early::Prepare { launch, fire_at } => {
                    if let Some(fire_at) = fire_at {
                        self.published
                            .lateness
                            .add(self.ports.read_clocks().wall.since(fire_at));
                    }
                    self.ports.order(sloth_core::launch::Order::Prepare(launch));
                }
                Early::Order(order) => self.ports.order(order),
            }
        }
    }

    /// Like [`Engine::input`], but in a batch of its own whose orders wait.
    pub(crate) fn run_input(
        &mut self,
        now: Moment,
        make: impl FnOnce(Token) -> Input,
        reply: Reply<Answer>,
    ) -> &mut Batch {
        self.close_current();
        self.tokens += 1;
        let token = Token(self.tokens);
        self.answers.insert(token, reply);
        let mut effects = Effects::default();
        self.machine.handle(now, make(token), &mut effects);
        let run = effects.late.iter().find_map(|late| match late {
            Late::Reply(_, Ok(Answer::Run { run, .. })) => Some(*run),
            _ => None,
        });
        let early = std::mem::take(&mut effects.early);
        let mut batch = Batch::machine(effects);
        batch.purpose = Purpose::Run { run, token, early };
        self.pending.push_back(batch);
        let last = self.pending.len() - 1;
        &mut self.pending[last]
    }

    /// What the machine wanted so far becomes a batch.
    pub(crate) fn close_current(&mut self) {
        if !self.current.is_empty() {
            let effects = std::mem::take(&mut self.current);
            self.pending.push_back(Batch::machine(effects));
        }
    }

    /// Starts the next flight when none is under way: requests first, then one batch of the machine, which must not be overtaken.
    fn flush(&mut self) {
        if self.flight.is_some() || self.retry_at.is_some() {
            return;
        }
        self.close_current();
        let mut batches = Vec::new();
        while let Some(batch) = self.pending.pop_front() {
            let last = batch.is_machine() && !batch.records.is_empty();
            batches.push(batch);
            if last {
                break;
            }
        }
        if batches.is_empty() {
            return;
        }
        self.flights += 1;
        let number = self.flights;
        let mut flight = Flight {
            number,
            batches,
            results: Default::default(),
        };
        for (i, batch) in flight.batches.iter().enumerate() {
            if batch.records.is_empty() {
                flight.results.insert(i, Ok(()));
                continue;
            }
            let landings = self.landings.0.clone();
            let done = Box::new(move |result| {
                // The engine is gone when nobody listens; there is room for every batch of a flight.
                let _ = landings.try_send((number, i, result));
            });
            self.ports.commit(batch.records.clone(), done);
        }
        if flight.landed() {
            // Nothing to write: no failure is possible.
            let _ = self.finish_flight(flight);
        } else {
            self.flight = Some(flight);
        }
    }

    fn landed(&mut self, (number, i, result): Landed) -> Result<(), Fatal> {
        let Some(flight) = self.flight.as_mut().filter(|flight| flight.number == number) else {
            return Ok(());
        };
        flight.results.insert(i, result);
        if !flight.landed() {
            return Ok(());
        }
        match self.flight.take() {
            Some(flight) => self.finish_flight(flight),
            None => Ok(()),
        }
    }

    fn finish_flight(&mut self, mut flight: Flight<StoreError>) -> Result<(), Fatal> {
        let now = self.now();
        for (i, batch) in std::mem::take(&mut flight.batches).into_iter().enumerate() {
            let result = flight.results.remove(&i).unwrap_or(Ok(()));
            match result {
                Ok(()) => {
                    if !batch.records.is_empty() {
                        self.storage_free(now);
                    }
                    self.succeeded(now, batch);
                }
                Err(error) if error.is_passing() => {
                    self.storage_blocked(now, &error);
                    match batch.is_machine() {
                        true => {
                            self.pending.push_front(batch);
                            self.retry_at = Some(now + RETRY);
                        }
                        false => self.failed(now, batch, error),
                    }
                }
                Err(error) if batch.is_machine() => return Err(Fatal(error)),
                Err(error) => self.failed(now, batch, error),
            }
        }
        Ok(())
    }

    fn succeeded(&mut self, now: Moment, batch: Batch) {
        match batch.purpose {
            Purpose::Machine => {}
            Purpose::Run { early, .. } => self.carry_out_early(early),
            Purpose::Edit { id, success, at, reply } => {
                self.input(now, Input::EditEnded(id, success));
                let _ = reply.send(Ok(at));
            }
            Purpose::Commit { reply, quiesce } => {
                if let Some(reason) = quiesce {
                    *self.published.quiesced.lock().unwrap_or_else(|e| e.into_inner()) = reason.clone();
                    self.input(now, Input::Quiesced(reason));
                }
                let _ = reply.send(Ok(()));
            }
        }
        for late in batch.late {
            match late {
                Late::Order(order) => self.ports.order(order),
                Late::Refill { until, max } => self.read_due(until, max),
                Late::Reply(token, answer) => {
                    if let Some(reply) = self.answers.remove(&token) {
                        let _ = reply.send(answer.map_err(crate::EngineError::Refused));
                    }
                }
            }
        }
        self.input(now, Input::Committed(batch.arms));
    }

    /// A request could not be written: it is as if it had never been made.
    fn failed(&mut self, now: Moment, batch: Batch, error: StoreError) {
        match batch.purpose {
            Purpose::Machine => {}
            Purpose::Run { run, token, .. } => {
                if let Some(run) = run {
                    self.input(now, Input::RunWithdrawn(run));
                }
                if let Some(reply) = self.answers.remove(&token) {
                    let _ = reply.send(Err(error.into()));
                }
            }
            Purpose::Edit { id, reply, .. } => {
                self.input(now, Input::EditEnded(id, sloth_core::machine::Edit::Nothing));
                let _ = reply.send(Err(error.into()));
            }
            Purpose::Commit { reply, .. } => {
                let _ = reply.send(Err(error.into()));
            }
        }
    }

    fn storage_blocked(&mut self, now: Moment, error: &StoreError) {
        if self.blocked.is_none() {
            tracing::error!(%error, "nothing can be written: no schedule fires until it can");
            self.input(now, Input::StorageBlocked);
        }
        *self.published.trouble.lock().unwrap_or_else(|e| e.into_inner()) = Some(error.to_string());
        self.blocked = Some(error.clone());
    }

    fn storage_free(&mut self, now: Moment) {
        if self.blocked.take().is_some() {
            tracing::warn!("the database can be written again");
            *self.published.trouble.lock().unwrap_or_else(|e| e.into_inner()) = None;
            self.input(now, Input::StorageFree);
        }
    }

    fn read_due(&self, until: Moment, max: usize) {
        let sender = self.refills.0.clone();
        let done = Box::new(move |result: Result<(Vec<Loaded>, bool), StoreError>| {
            let _ = sender.try_send(result.map(|(loaded, complete)| (loaded, complete, until)));
        });
        self.ports.load_due(until, max, done);
    }

    fn refilled(&mut self, refilled: Refilled) {
        let now = self.now();
        match refilled {
            Ok((loaded, complete, until)) => self.input(
                now,
                Input::Refilled {
                    loaded,
                    until,
                    complete,
                },
            ),
            Err(error) => {
                tracing::error!(%error, "the schedules that are due soon cannot be read");
                self.input(now, Input::RefillFailed);
            }
        }
    }

    fn publish(&self) {
        let (running, queued) = self.machine.load();
        let published = &self.published;
        published.running.store(running as u64, Relaxed);
        published.queued.store(queued as u64, Relaxed);
        published.epoch.store(self.machine.epoch(), Relaxed);
        published.blocked.store(self.blocked.is_some(), Relaxed);
        published.executor_up.store(self.machine.executor_up(), Relaxed);
        let counters = self.machine.counters();
        published.runs.store(counters.runs, Relaxed);
        published.missed.store(counters.missed, Relaxed);
        published.coalesced.store(counters.coalesced, Relaxed);
        for (shared, count) in published.skipped.iter().zip(counters.skipped) {
            shared.store(count, Relaxed);
        }
        self.ports.heartbeat();
    }

    pub(crate) fn stop(&mut self, reply: oneshot::Sender<()>) {
        self.stopping = Some(reply);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    pub(crate) fn is_open(&self, run: RunId) -> bool {
        self.machine.is_open(run)
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.machine.epoch()
    }
}
