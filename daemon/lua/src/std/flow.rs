//! `async`, `flow`, `circuit`, `perf`.

use super::describe::{fun, module, need, opt, rest};
use crate::module::{Module, Param, Type};

const FN: Param = need("fn", Type::Function);

pub(super) static ASYNC: Module = module(
    "async",
    &[],
    "Functions beside each other, with results and errors by key.",
    &[
        fun(
            "parallel",
            &[need("map", Type::Any), opt("max", Type::Int, "4")],
            "any, any",
            "In a task: results and errors by key. At file level: a descriptor.",
        ),
        fun("sequence", &[need("list", Type::List)], "any, string?", "One after the other, until the first error."),
        fun(
            "timeout",
            &[need("duration", Type::Duration), FN],
            "any, string?",
            "Result of fn, or nil and \"timeout\".",
        ),
        fun("sleep", &[need("ms", Type::Num)], "()", "Waits."),
        rest(fun("run", &[FN], "any", "Starts fn; returns a handle.")),
        fun("await", &[need("handle", Type::Any)], "any, string?", "Result of a handle."),
        fun("all", &[need("list", Type::List)], "any, any", "Results of handles or functions."),
        fun("race", &[need("list", Type::List)], "any, string?", "Result of the first; the others are cancelled."),
    ],
    concat!(
        "local M, sys = ... local P = {} do local run = function(...) ",
        include_str!("flow.luau"),
        " end run(P, sys) end P.async(M)"
    ),
);

pub(super) static FLOW: Module = module(
    "flow",
    &[],
    "Guards around functions: circuits, rates, retries, limits.",
    &[
        fun(
            "circuit_breaker",
            &[need("name", Type::Str), FN, opt("opts", Type::Map, "runner_config.circuit_breakers")],
            "any, string?",
            "fn, unless the circuit is open; its state is kept by slothd for all runs.",
        ),
        fun(
            "rate_limit",
            &[need("rps", Type::Num), FN, opt("key", Type::Str, "place of the call")],
            "any, string?",
            "fn, at most rps times a second in all runs.",
        ),
        fun("retry", &[FN, opt("opts", Type::Map, "{max_attempts = 3}")], "any, string?", "fn, until it succeeds."),
        fun(
            "timeout",
            &[need("duration", Type::Duration), FN],
            "any, string?",
            "Result of fn, or nil and \"timeout\".",
        ),
        fun("fallback", &[FN, need("alternative", Type::Any)], "any", "Result of fn, or of alternative(err)."),
        fun(
            "throttle",
            &[need("key", Type::Str), need("interval", Type::Duration), FN],
            "any, string?",
            "fn, at most once per interval.",
        ),
        fun("once", &[need("key", Type::Str), FN], "any, string?", "fn, once per run."),
    ],
    concat!(
        "local M, sys = ... local P = {} do local run = function(...) ",
        include_str!("flow.luau"),
        " end run(P, sys) end P.flow(M)"
    ),
);

pub(super) static CIRCUIT: Module = module(
    "circuit",
    &[],
    "Circuits by name, shared by all runs.",
    &[
        fun(
            "protect",
            &[need("name", Type::Str), FN, opt("opts", Type::Map, "{}")],
            "any, string?",
            "flow.circuit_breaker.",
        ),
        fun("status", &[need("name", Type::Str)], "any", "State and counters, or nil."),
        fun("list", &[], "{any}", "All circuits."),
        fun("reset", &[need("name", Type::Str)], "boolean", "Closes it."),
        fun("trip", &[need("name", Type::Str)], "boolean", "Opens it."),
    ],
    concat!(
        "local M, sys = ... local P = {} do local run = function(...) ",
        include_str!("flow.luau"),
        " end run(P, sys) end P.circuit(M)"
    ),
);

pub(super) static PERF: Module = module(
    "perf",
    &[],
    "Measures.",
    &[
        fun(
            "measure",
            &[FN, opt("name", Type::Str, "\"unnamed\"")],
            "any, number, string?",
            "Result of fn, milliseconds, failure.",
        ),
        fun("stats", &[opt("name", Type::Str, "all")], "any", "What has been measured, in milliseconds."),
        fun("memory", &[], "any", "Memory of the worker."),
        fun("cpu", &[], "any", "Load of the host."),
        fun("mark", &[opt("name", Type::Str, "nil")], "any", "Remembers the time."),
        fun("since", &[need("mark", Type::Any)], "number", "Milliseconds since a mark."),
    ],
    concat!(
        "local M, sys = ... local P = {} do local run = function(...) ",
        include_str!("misc.luau"),
        " end run(P, sys) end P.perf(M)"
    ),
);
