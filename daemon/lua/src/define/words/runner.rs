//! The global `runner_config`.

use sloth_core::workflow::{Circuit, RunnerConfig, suggest};

use super::config::resolution;
use crate::define::desk::Desk;
use crate::define::fault::Fault;
use crate::define::raw::{Raw, RawTable};
use crate::define::read;

/// Keys with their Luau types and meaning.
pub(super) const KEYS: &[(&str, &str, &str)] = &[
    ("max_concurrency", "number", "Tasks at once in this run."),
    ("timeout_default", "Duration", "Of tasks without their own."),
    ("retry_default", "number", "Of tasks without their own."),
    ("backoff_strategy", "Strategy", "Of tasks without their own."),
    ("dependency_resolution", "\"parallel\" | \"topological\" | \"streaming\"", "How ready tasks are taken."),
    ("cycle_detection", "boolean", "False: members of a cycle fail when the run reaches them."),
    ("lazy_loading", "boolean", "Modules load at first use, always."),
    ("state_persistence", "boolean", "False: state of this run stays in memory."),
    ("state_store", "\"sqlite\" | \"memory\"", "Where state is kept."),
    ("state_encryption", "boolean", "Encrypts values written by this run."),
    ("enable_rollback", "boolean", "Rollback works."),
    ("compensation_enabled", "boolean", "Compensation works."),
    ("checkpoint_interval", "Duration", "Automatic checkpoints."),
    ("enable_metrics", "boolean", "Metrics of this run."),
    ("enable_tracing", "boolean", "Traces of this run."),
    ("enable_events", "boolean", "False suppresses user hooks for the run."),
    ("metrics_interval", "Duration", "Period of metrics."),
    ("plugins_enabled", "boolean", "Plugins may be loaded."),
    ("plugin_search_paths", "{string}", "Where plugins are looked for."),
    (
        "resource_limits",
        "{max_memory: any, max_cpu: any, max_disk: any, max_network_bandwidth: any}",
        "Limits of the run.",
    ),
    ("optimization_level", "\"none\" | \"basic\" | \"advanced\" | \"aggressive\"", "How tasks are ordered and cached."),
    ("security", "{[string]: boolean}", "What the daemon must have switched on."),
    ("circuit_breakers", "{[string]: Circuit}", "By circuit name; `default` for the others."),
    ("cache", "{ttl: Duration}", "Result cache."),
];

/// Reads the table; every problem is told, not only the first.
pub(crate) fn runner_config(raw: &Raw, desk: &Desk) -> RunnerConfig {
    let mut config = RunnerConfig::default();
    let table = match raw {
        Raw::Nil => return config,
        Raw::Table(table) => table,
        other => {
            desk.report(Fault::wrong("table", other.type_name()).about("runner_config"));
            return config;
        }
    };
    for (name, value) in &table.map {
        if let Err(fault) = key(&mut config, name, value, desk) {
            desk.report(fault.about(&format!("runner_config.{name}")));
        }
    }
    config
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // in range
fn key(config: &mut RunnerConfig, name: &str, value: &Raw, desk: &Desk) -> Result<(), Fault> {
    match name {
        "max_concurrency" => config.max_concurrency = Some(read::int(value, 1, 100_000)? as u32),
        "timeout_default" => config.timeout_default_ms = Some(read::duration_ms(value)?),
        "retry_default" => config.retry_default = Some(read::int(value, 0, 1_000_000)? as u32),
        "backoff_strategy" => config.backoff = Some(read::backoff(value)?),
        "dependency_resolution" => config.resolution = resolution(value)?,
        "cycle_detection" => config.no_cycle_detection = !read::boolean(value)?,
        "enable_rollback" => config.no_rollback = !read::boolean(value)?,
        "compensation_enabled" => config.no_compensation = !read::boolean(value)?,
        "enable_events" => config.no_events = !read::boolean(value)?,
        "checkpoint_interval" => config.checkpoint_interval_ms = read::optional_duration(value)?,
        "state_store" => match read::text(value)?.as_str() {
            "sqlite" | "memory" => {}
            other => {
                return Err(Fault::new("E121", format!("unsupported state store {other:?}")).hint("sqlite or memory"));
            }
        },
        "resource_limits" => {
            limits(config, value.table().ok_or_else(|| Fault::wrong("table", value.type_name()))?, desk)?
        }
        "circuit_breakers" => circuits(config, value, desk)?,
        "optimization_level" => {
            let levels = [("none", ()), ("basic", ()), ("advanced", ()), ("aggressive", ())];
            super::config::choice("optimization_level", value, &levels)?;
        }
        "lazy_loading" | "state_persistence" | "state_encryption" | "enable_metrics" | "enable_tracing"
        | "plugins_enabled" => {
            read::boolean(value)?;
        }
        "metrics_interval" => {
            read::duration_ms(value)?;
        }
        "security" => security(value)?,
        "plugin_search_paths" => {
            read::strings(std::slice::from_ref(value))?;
        }
        "cache" => {
            if let Some(ttl) = value.table().and_then(|table| table.get("ttl")) {
                read::duration_ms(ttl)?;
            }
        }
        unknown => {
            let near = suggest(unknown, KEYS.iter().map(|(name, ..)| *name));
            desk.warn(Fault::new("W120", format!("unknown key runner_config.{unknown}")).did_you_mean(near));
        }
    }
    Ok(())
}

/// True asks for something that the daemon must have; this build can promise none of it.
fn security(value: &Raw) -> Result<(), Fault> {
    let table = value.table().ok_or_else(|| Fault::wrong("table", value.type_name()))?;
    match table.map.iter().find(|(_, wanted)| matches!(wanted, Raw::Bool(true))) {
        Some((name, _)) => Err(Fault::absent(name)),
        None => Ok(()),
    }
}

fn limits(config: &mut RunnerConfig, table: &RawTable, desk: &Desk) -> Result<(), Fault> {
    desk.unknown_keys("resource_limits", table, &["max_memory", "max_cpu", "max_disk", "max_network_bandwidth"]);
    if let Some(memory) = table.get("max_memory") {
        config.memory_limit = Some(read::size(memory)?);
    }
    Ok(())
}

fn circuits(config: &mut RunnerConfig, value: &Raw, desk: &Desk) -> Result<(), Fault> {
    let table = value.table().ok_or_else(|| Fault::wrong("table", value.type_name()))?;
    let default = match table.get("default") {
        Some(raw) => read::circuit(Circuit::default(), raw, desk)?,
        None => Circuit::default(),
    };
    for (name, raw) in &table.map {
        config.circuits.insert(name.clone(), read::circuit(default.clone(), raw, desk)?);
    }
    Ok(())
}
