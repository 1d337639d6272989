//! Events: what happened, said once, in the transaction that makes it true.

use std::sync::Arc;
use std::time::Duration;

use super::{Effects, Machine};
use crate::news::{RunNews, RunNote};
use crate::record::{ClockEpoch, Event, Record, Severity, Skip, Value};
use crate::run::{Reason, Run, RunStatus};
use crate::{AttemptKey, EventId, Moment, Schedule, units};

type Data = Vec<(&'static str, Value)>;

fn text(value: impl Into<String>) -> Value {
    Value::Text(value.into())
}

fn time(at: Moment) -> Value {
    Value::Time(at)
}

fn schedule_data(schedule: &Schedule) -> Data {
    vec![
        ("schedule_name", text(&schedule.name)),
        ("schedule_id", Value::Id(schedule.id.uuid())),
        ("cron_expr", text(&schedule.trigger_text)),
    ]
}

impl Machine {
    fn note(
        &mut self,
        at: Moment,
        kind: &'static str,
        severity: Severity,
        message: String,
        data: Data,
        effects: &mut Effects,
    ) {
        let id = EventId::v7(at, self.random.next_u128());
        let event = Event { id, kind, severity, message, run: None, task: None, user: None, at, data };
        effects.records.push(Record::Event(Box::new(event)));
    }

    fn note_run(&mut self, at: Moment, run: &Arc<Run>, news: RunNews, effects: &mut Effects) {
        let id = EventId::v7(at, self.random.next_u128());
        effects.records.push(Record::RunNoted(RunNote { id, at, run: run.clone(), news }));
    }

    pub(super) fn note_queued(&mut self, now: Moment, run: &Arc<Run>, effects: &mut Effects) {
        if !run.is_unlisted() {
            self.note_run(now, run, RunNews::Triggered, effects);
        }
        self.note_run(now, run, RunNews::Queued, effects);
    }

    pub(super) fn note_started(&mut self, now: Moment, run: &Arc<Run>, effects: &mut Effects) {
        if run.attempts == 1 {
            self.note_run(now, run, RunNews::Started, effects);
        }
        // The tasks of a workflow are told by its worker.
        match run.workflow {
            None => self.note_run(now, run, RunNews::TaskStarted, effects),
            Some(_) if run.attempts > 1 => self.note_run(now, run, RunNews::Resumed, effects),
            Some(_) => {}
        }
    }

    pub(super) fn note_interrupted(&mut self, now: Moment, run: &Arc<Run>, effects: &mut Effects) {
        self.note_run(now, run, RunNews::Interrupted, effects);
    }

    pub(super) fn note_retrying(
        &mut self,
        now: Moment,
        run: &Arc<Run>,
        reason: Reason,
        at: Moment,
        max: u32,
        effects: &mut Effects,
    ) {
        if reason == Reason::Timeout {
            self.note_run(now, run, RunNews::TaskTimedOut, effects);
        }
        self.note_run(now, run, RunNews::TaskRetrying { max, delay: at.since(now) }, effects);
    }

    pub(super) fn note_ended(&mut self, now: Moment, run: &Arc<Run>, effects: &mut Effects) {
        if run.workflow.is_none() {
            if run.reason == Some(Reason::Timeout) && run.status == RunStatus::Failed {
                self.note_run(now, run, RunNews::TaskTimedOut, effects);
            }
            self.note_run(now, run, RunNews::TaskEnded, effects);
        }
        self.note_run(now, run, RunNews::Ended, effects);
    }

    pub(super) fn note_missed(
        &mut self,
        now: Moment,
        schedule: &Schedule,
        due: &[Moment],
        cause: &str,
        effects: &mut Effects,
    ) {
        let (Some(first), Some(last)) = (due.first(), due.last()) else {
            return;
        };
        let message = match due.len() {
            1 => format!("{}: the instant {first} was missed ({cause})", schedule.name),
            n => format!("{}: {n} instants from {first} to {last} were missed ({cause})", schedule.name),
        };
        let mut data = schedule_data(schedule);
        data.push(("due_at", time(*first)));
        data.push(("expected_time", time(*last)));
        data.push(("actual_time", time(now)));
        data.push(("count", Value::Int(due.len() as i64)));
        data.push(("reason", text(cause)));
        self.note(now, "schedule.missed", Severity::Warning, message, data, effects);
    }

    pub(super) fn note_skipped(
        &mut self,
        now: Moment,
        schedule: &Schedule,
        due: Moment,
        skip: &Skip,
        effects: &mut Effects,
    ) {
        let mut data = schedule_data(schedule);
        data.push(("due_at", time(due)));
        data.push(("reason", Value::Word(skip.as_str())));
        if let Skip::Overlap { by } = skip {
            data.push(("run_id", Value::Id(by.uuid())));
        }
        let message = format!("{}: the instant {due} was skipped ({})", schedule.name, skip.as_str());
        self.note(now, "schedule.skipped", Severity::Info, message, data, effects);
    }

    pub(super) fn note_switched(
        &mut self,
        now: Moment,
        schedule: &Schedule,
        kind: &'static str,
        reason: &str,
        effects: &mut Effects,
    ) {
        let mut data = schedule_data(schedule);
        data.push(("reason", text(reason)));
        data.push(("disabled_by", Value::Word("daemon")));
        let severity = if kind == "schedule.disabled" { Severity::Warning } else { Severity::Info };
        self.note(now, kind, severity, format!("{}: {reason}", schedule.name), data, effects);
    }

    pub(super) fn note_clock_set(&mut self, now: Moment, epoch: &ClockEpoch, step_us: i64, effects: &mut Effects) {
        let data = vec![
            ("component", Value::Word("clock")),
            ("step_us", Value::Int(step_us)),
            ("clock_epoch", Value::Int(i64::from(epoch.epoch))),
            ("before", time(epoch.before)),
            ("after", time(epoch.after)),
        ];
        let message = format!("the clock was set from {} to {}", epoch.before, epoch.after);
        self.note(now, "system.warning", Severity::Warning, message, data, effects);
    }

    pub(super) fn note_resumed(&mut self, now: Moment, slept: Duration, effects: &mut Effects) {
        let data = vec![("component", Value::Word("clock")), ("duration", Value::Float(slept.as_secs_f64()))];
        let message = format!("the host slept for {}", units::format_duration(Duration::from_secs(slept.as_secs())));
        self.note(now, "system.warning", Severity::Warning, message, data, effects);
    }

    pub(super) fn note_executor_lost(&mut self, now: Moment, reason: &str, effects: &mut Effects) {
        let data = vec![("component", Value::Word("executor")), ("error", text(reason))];
        let message = format!("the executor is away: {reason}");
        self.note(now, "system.error", Severity::Error, message, data, effects);
    }

    pub(super) fn note_stranger(&mut self, now: Moment, key: AttemptKey, effects: &mut Effects) {
        let data = vec![("component", Value::Word("executor")), ("error", text(key.to_string()))];
        let message = format!("the executor runs {key}, which is not in the run table; it is ended");
        self.note(now, "system.warning", Severity::Warning, message, data, effects);
    }
}

impl Skip {
    /// The word of the ledger.
    pub fn as_str(&self) -> &'static str {
        match self {
            Skip::Paused => "paused",
            Skip::Overlap { .. } => "overlap",
            Skip::Deadline => "deadline",
            Skip::CatchUp => "catch_up",
            Skip::Quiesced => "quiesced",
            Skip::Limit => "limit",
        }
    }
}
