//! What is known of a workflow run beside its record.

use serde_json::Value;
use sloth_api::{
    ArtifactView, BundleView, CheckpointView, ErrorCode, GraphView, JournalRecordView, Page, ResourceCounts,
    RunSummary, TaskCounts, TaskDetail, ValuesView,
};
use sloth_core::Moment;
use sloth_core::run::{Reason, Run, RunStatus, WorkflowRun};
use sloth_store::Task;

use super::run::no_workflow;
use crate::access::Action;
use crate::{Caller, Service, ServiceError};

/// Bytes of one page of a journal.
const JOURNAL_BYTES: usize = 4 << 20;

fn json(text: Option<&str>) -> Value {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn workflow(run: &Run) -> Result<&WorkflowRun, ServiceError> {
    run.workflow.as_deref().ok_or_else(|| no_workflow(run))
}

impl Service {
    /// Its tasks in the order of the definition, those that have not begun included.
    pub async fn run_tasks(&self, caller: &Caller, id: &str) -> Result<Page<TaskDetail>, ServiceError> {
        let run = self.find_run(caller, id, "run:read").await?;
        let now = self.host.now();
        let items = self.store.tasks(run.id)?.into_iter().map(|task| detail(task, now)).collect();
        Ok(Page { items, next_cursor: None })
    }

    /// Its graph and what was found in its definition.
    pub async fn run_graph(&self, caller: &Caller, id: &str) -> Result<GraphView, ServiceError> {
        let run = self.find_run(caller, id, "run:read").await?;
        workflow(&run)?;
        let detail = self.store.workflow_detail(run.id)?.unwrap_or_default();
        let diagnostics = match json(detail.diagnostics.as_deref()) {
            Value::Null => Value::Array(Vec::new()),
            found => found,
        };
        Ok(GraphView { graph: json(detail.graph.as_deref()), diagnostics })
    }

    /// What it gave: collected outputs, `{}` before it has ended.
    pub async fn run_outputs(&self, caller: &Caller, id: &str) -> Result<Value, ServiceError> {
        let run = self.find_run(caller, id, "run:read").await?;
        workflow(&run)?;
        let detail = self.store.workflow_detail(run.id)?.unwrap_or_default();
        Ok(detail.outputs.map_or_else(|| Value::Object(Default::default()), |text| json(Some(&text))))
    }

    /// Its checkpoints, oldest first.
    pub async fn run_checkpoints(&self, caller: &Caller, id: &str) -> Result<Page<CheckpointView>, ServiceError> {
        let run = self.find_run(caller, id, "run:read").await?;
        let view = |cp: sloth_store::Checkpoint| CheckpointView {
            id: cp.id,
            name: cp.name,
            workflow: cp.workflow,
            task: cp.task,
            state: json(Some(&cp.state)),
            created_at: cp.created_at.rfc3339(),
        };
        Ok(Page { items: self.store.checkpoints(run.id)?.into_iter().map(view).collect(), next_cursor: None })
    }

    /// Its artifacts, oldest first.
    pub async fn run_artifacts(&self, caller: &Caller, id: &str) -> Result<Page<ArtifactView>, ServiceError> {
        let run = self.find_run(caller, id, "run:read").await?;
        let view = |a: sloth_store::Artifact| ArtifactView {
            workflow: a.workflow,
            task: a.task,
            name: a.name,
            path: a.path,
            sha256: a.sha256,
            size: a.size,
            mode: a.mode,
            created_at: a.created_at.rfc3339(),
        };
        Ok(Page { items: self.store.artifacts(run.id)?.into_iter().map(view).collect(), next_cursor: None })
    }

    /// What its workers recorded, for whoever looks for a fault. Administrators.
    pub async fn run_journal(
        &self,
        caller: &Caller,
        id: &str,
        after: u64,
        limit: u32,
    ) -> Result<Page<JournalRecordView>, ServiceError> {
        let run = self.find_run(caller, id, "run:read").await?;
        self.require_admin(caller, Action::on_run("run:journal", &run)).await?;
        workflow(&run)?;
        let page = self.store.journal(run.id, after, limit.clamp(1, 10_000), JOURNAL_BYTES)?;
        let view = |record: sloth_store::StoredRecord| JournalRecordView {
            seq: record.seq,
            at: record.at.rfc3339(),
            record: json(Some(&record.body)),
        };
        let next_cursor = page.next.map(|next| next.to_string());
        Ok(Page { items: page.items.into_iter().map(view).collect(), next_cursor })
    }

    /// Its program.
    pub async fn run_bundle(&self, caller: &Caller, id: &str) -> Result<BundleView, ServiceError> {
        let run = self.find_run(caller, id, "run:read").await?;
        let sha256 = workflow(&run)?.action.bundle.clone();
        Ok(BundleView { bundle: self.bundle(&sha256)?, sha256 })
    }

    /// What it was given.
    pub async fn run_values(&self, caller: &Caller, id: &str) -> Result<ValuesView, ServiceError> {
        let run = self.find_run(caller, id, "run:read").await?;
        let action = &workflow(&run)?.action;
        Ok(ValuesView {
            values: json(Some(&action.values)),
            params: json(Some(&action.params)),
            options: json(Some(&action.options)),
        })
    }

    /// All of it in one object.
    pub async fn run_summary(&self, caller: &Caller, id: &str) -> Result<RunSummary, ServiceError> {
        let run = self.find_run(caller, id, "run:read").await?;
        let now = self.host.now();
        let tasks: Vec<TaskDetail> = self.store.tasks(run.id)?.into_iter().map(|task| detail(task, now)).collect();
        let stored = self.store.workflow_detail(run.id)?.unwrap_or_default();
        let part = run.workflow.as_deref();
        let or = |value: Value, empty: Value| if value.is_null() { empty } else { value };
        Ok(RunSummary {
            kind: "summary".to_owned(),
            run_id: run.id.to_string(),
            stack: part.map_or(String::new(), |part| part.action.stack.clone()),
            workflow: part.map_or_else(|| run.title().to_owned(), |part| part.action.name.clone()),
            status: run.status.as_str().to_owned(),
            reason: run.reason.map(|reason| reason.as_str().to_owned()),
            message: run.message.clone(),
            exit_code: exit_code(&run),
            started_at: run.started_at.map(Moment::rfc3339),
            finished_at: run.ended_at.map(Moment::rfc3339),
            duration_ms: run
                .started_at
                .map(|start| (run.ended_at.unwrap_or(now).micros() - start.micros()).max(0) / 1000),
            counts: counts(&tasks),
            compensation: part.map_or("none", |part| part.compensation.as_str()).to_owned(),
            handled: part.is_some_and(|part| part.handled),
            outputs: or(json(stored.outputs.as_deref()), Value::Object(Default::default())),
            resources: ResourceCounts::default(),
            tasks,
            diagnostics: or(json(stored.diagnostics.as_deref()), Value::Array(Vec::new())),
        })
    }

    /// How many tasks of a run are in which state.
    pub(crate) fn task_counts(&self, run: &Run) -> Result<TaskCounts, ServiceError> {
        let now = self.host.now();
        let tasks: Vec<TaskDetail> = self.store.tasks(run.id)?.into_iter().map(|task| detail(task, now)).collect();
        Ok(counts(&tasks))
    }
}

/// The exit code of slothctl for a run that ended (cli.md).
fn exit_code(run: &Run) -> Option<u8> {
    Some(match (run.status, run.reason) {
        (RunStatus::Completed, _) => 0,
        (RunStatus::Failed, Some(Reason::Definition | Reason::Unresolved | Reason::Validation)) => 2,
        (RunStatus::Failed, Some(Reason::LockHeld)) => 3,
        (RunStatus::Failed, Some(Reason::AgentUnreachable)) => 4,
        (RunStatus::Failed, Some(Reason::Timeout)) | (RunStatus::Cancelled, _) => 5,
        (RunStatus::Failed, Some(Reason::Denied)) => ErrorCode::Denied.exit_code(),
        (RunStatus::Failed, _) => 1,
        _ => return None,
    })
}

fn counts(tasks: &[TaskDetail]) -> TaskCounts {
    let mut counts = TaskCounts::default();
    for task in tasks {
        counts.total += 1;
        match task.status.as_str() {
            "completed" => {
                counts.completed += 1;
                counts.unchanged += u32::from(!task.changed);
            }
            "failed" if task.ignored => counts.ignored += 1,
            "failed" => counts.failed += 1,
            "skipped" => counts.skipped += 1,
            "cancelled" => counts.cancelled += 1,
            "running" | "waiting" => counts.running += 1,
            _ => counts.pending += 1,
        }
    }
    counts
}

fn detail(task: Task, now: Moment) -> TaskDetail {
    let until = task.ended_at.or_else(|| matches!(task.status.as_str(), "running" | "waiting").then_some(now));
    let duration = task.started_at.zip(until).map(|(start, end)| (end.micros() - start.micros()).max(0) / 1000);
    TaskDetail {
        workflow: task.workflow,
        name: task.name,
        stage: task.stage,
        status: task.status,
        kind: task.kind,
        message: task.message,
        error: task.error,
        skip_reason: task.skip_reason,
        changed: task.changed,
        cached: task.cached,
        ignored: task.ignored,
        attempts: task.attempts,
        agent: "local".to_owned(),
        started_at: task.started_at.map(Moment::rfc3339),
        finished_at: task.ended_at.map(Moment::rfc3339),
        duration_ms: duration,
        exit_code: task.exit_code,
        output: json(task.output.as_deref()),
    }
}
