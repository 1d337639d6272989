//! The knobs of workflows, stages and tasks.

use std::collections::BTreeMap;

use super::graph::FnRef;

/// When and how often a failed attempt is tried again.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Retry {
    /// Attempts in all, at least 1.
    pub max_attempts: u32,
    /// How delays grow.
    pub backoff: Backoff,
    /// First delay, milliseconds.
    pub delay_ms: u64,
    /// Growth of `exponential`.
    pub multiplier: f64,
    /// Cap, milliseconds.
    pub max_delay_ms: u64,
    /// 0 to 1: the delay is multiplied by a random factor in `[1-j, 1+j]`.
    pub jitter: f64,
    /// Kinds that are worth another try; `None`: all but `cancelled`, `definition`, `denied`.
    pub kinds: Option<Vec<String>>,
    /// Or a function that decides.
    pub decide: Option<FnRef>,
}

/// Growth of delays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum Backoff {
    Fixed,
    Linear,
    #[default]
    Exponential,
    Fibonacci,
}

/// Guard of a whole task.
#[derive(Clone, Debug, PartialEq)]
pub struct Circuit {
    /// Consecutive failures that open it.
    pub failure_threshold: u32,
    /// Milliseconds until it is tried again.
    pub recovery_timeout_ms: u64,
    /// Trials at once while half open.
    pub half_open_requests: u32,
}

impl Default for Circuit {
    fn default() -> Self {
        Circuit { failure_threshold: 5, recovery_timeout_ms: 60_000, half_open_requests: 2 }
    }
}

/// Requests (admission) and limits (cgroup) of a task. CPU in thousandths, sizes in bytes, bandwidth in bit/s.
#[derive(Clone, Debug, PartialEq, Default)]
#[allow(missing_docs)]
pub struct Resources {
    pub cpu_request: Option<u64>,
    pub cpu_limit: Option<u64>,
    pub memory_request: Option<u64>,
    pub memory_limit: Option<u64>,
    pub disk_request: Option<u64>,
    pub disk_limit: Option<u64>,
    pub network_request: Option<u64>,
    pub network_limit: Option<u64>,
    pub pids: Option<u64>,
    /// Named ones, such as `gpu`.
    pub named: BTreeMap<String, u64>,
}

/// What happens to a task that was running when its worker died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum OnResume {
    #[default]
    Retry,
    Fail,
    Skip,
}

/// After an unhandled failure of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum FailurePolicy {
    #[default]
    Stop,
    Continue,
    Rollback,
}

/// After the failure of a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum WorkflowFailure {
    #[default]
    None,
    Rollback,
    Compensate,
    /// A function, among the handlers.
    Function,
}

/// Implicit order between tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum Ordering {
    #[default]
    Parallel,
    Listed,
}

/// How ready tasks are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum Resolution {
    #[default]
    Parallel,
    Topological,
    Streaming,
}

/// What a new run does when its concurrency group is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum OnConflict {
    #[default]
    Queue,
    Skip,
    CancelRunning,
}

/// Configuration of a workflow. `None`: the default of the run applies.
#[derive(Clone, Debug, PartialEq, Default)]
#[allow(missing_docs)]
pub struct Config {
    pub timeout_ms: Option<u64>,
    pub max_parallel: Option<u32>,
    pub ordering: Ordering,
    pub on_task_failure: FailurePolicy,
    pub fail_fast: bool,
    pub task_retry: Option<Retry>,
    pub create_workdir: bool,
    pub clean_workdir: bool,
    pub require_lock: Option<bool>,
    pub create_snapshot: bool,
    pub snapshot_after: bool,
    pub validate_before: bool,
    pub detect_drift: bool,
    pub on_failure: WorkflowFailure,
    pub resolution: Resolution,
    pub priority: i32,
    pub concurrency_group: Option<String>,
    pub concurrency_limit: Option<u32>,
    pub on_conflict: OnConflict,
    pub not_resumable: bool,
    pub depends_on_stacks: Vec<String>,
    /// Names of tasks whose failure is ignored (`error_handling.ignore`).
    pub ignore: Vec<String>,
    pub artifact_retention_ms: Option<u64>,
}

/// The global `runner_config`.
#[derive(Clone, Debug, PartialEq, Default)]
#[allow(missing_docs)]
pub struct RunnerConfig {
    pub max_concurrency: Option<u32>,
    pub timeout_default_ms: Option<u64>,
    pub retry_default: Option<u32>,
    pub backoff: Option<Backoff>,
    pub resolution: Resolution,
    pub no_cycle_detection: bool,
    pub no_rollback: bool,
    pub no_compensation: bool,
    pub no_events: bool,
    pub checkpoint_interval_ms: Option<u64>,
    /// By name; `default` applies to the others.
    pub circuits: BTreeMap<String, Circuit>,
    pub memory_limit: Option<u64>,
}
