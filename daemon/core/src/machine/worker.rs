//! Runs of workflows: who may have a worker, what a worker says, what it is told, and what follows when it is lost.
//!
//! ```text
//!            place           Prepared         Status              Finished, exit
//!  queued ─────────▶ starting ─────▶ running ◀──▶ paused ───────────────────▶ completed | failed | cancelled
//!     ▲                                 │  └─────▶ compensating ──────────────┘        │
//!     │ place       exit without        ▼                                              │ resume
//!     └──────────── interrupted ◀───────┘ Finished                    queued ◀─────────┘
//! ```

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Active, Answer, Effects, Entry, Late, Loaded, Machine, OpenRun, Phase, Refusal, Token, What};
use crate::launch::Order;
use crate::record::{Record, Stats};
use crate::run::{
    CancelWish, Compensation, Outcome, Reason, Run, RunStatus, RunTrigger, StartFailureKind, WorkerNews, WorkerOrder,
    WorkflowEnd,
};
use crate::{AttemptKey, Moment, RunId, Schedule};

/// Between the end of a run, as its worker said, and the moment at which a worker that has not gone is killed.
const LINGER: Duration = Duration::from_secs(30);
/// Handlers and compensation of a run that is cancelled may take so long beyond the grace of its tasks.
const HANDLERS: Duration = Duration::from_secs(60);
const COMPENSATION: Duration = Duration::from_secs(600);
/// Waiting so long raises a run in the queue by one, up to the maximum.
const RAISE_EVERY: Duration = Duration::from_secs(30);
const RAISE_MAX: i64 = 100;

/// Limits of runs of workflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerLimits {
    /// With a worker at once.
    pub max_runs: usize,
    /// Of one user.
    pub max_runs_per_user: usize,
    /// Waiting for a place; a request for one more is refused.
    pub max_queued: usize,
    /// How often the loss of a worker is made up for.
    pub auto_resume: u32,
}

impl Default for WorkerLimits {
    fn default() -> Self {
        WorkerLimits { max_runs: 64, max_runs_per_user: 32, max_queued: 10_000, auto_resume: 1 }
    }
}

/// Who has a place, and who waits for one.
#[derive(Default)]
pub(super) struct WorkerPlaces {
    used: usize,
    by_user: HashMap<String, usize>,
    line: Vec<Standing>,
}

#[derive(Clone, Copy)]
struct Standing {
    run: RunId,
    priority: i8,
    since: Moment,
}

impl Standing {
    /// Declared, and one more for each so long of waiting, so that nothing starves.
    fn effective(&self, now: Moment) -> i64 {
        let waited = now.since(self.since).as_secs() / RAISE_EVERY.as_secs();
        i64::from(self.priority) + i64::try_from(waited).unwrap_or(RAISE_MAX).min(RAISE_MAX)
    }
}

impl WorkerPlaces {
    pub(super) fn waiting(&self) -> usize {
        self.line.len()
    }

    pub(super) fn used(&self) -> usize {
        self.used
    }

    fn has_room(&self, user: &str, limits: &WorkerLimits) -> bool {
        self.used < limits.max_runs && self.by_user.get(user).copied().unwrap_or(0) < limits.max_runs_per_user
    }

    pub(super) fn occupy(&mut self, user: &str) {
        self.used += 1;
        match self.by_user.get_mut(user) {
            Some(count) => *count += 1,
            None => _ = self.by_user.insert(user.to_owned(), 1),
        }
    }

    pub(super) fn leave(&mut self, user: &str) {
        self.used = self.used.saturating_sub(1);
        if let Some(count) = self.by_user.get_mut(user) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_user.remove(user);
            }
        }
    }

    pub(super) fn leave_line(&mut self, run: RunId) {
        self.line.retain(|standing| standing.run != run);
    }
}

/// What the end of a worker means.
pub(super) enum WorkerVerdict {
    /// As the worker, or the executor, said.
    Ended(WorkflowEnd),
    /// Another worker goes on.
    Resume(String),
}

impl Machine {
    pub(super) fn is_workflow(&self, run: RunId) -> bool {
        self.runs.get(&run).is_some_and(|active| active.run.workflow.is_some())
    }

    /// As [`Machine::take_place`], for a worker.
    pub(super) fn take_worker_place(&mut self, now: Moment, run: RunId, effects: &mut Effects) {
        let Some(active) = self.runs.get_mut(&run) else { return };
        if self.workers.has_room(&active.run.user, &self.config.workers) {
            self.workers.occupy(&active.run.user);
            self.prepare(run, effects);
            return;
        }
        active.phase = Phase::InLine;
        let priority = active.run.workflow.as_ref().map_or(0, |workflow| workflow.action.priority);
        self.workers.line.push(Standing { run, priority, since: now });
    }

    /// Gives free places to those in line: the highest effective priority first, then who came first.
    pub(super) fn fill_worker_places(&mut self, now: Moment, effects: &mut Effects) {
        while self.workers.used < self.config.workers.max_runs && !self.workers.line.is_empty() {
            let room = |standing: &Standing| {
                let user = self.runs.get(&standing.run).map_or("", |active| &active.run.user);
                self.workers.has_room(user, &self.config.workers)
            };
            let mut best: Option<(usize, i64)> = None;
            for (place, standing) in self.workers.line.iter().enumerate().filter(|(_, standing)| room(standing)) {
                let priority = standing.effective(now);
                if best.is_none_or(|(_, highest)| priority > highest) {
                    best = Some((place, priority));
                }
            }
            let Some((place, _)) = best else { return };
            let run = self.workers.line.remove(place).run;
            if let Some(active) = self.runs.get(&run) {
                self.workers.occupy(&active.run.user);
                self.prepare(run, effects);
            }
        }
    }

    /// Somebody wants a workflow to run now, without a schedule. `definition` is listed nowhere.
    pub(super) fn workflow_asked(
        &mut self,
        now: Moment,
        definition: Arc<Schedule>,
        trigger: RunTrigger,
        asked_by: String,
        token: Token,
        effects: &mut Effects,
    ) {
        let answer = match self.refusal_of_more() {
            Some(refusal) => Err(refusal),
            None => {
                let loaded =
                    Loaded { schedule: definition.clone(), mark: now, next_due: None, stats: Stats::default() };
                let mut entry = Entry::new(&loaded);
                entry.deleted = true;
                self.entries.insert(definition.id, entry);
                effects.records.push(Record::Unlisted(definition.clone()));
                let due = self.unique_due(now, definition.id);
                let occurrence = self.occurrence(definition.id, due);
                let run = self.make_run(now, occurrence, trigger, asked_by.into(), None, effects);
                if let Some(active) = self.runs.get_mut(&run) {
                    active.phase = Phase::Unborn;
                }
                effects.arms.born.push(run);
                let queued = !self.workers.has_room(&definition.user, &self.config.workers);
                Ok(Answer::Run { run, queued })
            }
        };
        effects.late.push(Late::Reply(token, answer));
    }

    fn refusal_of_more(&self) -> Option<Refusal> {
        if self.blocked {
            return Some(Refusal::StorageBlocked);
        }
        if let Some(reason) = &self.quiesced {
            return Some(Refusal::Quiesced(reason.clone()));
        }
        let waiting = self.workers.waiting();
        (waiting >= self.config.workers.max_queued).then_some(Refusal::EngineFull { waiting })
    }

    /// Somebody wants a run that has ended to go on.
    pub(super) fn resume_asked(&mut self, now: Moment, open: OpenRun, token: Token, effects: &mut Effects) {
        let id = open.run.id;
        let answer = match self.refusal_of_more() {
            Some(refusal) => Err(refusal),
            None if self.runs.contains_key(&id) || !open.run.status.is_terminal() => Err(Refusal::Running),
            None => {
                let entry = self.entries.entry(open.run.schedule).or_insert_with(|| {
                    let mut entry = Entry::new(&open.today);
                    entry.deleted = open.run.is_unlisted();
                    entry
                });
                entry.waiting.push(id);
                entry.touch(effects);
                let attempt = open.run.attempts;
                let mut run = open.run;
                run.status = RunStatus::Queued;
                (run.reason, run.message, run.ended_at, run.retry_at) = (None, None, None, None);
                (run.exit_code, run.signal, run.process) = (None, None, None);
                if let Some(workflow) = &mut run.workflow {
                    workflow.end = None;
                    workflow.cancel = None;
                    workflow.paused = false;
                    workflow.lost = 0;
                    workflow.compensation = Compensation::None;
                }
                let run = Arc::new(run);
                effects.records.push(Record::RunReopened(run.clone()));
                let (phase, ending, fire_at) = (Phase::Unborn, None, now);
                self.runs.insert(id, Active { run, attempt, schedule: open.schedule, phase, ending, fire_at });
                effects.arms.born.push(id);
                Ok(Answer::Run { run: id, queued: false })
            }
        };
        effects.late.push(Late::Reply(token, answer));
    }

    /// A worker said something about its run. What an earlier worker of it says counts for nothing.
    pub(super) fn worker_said(&mut self, now: Moment, key: AttemptKey, news: WorkerNews, effects: &mut Effects) {
        let Some(active) = self.runs.get_mut(&key.run).filter(|active| active.attempt == key.attempt) else { return };
        let run = Arc::make_mut(&mut active.run);
        let Some(workflow) = &mut run.workflow else { return };
        if workflow.end.is_some() {
            return;
        }
        match news {
            WorkerNews::Status(RunStatus::Running) if workflow.paused => run.status = RunStatus::Paused,
            WorkerNews::Status(status) => run.status = status,
            WorkerNews::Finished { end, compensation, handled } => {
                workflow.end = Some(end);
                workflow.compensation = compensation;
                workflow.handled = handled;
                self.arm(now + LINGER, What::Insist { key, finished: true }, effects);
            }
        }
        self.changed_run(key.run, effects);
    }

    /// The run as it is now goes to the store.
    fn changed_run(&self, run: RunId, effects: &mut Effects) {
        if let Some(active) = self.runs.get(&run) {
            effects.records.push(Record::RunChanged(active.run.clone()));
        }
    }

    /// Pauses a run, or lets it go on. Whether that changed something.
    pub(super) fn pause_run(&mut self, run: RunId, pause: bool, token: Token, effects: &mut Effects) {
        let answer = self.try_pause_run(run, pause, effects);
        effects.late.push(Late::Reply(token, answer));
    }

    fn try_pause_run(&mut self, id: RunId, pause: bool, effects: &mut Effects) -> Result<Answer, Refusal> {
        if self.blocked {
            return Err(Refusal::StorageBlocked);
        }
        let active = self.runs.get_mut(&id).ok_or(Refusal::NotRunning)?;
        let run = Arc::make_mut(&mut active.run);
        let Some(workflow) = &mut run.workflow else { return Err(Refusal::NoWorkflow) };
        if workflow.paused == pause {
            return Ok(Answer::Switched { changed: false });
        }
        workflow.paused = pause;
        match (pause, run.status) {
            (true, RunStatus::Running) => run.status = RunStatus::Paused,
            (false, RunStatus::Paused) => run.status = RunStatus::Running,
            _ => {}
        }
        self.changed_run(id, effects);
        let order = if pause { WorkerOrder::Pause } else { WorkerOrder::Unpause };
        effects.late.push(Late::Worker(id, order));
        Ok(Answer::Switched { changed: true })
    }

    /// Asks the worker of a run to end it, in good order. False: there is none to ask, and nothing that it would have to undo.
    pub(super) fn ask_worker_to_end(
        &mut self,
        now: Moment,
        id: RunId,
        reason: Reason,
        message: &str,
        compensate: bool,
        effects: &mut Effects,
    ) -> bool {
        let Some(active) = self.runs.get_mut(&id) else { return false };
        let begun = matches!(active.phase, Phase::Releasing | Phase::Running | Phase::Inspecting);
        let key = AttemptKey { run: id, attempt: active.attempt };
        let grace = active.schedule.kill_grace;
        let run = Arc::make_mut(&mut active.run);
        let Some(workflow) = &mut run.workflow else { return false };
        if !(begun || run.attempts > 0) || active.phase == Phase::Unborn {
            return false;
        }
        if workflow.cancel.is_some() {
            return true;
        }
        let wish = CancelWish { reason: message.to_owned(), compensate };
        workflow.cancel = Some(wish.clone());
        active.ending.get_or_insert(reason);
        run.reason = Some(reason);
        run.message = Some(message.to_owned());
        self.changed_run(id, effects);
        effects.late.push(Late::Worker(id, WorkerOrder::Cancel(wish)));
        self.arm(now + grace + HANDLERS, What::Insist { key, finished: false }, effects);
        true
    }

    /// A worker that had to go and has not is killed.
    pub(super) fn insist(&mut self, now: Moment, key: AttemptKey, finished: bool, effects: &mut Effects) {
        let Some(active) = self.runs.get(&key.run).filter(|active| active.attempt == key.attempt) else { return };
        if active.awaited().is_none() {
            return;
        }
        let over = active.run.workflow.as_ref().is_some_and(|workflow| workflow.end.is_some());
        if !finished && !over && active.run.status == RunStatus::Compensating {
            // Compensation has a limit of its own; after that nothing holds the kill up.
            let patience = now + COMPENSATION;
            self.arm(patience, What::Insist { key, finished: true }, effects);
            return;
        }
        effects.late.push(Late::Order(Order::Kill { key, grace: active.schedule.kill_grace }));
    }

    /// What the end of a worker's process means for its run.
    pub(super) fn judge_worker(&self, run: &Run, outcome: &Outcome, ending: Option<Reason>) -> WorkerVerdict {
        let ended = |status, reason, message: Option<String>| {
            WorkerVerdict::Ended(WorkflowEnd { status, reason: Some(reason), message })
        };
        let Some(workflow) = &run.workflow else {
            return ended(RunStatus::Failed, Reason::Lost, None);
        };
        if let Some(end) = &workflow.end {
            let reason = if end.status == RunStatus::Cancelled { ending.or(end.reason) } else { end.reason };
            return WorkerVerdict::Ended(WorkflowEnd { reason, ..end.clone() });
        }
        let failed = |reason, message: &str| ended(RunStatus::Failed, reason, Some(message.to_owned()));
        let why = match outcome {
            Outcome::Killed => return ended(RunStatus::Cancelled, ending.unwrap_or(Reason::User), None),
            Outcome::TimedOut => return failed(Reason::Timeout, "ran longer than its timeout"),
            Outcome::Oom => return failed(Reason::Oom, "the worker was killed for using more memory than its limit"),
            Outcome::NotStarted(start) => match start.kind {
                StartFailureKind::User => return failed(Reason::Denied, &start.message),
                StartFailureKind::Resources => start.message.clone(),
                _ => return failed(Reason::WorkerLost, &format!("the worker cannot be started: {}", start.message)),
            },
            // The host went down, or the supervisor did: not the run's fault.
            Outcome::Lost(what) => return WorkerVerdict::Resume(what.clone()),
            Outcome::Exited(code) => format!("the worker exited with code {code} before the run had ended"),
            Outcome::Signaled(signal) => format!("the worker was killed by signal {signal}"),
        };
        match workflow.lost < self.config.workers.auto_resume {
            true => WorkerVerdict::Resume(why),
            false if ending.is_some() => ended(RunStatus::Cancelled, ending.unwrap_or(Reason::User), Some(why)),
            false => failed(Reason::WorkerLost, &format!("{why} (engine.auto_resume is used up)")),
        }
    }

    /// The worker is lost; another one goes on as soon as there is a place.
    pub(super) fn interrupt(&mut self, now: Moment, id: RunId, why: String, counts: bool, effects: &mut Effects) {
        let Some(active) = self.runs.get_mut(&id) else { return };
        active.phase = Phase::Resting;
        let run = Arc::make_mut(&mut active.run);
        run.status = RunStatus::Interrupted;
        run.message = Some(why);
        run.retry_at = Some(now);
        if let Some(workflow) = &mut run.workflow {
            workflow.lost += u32::from(counts);
        }
        let run = active.run.clone();
        effects.records.push(Record::RunChanged(run.clone()));
        self.note_interrupted(now, &run, effects);
        self.arm(now, What::Begin { run: id }, effects);
    }
}
