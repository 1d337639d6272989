//! What the service can ask of the engine.

use std::sync::Arc;

use sloth_core::machine::{Answer, Edit, Input, Late, Loaded, OpenRun, Refusal, WorkerLimits};
use sloth_core::record::{Journal, Record, SourceBundle, Stats};
use sloth_core::run::{RunTrigger, WorkerNews};
use sloth_core::trigger::Trigger;
use sloth_core::{AttemptKey, Moment, RunId, Schedule, ScheduleId};
use tokio::sync::oneshot;

use crate::batch::{Batch, Purpose};
use crate::{Engine, Ports, StoreError};

/// Answer channel of a command.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, EngineError>>;

/// Why the engine did not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The rules are against it.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// It could not be written. Nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The daemon stops.
    #[error("slothd is stopping")]
    Stopping,
    /// The engine's mailbox is full.
    #[error("slothd is overloaded: its mailbox is full")]
    Busy,
}

/// A change of a schedule.
#[derive(Debug)]
pub struct EditRequest {
    /// What changes.
    pub kind: EditKind,
    /// Events and audit entries of the same transaction. Event and audit times are the caller's.
    pub notes: Vec<Record>,
}

impl EditRequest {
    fn schedule(&self) -> ScheduleId {
        match &self.kind {
            EditKind::Create(schedule) => schedule.id,
            EditKind::Change { schedule, .. } => schedule.id,
            EditKind::Delete(id) => *id,
        }
    }
}

/// What changes.
#[derive(Debug)]
pub enum EditKind {
    /// A new schedule. The engine stamps when its trigger begins.
    Create(Box<Schedule>),
    /// A new revision.
    Change {
        /// The schedule as it shall be.
        schedule: Box<Schedule>,
        /// Whether trigger or zone are others, so that the old trigger is closed.
        new_trigger: bool,
        /// As it was read.
        was: Box<Loaded>,
    },
    /// Away with it.
    Delete(ScheduleId),
}

/// Further records for the transaction of a run that was asked for, when it is known which run it is and whether it waits.
pub type RunNotes = Box<dyn FnOnce(RunId, bool) -> Vec<Record> + Send>;

/// A workflow that is to run without a schedule.
pub struct WorkflowRequest {
    /// What and how; listed nowhere.
    pub definition: Arc<Schedule>,
    /// `Manual`, `Api`.
    pub trigger: RunTrigger,
    /// Who, in words.
    pub asked_by: String,
    /// Its source.
    pub source: Arc<SourceBundle>,
    /// Records of the same transaction.
    pub notes: RunNotes,
}

/// How a run is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancel {
    /// KILL at once.
    pub force: bool,
    /// Whether a workflow compensates what it has done.
    pub compensate: bool,
}

pub(crate) enum Command {
    Edit(EditRequest, Reply<Moment>),
    Run { loaded: Box<Loaded>, trigger: RunTrigger, asked_by: String, notes: RunNotes, reply: Reply<Answer> },
    Workflow(Box<WorkflowRequest>, Reply<Answer>),
    Resume { open: Box<OpenRun>, notes: Vec<Record>, reply: Reply<Answer> },
    Pause { run: RunId, pause: bool, notes: Vec<Record>, reply: Reply<Answer> },
    Worker { key: AttemptKey, news: Vec<WorkerNews>, journal: Arc<Journal>, reply: Reply<Answer> },
    Cancel { run: RunId, how: Cancel, asked_by: String, notes: Vec<Record>, reply: Reply<Answer> },
    Quiesce { reason: Option<String>, notes: Vec<Record>, reply: Reply<()> },
    Commit { records: Vec<Record>, reply: Reply<()> },
    Inhibit(bool),
    Refill,
    ZonesChanged,
    Configure { max_running: usize, workers: WorkerLimits },
    Stop { reply: oneshot::Sender<()> },
}

impl<P: Ports> Engine<P> {
    pub(crate) fn command(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Inhibit(inhibited) => self.input(now, Input::Inhibited(inhibited)),
            Command::Refill => self.input(now, Input::RefillAsked),
            Command::ZonesChanged => self.input(now, Input::ZonesChanged),
            Command::Configure { max_running, workers } => {
                self.input(now, Input::Configured { max_running, workers });
            }
            Command::Stop { reply } => self.stop(reply),
            Command::Edit(request, reply) => {
                self.held.push_back((request, reply));
                self.try_edits(now);
            }
            Command::Run { loaded, trigger, asked_by, notes, reply } => {
                if let Some(error) = self.in_the_way() {
                    let _ = reply.send(Err(error));
                    return;
                }
                let batch = self.run_input(now, |token| Input::RunAsked { loaded, trigger, asked_by, token }, reply);
                // A refusal changes nothing; the service records it.
                let made = batch.late.iter().find_map(|late| match late {
                    Late::Reply(_, Ok(Answer::Run { run, queued })) => Some((*run, *queued)),
                    _ => None,
                });
                if let Some((run, queued)) = made {
                    Arc::make_mut(&mut batch.records).extend(notes(run, queued));
                }
            }
            Command::Workflow(request, reply) => self.workflow(now, *request, reply),
            Command::Resume { open, notes, reply } => {
                if let Some(error) = self.in_the_way() {
                    let _ = reply.send(Err(error));
                    return;
                }
                let batch = self.run_input(now, |token| Input::ResumeAsked { open, token }, reply);
                if !batch.records.is_empty() {
                    Arc::make_mut(&mut batch.records).extend(notes);
                }
            }
            Command::Pause { run, pause, notes, reply } => {
                let token = self.await_answer(reply);
                self.input(now, Input::PauseAsked { run, pause, token });
                match self.current.late.last() {
                    Some(Late::Reply(_, Ok(Answer::Switched { changed: true }))) => self.current.records.extend(notes),
                    _ => self.answer_now(token),
                }
            }
            Command::Worker { key, news, journal, reply } => {
                if !self.hears(key) {
                    let _ = reply.send(Err(EngineError::Refused(Refusal::NotRunning)));
                    return;
                }
                // In the transaction of what follows from it; it is retried until it can be written, and the worker waits.
                self.current.records.push(Record::Journal(journal));
                for news in news {
                    self.input(now, Input::WorkerSaid { key, news });
                }
                let token = self.await_answer(reply);
                self.current.late.push(Late::Reply(token, Ok(Answer::Noted)));
            }
            Command::Cancel { run, how: Cancel { force, compensate }, asked_by, notes, reply } => {
                if !self.is_open(run) {
                    let _ = reply.send(Err(EngineError::Refused(Refusal::NotRunning)));
                    return;
                }
                let blocked = self.blocked.is_some();
                let token = self.await_answer(reply);
                self.input(now, Input::CancelAsked { run, force, compensate, asked_by, token });
                match blocked {
                    false => self.current.records.extend(notes),
                    // Nothing of it is written, so there is nothing to wait for.
                    true => self.answer_now(token),
                }
            }
            Command::Quiesce { reason, notes, reply } => {
                let mut records = vec![Record::Meta("quiesced", reason.clone())];
                records.extend(notes);
                self.commit(records, Some(reason), reply);
            }
            Command::Commit { records, reply } => self.commit(records, None, reply),
        }
    }

    fn workflow(&mut self, now: Moment, request: WorkflowRequest, reply: Reply<Answer>) {
        if let Some(error) = self.in_the_way() {
            let _ = reply.send(Err(error));
            return;
        }
        let WorkflowRequest { definition, trigger, asked_by, source, notes } = request;
        let batch = self.run_input(now, |token| Input::WorkflowAsked { definition, trigger, asked_by, token }, reply);
        let made = batch.late.iter().find_map(|late| match late {
            Late::Reply(_, Ok(Answer::Run { run, queued })) => Some((*run, *queued)),
            _ => None,
        });
        if let Some((run, queued)) = made {
            let records = Arc::make_mut(&mut batch.records);
            // The run refers to its source.
            records.insert(0, Record::BundleStored(source));
            records.extend(notes(run, queued));
        }
    }

    /// Why requests that change something are refused now.
    fn in_the_way(&self) -> Option<EngineError> {
        if self.is_stopping() {
            return Some(EngineError::Stopping);
        }
        self.blocked.clone().map(EngineError::Store)
    }

    fn commit(&mut self, records: Vec<Record>, quiesce: Option<Option<String>>, reply: Reply<()>) {
        if let Some(error) = self.in_the_way() {
            let _ = reply.send(Err(error));
            return;
        }
        self.close_current();
        self.pending.push_back(Batch::records(records, Purpose::Commit { reply, quiesce }));
    }

    /// Begins the edits that the machine can take now. Others wait until it has caught up with a start, a set clock or another edit of
    /// the same schedule, in their order.
    pub(crate) fn try_edits(&mut self, now: Moment) {
        for (request, reply) in std::mem::take(&mut self.held) {
            let id = request.schedule();
            let first = self.held.iter().all(|(other, _)| other.schedule() != id);
            if let Some(error) = self.in_the_way() {
                let _ = reply.send(Err(error));
            } else if first && self.machine.may_edit(now, id) {
                self.edit(now, request, reply);
            } else {
                self.held.push_back((request, reply));
            }
        }
    }

    fn edit(&mut self, now: Moment, request: EditRequest, reply: Reply<Moment>) {
        let id = request.schedule();
        self.input(now, Input::EditBegun(id));
        let (mut records, success) = match request.kind {
            EditKind::Create(schedule) => self.created(now, *schedule),
            EditKind::Change { schedule, new_trigger, was } => self.changed(now, *schedule, new_trigger, *was),
            EditKind::Delete(schedule) => {
                (vec![Record::ScheduleDeleted { schedule, at: now, epoch: self.epoch() }], Edit::Deleted(now))
            }
        };
        records.extend(request.notes);
        self.close_current();
        self.pending.push_back(Batch::records(records, Purpose::Edit { id, success, at: now, reply }));
    }

    fn stamp(&self, schedule: &mut Schedule, now: Moment) {
        schedule.trigger_since = now;
        schedule.trigger_epoch = self.epoch();
        if let Trigger::Every { anchor, .. } = &mut schedule.trigger {
            anchor.get_or_insert(now);
        }
    }

    fn created(&self, now: Moment, mut schedule: Schedule) -> (Vec<Record>, Edit) {
        self.stamp(&mut schedule, now);
        schedule.created_at = now;
        let schedule = Arc::new(schedule);
        let mut records = vec![Record::ScheduleCreated(schedule.clone())];
        let stats = self.boot_counts_as_fired(&schedule, Stats::default(), &mut records);
        let loaded = Loaded { schedule, mark: now, next_due: Some(now), stats };
        (records, Edit::Changed(Box::new(loaded)))
    }

    fn changed(&self, now: Moment, mut schedule: Schedule, new_trigger: bool, was: Loaded) -> (Vec<Record>, Edit) {
        let mut loaded = was;
        if new_trigger {
            self.stamp(&mut schedule, now);
            loaded.mark = now;
            loaded.next_due = Some(now);
        }
        loaded.schedule = Arc::new(schedule);
        let mut records = vec![Record::ScheduleChanged(loaded.schedule.clone())];
        if new_trigger {
            loaded.stats = self.boot_counts_as_fired(&loaded.schedule, loaded.stats, &mut records);
        }
        (records, Edit::Changed(Box::new(loaded)))
    }

    /// Adding an `@reboot` schedule does not fire it: this boot is behind us.
    fn boot_counts_as_fired(&self, schedule: &Schedule, mut stats: Stats, records: &mut Vec<Record>) -> Stats {
        if matches!(schedule.trigger, Trigger::Reboot) {
            stats.fired_boot = Some(self.config.boot_id.clone());
            records.push(Record::ScheduleStats { schedule: schedule.id, stats: stats.clone() });
        }
        stats
    }
}
