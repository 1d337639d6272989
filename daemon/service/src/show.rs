//! From the core to what a user sees: schedules, runs, instants, events.

use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use sloth_api::worker::RunOptions;
use sloth_api::{
    AttemptView, KeepSpec, LastRun, LimitsSpec, NextInstant, PausedView, Quantity, RetriesSpec, RetriesTable, RunView,
    ScheduleSpec, ScheduleView, TaskView, WorkflowRunView, WorkflowSpec,
};
use sloth_core::machine::Loaded;
use sloth_core::run::{Attempt, Outcome, Run, RunStatus, RunTrigger, WorkflowAction, WorkflowRun};
use sloth_core::trigger::Trigger;
use sloth_core::{Action, Enabled, Moment, Origin, Schedule, trigger, units};
use sloth_store::Task;

use crate::fields::{Whose, build};
use crate::time_text::local;
use crate::values::{BACKOFFS, CATCH_UPS, CONDITIONS, JITTER_MODES, OVERLAPS, SANDBOXES};
use crate::workers::object;
use crate::{ServiceError, Surroundings};

fn word<T: PartialEq>(all: &[(&'static str, T)], value: &T) -> Option<String> {
    all.iter().find(|(_, v)| v == value).map(|(word, _)| (*word).to_owned())
}

fn span(length: std::time::Duration) -> Option<Quantity> {
    Some(Quantity::Text(units::format_duration(length)))
}

fn bytes(n: u64) -> Option<Quantity> {
    Some(Quantity::Text(units::format_size_exact(n)))
}

/// Every field with its effective value.
pub fn full_spec(schedule: &Schedule) -> ScheduleSpec {
    let (command, shell, workflow) = match &schedule.action {
        Action::Command(argv) => (Some(argv.clone()), None, None),
        Action::Shell(text) => (None, Some(text.clone()), None),
        Action::Workflow(action) => (None, None, Some(workflow_spec(action))),
    };
    let anchor = match &schedule.trigger {
        Trigger::Every { anchor: Some(anchor), .. } => Some(anchor.rfc3339()),
        _ => None,
    };
    let (retries, limits) = (&schedule.retries, &schedule.limits);
    ScheduleSpec {
        trigger: Some(schedule.trigger_text.clone()),
        anchor,
        timezone: schedule.timezone.clone(),
        command,
        shell,
        workflow,
        http: None,
        exclude: None,
        notify: None,
        user: Some(schedule.user.clone()),
        group: schedule.group.clone(),
        cwd: schedule.cwd.as_ref().map(|cwd| cwd.to_string_lossy().into_owned()),
        env: Some(schedule.env.clone()),
        umask: Some(format!("{:03o}", schedule.umask)),
        stdin: schedule.stdin.clone(),
        enabled: Some(schedule.enabled == Enabled::Yes),
        overlap: word(OVERLAPS, &schedule.overlap),
        queue_limit: Some(schedule.queue_limit),
        catch_up: word(CATCH_UPS, &schedule.catch_up()),
        catch_up_max: Some(schedule.catch_up_max),
        catch_up_window: span(schedule.catch_up_window),
        start_deadline: schedule.start_deadline.and_then(span),
        jitter: span(schedule.jitter),
        jitter_mode: word(JITTER_MODES, &schedule.jitter_mode),
        timeout: schedule.timeout.and_then(span),
        kill_grace: span(schedule.kill_grace),
        retries: Some(RetriesSpec::Full(RetriesTable {
            max: Some(retries.max),
            delay: span(retries.delay),
            backoff: word(BACKOFFS, &retries.backoff),
            max_delay: span(retries.max_delay),
            jitter: Some(retries.jitter),
        })),
        retry_lost: Some(schedule.retry_lost),
        limits: Some(LimitsSpec {
            cpu: limits.cpu_millis.map(|millis| Quantity::Text(units::format_cpu(millis))),
            memory: limits.memory_bytes.and_then(bytes),
            io_weight: limits.io_weight,
            nofile: limits.nofile,
            tasks: limits.tasks,
            nice: limits.nice,
        }),
        success_codes: Some(schedule.success_codes.clone()),
        pause_after_failures: schedule.pause_after_failures,
        after: Some(
            schedule
                .after
                .iter()
                .map(|(name, when)| (name.clone(), word(CONDITIONS, when).unwrap_or_default()))
                .collect(),
        ),
        keep: Some(KeepSpec { runs: Some(schedule.keep.runs), age: span(schedule.keep.age) }),
        sandbox: word(SANDBOXES, &schedule.sandbox),
        output_limit: bytes(schedule.output_limit),
        journal: Some(schedule.journal),
        tags: Some(schedule.tags.clone()),
        description: Some(schedule.description.clone()),
    }
}

fn workflow_spec(action: &WorkflowAction) -> WorkflowSpec {
    let mut options: RunOptions = serde_json::from_str(&action.options).unwrap_or_default();
    // That is the timeout of the schedule.
    options.timeout_ms = None;
    WorkflowSpec {
        file: Some(action.main.clone()),
        bundle: None,
        saved: action.saved.clone(),
        sha256: Some(action.bundle.clone()),
        stack: Some(action.stack.clone()).filter(|stack| !stack.is_empty()),
        workflow: action.workflow.clone(),
        values: object(&action.values),
        params: object(&action.params),
        options,
        mode: Some(action.mode.clone()).filter(|mode| mode != "normal"),
        priority: Some(action.priority).filter(|priority| *priority != 0),
    }
}

/// The fields that differ from their defaults: what a user has to write to get this schedule.
pub fn minimal_spec(host: &dyn Surroundings, schedule: &Schedule) -> Result<ScheduleSpec, ServiceError> {
    let full = full_spec(schedule);
    let bare = ScheduleSpec {
        trigger: full.trigger.clone(),
        timezone: full.timezone.clone(),
        command: full.command.clone(),
        shell: full.shell.clone(),
        workflow: full.workflow.clone(),
        ..ScheduleSpec::default()
    };
    let whose = Whose {
        id: schedule.id,
        owner: schedule.owner,
        owner_name: schedule.owner_name.clone(),
        name: schedule.name.clone(),
        origin: schedule.origin.clone(),
    };
    let mut reference = full_spec(&build(host, whose, &bare)?);
    if let Trigger::Every { anchor: Some(anchor), .. } = &schedule.trigger
        && *anchor == schedule.trigger_since
    {
        reference.anchor.clone_from(&full.anchor);
    }
    if schedule.catch_up.is_some() {
        reference.catch_up = None;
    }
    let keep = ["trigger", "timezone", "command", "shell", "workflow"];
    let (full, reference) = (to_map(&full), to_map(&reference));
    let mut minimal = Map::new();
    for (key, value) in full {
        match (reference.get(&key), value) {
            (Some(same), value) if *same == value && !keep.contains(&key.as_str()) => {}
            (Some(Value::Object(same)), Value::Object(parts))
                if !["env", "after", "workflow"].contains(&key.as_str()) =>
            {
                let differing: Map<String, Value> = parts.into_iter().filter(|(k, v)| same.get(k) != Some(v)).collect();
                minimal.insert(key, Value::Object(differing));
            }
            (_, value) => {
                minimal.insert(key, value);
            }
        }
    }
    serde_json::from_value(Value::Object(minimal))
        .map_err(|error| ServiceError::new(sloth_api::ErrorCode::Internal, error.to_string()))
}

pub(crate) fn to_map(spec: &ScheduleSpec) -> Map<String, Value> {
    match serde_json::to_value(spec) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// A schedule and its state.
pub fn schedule_view(host: &dyn Surroundings, loaded: &Loaded, open: (u32, u32), next: Option<Moment>) -> ScheduleView {
    let schedule = &loaded.schedule;
    let stats = &loaded.stats;
    let now = host.now();
    let paused = match &schedule.enabled {
        Enabled::Paused { reason, until } if until.is_none_or(|until| until > now) => {
            Some(PausedView { reason: reason.clone(), until: until.map(Moment::rfc3339) })
        }
        _ => None,
    };
    let mut spec = to_map(&full_spec(schedule));
    let is_paused = paused.is_some();
    spec.insert("enabled".to_owned(), Value::Bool(!is_paused));
    let last = stats.last_run.zip(stats.last_ended_at).map(|(run, ended)| LastRun {
        run_id: run.to_string(),
        status: stats.last_status.map_or("", status_word).to_owned(),
        reason: stats.last_reason.map(|reason| reason.as_str().to_owned()),
        ended_at: ended.rfc3339(),
        duration_ms: stats.last_duration_us.map(|us| us / 1000),
    });
    ScheduleView {
        id: schedule.id.to_string(),
        name: schedule.name.clone(),
        owner: schedule.owner_name.clone(),
        revision: schedule.revision,
        origin: match &schedule.origin {
            Origin::Api => "api".to_owned(),
            Origin::File(path) => path.display().to_string(),
        },
        created_at: schedule.created_at.rfc3339(),
        trigger_text: schedule.trigger.describe(),
        paused,
        next_due: next.filter(|_| !is_paused).map(Moment::rfc3339),
        running: open.0,
        queued: open.1,
        runs: stats.runs,
        failures_in_a_row: stats.failures_in_a_row,
        last_success_at: stats.last_success_at.map(Moment::rfc3339),
        last,
        warnings: host.unenforceable(&schedule.limits),
        spec,
    }
}

/// The next instants of a trigger.
pub fn next_instants(trigger: &Trigger, zone: &TimeZone, from: Moment, n: usize) -> Vec<NextInstant> {
    let mut at = from;
    let mut list = Vec::new();
    while list.len() < n {
        let Some(due) = trigger.next_after(zone, at) else { break };
        list.push(NextInstant {
            due_at: due.rfc3339(),
            local: local(due, zone),
            note: trigger::remark(trigger, zone, due),
        });
        at = due;
    }
    list
}

pub(crate) fn status_word(status: RunStatus) -> &'static str {
    status.as_str()
}

/// The word of the ledger.
pub(crate) fn trigger_word(trigger: RunTrigger) -> &'static str {
    match trigger {
        RunTrigger::Due => "due",
        RunTrigger::CatchUp => "catch_up",
        RunTrigger::Manual => "manual",
        RunTrigger::After => "after",
        RunTrigger::Api => "api",
        RunTrigger::Boot => "boot",
    }
}

/// The word of the run record.
pub(crate) fn run_trigger_word(trigger: RunTrigger) -> &'static str {
    match trigger {
        RunTrigger::Due | RunTrigger::CatchUp => "schedule",
        other => trigger_word(other),
    }
}

/// A run.
pub fn run_view(run: &Run, owner: String, host: &str, now: Moment) -> RunView {
    let duration = run.started_at.map(|start| (run.ended_at.unwrap_or(now).micros() - start.micros()).max(0) / 1000);
    RunView {
        id: run.id.to_string(),
        schedule: run.schedule_name.clone(),
        schedule_id: if run.is_unlisted() { String::new() } else { run.schedule.to_string() },
        revision: run.revision,
        kind: if run.workflow.is_some() { "workflow" } else { "command" }.to_owned(),
        owner,
        user: run.user.clone(),
        trigger: run_trigger_word(run.trigger).to_owned(),
        due_at: run.due_at.rfc3339(),
        clock_epoch: run.epoch,
        asked_by: run.asked_by.to_string(),
        status: status_word(run.status).to_owned(),
        reason: run.reason.map(|reason| reason.as_str().to_owned()),
        message: run.message.clone(),
        queued_at: run.queued_at.rfc3339(),
        started_at: run.started_at.map(Moment::rfc3339),
        ended_at: run.ended_at.map(Moment::rfc3339),
        duration_ms: duration,
        attempts: run.attempts,
        retry_at: run.retry_at.map(Moment::rfc3339),
        exit_code: run.exit_code,
        signal: run.signal,
        cpu_ms: run.usage.cpu.as_secs_f64() * 1000.0,
        memory_peak_bytes: run.usage.memory_peak_bytes,
        io_read_bytes: run.usage.io_read_bytes,
        io_write_bytes: run.usage.io_write_bytes,
        ip_ingress_bytes: run.usage.ip_ingress_bytes,
        ip_egress_bytes: run.usage.ip_egress_bytes,
        output_bytes: run.output_bytes,
        stderr_tail: run.stderr_tail.clone(),
        host: host.to_owned(),
        pid: run.process.as_ref().and_then(pid),
        workflow: run.workflow.as_deref().map(workflow_view),
        tasks: Vec::new(),
    }
}

fn workflow_view(workflow: &WorkflowRun) -> WorkflowRunView {
    let action = &workflow.action;
    WorkflowRunView {
        workflow: action.name.clone(),
        stack: action.stack.clone(),
        mode: action.mode.clone(),
        bundle: action.bundle.clone(),
        main: action.main.clone(),
        saved: action.saved.clone(),
        paused: workflow.paused,
        compensation: workflow.compensation.as_str().to_owned(),
        handled: workflow.handled,
        priority: action.priority,
        labels: Value::Object(object(&action.labels)),
        workers_lost: workflow.lost,
        counts: None,
    }
}

/// The tasks of a run with their attempts.
pub(crate) fn task_views(tasks: Vec<Task>, attempts: Vec<Attempt>) -> Vec<TaskView> {
    let attempts: Vec<AttemptView> = attempts.iter().map(attempt_view).collect();
    tasks
        .into_iter()
        .map(|task| TaskView { name: task.name, status: task.status, attempts: attempts.clone() })
        .collect()
}

fn attempt_view(attempt: &Attempt) -> AttemptView {
    let outcome = attempt.end.as_ref().map(|end| &end.outcome);
    let (word, code, signal, message) = match outcome {
        None => (None, None, None, None),
        Some(Outcome::Exited(code)) => (Some("exited"), Some(*code), None, None),
        Some(Outcome::Signaled(signal)) => (Some("signaled"), None, Some(*signal), None),
        Some(Outcome::TimedOut) => (Some("timed_out"), None, None, None),
        Some(Outcome::Killed) => (Some("killed"), None, None, None),
        Some(Outcome::Oom) => (Some("oom"), None, None, None),
        Some(Outcome::NotStarted(failure)) => (Some("not_started"), None, None, Some(failure.message.clone())),
        Some(Outcome::Lost(what)) => (Some("lost"), None, None, Some(what.clone())),
    };
    AttemptView {
        attempt: attempt.key.attempt,
        started_at: attempt.started_at.rfc3339(),
        ended_at: attempt.end.as_ref().map(|end| end.ended_at.rfc3339()),
        outcome: word.map(str::to_owned),
        exit_code: code,
        signal,
        message,
        pid: attempt.process.as_ref().and_then(pid),
    }
}

/// A unit stands for its processes without a number.
fn pid(process: &sloth_core::run::ProcessId) -> Option<u32> {
    (process.pid != 0).then_some(process.pid)
}
