//! The settings of workflow runs: `[engine]` and `[lua]`. They apply to new runs after a reload.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use sloth_api::worker::EngineLimits;
use sloth_core::machine::WorkerLimits;
use sloth_core::units;
use sloth_service::WorkflowSettings;
use toml::Value;

use crate::setting_checks::{Check, DAY};

/// Validated.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineSettings {
    /// What the engine allows.
    pub workers: WorkerLimits,
    /// What runs without a schedule get.
    pub runs: WorkflowSettings,
    /// What workers are told; the capacity that is not set is that of the machine.
    pub limits: EngineLimits,
    /// `engine.history_retention`.
    pub history: Duration,
    /// `engine.history_max_runs`.
    pub history_runs: u32,
    /// `engine.worker`.
    pub worker: Option<PathBuf>,
    /// `engine.worker_socket`.
    pub socket: Option<PathBuf>,
    /// `engine.work_dir`.
    pub work_dir: Option<PathBuf>,
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl EngineSettings {
    pub(crate) fn read(check: &mut Check<'_>) -> EngineSettings {
        let second = Duration::from_secs(1);
        let runs = WorkflowSettings {
            queue_timeout: check.span("engine.queue_timeout", second, DAY * 365),
            kill_grace: check.span("engine.kill_grace", Duration::ZERO, Duration::from_secs(3600)),
            log_max: check.size("engine.log_max", 4096, 10 << 30),
        };
        let workers = WorkerLimits {
            max_runs: check.number("engine.max_runs", 1, 100_000) as usize,
            max_runs_per_user: check.number("engine.max_runs_per_user", 1, 100_000) as usize,
            max_queued: check.number("engine.max_queued", 1, 1_000_000) as usize,
            auto_resume: check.number("engine.auto_resume", 0, 1000) as u32,
        };
        let mut capacity = BTreeMap::new();
        capacity.extend(check.cores("engine.capacity.cpu").map(|cpu| ("cpu".to_owned(), cpu)));
        for name in ["memory", "disk"] {
            let key = format!("engine.capacity.{name}");
            capacity.extend(check.size_opt(&key, 0, 1 << 60).map(|bytes| (name.to_owned(), bytes)));
        }
        let named: Vec<_> = check
            .merged
            .free("engine.resources")
            .map(|(name, value, origin)| (name.to_owned(), value.clone(), origin.to_owned()))
            .collect();
        for (name, value, origin) in named {
            match value.as_integer().and_then(|n| u64::try_from(n).ok()) {
                Some(n) => _ = capacity.insert(name, n),
                None => check.problems.push(format!("{origin}: engine.resources.{name}: {value} is no whole number")),
            }
        }
        let limits = EngineLimits {
            task_timeout_ms: ms(check.span("engine.task_timeout_default", Duration::ZERO, DAY * 366)),
            retry_default: check.number("engine.retry_default", 0, 1000) as u32,
            kill_grace_ms: ms(runs.kill_grace),
            max_tasks: check.number("engine.max_tasks", 1, 100_000) as u32,
            vm_memory: check.size("lua.memory_max", 8 << 20, 1 << 40),
            definition_timeout_ms: ms(check.span("lua.definition_timeout", second, Duration::from_secs(3600))),
            max_coroutines: check.number("lua.max_coroutines", 1, 1_000_000) as u32,
            join_timeout_ms: ms(check.span("lua.join_timeout", Duration::ZERO, DAY)),
            log_max: runs.log_max,
            reconnect_timeout_ms: ms(check.span("engine.reconnect_timeout", second, DAY * 7)),
            capacity,
            import_paths: check.words("lua.import_paths"),
        };
        EngineSettings {
            workers,
            runs,
            limits,
            history: check.span("engine.history_retention", Duration::from_secs(3600), DAY * 36_500),
            history_runs: check.number("engine.history_max_runs", 1, 100_000_000) as u32,
            worker: check.path("engine.worker"),
            socket: check.path("engine.worker_socket"),
            work_dir: check.path("engine.work_dir"),
        }
    }
}

impl Check<'_> {
    fn size_opt(&mut self, name: &str, min: u64, max: u64) -> Option<u64> {
        self.read(name, |value| {
            let bytes = match value {
                Value::Integer(n) => u64::try_from(*n).map_err(|_| format!("{n} is no size"))?,
                Value::String(text) => units::parse_size(text).map_err(|error| error.to_string())?,
                other => return Err(format!("{other} is no size such as \"256Mi\"")),
            };
            match (min..=max).contains(&bytes) {
                true => Ok(bytes),
                false => Err(format!("{value} is not between {min} and {max} bytes")),
            }
        })
    }

    fn size(&mut self, name: &str, min: u64, max: u64) -> u64 {
        self.size_opt(name, min, max).unwrap_or_default()
    }

    /// Thousandths of a core.
    fn cores(&mut self, name: &str) -> Option<u64> {
        self.read(name, |value| {
            let text = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            units::parse_cpu(&text).map(u64::from).map_err(|error| error.to_string())
        })
    }
}
