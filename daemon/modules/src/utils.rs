//! The module `utils`: configuration and small conveniences.

use sloth_lua::{Body, BoxFuture, Call, Data, Failure, Family, Function, Module, Reply, Tier, Type};

use crate::crypto::uuid_v4;
use crate::describe::{any, family, give, luau, may, named, need, pure, value};
use crate::documents::{JSON, Style, json};

/// The module `utils`.
pub const MODULE: Module = Module {
    name: "utils",
    aliases: &[],
    tier: Tier::Here,
    about: "Configuration, environment, copies of tables.",
    functions: FUNCTIONS,
    prelude: concat!(include_str!("forms.luau"), include_str!("utils.luau")),
};

const FUNCTIONS: &[Function] = &[
    luau(
        "config",
        &[need("key", Type::Str), may("default", Type::Any, "nil")],
        "any",
        "From the values, else the environment (`SLOTH_<KEY>`), else the table `[user]` of slothd, else the default.",
    ),
    value("_config", &[need("key", Type::Str)], "any", "Environment and slothd's table.", Body::Async(config)),
    value(
        "secret",
        &[named("key", &["name"], Type::Str)],
        "string",
        "A secret.",
        Body::Now(|_| Err(Failure::new("utils.secret is not available in this build"))),
    ),
    value(
        "env",
        &[need("name", Type::Str), may("default", Type::Any, "nil")],
        "string?",
        "A variable of the task's environment.",
        Body::Now(|call| {
            let name = call.args.text("name")?;
            give(variable(call, &name).map_or_else(|| any(&call.args, "default"), Data::from))
        }),
    ),
    pure("uuid", &[], "string", "A random UUID.", |_| give(uuid_v4())),
    pure("hostname", &[], "string", "Name of this host.", |_| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
        give(name.trim_end())
    }),
    pure("now", &[], "number", "Seconds since 1970, whole.", |_| give(jiff::Timestamp::now().as_second())),
    luau("deep_copy", &[need("t", Type::Any)], "any", "A copy of a table and all tables in it."),
    luau(
        "merge",
        &[need("a", Type::Map), need("b", Type::Map)],
        "{[any]: any}",
        "A new table: a, and b over it, deeply.",
    ),
    pure("dump", &[named("value", &["v"], Type::Any)], "string", "A value as people read it.", |a| {
        let value = any(a, "value");
        match value {
            Data::Str(_) | Data::Num(_) => give(value.to_text()),
            value => give(JSON.write(&value, Style { pretty: true, sort_keys: true })?),
        }
    }),
    family(luau("sleep", &[named("seconds", &["s"], Type::Duration)], "()", "Waits."), Family::Raw),
];

/// A variable of the calling task.
fn variable(call: &Call, name: &str) -> Option<String> {
    let changed = call.ctx.env.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(name).cloned();
    match changed {
        Some(value) => value,
        None => std::env::var(name).ok(),
    }
}

/// `SLOTH_<KEY>`, then slothd's `[user]` table; dots and dashes become underscores in the name of the variable.
fn config(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let key = call.args.text("key")?;
        let name: String = key
            .chars()
            .map(|letter| if letter.is_alphanumeric() { letter.to_ascii_uppercase() } else { '_' })
            .collect();
        if let Some(value) = variable(&call, &format!("SLOTH_{name}")) {
            return give(value);
        }
        let table = call
            .ctx
            .daemon
            .ask("config.user", serde_json::json!({}))
            .await
            .map_err(|trouble| Failure::new(format!("utils.config {key}: {trouble}")))?;
        let found = key.split('.').try_fold(&table, |value, step| value.get(step)).or_else(|| table.get(&key));
        give(found.map_or(Data::Nil, |value| json::to_data(value.clone(), false)))
    })
}
