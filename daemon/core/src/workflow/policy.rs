//! The knobs of workflows, stages and tasks.

use std::collections::BTreeMap;

use super::graph::FnRef;

/// When and how often a failed attempt is tried again.
#[derive(Clone, Debug, PartialEq)]
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

impl Default for Retry {
    /// One attempt; the delays, should there be more, are 1 s, 2 s, 4 s … 60 s.
    fn default() -> Self {
        Retry {
            max_attempts: 1,
            backoff: Backoff::Exponential,
            delay_ms: 1_000,
            multiplier: 2.0,
            max_delay_ms: 60_000,
            jitter: 0.0,
            kinds: None,
            decide: None,
        }
    }
}

impl Retry {
    /// Kinds of failure that are never tried again.
    pub const NEVER: [&'static str; 3] = ["cancelled", "definition", "denied"];

    /// The default with this many retries after the first attempt.
    pub fn times(retries: u32) -> Retry {
        Retry { max_attempts: retries.saturating_add(1), ..Retry::default() }
    }

    /// Whether a failure of this kind is worth another try. A function that decides has the last word.
    pub fn covers(&self, kind: &str) -> bool {
        !Retry::NEVER.contains(&kind) && self.kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|one| one == kind))
    }

    /// Milliseconds before retry number `retry` (from 1). `random` is in `[0, 1)`. The cap also holds with jitter.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
    pub fn delay(&self, retry: u32, random: f64) -> u64 {
        let first = self.delay_ms as f64;
        let cap = self.max_delay_ms as f64;
        let retry = retry.max(1);
        let grown = match self.backoff {
            Backoff::Fixed => first,
            Backoff::Linear => first * f64::from(retry),
            Backoff::Exponential => first * self.multiplier.max(1.0).powf(f64::from(retry - 1)),
            Backoff::Fibonacci => first * fibonacci(retry),
        };
        let jitter = self.jitter.clamp(0.0, 1.0);
        let factor = 1.0 - jitter + 2.0 * jitter * random.clamp(0.0, 1.0);
        (grown.min(cap) * factor).min(cap).round() as u64
    }
}

/// 1, 1, 2, 3, 5 …
fn fibonacci(n: u32) -> f64 {
    // Beyond this the cap has long been reached.
    (1..n.min(1_000)).fold((1.0_f64, 1.0_f64), |(a, b), _| (b, a + b)).0
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

impl Backoff {
    /// All, with their names.
    pub const ALL: [(&'static str, Backoff); 4] = [
        ("fixed", Backoff::Fixed),
        ("linear", Backoff::Linear),
        ("exponential", Backoff::Exponential),
        ("fibonacci", Backoff::Fibonacci),
    ];

    /// By its name.
    pub fn from_name(name: &str) -> Option<Backoff> {
        Backoff::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, backoff)| backoff)
    }
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

#[cfg(test)]
mod tests {
    use super::{Backoff, Retry};

    fn delays(retry: &Retry, random: f64) -> Vec<u64> {
        (1..=6).map(|n| retry.delay(n, random)).collect()
    }

    #[test]
    fn delay_before_retry_i_is_d_or_d_times_i_or_d_times_m_to_the_i_minus_1_or_d_times_fib() {
        let with = |backoff| Retry { backoff, delay_ms: 1_000, ..Retry::default() };
        assert_eq!(delays(&with(Backoff::Fixed), 0.3), [1_000; 6]);
        assert_eq!(delays(&with(Backoff::Linear), 0.3), [1_000, 2_000, 3_000, 4_000, 5_000, 6_000]);
        assert_eq!(delays(&with(Backoff::Exponential), 0.3), [1_000, 2_000, 4_000, 8_000, 16_000, 32_000]);
        assert_eq!(delays(&with(Backoff::Fibonacci), 0.3), [1_000, 1_000, 2_000, 3_000, 5_000, 8_000]);
    }

    #[test]
    fn a_delay_is_capped_and_never_overflows() {
        let retry = Retry { max_delay_ms: 5_000, ..Retry::default() };
        assert_eq!(delays(&retry, 0.0), [1_000, 2_000, 4_000, 5_000, 5_000, 5_000]);
        for (_, backoff) in Backoff::ALL {
            let retry = Retry { backoff, delay_ms: u64::MAX, max_delay_ms: u64::MAX, ..Retry::default() };
            assert_eq!(retry.delay(u32::MAX, 0.5), u64::MAX);
        }
    }

    #[test]
    fn jitter_multiplies_by_a_factor_between_1_minus_j_and_1_plus_j() {
        let retry = Retry { jitter: 0.2, backoff: Backoff::Fixed, ..Retry::default() };
        assert_eq!((retry.delay(1, 0.0), retry.delay(1, 0.5), retry.delay(1, 1.0)), (800, 1_000, 1_200));
        let capped = Retry { max_delay_ms: 1_000, ..retry };
        assert_eq!(capped.delay(1, 1.0), 1_000, "the cap holds with jitter, too");
    }

    #[test]
    fn cancelled_definition_and_denied_are_never_retried() {
        let all = Retry::times(2);
        assert_eq!(all.max_attempts, 3);
        assert!(all.covers("timeout") && all.covers("exit"));
        assert!(!all.covers("cancelled") && !all.covers("definition") && !all.covers("denied"));
        let some = Retry { kinds: Some(vec!["timeout".into(), "denied".into()]), ..all };
        assert!(some.covers("timeout") && !some.covers("exit") && !some.covers("denied"));
    }
}
