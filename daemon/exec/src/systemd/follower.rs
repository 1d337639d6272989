//! The loop: it knows every attempt of this instance that is not over, takes orders and signals, and never waits for anything itself.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sloth_core::AttemptKey;
use sloth_core::launch::{Known, KnownState, Order, Report};
use sloth_core::run::{AttemptEnd, Outcome, ProcessId, StartFailureKind};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::Options;
use super::bus::{Bus, CallError, Event, Events, Listed};
use super::calls::{Done, Inspection, Look, Office, begins};
use super::names::{output_of, unit_name};
use super::prepare::Held;
use super::result::bare;
use crate::account::Accounts;
use crate::clock::wall_now;
use crate::limits::Capabilities;
use crate::{fail, proc};

/// First and longest wait between two tries to connect.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Between two comparisons with the list of units, in case that a signal did not come.
const POLL: Duration = Duration::from_secs(10);

/// How far an attempt is, see the module `systemd`.
#[derive(Debug)]
pub(super) enum Phase {
    Preparing { release_asked: bool },
    Held(Box<Held>),
    Starting { kill_asked: Option<Duration> },
    Going,
    Ended { end: Box<AttemptEnd>, is_kept: bool },
}

/// One attempt.
#[derive(Debug)]
pub(super) struct Attempt {
    /// Tells it from an earlier one with the same key, about which an answer may still come.
    pub(super) serial: u64,
    pub(super) output: PathBuf,
    pub(super) phase: Phase,
    pub(super) is_looking: bool,
    /// It ended while it was being looked at: look again.
    pub(super) look_again: Option<bool>,
}

/// See the module.
pub(super) struct Follower {
    pub(super) office: Office,
    pub(super) attempts: HashMap<AttemptKey, Attempt>,
    pub(super) accounts: Arc<Mutex<Accounts>>,
    pub(super) bus: Option<Bus>,
    pub(super) work: JoinSet<(AttemptKey, u64, Done)>,
    pub(super) serials: u64,
    orders: mpsc::Receiver<Order>,
    reports: mpsc::Sender<Report>,
}

/// Nobody takes reports any more.
pub(super) struct Dropped;

impl Follower {
    pub(super) fn new(
        options: Arc<Options>,
        capabilities: Capabilities,
        orders: mpsc::Receiver<Order>,
        reports: mpsc::Sender<Report>,
    ) -> Follower {
        Follower {
            office: Office::new(options, capabilities),
            attempts: HashMap::new(),
            accounts: Arc::default(),
            bus: None,
            work: JoinSet::new(),
            serials: 0,
            orders,
            reports,
        }
    }

    /// Runs until the executor is dropped.
    pub(super) async fn run(mut self) {
        let mut is_down = false;
        let mut wait = RETRY.0;
        while !self.reports.is_closed() {
            let why = match self.connect().await {
                Ok((events, known)) => {
                    is_down = false;
                    wait = RETRY.0;
                    if self.reports.send(Report::Connected(known)).await.is_err() {
                        return;
                    }
                    match self.serve(events).await {
                        Ok(why) => why,
                        Err(Dropped) => return,
                    }
                }
                Err(error) => error.to_string(),
            };
            self.bus = None;
            if is_down {
                tracing::debug!(why, "systemd cannot be reached");
                sleep(wait).await;
                wait = (wait * 2).min(RETRY.1);
            } else if self.reports.send(Report::Disconnected(why)).await.is_err() {
                return;
            }
            is_down = true;
        }
    }

    /// Connects, and learns which attempts there are.
    async fn connect(&mut self) -> Result<(Events, Vec<Known>), CallError> {
        let begin = Instant::now();
        let (bus, events) = Bus::connect(self.office.options.manager).await?;
        // What was on its way to PID 1 may or may not have arrived: the list of units tells.
        self.work.abort_all();
        while self.work.join_next().await.is_some() {}
        self.attempts.retain(|_, attempt| matches!(attempt.phase, Phase::Held(_) | Phase::Ended { .. }));
        let mut looks = JoinSet::new();
        let mut going = Vec::new();
        for unit in bus.list().await? {
            let Some(output) = output_of(&self.office.options.data, &unit.description) else { continue };
            if self.attempts.contains_key(&unit.key) {
                continue;
            }
            if unit.is_going {
                going.push((unit.key, output));
            } else {
                let look = self.office.clone().look(bus.clone(), unit.key, output.clone(), unit.has_failed);
                looks.spawn(async move { (unit.key, output, look.await) });
            }
        }
        while let Some(looked) = looks.join_next().await {
            match looked {
                Ok((key, output, Done::Looked(Look::Ended { end, is_kept }))) => {
                    self.insert(key, output, Phase::Ended { end, is_kept });
                }
                Ok((key, output, Done::Looked(Look::Going))) => going.push((key, output)),
                Ok((.., Done::Lost(why))) => return Err(CallError::Unknown(why)),
                Ok(_) => {}
                Err(error) => return Err(CallError::Unknown(error.to_string())),
            }
        }
        let known = self.known(going).await?;
        if !known.is_empty() {
            tracing::info!("re-attached {} runs in {}ms", known.len(), begin.elapsed().as_millis());
        }
        self.bus = Some(bus);
        Ok((events, known))
    }

    async fn known(&mut self, going: Vec<(AttemptKey, PathBuf)>) -> Result<Vec<Known>, CallError> {
        let mut known = Vec::new();
        for (key, attempt) in &self.attempts {
            let state = match &attempt.phase {
                Phase::Held(_) => KnownState::Held(a_unit()),
                Phase::Ended { end, .. } => KnownState::Ended((**end).clone()),
                _ => continue,
            };
            known.push(Known { key: *key, state });
        }
        let data = self.office.options.data.clone();
        let (going, begins) = tokio::task::spawn_blocking(move || {
            let begins = begins(&data, &going);
            (going, begins)
        })
        .await
        .map_err(|error| CallError::Unknown(error.to_string()))?;
        for ((key, output), since) in going.into_iter().zip(begins) {
            known.push(Known { key, state: KnownState::Running { process: a_unit(), since } });
            self.insert(key, output, Phase::Going);
        }
        Ok(known)
    }

    /// Serves one connection; returns why it ended.
    async fn serve(&mut self, mut events: Events) -> Result<String, Dropped> {
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        poll.reset_at(Instant::now() + POLL);
        loop {
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(order) => self.carry_out(order).await?,
                    None => return Err(Dropped),
                },
                event = events.next() => match event {
                    Some(Event::Ended { key, has_failed }) => self.look(key, has_failed),
                    Some(Event::Closed(why)) => return Ok(why),
                    None => return Ok("systemd has closed the connection".to_owned()),
                },
                Some(done) = self.work.join_next() => match done {
                    Ok((_, _, Done::Lost(why))) => return Ok(why),
                    Ok((key, serial, done)) => self.done(key, serial, done).await?,
                    Err(error) if error.is_cancelled() => {}
                    Err(error) => return Ok(format!("a task of the executor failed: {error}")),
                },
                _ = poll.tick() => {
                    if let Err(why) = self.compare().await {
                        return Ok(why.to_string());
                    }
                }
            }
        }
    }

    /// Looks for attempts whose end was not signalled.
    async fn compare(&mut self) -> Result<(), CallError> {
        let is_going = |attempt: &Attempt| matches!(attempt.phase, Phase::Going) && !attempt.is_looking;
        let suspects: Vec<AttemptKey> =
            self.attempts.iter().filter(|(_, attempt)| is_going(attempt)).map(|(key, _)| *key).collect();
        let (Some(bus), false) = (self.bus.clone(), suspects.is_empty()) else { return Ok(()) };
        let units: HashMap<AttemptKey, Listed> = bus.list().await?.into_iter().map(|unit| (unit.key, unit)).collect();
        for key in suspects {
            match units.get(&key) {
                Some(unit) if unit.is_going => {}
                unit => self.look(key, unit.is_some_and(|unit| unit.has_failed)),
            }
        }
        Ok(())
    }

    /// Finds out what became of an attempt of which something was heard.
    pub(super) fn look(&mut self, key: AttemptKey, has_failed: bool) {
        let (Some(bus), Some(attempt)) = (self.bus.clone(), self.attempts.get_mut(&key)) else { return };
        match &mut attempt.phase {
            Phase::Going if attempt.is_looking => {
                attempt.look_again = Some(attempt.look_again.unwrap_or(false) || has_failed);
            }
            Phase::Going => {
                attempt.is_looking = true;
                let look = self.office.clone().look(bus, key, attempt.output.clone(), has_failed);
                self.spawn(key, look);
            }
            // It can be over before PID 1's answer to the start is read; that answer comes.
            Phase::Starting { .. } => attempt.look_again = Some(attempt.look_again.unwrap_or(false) || has_failed),
            _ => {}
        }
    }

    /// Has something done; its result comes back with the attempt's serial.
    pub(super) fn spawn(&mut self, key: AttemptKey, work: impl Future<Output = Done> + Send + 'static) {
        let serial = self.attempts.get(&key).map_or(0, |attempt| attempt.serial);
        self.work.spawn(async move { (key, serial, work.await) });
    }

    pub(super) fn insert(&mut self, key: AttemptKey, output: PathBuf, phase: Phase) {
        self.serials += 1;
        let attempt = Attempt { serial: self.serials, output, phase, is_looking: false, look_again: None };
        self.attempts.insert(key, attempt);
    }

    pub(super) async fn report(&self, report: Report) -> Result<(), Dropped> {
        self.reports.send(report).await.map_err(|_| Dropped)
    }

    async fn done(&mut self, key: AttemptKey, serial: u64, done: Done) -> Result<(), Dropped> {
        if let Done::Inspected(inspection) = done {
            return self.inspected(key, inspection).await;
        }
        if self.attempts.get(&key).is_none_or(|attempt| attempt.serial != serial) {
            return Ok(());
        }
        match done {
            Done::Prepared(prepared) => self.prepared(key, prepared).await,
            Done::Started(Ok(())) => self.started(key).await,
            // Ours from before, or a stranger's: looking tells.
            Done::Started(Err(CallError::Exists)) => self.started(key).await.map(|()| self.look(key, false)),
            Done::Started(Err(error)) => self.not_started(key, error).await,
            Done::Looked(look) => self.looked(key, look).await,
            Done::Inspected(_) | Done::Lost(_) | Done::Nothing => Ok(()),
        }
    }

    async fn started(&mut self, key: AttemptKey) -> Result<(), Dropped> {
        let Some(attempt) = self.attempts.get_mut(&key) else { return Ok(()) };
        let Phase::Starting { kill_asked } = attempt.phase else { return Ok(()) };
        attempt.phase = Phase::Going;
        let heard = attempt.look_again.take();
        self.report(Report::Started { key, at: wall_now() }).await?;
        if let Some(grace) = kill_asked {
            self.kill_unit(key, grace);
        }
        if let Some(has_failed) = heard {
            self.look(key, has_failed);
        }
        Ok(())
    }

    async fn not_started(&mut self, key: AttemptKey, error: CallError) -> Result<(), Dropped> {
        let kind = match error {
            CallError::Busy(_) => StartFailureKind::Resources,
            _ => StartFailureKind::Other,
        };
        let failure = fail(kind, format!("unit {} cannot be started: {error}", unit_name(key)));
        self.end(key, bare(Outcome::NotStarted(failure)), false).await
    }

    async fn looked(&mut self, key: AttemptKey, look: Look) -> Result<(), Dropped> {
        let Some(attempt) = self.attempts.get_mut(&key) else { return Ok(()) };
        attempt.is_looking = false;
        let heard = attempt.look_again.take();
        match look {
            Look::Going => {
                if let Some(has_failed) = heard {
                    self.look(key, has_failed);
                }
                Ok(())
            }
            Look::Ended { end, is_kept } => self.end(key, *end, is_kept).await,
            Look::Foreign => {
                let unit = unit_name(key);
                let what = format!("a unit {unit} exists and is not of this slothd; see systemctl status {unit}");
                self.end(key, bare(Outcome::NotStarted(fail(StartFailureKind::Other, what))), false).await
            }
        }
    }

    async fn inspected(&mut self, key: AttemptKey, inspection: Inspection) -> Result<(), Dropped> {
        // It was inserted when it was asked about.
        let Some(attempt) = self.attempts.get_mut(&key) else { return Ok(()) };
        match inspection {
            Inspection::Unit(Look::Ended { end, is_kept }) => self.end(key, *end, is_kept).await,
            Inspection::Unit(_) => {
                let Phase::Starting { kill_asked } = attempt.phase else { return Ok(()) };
                attempt.phase = Phase::Going;
                self.tell(key).await?;
                if let Some(grace) = kill_asked {
                    self.kill_unit(key, grace);
                }
                Ok(())
            }
            Inspection::Finding(finding) => {
                self.attempts.remove(&key);
                self.report(Report::Inspected { key, finding }).await
            }
        }
    }

    pub(super) async fn end(&mut self, key: AttemptKey, end: AttemptEnd, is_kept: bool) -> Result<(), Dropped> {
        let Some(attempt) = self.attempts.get_mut(&key) else { return Ok(()) };
        attempt.phase = Phase::Ended { end: Box::new(end.clone()), is_kept };
        self.report(Report::Ended { key, end }).await
    }
}

/// What stands for the process of a unit: its name is derived from the attempt.
pub(super) fn a_unit() -> ProcessId {
    ProcessId { pid: 0, start_ticks: 0, boot_id: proc::boot_id().to_owned() }
}
