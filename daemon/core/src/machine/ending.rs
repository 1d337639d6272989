//! The end of an attempt, and of a run: success, another attempt, or failure, and what follows from it.

use std::sync::Arc;

use super::runs::retry_delay;
use super::worker::WorkerVerdict;
use super::{Effects, Late, Machine, Phase, What};
use crate::launch::Order;
use crate::record::Record;
use crate::run::{Attempt, AttemptEnd, Outcome, Reason, RunStatus, StartFailure, StartFailureKind, Usage, WorkflowEnd};
use crate::{AttemptKey, Enabled, Moment, RunId, Schedule, ScheduleId};

/// What an outcome means for the run.
enum Verdict {
    Success,
    Failure { reason: Reason, message: String, retry: bool },
    Cancelled(Reason),
}

impl Machine {
    /// An attempt ended. Reports of the same end may come again; the first one counts.
    pub(super) fn ended(&mut self, now: Moment, key: AttemptKey, end: AttemptEnd, effects: &mut Effects) {
        let forget = Late::Order(Order::Forget(key));
        let Some(active) = self.runs.get_mut(&key.run) else {
            effects.late.push(forget);
            return;
        };
        let waits = matches!(active.phase, Phase::Unborn | Phase::Waiting | Phase::InLine | Phase::Resting);
        if active.attempt != key.attempt || waits {
            effects.late.push(forget);
            return;
        }
        let phase = active.phase;
        if active.run.started_at.is_none() && !matches!(end.outcome, Outcome::NotStarted(_)) {
            active.run().started_at = Some(end.ended_at);
        }
        if active.run.process.is_none() {
            let attempt = Attempt { key, started_at: end.ended_at, process: None, end: None };
            effects.records.push(Record::AttemptStarted(attempt));
        }
        let run = active.run();
        run.attempts = key.attempt;
        run.usage = add(run.usage, end.usage);
        run.output_bytes += end.output_bytes;
        run.stderr_tail.clone_from(&end.stderr_tail);
        run.exit_code = match end.outcome {
            Outcome::Exited(code) => Some(code),
            _ => None,
        };
        run.signal = match end.outcome {
            Outcome::Signaled(signal) => Some(signal),
            _ => None,
        };
        run.process = None;
        if run.workflow.is_some() {
            self.worker_ended(now, key, end, effects);
            return;
        }
        let verdict = judge(&end.outcome, &active.schedule, active.ending);
        let retry = matches!(verdict, Verdict::Failure { retry: true, .. })
            && active.ending.is_none()
            && active.run.attempts <= active.schedule.retries.max;
        if !retry {
            active.run().ended_at = Some(end.ended_at);
        }
        effects.records.push(Record::AttemptEnded(key, Box::new(end)));
        effects.late.push(forget);
        match verdict {
            Verdict::Failure { message, reason, .. } if retry => {
                self.leave_place(key.run, phase);
                self.rest(now, key.run, reason, message, effects);
                self.fill_places(effects);
            }
            Verdict::Failure { reason, message, .. } => {
                self.finish(now, key.run, RunStatus::Failed, Some(reason), Some(message), effects);
            }
            Verdict::Success => self.finish(now, key.run, RunStatus::Completed, None, None, effects),
            Verdict::Cancelled(reason) => {
                self.finish(now, key.run, RunStatus::Cancelled, Some(reason), None, effects);
            }
        }
    }

    /// The process could not be made.
    pub(super) fn refused(&mut self, now: Moment, key: AttemptKey, failure: StartFailure, effects: &mut Effects) {
        let end = AttemptEnd {
            outcome: Outcome::NotStarted(failure),
            ended_at: now,
            usage: Usage::default(),
            output_bytes: 0,
            dropped_bytes: 0,
            stderr_tail: String::new(),
        };
        self.ended(now, key, end, effects);
    }

    /// Waits for the next attempt.
    fn rest(&mut self, now: Moment, id: RunId, reason: Reason, message: String, effects: &mut Effects) {
        let chance = self.random.fraction();
        let Some(active) = self.runs.get_mut(&id) else { return };
        let at = now + retry_delay(&active.schedule, active.run.attempts + 1, chance);
        active.phase = Phase::Resting;
        let run = active.run();
        run.retry_at = Some(at);
        run.message = Some(message);
        let run = active.run.clone();
        let max = active.schedule.retries.max;
        effects.records.push(Record::RunChanged(run.clone()));
        self.note_retrying(now, &run, reason, at, max, effects);
        self.arm(at, What::Begin { run: id }, effects);
    }

    /// The run reaches its terminal state, once.
    pub(super) fn finish(
        &mut self,
        now: Moment,
        id: RunId,
        status: RunStatus,
        reason: Option<Reason>,
        message: Option<String>,
        effects: &mut Effects,
    ) {
        let Some(phase) = self.runs.get(&id).map(|active| active.phase) else { return };
        self.leave_place(id, phase);
        let Some(active) = self.runs.remove(&id) else { return };
        let mut shared = active.run;
        let run = Arc::make_mut(&mut shared);
        run.status = status;
        run.reason = reason;
        run.message = message.or(run.message.take().filter(|_| status != RunStatus::Completed));
        // An attempt may have ended long ago, while nobody was connected.
        run.ended_at = Some(run.ended_at.unwrap_or(now).max(run.started_at.unwrap_or(run.queued_at)));
        run.retry_at = None;
        let run = shared;
        effects.records.push(Record::RunChanged(run.clone()));
        let schedule_id = run.schedule;
        if run.is_unlisted() {
            if let Some(entry) = self.entries.get_mut(&schedule_id) {
                entry.part_with(id, active.phase);
                entry.touch(effects);
            }
        } else if let Some(entry) = self.entries.get_mut(&schedule_id) {
            entry.part_with(id, active.phase);
            let stats = &mut entry.stats;
            stats.runs += 1;
            stats.last_run = Some(id);
            stats.last_status = Some(status);
            stats.last_reason = reason;
            stats.last_ended_at = run.ended_at;
            stats.last_duration_us = run.started_at.zip(run.ended_at).map(|(start, end)| end.micros() - start.micros());
            match status {
                RunStatus::Completed => {
                    stats.failures_in_a_row = 0;
                    stats.last_success_at = run.ended_at;
                }
                RunStatus::Failed => stats.failures_in_a_row += 1,
                _ => {}
            }
            let stats = stats.clone();
            entry.touch(effects);
            effects.records.push(Record::ScheduleStats { schedule: schedule_id, stats });
        }
        self.note_ended(now, &run, effects);
        self.follow(now, &active.schedule, status, effects);
        self.pause_if_failing(now, schedule_id, effects);
        self.next_in_schedule(schedule_id, now, effects);
        match run.workflow {
            None => self.fill_places(effects),
            Some(_) => self.fill_worker_places(now, effects),
        }
    }

    /// The process of a worker ended: the run is over when the worker had said so, else another one goes on.
    fn worker_ended(&mut self, now: Moment, key: AttemptKey, end: AttemptEnd, effects: &mut Effects) {
        let Some(active) = self.runs.get_mut(&key.run) else { return };
        let (phase, ending) = (active.phase, active.ending);
        let run = active.run.clone();
        let counts = !matches!(end.outcome, Outcome::Lost(_));
        let verdict = self.judge_worker(&run, &end.outcome, ending);
        let ended_at = end.ended_at;
        effects.records.push(Record::AttemptEnded(key, Box::new(end)));
        effects.late.push(Late::Order(Order::Forget(key)));
        match verdict {
            WorkerVerdict::Ended(WorkflowEnd { status, reason, message }) => {
                if let Some(active) = self.runs.get_mut(&key.run) {
                    active.run().ended_at = Some(ended_at);
                }
                self.finish(now, key.run, status, reason, message, effects);
            }
            WorkerVerdict::Resume(why) => {
                self.leave_place(key.run, phase);
                self.interrupt(now, key.run, why, counts, effects);
                self.fill_worker_places(now, effects);
            }
        }
    }

    /// Pauses a schedule whose runs keep failing, when it asked for that.
    pub(super) fn pause_if_failing(&mut self, now: Moment, id: ScheduleId, effects: &mut Effects) {
        let Some(entry) = self.entries.get(&id) else { return };
        let failures = entry.stats.failures_in_a_row;
        if entry.schedule.enabled == Enabled::Yes
            && !self.frozen.contains_key(&id)
            && entry.schedule.pause_after_failures.is_some_and(|limit| failures >= limit)
        {
            let reason = format!("{failures} failed runs in a row (pause_after_failures)");
            self.pause(now, id, reason, effects);
        }
    }
}

fn judge(outcome: &Outcome, schedule: &Schedule, ending: Option<Reason>) -> Verdict {
    let failure = |reason, message: String, retry| match ending {
        Some(cancelled) => Verdict::Cancelled(cancelled),
        None => Verdict::Failure { reason, message, retry },
    };
    match outcome {
        Outcome::Exited(code) if schedule.success_codes.contains(code) => Verdict::Success,
        Outcome::Exited(code) => failure(Reason::TaskFailed, format!("exit code {code}"), true),
        Outcome::Signaled(signal) => failure(Reason::TaskFailed, format!("killed by signal {signal}"), true),
        Outcome::TimedOut => failure(Reason::Timeout, "ran longer than its timeout".to_owned(), true),
        Outcome::Killed => Verdict::Cancelled(ending.unwrap_or(Reason::User)),
        Outcome::Oom => failure(Reason::Oom, "killed for using more memory than its limit".to_owned(), true),
        Outcome::NotStarted(start) => match start.kind {
            StartFailureKind::User => failure(Reason::Denied, start.message.clone(), false),
            _ => failure(Reason::TaskFailed, start.message.clone(), true),
        },
        Outcome::Lost(what) => failure(Reason::Lost, what.clone(), schedule.retry_lost),
    }
}

fn add(a: Usage, b: Usage) -> Usage {
    let sum = |x: Option<u64>, y: Option<u64>| match (x, y) {
        (None, None) => None,
        (x, y) => Some(x.unwrap_or(0) + y.unwrap_or(0)),
    };
    Usage {
        cpu: a.cpu + b.cpu,
        memory_peak_bytes: a.memory_peak_bytes.max(b.memory_peak_bytes),
        io_read_bytes: sum(a.io_read_bytes, b.io_read_bytes),
        io_write_bytes: sum(a.io_write_bytes, b.io_write_bytes),
        ip_ingress_bytes: sum(a.ip_ingress_bytes, b.ip_ingress_bytes),
        ip_egress_bytes: sum(a.ip_egress_bytes, b.ip_egress_bytes),
    }
}
