//! `reliability` and `metrics`.

use serde_json::json;

use super::world;

/// "retry(max, delay_s, fn)", "retry_with_config({max_attempts=3, …, on_retry=fn(attempt, err)}, fn)"
#[test]
fn retries() {
    let world = world();
    let source = "local n = 0\n\
                  local v, w = reliability.retry(5, 0, function() n += 1 if n < 3 then error('no') end return 'yes', nil end)\n\
                  return v, n";
    assert_eq!(world.values(source), json!(["yes", 3]));
    let source = "local seen = {}\n\
                  local v, err = reliability.retry_with_config({ max_attempts = 3, initial_delay = 0.001, \
                  strategy = reliability.strategy.LINEAR_BACKOFF, on_retry = function(i, e) table.insert(seen, i .. e) end }, \
                  function() return nil, 'bad' end)\n\
                  return v, err, table.concat(seen, ' ')";
    assert_eq!(world.values(source), json!([null, "bad", "1bad 2bad"]));
    let source = "local waits = {}\n\
                  reliability.retry_with_config{ config = { max_attempts = 3, strategy = 4, delay_fn = function(i) table.insert(waits, i) return 0 end }, \
                  fn = function() return false, 'x' end }\n\
                  return waits";
    assert_eq!(world.values(source), json!([[1, 2]]));
    assert!(
        world.error("reliability.retry_with_config({ strategy = 'odd' }, print)").contains("unknown strategy 'odd'")
    );
}

/// "fn's result or `nil, err` (open: `nil, "circuit breaker open"`)"; "Circuits are those of `flow.circuit_breaker`"
#[test]
fn circuits() {
    let world = world();
    let replies = |what: &str, list| world.daemon.replies.lock().unwrap().insert(what.into(), list);
    let closed = json!({ "granted": true, "state": "closed" });
    replies("circuit.enter", vec![closed.clone(), closed, json!({ "granted": false, "state": "open" })]);
    replies("circuit.result", vec![json!({ "state": "closed" }), json!({ "state": "open" })]);
    replies("circuit.status", vec![json!({ "name": "c", "state": "open", "failures": 1 })]);
    let source = "local changes = {}\n\
                  local opts = { max_failures = 1, timeout = 30, on_state_change = function(n, a, b) table.insert(changes, n .. a .. b) end }\n\
                  local a = reliability.circuit_breaker('c', opts, function() return 7 end)\n\
                  local b, err = reliability.circuit_breaker('c', opts, function() error('down', 0) end)\n\
                  local c, open = reliability.circuit_breaker{ name = 'c', config = opts, fn = function() return 1 end }\n\
                  local s = reliability.get_circuit_stats('c')\n\
                  return a, b, err, c, open, changes, s.requests, s.total_failures, s.state";
    assert_eq!(
        world.values(source),
        json!([7, null, "down", null, "circuit breaker open", ["cclosedopen"], 2, 1, "open"])
    );
    let asked = world.daemon.asked.lock().unwrap();
    assert_eq!(asked[0].0, "circuit.enter");
    assert_eq!(
        asked[0].1,
        json!({ "name": "c", "failure_threshold": 1, "recovery_timeout_ms": 30_000, "half_open_requests": 2 })
    );
    assert_eq!(asked[3].1, json!({ "name": "c", "success": false }));
}

#[test]
fn fallbacks_and_bulkheads() {
    let world = world();
    assert_eq!(
        world.values("return reliability.fallback(function() error('a', 0) end, function(e) return 'alt ' .. e end)"),
        json!(["alt a"])
    );
    assert_eq!(
        world.values("return reliability.fallback(function() return 1 end, function() return 2 end)"),
        json!([1])
    );
    let source =
        "return reliability.bulkhead('b', 1, function() return (select(2, reliability.bulkhead('b', 1, print))) end)";
    assert_eq!(world.values(source), json!(["bulkhead \"b\" is full (1 running)"]));
    assert_eq!(world.values("return reliability.bulkhead('b', 1, function() return 'free' end)"), json!(["free"]));
}

/// "`timeout(s, fn)`": seconds, not milliseconds
#[test]
fn timeouts() {
    let world = world();
    assert_eq!(
        world.values("return reliability.timeout(0.1, function() time.sleep(60) return 1 end)"),
        json!([null, "timeout"])
    );
    assert_eq!(
        world.values("return reliability.timeout{ seconds = '10s', fn = function() return 7 end }")[0],
        json!(7)
    );
}

/// A task that is being ended is not tried again.
#[test]
fn a_cancelled_task_is_not_retried() {
    let world = world();
    let source = "local calls = 0\n\
                  reliability.timeout(0.2, function()\n\
                    reliability.retry(50, 0, function() calls += 1 time.sleep(60) end)\n\
                  end)\n\
                  return calls";
    assert_eq!(world.values(source), json!([1]));
}

/// Different coroutines share a bulkhead.
#[test]
fn a_bulkhead_counts_what_runs_at_once() {
    let world = world();
    let source = "local refused = 0\n\
                  async.parallel(data.map({ 1, 2, 3, 4 }, function()\n\
                    return function()\n\
                      local ok = reliability.bulkhead('many', 2, function() time.sleep(0.1) return true end)\n\
                      if not ok then refused += 1 end\n\
                      return true\n\
                    end\n\
                  end), 4)\n\
                  return refused";
    assert_eq!(world.values(source), json!([2]));
}

/// "timer(n, fn, tags)` duration ms, then fn's results"; "get_custom(n)"
#[test]
fn metrics() {
    let world = world();
    assert_eq!(
        world.values(
            "local ms, a, b = metrics.timer('lua.timer', function() return 'x', 'y' end, { k = 'v' })\n\
             metrics.gauge('lua.g', 5) metrics.counter{ name = 'lua.c', inc = 2 } metrics.counter('lua.c')\n\
             local t = metrics.get_custom('lua.timer')\n\
             return ms >= 0, a, b, t.count, t.tags.k, metrics.get_custom('lua.g').value, metrics.get_custom('lua.c').value, \
             metrics.get_custom('lua.g').name"
        ),
        json!([true, "x", "y", 1, "v", 5, 3, "sloth_user_lua_g"])
    );
    assert_eq!(world.values("return (metrics.get_custom('none'))"), json!([null]));
    assert!(world.error("metrics.timer('lua.t2', function() error('inside') end)").contains("inside"));
    world.values("metrics.alert('disk', { message = 'full', value = 97 }) metrics.alert('disk', { message = 'full' })");
    assert_eq!(*world.log.0.lock().unwrap(), ["alert disk: full"]);
    let info = world.values("local i = metrics.runtime_info() return i.num_cpu > 0, i.heap_alloc_mb > 0, i.version, metrics.system_memory().percent > 0, metrics.system_disk('/').total_gb > 0, metrics.system_cpu() >= 0");
    assert_eq!(
        (&info[0], &info[1], &info[3], &info[4], &info[5]),
        (&json!(true), &json!(true), &json!(true), &json!(true), &json!(true))
    );
}
