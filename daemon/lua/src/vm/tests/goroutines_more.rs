//! Tickers, topics, rates, anonymous pools, and goroutines that outlive their task.

use serde_json::json;

use super::*;

#[test]
fn a_ticker_ticks_until_it_is_stopped() {
    let source = "local t = goroutine.ticker(5)
        local first, open = t:receive()
        local second = t.C:receive()
        t:stop() t:stop()
        local after, still = t:receive()
        return type(first), open, second >= first, after, still";
    assert_eq!(world().values(source), json!(["number", true, true, null, false]));
    assert!(world().error("goroutine.ticker(0)").contains("bad argument 'ms' to 'goroutine.ticker'"));
}

#[test]
fn a_ticker_that_nobody_stops_does_not_hold_its_task() {
    let world = world();
    let began = std::time::Instant::now();
    assert!(world.run("goroutine.ticker(5):receive() return true").result.is_ok());
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn topics_reach_their_subscribers_and_no_others() {
    let source = "local bus = goroutine.pubsub()
        local a, b, other = bus:subscribe('t'), bus:subscribe('t', 1), bus:subscribe('u')
        local reached = bus:publish('t', 'x')
        local nobody = bus:publish('none', 'x')
        bus:unsubscribe('t', b)
        local once = bus:publish('t', 'y')
        local got = { a:receive(), (a:receive()) }
        local last = { b:receive() }
        bus:close()
        local v, open = other:receive()
        return reached, nobody, once, got, last[1], v, open, bus:publish('t', 'z')";
    assert_eq!(world().values(source), json!([2, 0, 1, ["x", "y"], "x", null, false, 0]));
}

#[test]
fn a_rate_limiter_lets_its_burst_pass_then_makes_wait() {
    let source = "local limiter = goroutine.rate_limiter(50, 2)
        local a, b, c = limiter:allow(), limiter:allow(), limiter:allow()
        local began = perf.mark()
        local waited = limiter:wait()
        return a, b, c, waited";
    let began = std::time::Instant::now();
    assert_eq!(world().values(source), json!([true, true, false, true]));
    assert!(began.elapsed() >= Duration::from_millis(15), "50 a second are 20 ms each: {:?}", began.elapsed());
    assert!(world().error("goroutine.rate_limiter(0)").contains("number above 0 expected"));
}

#[test]
fn a_worker_pool_bounds_what_runs_at_once() {
    let source = "local pool = goroutine.worker_pool(2)
        local now, most = 0, 0
        for i = 1, 5 do
          pool:submit(function()
            now += 1 most = math.max(most, now)
            goroutine.sleep(3)
            now -= 1
            if i == 4 then error('four', 0) end
            return i
          end)
        end
        local ok, results = pool:wait()
        local stats = pool:stats()
        pool:close()
        local id, why = pool:submit(print)
        return most, ok, #results, results[5].result, results[4].success, results[4].error, stats.completed, stats.failed, id, why";
    let expected = json!([2, true, 5, 5, false, "four", 4, 1, null, "pool is closed"]);
    assert_eq!(world().values(source), expected);
}

/// "detached: belongs to the workflow", which cancels it at its end.
#[test]
fn a_detached_goroutine_outlives_its_task_and_ends_with_its_workflow() {
    let world = world();
    let began = std::time::Instant::now();
    let source = "seen = {}
        local h = goroutine.async(function()
          goroutine.sleep(20) seen[1] = 'later'
          goroutine.sleep(60000) seen[2] = 'never'
        end)
        return goroutine.detach(h)";
    assert_eq!(world.values(source), json!([true]));
    assert!(began.elapsed() < Duration::from_secs(2), "the task does not wait for it");
    assert_eq!(world.values("goroutine.sleep(60) return seen[1], seen[2]"), json!(["later", null]));
    world.vm.end_workflow("w");
    assert_eq!(world.values("goroutine.sleep(20) return seen[2]"), json!([null]));
    assert!(world.error("goroutine.detach(5)").contains("handle expected, got number"));
}
