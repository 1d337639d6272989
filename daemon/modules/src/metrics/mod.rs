//! The module `metrics`: values that a script measures, and the load of the host.

mod host;
mod registry;

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use sloth_lua::{
    Args, Body, BoxFuture, Call, Data, Failure, Function, LogLevel, LogLine, Module, Param, Reply, Stream, Tier, Type,
};

use self::registry::{Measured, REGISTRY, Series, describe};
use crate::describe::{blocking, give, luau, may, named, need, number, pure, value};

/// The module `metrics`.
pub const MODULE: Module = Module {
    name: "metrics",
    aliases: &[],
    tier: Tier::Here,
    about: "Measurements, alerts, load of the host.",
    functions: FUNCTIONS,
    prelude: concat!(include_str!("../forms.luau"), include_str!("metrics.luau")),
};

const NAME: Param = named("name", &["n"], Type::Str);
const V: Param = named("value", &["v"], Type::Num);
const TAGS: Param = may("tags", Type::Map, "{}");

const FUNCTIONS: &[Function] = &[
    value(
        "system_cpu",
        &[],
        "number",
        "Percent of the processors that are busy.",
        Body::Async(|call| Box::pin(async move { give(host::cpu(&call).await?) })),
    ),
    pure(
        "system_memory",
        &[],
        "{used_mb: number, total_mb: number, percent: number, available_mb: number}",
        "Memory of the host.",
        |_| give(host::memory()?.1),
    ),
    blocking(
        "system_disk",
        &[may("path", Type::Str, "\"/\"")],
        "{used_gb: number, total_gb: number, percent: number, free_gb: number}",
        "Space of a file system.",
        |call| give(host::disk(&call.ctx.resolve(&call.args.opt_text("path").unwrap_or_else(|| "/".into())))?.1),
    ),
    luau("runtime_info", &[], "{[string]: any}", "The VM of this run: coroutines, memory, version."),
    pure("_runtime", &[], "{[string]: any}", "What the prelude cannot know.", |_| runtime()),
    pure("gauge", &[NAME, V, TAGS], "boolean", "Sets a value.", |a| take(a, Measured::Gauge(number(a, "value")?))),
    pure(
        "counter",
        &[NAME, Param { aliases: &["value"], ..may("inc", Type::Num, "1") }, TAGS],
        "boolean",
        "Adds to a counter.",
        |a| take(a, Measured::Counter(a.num("inc").unwrap_or(1.0))),
    ),
    pure("histogram", &[NAME, V, TAGS], "boolean", "Adds an observation, durations in seconds.", |a| {
        take(a, Measured::Observed(number(a, "value")?))
    }),
    luau(
        "timer",
        &[NAME, need("fn", Type::Function), TAGS],
        "(number, ...any)",
        "Calls a function; milliseconds, then its results.",
    ),
    pure(
        "get_custom",
        &[NAME],
        "any",
        "A measured value: a table, or a list of them where there are several series.",
        |a| {
            let name = a.text("name")?;
            let mut found: Vec<Data> =
                REGISTRY.snapshot(Some(&name)).iter().map(|(series, value)| describe(series, value)).collect();
            match found.len() {
                0 => Err(Failure::new(format!("nothing was measured as {name}"))),
                1 => give(found.remove(0)),
                _ => give(Data::List(found)),
            }
        },
    ),
    pure("list_custom", &[], "{any}", "All measured values.", |_| {
        give(Data::List(REGISTRY.snapshot(None).iter().map(|(series, value)| describe(series, value)).collect()))
    }),
    value(
        "alert",
        &[NAME, may("options", Type::Map, "{}")],
        "boolean",
        "Says that something needs attention: level, message, threshold, value. Once, until `firing = false` ends it.",
        Body::Now(alert),
    ),
    value(
        "health_status",
        &[],
        "{overall: string, cpu: any, memory: any, disk: any, timestamp: number}",
        "Whether the host is well.",
        Body::Async(health),
    ),
];

fn take(args: &Args, measured: Measured) -> Reply {
    REGISTRY.take(Series::of(&args.text("name")?, args.get("tags"))?, measured)?;
    give(true)
}

#[allow(clippy::cast_precision_loss)] // few processors
fn runtime() -> Reply {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut entries = vec![
        ("num_cpu".to_owned(), Data::Num(cores as f64)),
        ("version".to_owned(), Data::text(env!("CARGO_PKG_VERSION"))),
    ];
    if let Some(bytes) = host::resident() {
        entries.push(("heap_sys_mb".to_owned(), Data::Num((bytes / 1024.0 / 1024.0 * 100.0).round() / 100.0)));
    }
    give(Data::Map(entries))
}

/// Alerts that are firing, by run and name.
static FIRING: Mutex<Option<HashSet<(String, String)>>> = Mutex::new(None);

/// One log line per alert, with the event as fields; the daemon makes an event of it when it keeps alerts.
fn alert(call: &Call) -> Reply {
    let name = call.args.text("name")?;
    let empty = Data::Map(Vec::new());
    let options = call.args.get("options").unwrap_or(&empty);
    let level = options.get("level").and_then(Data::to_text).unwrap_or_else(|| "warning".into());
    let severity = match level.as_str() {
        "info" => LogLevel::Info,
        "warning" | "warn" => LogLevel::Warn,
        "error" | "critical" => LogLevel::Error,
        other => {
            return Err(Failure::argument(
                "level",
                format_args!("info, warning, error or critical expected, got {other:?}"),
            ));
        }
    };
    let ends = options.get("firing") == Some(&Data::Bool(false));
    let key = (call.ctx.run.id.clone(), name.clone());
    let news = {
        let mut firing = FIRING.lock().unwrap_or_else(PoisonError::into_inner);
        let firing = firing.get_or_insert_with(HashSet::new);
        if ends { firing.remove(&key) } else { firing.insert(key) }
    };
    if news && !call.ctx.is_simulated() {
        let event = if ends { "alert.resolved" } else { "alert.firing" };
        let text = options.get("message").and_then(Data::to_text).unwrap_or_else(|| name.clone());
        let mut fields = serde_json::Map::new();
        fields.insert("event".into(), event.into());
        fields.insert("alert".into(), name.clone().into());
        fields.insert("level".into(), level.into());
        for key in ["threshold", "value"] {
            if let Some(value) = options.get(key) {
                fields.insert(key.into(), value.to_json());
            }
        }
        call.ctx.log.line(LogLine {
            workflow: call.ctx.workflow.clone(),
            task: call.ctx.task.clone(),
            attempt: call.ctx.attempt,
            level: severity,
            stream: Stream::Log,
            message: format!("alert {name}: {text}"),
            fields,
        });
    }
    give(true)
}

/// Above these percentages a part is not well.
const WARNING: f64 = 80.0;
const CRITICAL: f64 = 95.0;

fn health(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let cpu = host::cpu(&call).await?;
        let memory = host::memory()?.0;
        let disk = tokio::task::spawn_blocking(|| host::disk(std::path::Path::new("/")));
        let disk = disk.await.map_err(|error| Failure::new(error.to_string()))??.0;
        let rank = |usage: f64| usize::from(usage >= WARNING) + usize::from(usage >= CRITICAL);
        let word = |rank: usize| ["healthy", "warning", "critical"][rank];
        let part = |usage: f64| Data::map([("usage", Data::Num(usage)), ("status", Data::text(word(rank(usage))))]);
        let worst = [cpu, memory, disk].map(rank).into_iter().max().unwrap_or(0);
        give(Data::map([
            ("overall", Data::text(word(worst))),
            ("cpu", part(cpu)),
            ("memory", part(memory)),
            ("disk", part(disk)),
            ("timestamp", Data::from(jiff::Timestamp::now().as_second())),
        ]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Caller;

    /// "stores and emits `alert.firing`, deduplicated while firing".
    #[test]
    fn an_alert_is_said_once() {
        let caller = Caller::new();
        let options = |firing: bool| {
            Data::map([("message", Data::text("full")), ("value", Data::Num(97.0)), ("firing", Data::Bool(firing))])
        };
        let say = |firing| alert(&caller.call(Args::default().with("name", "disk").with("options", options(firing))));
        for firing in [true, true, false, true] {
            say(firing).unwrap();
        }
        assert_eq!(caller.log.messages(), ["alert disk: full"; 3]);
        let wrong = Args::default().with("name", "x").with("options", Data::map([("level", Data::text("loud"))]));
        assert!(alert(&caller.call(wrong)).unwrap_err().raise);
    }

    #[tokio::test]
    async fn the_host_has_a_health() {
        let health = health(Caller::new().call(Args::default())).await.unwrap().remove(0);
        assert!(health.get("cpu").unwrap().get("usage").is_some());
        assert!(
            ["healthy", "warning", "critical"].contains(&health.get("overall").unwrap().to_text().unwrap().as_str())
        );
    }
}
