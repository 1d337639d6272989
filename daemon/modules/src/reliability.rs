//! The module `reliability`: calls that are repeated, bounded or given up. The circuits are those of `flow`, which slothd
//! keeps for all runs.

use sloth_lua::{Body, BoxFuture, Call, Data, Failure, Function, Module, Param, Reply, Tier, Type};

use crate::describe::{any, give, luau, may, need, value};
use crate::documents::json;

/// The module `reliability`.
pub const MODULE: Module = Module {
    name: "reliability",
    aliases: &[],
    tier: Tier::Here,
    about: "Retries, circuit breakers, bulkheads, fallbacks.",
    functions: FUNCTIONS,
    prelude: concat!(include_str!("forms.luau"), include_str!("reliability.luau")),
};

const FN: Param = need("fn", Type::Function);
const NAME: Param = need("name", Type::Str);

const FUNCTIONS: &[Function] = &[
    luau(
        "retry",
        &[need("max", Type::Int), need("delay", Type::Duration), FN],
        "...any",
        "Calls a function up to `max` times.",
    ),
    luau(
        "retry_with_config",
        &[need("config", Type::Map), FN],
        "...any",
        "Calls a function until it works, with a strategy.",
    ),
    luau(
        "circuit_breaker",
        &[NAME, may("config", Type::Map, "{}"), FN],
        "...any",
        "Calls a function unless it has failed too often.",
    ),
    luau("get_circuit_stats", &[NAME], "{state: string}", "Counts of this run, and the state that slothd keeps."),
    luau("reset_circuit", &[NAME], "boolean", "Closes a circuit."),
    luau("list_circuits", &[], "{any}", "All circuits that slothd keeps."),
    luau("timeout", &[need("seconds", Type::Duration), FN], "...any", "Calls a function and gives it up after a time."),
    luau(
        "bulkhead",
        &[NAME, need("n", Type::Int), FN],
        "...any",
        "Calls a function unless `n` calls of that name are running.",
    ),
    luau("fallback", &[FN, need("alt", Type::Function)], "...any", "Calls another function when one fails."),
    value(
        "_ask",
        &[need("what", Type::Str), may("body", Type::Map, "{}")],
        "any",
        "Asks slothd about circuits.",
        Body::Async(ask),
    ),
];

/// The requests that the prelude makes.
const ASKS: [&str; 5] = ["circuit.enter", "circuit.result", "circuit.status", "circuit.list", "circuit.reset"];

fn ask(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let wanted = call.args.text("what")?;
        let what = ASKS.into_iter().find(|what| *what == wanted);
        let what = what.ok_or_else(|| Failure::argument("what", format_args!("{wanted:?} is not asked for")))?;
        let body = match any(&call.args, "body") {
            Data::Map(entries) => Data::Map(entries),
            _ => Data::Map(Vec::new()),
        };
        let answer =
            call.ctx.daemon.ask(what, body.to_json()).await.map_err(|trouble| Failure::new(trouble.to_string()))?;
        give(json::to_data(answer, false))
    })
}
