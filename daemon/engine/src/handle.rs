//! The side of the engine that others hold: a mailbox with a limit, and figures to read.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex};

use sloth_core::machine::{Answer, Loaded, OpenRun, WorkerLimits};
use sloth_core::record::{Journal, Record};
use sloth_core::run::{RunTrigger, WorkerNews};
use sloth_core::{AttemptKey, Moment, RunId};
use tokio::sync::{mpsc, oneshot};

use crate::commands::Command;
use crate::{Cancel, EditRequest, EngineError, Lateness, WorkflowRequest};

/// Commands that wait at most; further ones are answered with [`EngineError::Busy`].
pub(crate) const MAILBOX_MAX: usize = 4096;

/// To talk to the engine.
#[derive(Clone)]
pub struct Handle {
    pub(crate) mailbox: mpsc::Sender<Command>,
    /// Figures.
    pub published: Arc<Published>,
}

/// Figures that the engine keeps up to date.
#[derive(Debug, Default)]
pub struct Published {
    /// Runs with a place.
    pub running: AtomicU64,
    /// Unfinished runs without.
    pub queued: AtomicU64,
    /// Clock epoch.
    pub epoch: AtomicU32,
    /// Whether nothing can be written now.
    pub blocked: AtomicBool,
    /// Whether the executor is connected.
    pub executor_up: AtomicBool,
    /// Runs made.
    pub runs: AtomicU64,
    /// Instants found late.
    pub missed: AtomicU64,
    /// Instants coalesced.
    pub coalesced: AtomicU64,
    /// Instants skipped, in the order of [`sloth_core::machine::Counters::REASONS`].
    pub skipped: [AtomicU64; 7],
    /// Lateness of starts.
    pub lateness: Lateness,
    /// Why the daemon is in maintenance.
    pub quiesced: Mutex<Option<String>>,
    /// Why nothing can be written.
    pub trouble: Mutex<Option<String>>,
}

impl Handle {
    async fn ask<T>(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<T, EngineError>>) -> Command,
    ) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.mailbox.try_send(make(reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => EngineError::Busy,
            mpsc::error::TrySendError::Closed(_) => EngineError::Stopping,
        })?;
        answer.await.unwrap_or(Err(EngineError::Stopping))
    }

    /// Changes a schedule. Answers with the moment at which the change took effect.
    pub async fn edit(&self, request: EditRequest) -> Result<Moment, EngineError> {
        self.ask(|reply| Command::Edit(request, reply)).await
    }

    /// Makes a run now. It is on disk when this returns, together with the notes about it, which are told its id and whether it waits.
    pub async fn run_now(
        &self,
        loaded: Loaded,
        trigger: RunTrigger,
        asked_by: String,
        notes: impl FnOnce(RunId, bool) -> Vec<Record> + Send + 'static,
    ) -> Result<Answer, EngineError> {
        let (loaded, notes) = (Box::new(loaded), Box::new(notes));
        self.ask(|reply| Command::Run { loaded, trigger, asked_by, notes, reply }).await
    }

    /// Ends a run.
    pub async fn cancel(
        &self,
        run: RunId,
        how: Cancel,
        asked_by: String,
        notes: Vec<Record>,
    ) -> Result<Answer, EngineError> {
        self.ask(|reply| Command::Cancel { run, how, asked_by, notes, reply }).await
    }

    /// Makes a run of a workflow now, without a schedule. It is on disk when this returns.
    pub async fn run_workflow(&self, request: WorkflowRequest) -> Result<Answer, EngineError> {
        self.ask(|reply| Command::Workflow(Box::new(request), reply)).await
    }

    /// Has a workflow run that ended go on.
    pub async fn resume(&self, open: OpenRun, notes: Vec<Record>) -> Result<Answer, EngineError> {
        self.ask(|reply| Command::Resume { open: Box::new(open), notes, reply }).await
    }

    /// Pauses a workflow run, or lets it go on.
    pub async fn pause(&self, run: RunId, pause: bool, notes: Vec<Record>) -> Result<Answer, EngineError> {
        self.ask(|reply| Command::Pause { run, pause, notes, reply }).await
    }

    /// What a worker recorded, when some of it concerns the run as a whole. All of it is on disk when this returns. Waits for room in
    /// the mailbox: the worker waits as well.
    pub async fn worker_said(
        &self,
        key: AttemptKey,
        news: Vec<WorkerNews>,
        journal: Arc<Journal>,
    ) -> Result<Answer, EngineError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Worker { key, news, journal, reply };
        self.mailbox.send(command).await.map_err(|_| EngineError::Stopping)?;
        answer.await.unwrap_or(Err(EngineError::Stopping))
    }

    /// Begins (with a reason) or ends maintenance.
    pub async fn quiesce(&self, reason: Option<String>, notes: Vec<Record>) -> Result<(), EngineError> {
        self.ask(|reply| Command::Quiesce { reason, notes, reply }).await
    }

    /// Keeps schedules from firing, or lets them again. Nothing of it is stored: it ends with the daemon at the latest. Waits for room in
    /// the mailbox, as an end must not get lost.
    pub async fn inhibit(&self, inhibited: bool) -> Result<(), EngineError> {
        self.mailbox.send(Command::Inhibit(inhibited)).await.map_err(|_| EngineError::Stopping)
    }

    /// Writes records that do not concern the machine: events, audit entries, values of the daemon.
    pub async fn commit(&self, records: Vec<Record>) -> Result<(), EngineError> {
        self.ask(|reply| Command::Commit { records, reply }).await
    }

    /// The planner's tick: look ahead. Lost without harm when the mailbox is full.
    pub fn refill(&self) {
        let _ = self.mailbox.try_send(Command::Refill);
    }

    /// The zone data of the system changed.
    pub fn zones_changed(&self) {
        let _ = self.mailbox.try_send(Command::ZonesChanged);
    }

    /// Settings changed.
    pub async fn configure(&self, max_running: usize, workers: WorkerLimits) {
        let _ = self.mailbox.send(Command::Configure { max_running, workers }).await;
    }

    /// Stops firing, writes what is pending, ends the engine.
    pub async fn stop(&self) {
        let (reply, done) = oneshot::channel();
        if self.mailbox.send(Command::Stop { reply }).await.is_ok() {
            let _ = done.await;
        }
    }
}
