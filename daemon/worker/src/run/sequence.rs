//! The workflows of a run, one after another.

use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Map, Value};
use sloth_api::worker::{Record, RunEnd, TaskEnd};
use sloth_core::workflow::machine::{Overrides, Selection, Settings, Verdict, select};
use sloth_core::workflow::{Defined, Diagnostic, TaskId, Workflow};

use super::Run;
use crate::flow::{Flow, Start};
use crate::graph_json;

/// A workflow that will run, with the parameters that it was selected with.
pub struct Chosen {
    pub workflow: Arc<Workflow>,
    pub params: Map<String, Value>,
}

/// The workflows to run: the one that the command line names, else those selected in the file, else all that are not
/// manual.
pub fn choose(defined: &Defined, wanted: Option<&str>) -> Result<Vec<Chosen>, Diagnostic> {
    let find = |name: &str| defined.workflows.iter().find(|workflow| workflow.name == name);
    let chosen =
        |workflow: &Arc<Workflow>, params: Map<String, Value>| Chosen { workflow: Arc::clone(workflow), params };
    if let Some(name) = wanted {
        let params = defined.selected.iter().find(|(selected, _)| selected == name).map(|(_, params)| params.clone());
        return match find(name) {
            Some(workflow) => Ok(vec![chosen(workflow, params.unwrap_or_default())]),
            None => Err(not_found(name, defined)),
        };
    }
    if !defined.selected.is_empty() {
        let all = defined.selected.iter();
        return all
            .map(|(name, params)| {
                find(name).map(|workflow| chosen(workflow, params.clone())).ok_or_else(|| not_found(name, defined))
            })
            .collect();
    }
    Ok(defined
        .workflows
        .iter()
        .filter(|workflow| !workflow.manual)
        .map(|workflow| chosen(workflow, Map::new()))
        .collect())
}

fn not_found(name: &str, defined: &Defined) -> Diagnostic {
    let names: Vec<&str> = defined.workflows.iter().map(|workflow| workflow.name.as_str()).collect();
    Diagnostic {
        code: "E201",
        message: format!("there is no workflow \"{name}\""),
        place: sloth_core::workflow::Place::default(),
        excerpt: String::new(),
        hint: Some(format!("the file has: {}", names.join(", "))),
    }
}

impl Run {
    /// The settings of one workflow.
    pub fn flow_settings(&self, workflow: &Workflow, started: std::time::Instant) -> Result<Settings, String> {
        let options = &self.job.options;
        let limits = &self.job.limits;
        let left = |limit: u64| {
            let gone = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            limit.saturating_sub(gone).max(1)
        };
        let given = Overrides {
            cpus: std::thread::available_parallelism().map_or(2, |cpus| u32::try_from(cpus.get()).unwrap_or(2)),
            max_parallel: options.max_parallel,
            retries: options.retries,
            timeout_ms: options.timeout_ms.map(left),
            continue_on_error: options.continue_on_error,
            fail_fast: options.fail_fast,
            no_compensate: options.no_compensate,
            max_tasks: limits.max_tasks,
            task_timeout_ms: if limits.task_timeout_ms == 0 { TASK_TIMEOUT_MS } else { limits.task_timeout_ms },
            retry_default: limits.retry_default,
            capacity: limits.capacity.clone(),
        };
        let runner = self.defined().map(|defined| defined.runner.clone()).unwrap_or_default();
        let settings = Settings::new(workflow, &runner, &given);
        settings.check_requests(workflow).map_err(|error| error.to_string())?;
        Ok(Settings { seed: seed_of(&self.info.id, self.worker), paused: self.job.paused, ..settings })
    }

    /// Selection of the command line.
    pub fn selection(&self) -> Selection {
        let options = &self.job.options;
        Selection {
            tasks: options.tasks.clone(),
            no_deps: options.no_deps,
            from: options.from.clone(),
            skip: options.skip.clone(),
            tags: options.tags.clone(),
            skip_tags: options.skip_tags.clone(),
            stage: options.stage.clone(),
        }
    }

    /// Runs all of them; the first failure stops the sequence.
    pub async fn sequence(self: &Rc<Self>, defined: &Defined) -> Result<RunEnd, Diagnostic> {
        let started = std::time::Instant::now();
        let chosen = choose(defined, self.job.options.workflow.as_deref())?;
        let flows = self.prepare(&chosen, started)?;
        if self.job.compensate_only {
            return Ok(self.compensate_rest(&flows).await);
        }
        self.journal.record(Record::Graph {
            workflows: chosen.iter().map(|chosen| chosen.workflow.name.clone()).collect(),
            graph: graph_json::workflows(chosen.iter().map(|chosen| chosen.workflow.as_ref())),
            diagnostics: defined.diagnostics.iter().map(graph_json::diagnostic).collect(),
        });
        self.journal.record(Record::Status { status: if self.job.paused { "paused" } else { "running" }.to_owned() });
        let mut end = RunEnd { status: "completed".to_owned(), compensation: "none".to_owned(), ..RunEnd::default() };
        for flow in flows {
            if end.status != "completed" {
                self.skip_all(&flow, &end);
                continue;
            }
            self.enter(&flow);
            if let Some(order) = self.cancelled.borrow().clone() {
                flow.tell(order.as_input());
            }
            let verdict = flow.drive().await;
            self.vm().end_workflow(&flow.recorded);
            flow.clean_up(verdict.status == "completed").await;
            take(&mut end, &flow, verdict);
        }
        Ok(end)
    }

    /// "`run compensate ID` retries the failed ones": no task runs, and the run ends as it had ended before.
    async fn compensate_rest(self: &Rc<Self>, flows: &[Rc<Flow>]) -> RunEnd {
        let mut end = self.history.last_end.clone().unwrap_or_else(|| RunEnd {
            status: "failed".to_owned(),
            reason: Some("worker_lost".to_owned()),
            ..RunEnd::default()
        });
        let (mut ran, mut failed) = (0, 0);
        for flow in flows {
            self.enter(flow);
            let undone = flow.compensate_rest().await;
            ran += undone.ran;
            failed += undone.failed;
        }
        end.compensation = match (ran, failed) {
            (_, 1..) => "compensation_failed",
            (1.., 0) => "compensated",
            (0, 0) => end.compensation.as_str(),
        }
        .to_owned();
        if failed == 0 && end.reason.as_deref() == Some("compensation_failed") {
            end.reason = Some("task_failed".to_owned());
        }
        end
    }

    /// A flow for each.
    pub fn prepare(
        self: &Rc<Self>,
        chosen: &[Chosen],
        started: std::time::Instant,
    ) -> Result<Vec<Rc<Flow>>, Diagnostic> {
        let flags = self.selection();
        let bad = |message: String| Diagnostic {
            code: "E201",
            message,
            place: sloth_core::workflow::Place::default(),
            excerpt: String::new(),
            hint: None,
        };
        let mut flows = Vec::new();
        for chosen in chosen {
            let mut settings = self.flow_settings(&chosen.workflow, started).map_err(bad)?;
            settings.selected = select(&chosen.workflow, &flags).map_err(|error| bad(error.to_string()))?;
            let from = match &self.job.resume_from {
                Some(name) => Some(self.find_from(&chosen.workflow, name).map_err(bad)?),
                None => None,
            };
            let start = Start {
                workflow: Arc::clone(&chosen.workflow),
                settings,
                recorded: chosen.workflow.name.clone(),
                prefix: String::new(),
                params: Map::new(),
                overrides: chosen.params.clone(),
                from,
            };
            flows.push(Flow::new(self, start).map_err(bad)?);
        }
        Ok(flows)
    }

    fn find_from(&self, workflow: &Workflow, name: &str) -> Result<TaskId, String> {
        let at = workflow.tasks.iter().position(|task| task.name == name || task.declared == name);
        let at = at.and_then(|at| u32::try_from(at).ok());
        at.map(TaskId).ok_or_else(|| format!("--from: the workflow \"{}\" has no task \"{name}\"", workflow.name))
    }

    /// Every task gets its record, those of workflows that are not reached, too.
    fn skip_all(&self, flow: &Flow, end: &RunEnd) {
        let now = crate::clock::millis();
        for task in &flow.workflow.tasks {
            if self.history.end(&flow.recorded, &task.name).is_some() {
                continue;
            }
            let cancelled = end.status == "cancelled";
            let record = TaskEnd {
                workflow: flow.recorded.clone(),
                name: task.name.clone(),
                stage: Some(flow.workflow.stages[task.stage.0 as usize].name.clone()),
                status: if cancelled { "cancelled" } else { "skipped" }.to_owned(),
                message: "not started: an earlier workflow of the run did not complete".to_owned(),
                skip_reason: (!cancelled).then(|| "fail_fast".to_owned()),
                finished_at: now,
                output: serde_json::json!({}),
                ..TaskEnd::default()
            };
            self.journal.record(Record::TaskFinished { end: Box::new(record) });
        }
    }
}

/// "task `timeout`: `timeout_default`, 10m"
const TASK_TIMEOUT_MS: u64 = 600_000;

fn seed_of(run: &str, worker: u32) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (run, worker).hash(&mut hasher);
    hasher.finish()
}

fn take(end: &mut RunEnd, flow: &Flow, verdict: Verdict) {
    verdict.status.clone_into(&mut end.status);
    end.reason = verdict.reason.map(str::to_owned);
    end.message = verdict.message.or_else(|| {
        let failure = flow.first_failure().filter(|_| verdict.status == "failed")?;
        let task = failure.get("task").and_then(Value::as_str).unwrap_or_default();
        let message = failure.get("message").and_then(Value::as_str).unwrap_or_default();
        Some(format!("task \"{task}\" failed: {message}"))
    });
    if verdict.compensation != "none" && end.compensation != "compensation_failed" {
        verdict.compensation.clone_into(&mut end.compensation);
    }
    end.handled |= verdict.handled;
}
