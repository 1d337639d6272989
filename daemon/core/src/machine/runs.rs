//! The way of a run from its making to its release.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::{Active, Early, Effects, Late, Machine, Phase, What};
use crate::launch::{Order, Start};
use crate::record::{Decision, Occurrence, Record};
use crate::run::{Attempt, ProcessId, Reason, Run, RunStatus, RunTrigger, Usage, WorkflowRun};
use crate::{Action, AttemptKey, Moment, Overlap, RunId, Schedule, ScheduleId};

impl Machine {
    /// Makes the run of an instant, durable with its decision. It waits in its schedule's queue until
    /// [`Machine::next_in_schedule`] lets it go on, or, with `start_at`, until then.
    pub(super) fn make_run(
        &mut self,
        now: Moment,
        occurrence: Occurrence,
        trigger: RunTrigger,
        asked_by: Cow<'static, str>,
        start_at: Option<Moment>,
        effects: &mut Effects,
    ) -> RunId {
        let id = RunId::v7(now, self.random.next_u128());
        let Some(entry) = self.entries.get_mut(&occurrence.schedule) else {
            return id;
        };
        let schedule = entry.schedule.clone();
        match start_at {
            // Such a run is in nobody's way until its time comes.
            Some(_) => entry.delayed.insert(id),
            None => entry.waiting.push(id),
        }
        entry.touch(effects);
        self.counters.runs += 1;
        let run = Arc::new(Run {
            id,
            schedule: schedule.id,
            revision: schedule.revision,
            schedule_name: schedule.name.clone(),
            owner: schedule.owner,
            user: schedule.user.clone(),
            trigger,
            due_at: occurrence.due_at,
            epoch: occurrence.epoch,
            asked_by,
            status: RunStatus::Queued,
            reason: None,
            message: None,
            queued_at: now,
            started_at: None,
            ended_at: None,
            attempts: 0,
            retry_at: start_at,
            exit_code: None,
            signal: None,
            usage: Usage::default(),
            output_bytes: 0,
            stderr_tail: String::new(),
            process: None,
            workflow: match &schedule.action {
                Action::Workflow(action) => Some(Box::new(WorkflowRun::new(action.clone()))),
                Action::Command(_) | Action::Shell(_) => None,
            },
        });
        if !run.is_unlisted() {
            effects.records.push(Record::Decided(occurrence, Decision::Run { run: id, trigger }));
        }
        effects.records.push(Record::RunCreated(run.clone()));
        self.note_queued(now, &run, effects);
        let fire_at = start_at.unwrap_or(now);
        let (phase, ending) = (Phase::Waiting, None);
        self.runs.insert(id, Active { run, attempt: 0, schedule: schedule.clone(), phase, ending, fire_at });
        if let Some(at) = start_at {
            self.arm(at, What::Begin { run: id }, effects);
        }
        if let Some(limit) = schedule.start_deadline {
            let at = self.on_present_clock(occurrence.due_at) + limit;
            self.arm(at, What::TooLate { run: id }, effects);
        }
        id
    }

    /// Lets waiting runs of a schedule go on as far as its overlap policy allows.
    pub(super) fn next_in_schedule(&mut self, id: ScheduleId, fire_at: Moment, effects: &mut Effects) {
        while let Some(entry) = self.entries.get_mut(&id) {
            if !entry.going.is_empty() && entry.schedule.overlap != Overlap::Allow {
                return;
            }
            let Some(run) = entry.waiting.first().copied() else {
                return;
            };
            let Some(active) = self.runs.get_mut(&run) else { return };
            if active.phase == Phase::Unborn {
                return;
            }
            active.fire_at = fire_at;
            entry.waiting.remove(0);
            entry.going.insert(run);
            self.take_place(fire_at, run, effects);
        }
    }

    /// A delayed run's own time has come, or the pause before its next attempt is over.
    pub(super) fn begin(&mut self, now: Moment, run: RunId, at: Moment, effects: &mut Effects) {
        let Some(active) = self.runs.get_mut(&run) else { return };
        match active.run.retry_at {
            None => return,
            // The clock was set in between: the pause ends later than this timer thinks.
            Some(later) if later > now => {
                self.set_timer(later, What::Begin { run });
                return;
            }
            Some(_) => {}
        }
        active.run().retry_at = None;
        let schedule = active.run.schedule;
        // One that is made up answers an older instant than whatever goes on.
        let replaces = active.schedule.overlap == Overlap::Replace && active.run.trigger == RunTrigger::Due;
        match active.phase {
            Phase::Resting => self.take_place(now, run, effects),
            Phase::Waiting => {
                active.fire_at = at;
                if let Some(entry) = self.entries.get_mut(&schedule) {
                    entry.delayed.remove(&run);
                    entry.waiting.push(run);
                }
                if replaces {
                    self.supersede(now, schedule, Some(run), effects);
                }
                self.next_in_schedule(schedule, at, effects);
            }
            _ => {}
        }
    }

    /// A queued run could not start before its deadline.
    pub(super) fn too_late(&mut self, now: Moment, run: RunId, effects: &mut Effects) {
        let Some(active) = self.runs.get(&run) else { return };
        if active.run.attempts > 0 || !matches!(active.phase, Phase::Waiting | Phase::InLine) {
            return;
        }
        let limit = if active.run.is_unlisted() { "engine.queue_timeout" } else { "its start_deadline" };
        let message = format!("could not start before {limit}");
        self.finish(now, run, RunStatus::Cancelled, Some(Reason::QueueTimeout), Some(message), effects);
    }

    /// Starts the next attempt when a place is free, else the run stands in line.
    pub(super) fn take_place(&mut self, now: Moment, run: RunId, effects: &mut Effects) {
        if self.is_workflow(run) {
            self.take_worker_place(now, run, effects);
            return;
        }
        if self.places_used >= self.config.max_running {
            self.line.push_back(run);
            if let Some(active) = self.runs.get_mut(&run) {
                active.phase = Phase::InLine;
            }
            return;
        }
        self.places_used += 1;
        self.prepare(run, effects);
    }

    /// Fills the free places from the line.
    pub(super) fn fill_places(&mut self, effects: &mut Effects) {
        while self.places_used < self.config.max_running {
            let Some(run) = self.line.pop_front() else { return };
            if self.runs.get(&run).is_some_and(|active| active.phase == Phase::InLine) {
                self.places_used += 1;
                self.prepare(run, effects);
            } else {
                self.left_line = self.left_line.saturating_sub(1);
            }
        }
    }

    /// A run that stood in line has ended. It is passed over when its turn comes, or swept out when many such are there.
    pub(super) fn leave_line(&mut self) {
        self.left_line += 1;
        if self.left_line > 64 + self.line.len() / 2 {
            self.line.retain(|run| self.runs.contains_key(run));
            self.left_line = 0;
        }
    }

    /// Has the process of the next attempt made, held.
    pub(super) fn prepare(&mut self, run: RunId, effects: &mut Effects) {
        let Some(active) = self.runs.get_mut(&run) else { return };
        active.phase = Phase::Preparing;
        active.attempt += 1;
        let first = active.attempt == 1;
        let fire_at = first.then_some(active.fire_at);
        if let Some(start) = self.start(run) {
            effects.early.push(Early::Prepare { start, fire_at });
        }
    }

    /// The order of the present attempt once more, because the executor was lost before it obeyed. Not early: it must not overtake a
    /// question about the attempt that is still on its way, which ends what it finds.
    pub(super) fn prepare_again(&mut self, run: RunId, effects: &mut Effects) {
        if let Some(start) = self.start(run) {
            effects.late.push(Late::Prepare(Box::new(start)));
        }
    }

    fn start(&self, run: RunId) -> Option<Start> {
        let active = self.runs.get(&run)?;
        let previous_success = (self.entries.get(&active.run.schedule)).and_then(|entry| entry.stats.last_success_at);
        let (run, schedule) = (active.run.clone(), active.schedule.clone());
        Some(Start { run, attempt: active.attempt, schedule, previous_success })
    }

    /// The process exists: its start is recorded, then it is released.
    pub(super) fn prepared(&mut self, now: Moment, key: AttemptKey, process: ProcessId, effects: &mut Effects) {
        let Some(active) = self.runs.get_mut(&key.run) else {
            effects.early.push(Early::Order(Order::Discard(key)));
            return;
        };
        if active.attempt != key.attempt || active.phase != Phase::Preparing {
            if active.attempt != key.attempt {
                effects.early.push(Early::Order(Order::Discard(key)));
            }
            return;
        }
        active.phase = Phase::Releasing;
        let run = active.run();
        run.status = if run.workflow.is_some() { RunStatus::Starting } else { RunStatus::Running };
        run.started_at.get_or_insert(now);
        run.process = Some(process.clone());
        // One that was held when its supervisor died is made once more; that it starts was said already.
        let is_news = std::mem::replace(&mut run.attempts, key.attempt) < key.attempt;
        let run = active.run.clone();
        let attempt = Attempt { key, started_at: now, process: Some(process), end: None };
        effects.records.push(Record::AttemptStarted(attempt));
        effects.records.push(Record::RunChanged(run.clone()));
        if is_news {
            self.note_started(now, &run, effects);
        }
        effects.late.push(Late::Order(Order::Release(key)));
    }
}

/// The pause before attempt `next` (2 is the first retry).
pub(super) fn retry_delay(schedule: &Schedule, next: u32, chance: f64) -> Duration {
    let retries = &schedule.retries;
    let n = next.saturating_sub(1).max(1);
    let base = match retries.backoff {
        crate::Backoff::Fixed => retries.delay,
        crate::Backoff::Linear => retries.delay.saturating_mul(n),
        crate::Backoff::Exponential => retries.delay.saturating_mul(2u32.saturating_pow(n - 1)),
    };
    let bounded = base.min(retries.max_delay);
    let factor = (1.0 + retries.jitter * (2.0 * chance - 1.0)).max(0.0);
    Duration::try_from_secs_f64(bounded.as_secs_f64() * factor).unwrap_or(bounded)
}
