//! What holds for one execution of a workflow: its own configuration, the defaults of the daemon and what the command
//! line overrides, brought together once.

use std::collections::BTreeMap;

use super::super::graph::{Task, TaskId, Workflow};
use super::super::policy::{Backoff, FailurePolicy, Resolution, Resources, Retry, RunnerConfig};

/// Most records of beginnings that are on their way to the disk ahead of a free slot.
const WINDOW: u32 = 256;

/// Effective settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Tasks at once.
    pub slots: u32,
    /// Beginnings that may be recorded ahead of a free slot.
    pub window: u32,
    /// Of an attempt without its own; 0: none.
    pub task_timeout_ms: u64,
    /// Of tasks without their own.
    pub retry: Retry,
    /// Of the whole.
    pub timeout_ms: Option<u64>,
    /// Go on with what does not depend on a failure.
    pub continue_on_error: bool,
    /// Cancel running tasks at the first failure.
    pub fail_fast: bool,
    /// Compensations run after a failure.
    pub compensate: bool,
    /// `rollback` works.
    pub rollback: bool,
    /// What tasks may request; a resource that is not named is not limited.
    pub capacity: BTreeMap<String, u64>,
    /// By task; empty: all.
    pub selected: Vec<bool>,
    /// Mean duration of earlier runs by task, 0 or absent: unknown.
    pub durations: Vec<u64>,
    /// Of jitter.
    pub seed: u64,
    /// Nothing begins before [`super::Input::Unpaused`].
    pub paused: bool,
}

/// Defaults of the daemon and what the command line says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// CPUs of the host.
    pub cpus: u32,
    /// Slots, from the command line.
    pub max_parallel: Option<u32>,
    /// Retries of tasks without their own, from the command line.
    pub retries: Option<u32>,
    /// Of the run, from the command line.
    pub timeout_ms: Option<u64>,
    /// From the command line.
    pub continue_on_error: bool,
    /// From the command line.
    pub fail_fast: bool,
    /// From the command line.
    pub no_compensate: bool,
    /// The daemon's bound on slots; 0: none.
    pub max_tasks: u32,
    /// The daemon's default; 0: none.
    pub task_timeout_ms: u64,
    /// The daemon's default.
    pub retry_default: u32,
    /// The daemon's.
    pub capacity: BTreeMap<String, u64>,
}

/// A task that could never start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("task \"{task}\" requests {requested} of {resource}, but there is only {capacity}")]
#[allow(missing_docs)]
pub struct TooLarge {
    pub task: String,
    pub resource: String,
    pub requested: u64,
    pub capacity: u64,
}

impl Settings {
    /// Brings them together.
    pub fn new(workflow: &Workflow, runner: &RunnerConfig, given: &Overrides) -> Settings {
        let config = &workflow.config;
        let usual = given.cpus.saturating_mul(2).max(4);
        let mut slots = given.max_parallel.or(config.max_parallel).or(runner.max_concurrency).unwrap_or(usual).max(1);
        if given.max_tasks > 0 {
            slots = slots.min(given.max_tasks);
        }
        let topological = Resolution::Topological;
        if given.max_parallel.is_none() && (config.resolution == topological || runner.resolution == topological) {
            slots = 1;
        }
        let retries = given.retries.or(runner.retry_default).unwrap_or(given.retry_default);
        let usual_retry = Retry { backoff: runner.backoff.unwrap_or(Backoff::Exponential), ..Retry::times(retries) };
        let retry = match (&config.task_retry, given.retries) {
            (Some(own), None) => own.clone(),
            (Some(own), Some(_)) => Retry { max_attempts: usual_retry.max_attempts, ..own.clone() },
            (None, _) => usual_retry,
        };
        Settings {
            slots,
            window: WINDOW,
            task_timeout_ms: runner.timeout_default_ms.unwrap_or(given.task_timeout_ms),
            retry,
            timeout_ms: given.timeout_ms.or(config.timeout_ms),
            continue_on_error: given.continue_on_error || config.on_task_failure == FailurePolicy::Continue,
            fail_fast: given.fail_fast || config.fail_fast,
            compensate: !given.no_compensate && !runner.no_compensation,
            rollback: !runner.no_rollback,
            capacity: given.capacity.clone(),
            selected: Vec::new(),
            durations: Vec::new(),
            seed: 0,
            paused: false,
        }
    }

    /// "A request larger than the capacity is a definition error at run start."
    pub fn check_requests(&self, workflow: &Workflow) -> Result<(), TooLarge> {
        for task in &workflow.tasks {
            for (resource, requested) in requests(&task.resources) {
                let known = self.capacity.get(resource).copied();
                let named = task.resources.named.contains_key(resource);
                if let Some(capacity) = known.or(named.then_some(0)).filter(|capacity| requested > *capacity) {
                    let (task, resource) = (task.name.clone(), resource.to_owned());
                    return Err(TooLarge { task, resource, requested, capacity });
                }
            }
        }
        Ok(())
    }

    pub(super) fn is_selected(&self, task: TaskId) -> bool {
        self.selected.get(task.0 as usize).copied().unwrap_or(true)
    }

    pub(super) fn fits(&self, task: &Task, used: &BTreeMap<String, u64>) -> bool {
        requests(&task.resources).all(|(name, amount)| {
            let taken = used.get(name).copied().unwrap_or(0);
            self.capacity.get(name).is_none_or(|capacity| taken.saturating_add(amount) <= *capacity)
        })
    }
}

/// What a task asks for, by name.
pub(super) fn requests(resources: &Resources) -> impl Iterator<Item = (&str, u64)> {
    let fixed = [
        ("cpu", resources.cpu_request),
        ("memory", resources.memory_request),
        ("disk", resources.disk_request),
        ("network", resources.network_request),
    ];
    let named = resources.named.iter().map(|(name, amount)| (name.as_str(), *amount));
    fixed.into_iter().filter_map(|(name, amount)| Some((name, amount?))).chain(named)
}
