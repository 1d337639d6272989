//! `goroutine`: coroutines that run beside each other, and what they share.

use super::describe::{also, fun, module, need, opt, rest};
use crate::module::{Function, Module, Type};

pub(super) static MODULE: Module = module(
    "goroutine",
    &["go"],
    "Coroutines of the run that run beside each other, channels between them, locks and pools.",
    FUNCTIONS,
    concat!(
        "do ",
        include_str!("goroutine/core.luau"),
        " end do ",
        include_str!("goroutine/channel.luau"),
        " end do ",
        include_str!("goroutine/sync.luau"),
        " end do ",
        include_str!("goroutine/more.luau"),
        " end"
    ),
);

const FN: crate::module::Param = need("fn", Type::Function);

const FUNCTIONS: &[Function] = &[
    also(&["create", "go", "Go"], rest(fun("spawn", &[FN], "any", "Starts a function; returns a handle."))),
    fun("spawn_many", &[need("n", Type::Int), FN], "{any}", "Starts fn(i) for 1 to n; returns the handles."),
    also(&["WaitGroup"], fun("wait_group", &[], "any", "Counter to wait for: add, done, wait.")),
    fun(
        "pool_create",
        &[need("name", Type::Str), opt("options", Type::Map, "{workers = 4, queue = 1000}")],
        "boolean",
        "Makes a named pool; one of that name is drained, closed and replaced.",
    ),
    rest(fun("pool_submit", &[need("name", Type::Str), FN], "number?, string?", "Queues a function in a pool.")),
    fun("pool_wait", &[need("name", Type::Str)], "boolean, any", "Waits until a pool is idle; its results."),
    fun("pool_close", &[need("name", Type::Str)], "boolean, string?", "Refuses further functions."),
    fun("pool_stats", &[need("name", Type::Str)], "any", "Counters of a pool."),
    rest(fun("async", &[FN], "any", "Starts a function whose errors go to whoever awaits it.")),
    fun(
        "await",
        &[need("handle", Type::Any), opt("timeout_ms", Type::Num, "nil")],
        "boolean, ...any",
        "Result of a handle.",
    ),
    also(&["wait_all"], fun("await_all", &[need("list", Type::List)], "{any}", "Results of all handles.")),
    also(&["wait_any", "race"], fun("await_any", &[need("list", Type::List)], "number, any", "The first that ends.")),
    fun(
        "map",
        &[need("list", Type::List), FN, opt("workers", Type::Int, "all")],
        "any, any",
        "fn of each, in order; errors or nil.",
    ),
    also(
        &["RunParallel"],
        fun(
            "parallel",
            &[need("functions", Type::Any), opt("max", Type::Int, "all")],
            "any, any",
            "Runs functions beside each other.",
        ),
    ),
    fun("for_each", &[need("list", Type::List), FN, opt("workers", Type::Int, "all")], "boolean, any", "fn of each."),
    fun(
        "filter",
        &[need("list", Type::List), FN, opt("workers", Type::Int, "all")],
        "any, any",
        "Those for which fn is true.",
    ),
    fun("sleep", &[need("ms", Type::Num)], "()", "Waits."),
    rest(fun(
        "timeout",
        &[need("ms", Type::Num), FN],
        "boolean, ...any",
        "Result of fn, or false and a message; fn is cancelled.",
    )),
    fun(
        "channel",
        &[opt("cap", Type::Int, "0"), opt("direction", Type::Str, "\"bidirectional\"")],
        "any",
        "A channel: send, receive, try_send, try_receive, close, range, iter.",
    ),
    fun("select", &[need("cases", Type::List)], "number, any", "Waits for exactly one of several cases."),
    fun(
        "select_timeout",
        &[need("ms", Type::Num), need("cases", Type::List)],
        "boolean, number?",
        "select with a limit.",
    ),
    fun("mutex", &[], "any", "lock, unlock, try_lock, with."),
    fun("rwmutex", &[], "any", "A mutex with shared readers; writers do not starve."),
    fun("semaphore", &[need("n", Type::Int)], "any", "acquire, release, try_acquire, with."),
    fun("atomic_int", &[opt("v", Type::Num, "0")], "any", "A counter."),
    fun("once", &[], "any", "call(fn) runs fn once."),
    fun("cond", &[opt("mutex", Type::Any, "a new one")], "any", "wait, signal, broadcast."),
    fun("context", &[opt("parent", Type::Any, "nil")], "any", "Cancellation and deadlines that are passed on."),
    fun(
        "pipeline",
        &[need("in_ch", Type::Any), need("stages", Type::List)],
        "any",
        "Channel of what the stages make of another.",
    ),
    fun(
        "fan_out",
        &[need("ch", Type::Any), need("n", Type::Int), opt("options", Type::Map, "{}")],
        "{any}",
        "n channels, each value to all, or to one.",
    ),
    fun("fan_in", &[need("channels", Type::List)], "any", "One channel of several."),
    fun("broadcast", &[need("ch", Type::Any), need("n", Type::Int)], "{any}", "n channels, each value to all."),
    fun("rate_limiter", &[need("per_second", Type::Num), opt("burst", Type::Num, "per_second")], "any", "wait, allow."),
    fun("barrier", &[need("n", Type::Int)], "any", "wait until n have come."),
    fun("latch", &[need("n", Type::Int)], "any", "count_down, wait."),
    fun("ticker", &[need("ms", Type::Num)], "any", "A channel that gets the time again and again; stop."),
    also(
        &["WorkerPool"],
        fun("worker_pool", &[need("n", Type::Int)], "any", "A pool without a name: submit, wait, close, stats."),
    ),
    fun("pubsub", &[], "any", "subscribe, publish."),
    fun(
        "detach",
        &[need("handle", Type::Any)],
        "boolean",
        "Moves a goroutine to the workflow, at whose end it is cancelled.",
    ),
    fun("count", &[], "number", "Coroutines of the task."),
    fun("yield", &[], "()", "The others first."),
    fun("id", &[], "number", "Number of this coroutine."),
];
