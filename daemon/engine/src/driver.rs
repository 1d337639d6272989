//! The loop: one message at a time into the machine, its effects out in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sloth_core::launch::Report;
use sloth_core::machine::{Config, Early, Effects, Input, Late, Loaded, Machine, Recovered};
use sloth_core::{AttemptKey, Moment, RunId};
use tokio::sync::{mpsc, oneshot};

use crate::batch::{Batch, Flight, Purpose};
use crate::clock_watch::{ClockChange, ClockWatch};
use crate::commands::{Command, Reply};
use crate::handle::MAILBOX_MAX;
use crate::{Alarm, EditRequest, Handle, Ports, Published, StoreError};
use sloth_core::machine::{Answer, Token};

/// Messages of one kind that are handled before the others get their turn.
const TURN_MAX: usize = 512;
/// So often in a row the machine may be woken, with a thousand timers each, before messages get their turn again.
const WAKES_MAX: usize = 16;

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
pub(crate) type Landed = (u64, usize, Result<(), StoreError>);

/// The engine; [`Engine::run`] is its life.
pub struct Engine<P: Ports> {
    pub(crate) ports: Arc<P>,
    pub(crate) machine: Machine,
    pub(crate) config: Config,
    pub(crate) published: Arc<Published>,
    watch: ClockWatch,
    mailbox: mpsc::Receiver<Command>,
    reports: mpsc::Receiver<Report>,
    refills: (mpsc::Sender<Refilled>, mpsc::Receiver<Refilled>),
    pub(crate) landings: (mpsc::Sender<Landed>, mpsc::Receiver<Landed>),
    pub(crate) current: Effects,
    pub(crate) pending: VecDeque<Batch>,
    /// Edits that the machine cannot take yet.
    pub(crate) held: VecDeque<(EditRequest, Reply<Moment>)>,
    pub(crate) flight: Option<Flight<StoreError>>,
    pub(crate) flights: u64,
    pub(crate) retry_at: Option<Moment>,
    pub(crate) blocked: Option<StoreError>,
    pub(crate) answers: std::collections::HashMap<Token, Reply<Answer>>,
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
            held: VecDeque::new(),
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
        (engine, Handle { mailbox: sender, published })
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
        // A burst goes out before what follows from its beginning is handled; its transactions stay small all the same.
        for _ in 0..WAKES_MAX {
            if self.stopping.is_some() || self.machine.next_deadline().is_none_or(|at| at > now) {
                break;
            }
            self.input(now, Input::Woken);
            self.close_current();
        }
        if !self.held.is_empty() {
            self.try_edits(now);
        }
    }

    fn deadline(&self) -> Moment {
        let idle = self.ports.wall() + self.ports.idle_max();
        let machine = if self.stopping.is_some() { None } else { self.machine.next_deadline() };
        [machine, self.retry_at].into_iter().flatten().fold(idle, Moment::min)
    }

    /// One fact into the machine. Its early orders go out at once.
    pub(crate) fn input(&mut self, now: Moment, input: Input) {
        self.machine.handle(now, input, &mut self.current);
        let early = std::mem::take(&mut self.current.early);
        self.carry_out_early(early);
    }

    pub(crate) fn carry_out_early(&mut self, early: Vec<Early>) {
        for order in early {
            match order {
                Early::Prepare { start, fire_at } => {
                    self.ports.prepare(start);
                    if let Some(fire_at) = fire_at {
                        self.published.lateness.add(self.ports.wall().since(fire_at));
                    }
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
        let token = self.await_answer(reply);
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

    /// A name for somebody who waits.
    pub(crate) fn await_answer(&mut self, reply: Reply<Answer>) -> Token {
        self.tokens += 1;
        let token = Token(self.tokens);
        self.answers.insert(token, reply);
        token
    }

    /// Gives an answer that would otherwise wait for a commit.
    pub(crate) fn answer_now(&mut self, token: Token) {
        let is_it = |late: &Late| matches!(late, Late::Reply(other, _) if *other == token);
        if let Some(place) = self.current.late.iter().position(is_it)
            && let Late::Reply(_, answer) = self.current.late.remove(place)
            && let Some(reply) = self.answers.remove(&token)
        {
            let _ = reply.send(answer.map_err(crate::EngineError::Refused));
        }
    }

    /// What the machine wanted so far becomes a batch.
    pub(crate) fn close_current(&mut self) {
        if !self.current.is_empty() {
            let effects = std::mem::take(&mut self.current);
            self.pending.push_back(Batch::machine(effects));
        }
    }

    pub(crate) fn read_due(&self, until: Moment, max: usize) {
        let sender = self.refills.0.clone();
        let done = Box::new(move |result: Result<(Vec<Loaded>, bool), StoreError>| {
            let _ = sender.try_send(result.map(|(loaded, complete)| (loaded, complete, until)));
        });
        self.ports.load_due(until, max, done);
    }

    fn refilled(&mut self, refilled: Refilled) {
        let now = self.now();
        match refilled {
            Ok((loaded, complete, until)) => self.input(now, Input::Refilled { loaded, until, complete }),
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

    pub(crate) fn hears(&self, key: AttemptKey) -> bool {
        self.machine.hears(key)
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.machine.epoch()
    }
}
