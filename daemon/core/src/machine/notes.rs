//! Events: what happened, said once, in the transaction that makes it true.

use std::time::Duration;

use super::{Effects, Machine};
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

fn maybe<T>(value: Option<T>, f: impl Fn(T) -> Value) -> Value {
    value.map_or(Value::Null, f)
}

fn run_data(run: &Run) -> Data {
    vec![
        ("run_id", Value::Id(run.id.uuid())),
        ("kind", Value::Word("command")),
        ("schedule", text(&run.schedule_name)),
        ("schedule_id", Value::Id(run.schedule.uuid())),
        ("user", text(&run.user)),
        ("due_at", time(run.due_at)),
        ("attempt", Value::Int(i64::from(run.attempts))),
    ]
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

    #[allow(clippy::too_many_arguments)] // the columns of an event
    fn note_run(
        &mut self,
        at: Moment,
        (kind, severity): (&'static str, Severity),
        (run, task): (&Run, bool),
        message: String,
        data: Data,
        effects: &mut Effects,
    ) {
        let event = Event {
            id: EventId::v7(at, self.random.next_u128()),
            kind,
            severity,
            message,
            run: Some(run.id),
            task: task.then_some("command"),
            user: Some(run.user.clone()),
            at,
            data,
        };
        effects.records.push(Record::Event(Box::new(event)));
    }

    pub(super) fn note_queued(&mut self, now: Moment, run: &Run, effects: &mut Effects) {
        let name = &run.schedule_name;
        let mut data = vec![
            ("schedule_name", text(name)),
            ("schedule_id", Value::Id(run.schedule.uuid())),
            ("run_id", Value::Id(run.id.uuid())),
            ("due_at", time(run.due_at)),
            ("expected_time", time(run.due_at)),
            ("actual_time", time(now)),
        ];
        data.push(("reason", text(run.asked_by.clone())));
        self.note_run(
            now,
            ("schedule.triggered", Severity::Info),
            (run, false),
            format!("{name} is due"),
            data,
            effects,
        );
        let data = run_data(run);
        self.note_run(
            now,
            ("run.queued", Severity::Info),
            (run, false),
            format!("run of {name} accepted"),
            data,
            effects,
        );
    }

    pub(super) fn note_started(&mut self, now: Moment, run: &Run, effects: &mut Effects) {
        let name = &run.schedule_name;
        if run.attempts == 1 {
            let message = format!("run of {name} started");
            self.note_run(now, ("run.started", Severity::Info), (run, false), message, run_data(run), effects);
        }
        let message = format!("{name}: attempt {} started", run.attempts);
        let mut data = run_data(run);
        data.push(("task_name", Value::Word("command")));
        self.note_run(now, ("task.started", Severity::Info), (run, true), message, data, effects);
    }

    pub(super) fn note_retrying(
        &mut self,
        now: Moment,
        run: &Run,
        reason: Reason,
        at: Moment,
        max: u32,
        effects: &mut Effects,
    ) {
        let delay = at.since(now);
        let error = run.message.clone().unwrap_or_default();
        if reason == Reason::Timeout {
            self.note_timeout(now, run, effects);
        }
        let message = format!(
            "{}: attempt {} failed ({error}); next in {}",
            run.schedule_name,
            run.attempts,
            units::format_duration(delay)
        );
        let mut data = run_data(run);
        data.push(("task_name", Value::Word("command")));
        data.push(("max_retries", Value::Int(i64::from(max))));
        data.push(("delay", Value::Float(delay.as_secs_f64())));
        data.push(("error", text(error)));
        self.note_run(now, ("task.retrying", Severity::Warning), (run, true), message, data, effects);
    }

    fn note_timeout(&mut self, now: Moment, run: &Run, effects: &mut Effects) {
        let mut data = run_data(run);
        data.push(("task_name", Value::Word("command")));
        let message = format!("{}: attempt {} ran longer than its timeout", run.schedule_name, run.attempts);
        self.note_run(now, ("task.timeout", Severity::Error), (run, true), message, data, effects);
    }

    pub(super) fn note_ended(&mut self, now: Moment, run: &Run, effects: &mut Effects) {
        let (run_kind, task_kind, severity) = match run.status {
            RunStatus::Completed => ("run.completed", "task.completed", Severity::Info),
            RunStatus::Failed => ("run.failed", "task.failed", Severity::Error),
            _ => ("run.cancelled", "task.cancelled", Severity::Warning),
        };
        if run.reason == Some(Reason::Timeout) && run.status == RunStatus::Failed {
            self.note_timeout(now, run, effects);
        }
        let duration = run.started_at.zip(run.ended_at).map(|(start, end)| end.since(start).as_secs_f64());
        let why = run.message.clone().map(|m| format!(": {m}")).unwrap_or_default();
        let verb = run_kind.strip_prefix("run.").unwrap_or(run_kind);
        let message = format!("run of {} {verb}{why}", run.schedule_name);
        let mut data = run_data(run);
        data.push(("exit_code", maybe(run.exit_code, |c| Value::Int(i64::from(c)))));
        data.push(("signal", maybe(run.signal, |s| Value::Int(i64::from(s)))));
        data.push(("duration", maybe(duration, Value::Float)));
        data.push(("reason", maybe(run.reason, |r| Value::Word(r.as_str()))));
        data.push(("error", maybe(run.message.clone(), text)));
        let mut task_data = data.clone();
        task_data.push(("task_name", Value::Word("command")));
        self.note_run(now, (task_kind, severity), (run, true), message.clone(), task_data, effects);
        self.note_run(now, (run_kind, severity), (run, false), message, data, effects);
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

impl Reason {
    /// The word of the run record.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::TaskFailed => "task_failed",
            Reason::Timeout => "timeout",
            Reason::Oom => "oom",
            Reason::Lost => "lost",
            Reason::Denied => "denied",
            Reason::User => "user",
            Reason::Superseded => "superseded",
            Reason::Shutdown => "shutdown",
            Reason::QueueTimeout => "queue_timeout",
        }
    }
}
