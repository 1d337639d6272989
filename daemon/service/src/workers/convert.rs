//! From what a worker says to what the store keeps: the row of the journal, what it means for the tables, and the events that tell of it.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value, json};
use sloth_api::ErrorCode;
use sloth_api::worker::{Numbered, Record, RunEnd, TaskEnd};
use sloth_core::record::{JournalEffect, JournalEvent, JournalRow, Severity, TaskRow};
use sloth_core::run::{Compensation, Reason, RunStatus, WorkerNews, WorkflowEnd};
use sloth_core::{EventId, Moment, RunId};

use crate::ServiceError;

/// Longest name of a task, workflow, stage, checkpoint or artifact, bytes.
const NAME_MAX: usize = 1024;
/// Longest record, bytes of its JSON.
const RECORD_MAX: usize = 8 << 20;
/// Largest payload of an event, bytes of its JSON (events.md).
const PAYLOAD_MAX: usize = 256 << 10;
/// Largest state of a checkpoint and output of a task, with room for their frame.
const STATE_MAX: usize = (1 << 20) + 4096;
/// Longest text of a failure that is kept with its task, bytes; the journal has all of it.
const TEXT_MAX: usize = 64 << 10;

/// What is known of a run while its records come in.
pub(super) struct Context {
    pub(super) run: RunId,
    pub(super) stack: String,
    /// Names of its workflows and when they began.
    pub(super) workflows: Vec<(String, Moment)>,
    /// Tasks that failed, by workflow.
    pub(super) failed: HashMap<String, Vec<String>>,
    pub(super) task_count: usize,
}

/// A record as it goes to the store, and what the engine has to know of it.
pub(super) struct Converted {
    pub(super) row: JournalRow,
    pub(super) news: Option<WorkerNews>,
}

fn wrong(seq: u64, what: impl std::fmt::Display) -> ServiceError {
    ServiceError::new(ErrorCode::InvalidArgument, format!("record {seq}: {what}"))
}

fn ms(at: i64) -> Moment {
    // Beyond these the calendar ends.
    Moment::from_micros(at.clamp(0, 253_402_300_799_000).saturating_mul(1000))
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

impl Context {
    /// One record. `random` gives the identities of its events.
    pub(super) fn convert(
        &mut self,
        numbered: &Numbered,
        random: &dyn Fn() -> u128,
    ) -> Result<Converted, ServiceError> {
        let seq = numbered.seq;
        let at = ms(numbered.at);
        let body = serde_json::to_string(&numbered.record).map_err(|error| wrong(seq, error))?;
        if body.len() > RECORD_MAX {
            return Err(wrong(seq, format_args!("is longer than {RECORD_MAX} bytes")));
        }
        check_names(seq, &numbered.record)?;
        let mut told = Told { events: Vec::new(), context: self, at, random };
        let (kind, effect, news) = told.record(seq, &numbered.record)?;
        let events = told.events;
        Ok(Converted { row: JournalRow { seq, at, kind, body, effect, events }, news })
    }
}

fn check_names(seq: u64, record: &Record) -> Result<(), ServiceError> {
    let names: Vec<&str> = match record {
        Record::TaskStarted { workflow, task, .. }
        | Record::AttemptFinished { workflow, task, .. }
        | Record::Progress { workflow, task, .. } => vec![workflow, task],
        Record::TaskFinished { end } => vec![&end.workflow, &end.name, end.stage.as_deref().unwrap_or_default()],
        Record::Checkpoint { id, name, workflow, task, state } => {
            if state.to_string().len() > STATE_MAX {
                return Err(wrong(seq, "the state of a checkpoint is larger than 1 MiB"));
            }
            vec![id, name, workflow, task]
        }
        Record::Artifact { workflow, task, name, sha256, .. } => vec![workflow, task, name, sha256],
        Record::Saga { saga, workflow, participant, .. } => {
            vec![saga, workflow, participant.as_deref().unwrap_or_default()]
        }
        Record::Graph { workflows, .. } => workflows.iter().map(String::as_str).collect(),
        Record::Event { name, .. } => vec![name],
        _ => Vec::new(),
    };
    match names.iter().find(|name| name.len() > NAME_MAX) {
        Some(_) => Err(wrong(seq, format_args!("a name is longer than {NAME_MAX} bytes"))),
        None => Ok(()),
    }
}

type Meaning = (&'static str, JournalEffect, Option<WorkerNews>);

/// One record while it is being converted.
struct Told<'a> {
    events: Vec<JournalEvent>,
    context: &'a mut Context,
    at: Moment,
    random: &'a dyn Fn() -> u128,
}

impl Told<'_> {
    fn record(&mut self, seq: u64, record: &Record) -> Result<Meaning, ServiceError> {
        let plain = |kind| Ok((kind, JournalEffect::None, None));
        match record {
            Record::DefinitionCall { .. } => plain("definition_call"),
            Record::Note { .. } => plain("note"),
            Record::Graph { workflows, graph, diagnostics } => {
                Ok(("graph", self.graph(workflows, graph, diagnostics), None))
            }
            Record::Status { status } => self.status(seq, status),
            Record::TaskStarted { workflow, task, attempt } => {
                let data = json!({ "attempt": attempt, "status": "running" });
                self.task_event("task.started", Severity::Info, workflow, task, "started", data);
                let row = TaskRow {
                    status: "running",
                    attempts: *attempt,
                    started_at: Some(self.at),
                    ..named(workflow, task)
                };
                Ok(("task_started", JournalEffect::Task(Box::new(row)), None))
            }
            Record::AttemptFinished { workflow, task, attempt, failure, message, delay_ms } => {
                let data = json!({
                    "attempt": attempt, "status": "waiting", "kind": failure, "error": message,
                    "delay": *delay_ms as f64 / 1000.0,
                });
                self.task_event("task.retrying", Severity::Warning, workflow, task, message, data);
                let row = TaskRow {
                    status: "waiting",
                    kind: Some(failure.clone()),
                    message: cut(message),
                    attempts: *attempt,
                    ..named(workflow, task)
                };
                Ok(("attempt_finished", JournalEffect::Task(Box::new(row)), None))
            }
            Record::TaskFinished { end } => Ok(("task_finished", self.task_finished(seq, end)?, None)),
            Record::Checkpoint { id, name, workflow, task, state } => {
                let data = json!({ "checkpoint": id, "name": name });
                self.task_event("task.checkpoint", Severity::Info, workflow, task, name, data);
                let effect = JournalEffect::Checkpoint {
                    id: id.clone(),
                    name: name.clone(),
                    workflow: workflow.clone(),
                    task: task.clone(),
                    state: state.to_string(),
                };
                Ok(("checkpoint", effect, None))
            }
            Record::Progress { workflow, task, percent, text } => {
                self.task_event(
                    "task.progress",
                    Severity::Info,
                    workflow,
                    task,
                    text,
                    json!({ "percent": percent, "text": text }),
                );
                plain("progress")
            }
            Record::Saga { saga, workflow, step, participant, message, .. } => {
                let data = json!({ "saga": saga, "step": step, "participant": participant, "error": message });
                let severity = if step.contains("failed") { Severity::Error } else { Severity::Info };
                let text = format!("{saga}: {step} {}", participant.as_deref().unwrap_or_default());
                self.workflow_event("saga.progress", severity, workflow, text.trim_end(), data);
                plain("saga")
            }
            Record::Artifact { workflow, task, name, path, sha256, size, mode } => {
                let effect = JournalEffect::Artifact {
                    workflow: workflow.clone(),
                    task: task.clone(),
                    name: name.clone(),
                    path: path.clone(),
                    sha256: sha256.clone(),
                    size: *size,
                    mode: *mode,
                };
                Ok(("artifact", effect, None))
            }
            Record::Event { name, data } => {
                self.custom(seq, name, data)?;
                plain("event")
            }
            Record::RunFinished { end } => self.finished(seq, end),
        }
    }

    fn status(&mut self, seq: u64, status: &str) -> Result<Meaning, ServiceError> {
        let (news, event) = match status {
            "running" => (RunStatus::Running, "workflow.resumed"),
            "paused" => (RunStatus::Paused, "workflow.paused"),
            "compensating" => (RunStatus::Compensating, "workflow.compensating"),
            other => {
                return Err(wrong(seq, format_args!("status {other:?} is not one of running, paused, compensating")));
            }
        };
        // That it runs at first is told with its graph.
        if news != RunStatus::Running {
            for (name, _) in self.context.workflows.clone() {
                self.workflow_event(event, Severity::Info, &name, status, json!({ "status": status }));
            }
        }
        Ok(("status", JournalEffect::None, Some(WorkerNews::Status(news))))
    }

    fn graph(&mut self, workflows: &[String], graph: &Value, diagnostics: &[Value]) -> JournalEffect {
        let list = graph.get("workflows").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
        let (mut versions, mut tasks) = (Vec::new(), Vec::new());
        for name in workflows {
            let of = list.iter().find(|one| text(one, "name").as_deref() == Some(name));
            versions.push((name.clone(), of.and_then(|one| text(one, "version")).unwrap_or_default()));
            let of = of.and_then(|one| one.get("tasks")).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let before = tasks.len();
            for task in of.iter().filter_map(|task| Some((text(task, "name")?, text(task, "stage")))) {
                if task.0.len() <= NAME_MAX {
                    tasks.push((name.clone(), task.0, task.1));
                }
            }
            let count = tasks.len() - before;
            if !self.context.workflows.iter().any(|(known, _)| known == name) {
                self.context.workflows.push((name.clone(), self.at));
                let data = json!({ "task_count": count, "start_time": self.at.rfc3339(), "status": "running" });
                self.workflow_event("workflow.started", Severity::Info, name, "started", data);
            }
        }
        self.context.task_count = tasks.len();
        JournalEffect::Graph {
            workflows: versions,
            tasks,
            graph: graph.to_string(),
            diagnostics: Value::from(diagnostics.to_vec()).to_string(),
        }
    }

    fn task_finished(&mut self, seq: u64, end: &TaskEnd) -> Result<JournalEffect, ServiceError> {
        let (status, event, severity) = match end.status.as_str() {
            "completed" => ("completed", "task.completed", Severity::Info),
            "failed" if end.kind.as_deref() == Some("timeout") => ("failed", "task.timeout", Severity::Error),
            "failed" => ("failed", "task.failed", if end.ignored { Severity::Warning } else { Severity::Error }),
            "skipped" => ("skipped", "task.skipped", Severity::Info),
            "cancelled" => ("cancelled", "task.cancelled", Severity::Warning),
            other => {
                let words = "completed, failed, skipped, cancelled";
                return Err(wrong(seq, format_args!("status {other:?} of a task is not one of {words}")));
            }
        };
        let output = (!end.output.is_null()).then(|| end.output.to_string());
        if output.as_ref().is_some_and(|output| output.len() > STATE_MAX) {
            return Err(wrong(seq, "the output of a task is larger than 1 MiB"));
        }
        let duration = end.started_at.map(|start| end.finished_at.saturating_sub(start).max(0));
        let data = json!({
            "status": status, "attempt": end.attempts, "kind": end.kind, "error": end.error.as_deref().map(cut),
            "exit_code": end.exit_code, "duration": duration.map(|ms| ms as f64 / 1000.0), "duration_ms": duration,
            "changed": end.changed, "cached": end.cached, "ignored": end.ignored, "reason": end.skip_reason,
        });
        self.task_event(event, severity, &end.workflow, &end.name, &end.message, data.clone());
        if event == "task.timeout" {
            // A timeout is a failure as well: whoever listens for failures hears of it.
            self.task_event("task.failed", severity, &end.workflow, &end.name, &end.message, data);
        }
        let failed = self.context.failed.entry(end.workflow.clone()).or_default();
        failed.retain(|name| *name != end.name);
        if status == "failed" && !end.ignored && failed.len() < 1000 {
            failed.push(end.name.clone());
        }
        Ok(JournalEffect::Task(Box::new(TaskRow {
            stage: end.stage.clone(),
            status,
            kind: end.kind.clone(),
            message: cut(&end.message),
            error: end.error.as_deref().map(cut),
            skip_reason: end.skip_reason.clone(),
            changed: end.changed,
            cached: end.cached,
            ignored: end.ignored,
            attempts: end.attempts,
            started_at: end.started_at.map(ms),
            ended_at: Some(ms(end.finished_at)),
            exit_code: end.exit_code,
            output,
            ..named(&end.workflow, &end.name)
        })))
    }

    fn finished(&mut self, seq: u64, end: &RunEnd) -> Result<Meaning, ServiceError> {
        let (status, word, event, severity) = match end.status.as_str() {
            "completed" => (RunStatus::Completed, "completed", "workflow.completed", Severity::Info),
            "failed" => (RunStatus::Failed, "failed", "workflow.failed", Severity::Error),
            "cancelled" => (RunStatus::Cancelled, "cancelled", "workflow.cancelled", Severity::Warning),
            other => {
                let words = "completed, failed, cancelled";
                return Err(wrong(seq, format_args!("status {other:?} of a run is not one of {words}")));
            }
        };
        let compensation = Compensation::parse(&end.compensation).ok_or_else(|| {
            let words = "none, compensated, compensation_failed";
            wrong(seq, format_args!("compensation {:?} is not one of {words}", end.compensation))
        })?;
        let reason = match (status, end.reason.as_deref()) {
            (RunStatus::Completed, _) => None,
            (RunStatus::Cancelled, None) => Some(Reason::User),
            (_, None) => Some(Reason::TaskFailed),
            (_, Some(word)) => Some(
                Reason::parse(word).ok_or_else(|| wrong(seq, format_args!("there is no reason {word:?} of a run")))?,
            ),
        };
        let message = end.message.as_deref().map(cut);
        for (name, since) in self.context.workflows.clone() {
            let failed = self.context.failed.remove(&name).unwrap_or_default();
            let duration = self.at.since(since);
            let data = json!({
                "status": word, "reason": reason.map(Reason::as_str), "error": message, "failed_tasks": failed,
                "task_count": self.context.task_count, "duration": duration.as_secs_f64(),
                "duration_ms": duration.as_millis() as u64, "compensation": compensation.as_str(), "handled": end.handled,
            });
            self.workflow_event(event, severity, &name, message.as_deref().unwrap_or(word), data);
        }
        let effect = JournalEffect::Finished {
            status: word,
            message: message.clone(),
            outputs: Value::Object(end.outputs.clone()).to_string(),
            diagnostics: (!end.diagnostics.is_empty()).then(|| Value::from(end.diagnostics.clone()).to_string()),
        };
        let news =
            WorkerNews::Finished { end: WorkflowEnd { status, reason, message }, compensation, handled: end.handled };
        Ok(("run_finished", effect, Some(news)))
    }

    fn custom(&mut self, seq: u64, name: &str, data: &Value) -> Result<(), ServiceError> {
        let mut words = name.split('.');
        let good = |word: &str| {
            word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') && !word.is_empty()
        };
        let first = words.next().unwrap_or_default();
        let rest: Vec<&str> = words.collect();
        if !good(first) || !first.as_bytes()[0].is_ascii_lowercase() || rest.is_empty() || !rest.iter().all(|w| good(w))
        {
            return Err(wrong(seq, format_args!("{name:?} is no type of an event, such as orders.imported")));
        }
        if sloth_api::event::TYPES.contains(&name) {
            return Err(wrong(seq, format_args!("events of type {name:?} are made by slothd alone")));
        }
        let data = match data {
            Value::Object(data) => data.clone(),
            Value::Null => Map::new(),
            other => Map::from_iter([("value".to_owned(), other.clone())]),
        };
        self.push(Cow::Owned(name.to_owned()), Severity::Info, name.to_owned(), None, data);
        Ok(())
    }

    fn task_event(
        &mut self,
        kind: &'static str,
        severity: Severity,
        workflow: &str,
        task: &str,
        message: &str,
        data: Value,
    ) {
        let mut all = self.common(workflow);
        all.insert("task".to_owned(), task.into());
        all.insert("task_name".to_owned(), task.into());
        all.insert("agent_name".to_owned(), "local".into());
        all.insert("message".to_owned(), cut(message).into());
        if let Value::Object(data) = data {
            all.extend(data);
        }
        let text = if message.is_empty() { task.to_owned() } else { format!("{task}: {}", cut(message)) };
        self.push(Cow::Borrowed(kind), severity, text, Some(task.to_owned()), all);
    }

    fn workflow_event(&mut self, kind: &'static str, severity: Severity, workflow: &str, message: &str, data: Value) {
        let mut all = self.common(workflow);
        all.insert("workflow_id".to_owned(), format!("{}/{workflow}", self.context.run).into());
        all.insert("message".to_owned(), message.into());
        if let Value::Object(data) = data {
            all.extend(data);
        }
        self.push(Cow::Borrowed(kind), severity, format!("{workflow}: {message}"), None, all);
    }

    fn common(&self, workflow: &str) -> Map<String, Value> {
        let mut all = Map::new();
        all.insert("run_id".to_owned(), self.context.run.to_string().into());
        all.insert("stack".to_owned(), self.context.stack.as_str().into());
        all.insert("workflow".to_owned(), workflow.into());
        all.insert("workflow_name".to_owned(), workflow.into());
        all
    }

    fn push(
        &mut self,
        kind: Cow<'static, str>,
        severity: Severity,
        message: String,
        task: Option<String>,
        data: Map<String, Value>,
    ) {
        let mut text = Value::Object(data).to_string();
        if text.len() > PAYLOAD_MAX {
            text = json!({ "run_id": self.context.run.to_string(), "truncated": true, "size": text.len() }).to_string();
        }
        let id = EventId::v7(self.at, (self.random)());
        self.events.push(JournalEvent { id, kind, severity, message, task, data: text });
    }
}

fn named(workflow: &str, task: &str) -> TaskRow {
    TaskRow { workflow: workflow.to_owned(), name: task.to_owned(), ..TaskRow::default() }
}
