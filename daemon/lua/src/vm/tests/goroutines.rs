//! The goroutine library, async and flow.

use serde_json::json;

use super::*;

#[test]
fn jobs_flow_through_a_channel_to_workers() {
    let source = "local jobs, done, got = goroutine.channel(8), goroutine.wait_group(), {}
        for w = 1, 3 do
          done:add()
          goroutine.spawn(function() jobs:range(function(n) got[#got + 1] = n end) done:done() end)
        end
        for n = 1, 9 do jobs:send(n) end
        jobs:close() done:wait()
        table.sort(got) return got, #jobs, jobs:is_closed(), jobs:cap()";
    assert_eq!(world().values(source), json!([[1, 2, 3, 4, 5, 6, 7, 8, 9], 0, true, 8]));
}

#[test]
fn channels_hand_over_close_and_try() {
    let world = world();
    let source = "local c = goroutine.channel()
        goroutine.spawn(function() c:send('x') c:close() end)
        local v, ok = c:receive()
        local w, closed = c:receive()
        local sent, why = c:send(1)
        local again, msg = c:close()
        local b = goroutine.channel(1)
        return v, ok, w, closed, sent, why, again, msg, b:try_send(1), b:try_send(2), b:try_receive()";
    let expected =
        json!(["x", true, null, false, false, "channel closed", false, "channel already closed", true, false, 1, true]);
    assert_eq!(world.values(source), expected);
    assert!(world.error("goroutine.channel(1):send(nil)").contains("nil cannot be sent"));
    assert!(world.error("goroutine.channel(1, 'receive'):send(1)").contains("for receive only"));
    let source = "local c = goroutine.channel(3) c:send(1) c:send(2) c:close() local s = 0 for v in c:iter() do s += v end return s";
    assert_eq!(world.values(source), json!([3]));
}

#[test]
fn select_takes_exactly_one_case() {
    let world = world();
    let source = "local a, b = goroutine.channel(1), goroutine.channel()
        local i1 = goroutine.select{{channel = a, receive = true}, {default = true, handler = function() return 'd' end}}
        a:send('v')
        local i2, r2 = goroutine.select{{channel = a, receive = true, handler = function(v, ok) return v .. tostring(ok) end}}
        local i3 = goroutine.select{{channel = b, receive = true}, {timeout = 5}}
        goroutine.spawn(function() goroutine.sleep(2) b:send('late') end)
        local i4, r4 = goroutine.select{{channel = a, receive = true}, {channel = b, receive = true, handler = function(v) return v end}}
        goroutine.spawn(function() b:receive() end) goroutine.yield()
        local i5 = goroutine.select{{channel = b, send = 1}}
        local out = goroutine.select_timeout(3, {{channel = a, receive = true}})
        return i1, i2, r2, i3, i4, r4, i5, out";
    assert_eq!(world.values(source), json!([2, 1, "vtrue", 2, 2, "late", 1, true]));
}

#[test]
fn locks_admit_one_and_refuse_strangers() {
    let world = world();
    let source = "local m, n, most = goroutine.mutex(), 0, 0
        local hs = goroutine.spawn_many(5, function()
          m:with(function() n += 1 most = math.max(most, n) probe.slow(1) n -= 1 end) end)
        goroutine.await_all(hs)
        local rw, readers, peak = goroutine.rwmutex(), 0, 0
        goroutine.await_all(goroutine.spawn_many(4, function() rw:rlock() readers += 1 peak = math.max(peak, readers) probe.slow(5) readers -= 1 rw:runlock() end))
        rw:lock() local r = rw:try_rlock() rw:unlock()
        return most, m:try_lock(), m:try_lock(), peak > 1, r";
    assert_eq!(world.values(source), json!([1, true, false, true, false]));
    assert!(world.error("goroutine.mutex():unlock()").contains("does not hold"));
    assert!(world.error("goroutine.wait_group():done()").contains("negative"));
}

#[test]
fn semaphore_atomic_once_barrier_latch_cond() {
    let source = "local s, most, n = goroutine.semaphore(2), 0, 0
        goroutine.await_all(goroutine.spawn_many(6, function() s:with(function() n += 1 most = math.max(most, n) probe.slow(2) n -= 1 end) end))
        local a = goroutine.atomic_int(5)
        local cas = {a:add(2), a:compare_and_swap(7, 1), a:swap(9), a:load(), a:inc(), a:dec()}
        local once, runs = goroutine.once(), 0
        goroutine.await_all(goroutine.spawn_many(3, function() once:call(function() probe.slow(1) runs += 1 end) end))
        local b, passed = goroutine.barrier(3), 0
        goroutine.await_all(goroutine.spawn_many(3, function() b:wait() passed += 1 end))
        local l = goroutine.latch(2)
        goroutine.spawn(function() l:count_down() l:count_down() end) l:wait()
        local c, woken = goroutine.cond(), 0
        local waiters = goroutine.spawn_many(2, function() c:get_mutex():lock() c:wait() woken += 1 c:get_mutex():unlock() end)
        goroutine.yield() c:broadcast() goroutine.await_all(waiters)
        return most, s:available(), cas, runs, passed, woken";
    assert_eq!(world().values(source), json!([2, 2, [7, true, 1, 9, 10, 9], 1, 3, 2]));
}

#[test]
fn handles_give_results_and_errors_to_the_awaiter() {
    let world = world();
    let source = "local ok, a, b = goroutine.await(goroutine.async(function(x) probe.slow(1) return x, 2 end, 1))
        local bad, why = goroutine.await(goroutine.async(function() error('no', 0) end))
        local late, t = goroutine.await(goroutine.async(function() probe.slow(100) end), 5)
        local all = goroutine.await_all{goroutine.async(function() return 7 end), goroutine.async(function() error('e', 0) end)}
        local i, r = goroutine.await_any{goroutine.async(function() goroutine.sleep(50) return 's' end), goroutine.async(function() return 'f' end)}
        return ok, a, b, bad, why, late, t, all[1].values[1], all[2].error, i, r";
    assert_eq!(world.values(source), json!([true, 1, 2, false, "no", false, "timeout", 7, "e", 2, "f"]));
    let source = "local r, e = goroutine.map({1, 2, 3}, function(n) probe.slow(1) return n * 2 end, 2)
        local p, pe = goroutine.parallel({a = function() return 1 end, b = function() return nil, 'bad' end})
        return r, e, p, pe, (goroutine.filter({1, 2, 3, 4}, function(n) return n % 2 == 0 end))";
    assert_eq!(world.values(source), json!([[2, 4, 6], null, {"a": 1}, {"b": "bad"}, [2, 4]]));
}

#[test]
fn timeout_cancels_the_function() {
    let world = world();
    let source = "local seen
        local ok, why = goroutine.timeout(10, function() local good, e = pcall(goroutine.sleep, 10000) seen = e.kind end)
        goroutine.sleep(20)
        local fine, v = goroutine.timeout(1000, function() return 'v' end)
        local r, e = async.timeout('10ms', function() while true do end end)
        local r2, e2 = async.timeout(1, function() return 3 end)
        return ok, why, seen, fine, v, r, e, r2, e2";
    assert_eq!(
        world.values(source),
        json!([false, "timeout exceeded", "timeout", true, "v", null, "timeout", 3, null])
    );
}

#[test]
fn the_engine_waits_for_goroutines_and_drops_those_blocked_for_ever() {
    let world = world();
    let end = world.run("goroutine.spawn(function() probe.slow(30) print('late') end) return 1");
    assert!(end.result.is_ok());
    assert_eq!(world.lines(), ["late"]);
    let began = std::time::Instant::now();
    let end = world.run("goroutine.spawn(function() goroutine.channel():receive() end) return 2");
    assert!(end.result.is_ok() && began.elapsed() < Duration::from_secs(2), "dropped silently");
}

#[test]
fn those_still_active_after_the_join_timeout_are_cancelled_with_a_warning() {
    let world = world_with(|settings| settings.join_timeout = Duration::from_millis(30));
    let end = world.run("goroutine.spawn(function() goroutine.sleep(60000) end) return 1");
    assert!(end.result.is_ok());
    assert!(world.lines()[0].contains("1 goroutines are still active"), "{:?}", world.lines());
}

#[test]
fn an_uncaught_error_in_a_spawned_function_fails_the_task_at_the_join() {
    let world = world();
    let raised = world.run("goroutine.spawn(function() error('inside', 0) end) return true").result.unwrap_err();
    assert_eq!(raised.message, "goroutine failed: inside");
    assert_eq!(world.lines(), ["goroutine failed: inside"]);
}

#[test]
fn all_asleep_is_a_deadlock_with_each_wait_site() {
    let world = world();
    let source = "local c, m = goroutine.channel(), goroutine.mutex()
goroutine.spawn(function()
  c:receive()
end)
c:receive()";
    let message = world.error(source);
    assert!(message.starts_with("deadlock: all goroutines are asleep"), "{message}");
    assert!(message.contains("the task: channel receive at main.sloth:5"), "{message}");
    assert!(message.contains("channel receive at main.sloth:3"), "{message}");
    let source = "local c = goroutine.channel() goroutine.spawn(function() goroutine.sleep(20) c:send(1) end) return c:receive()";
    assert_eq!(world.values(source), json!([1, true]), "a pending timer is no deadlock");
}

#[test]
fn pools_run_named_work() {
    let source = "goroutine.pool_create('p', {workers = 2, queue = 3})
        local ids = {}
        for i = 1, 3 do ids[i] = goroutine.pool_submit('p', function(n) probe.slow(1) return n * n end, i) end
        local _, results = goroutine.pool_wait('p')
        local stats = goroutine.pool_stats('p')
        local closed = goroutine.pool_close('p')
        local id, why = goroutine.pool_submit('p', print)
        local none, missing = goroutine.pool_submit('q', print)
        return ids, results[3].result, stats.completed, stats.queued, closed, why, missing";
    let expected = json!([[1, 2, 3], 9, 3, 0, true, "pool is closed", "pool not found"]);
    assert_eq!(world().values(source), expected);
}

#[test]
fn values_flow_through_pipelines_and_fans() {
    let source = "local input = goroutine.channel(10)
        local out = goroutine.pipeline(input, {{workers = 2, fn = function(v) return v * 2 end}, {fn = function(v) return v + 1 end}})
        for i = 1, 4 do input:send(i) end input:close()
        local sum = 0 out:range(function(v) sum += v end)
        local src = goroutine.channel(3) for i = 1, 3 do src:send(i) end src:close()
        local total = 0 goroutine.fan_in(goroutine.fan_out(src, 2)):range(function(v) total += v end)
        local ctx = goroutine.context():with_timeout(5)
        local before = ctx:is_cancelled() ctx:done():receive()
        local child = ctx:with_value('k', 'v')
        return sum, total, before, ctx:err(), child:value('k'), child:is_cancelled()";
    assert_eq!(world().values(source), json!([24, 12, false, "deadline exceeded", "v", true]));
}

#[test]
fn async_runs_functions_with_results_and_errors_by_key() {
    let world = world();
    let source = "local r, e = async.parallel({a = function() probe.slow(1) return 1 end, b = function() return false, 'bad' end,
            c = function() return (probe.command{code = 3}) end, d = function() error('boom', 0) end}, 2)
        local all_ok, none = async.parallel({function() return 'x' end})
        local s, se = async.sequence({function() return 1 end, function() return nil, 'stop' end, function() error('not reached') end})
        local v, ve = async.await(async.run(function() return 5 end))
        local rr = async.race({function() goroutine.sleep(1000) end, function() return 'fast' end})
        return r.a, e.b, e.c, e.d, all_ok, none, s, se, v, ve, rr";
    let expected = json!([1, "bad", "exit status 3", "boom", ["x"], null, [1], "stop", 5, null, "fast"]);
    assert_eq!(world.values(source), expected);
}

#[test]
fn a_circuit_lives_in_slothd() {
    let world = world();
    let replies = [
        (
            "circuit.enter",
            vec![
                json!({"granted": true, "state": "closed"}),
                json!({"granted": true}),
                json!({"granted": false, "state": "open"}),
            ],
        ),
        ("circuit.result", vec![json!({"state": "closed"}), json!({"state": "open"})]),
    ];
    for (what, answers) in replies {
        world.daemon.replies.lock().unwrap().insert(what.to_owned(), answers);
    }
    let source = "local opts = {failure_threshold = 2, recovery_timeout = '20s'}
        local a, ae = flow.circuit_breaker('api', function() return 'fine' end, opts)
        local b, be = circuit.protect('api', function() return nil, 'down' end)
        local c, ce = flow.circuit_breaker('api', function() error('not called') end)
        return a, ae, b, be, c, ce";
    assert_eq!(world.values(source), json!(["fine", null, null, "down", null, "circuit breaker open"]));
    let asked = world.daemon.asked.lock().unwrap().clone();
    assert_eq!(
        asked[0].1,
        json!({"name": "api", "failure_threshold": 2, "recovery_timeout_ms": 20000, "half_open_requests": 2})
    );
    assert_eq!(asked[3].1, json!({"name": "api", "success": false}));
}

#[test]
fn flow_retries_limits_and_falls_back() {
    let world = world();
    let answers = vec![json!({"wait_ms": 10}), json!({"wait_ms": 0})];
    world.daemon.replies.lock().unwrap().insert("rate.take".to_owned(), answers);
    world
        .daemon
        .replies
        .lock()
        .unwrap()
        .insert("throttle.take".to_owned(), vec![json!({"granted": true}), json!({"granted": false})]);
    let source = "local n = 0
        local r, e = flow.retry(function() n += 1 if n < 3 then return nil, 'no' end return 'yes' end, {max_attempts = 4, delay = '1ms'})
        local m = 0
        local _, never = flow.retry(function() m += 1 error('x', 0) end, {max_attempts = 5, delay = '1ms', retry_on = {'exit'}})
        local begin = perf.mark()
        local l = flow.rate_limit(5, function() return 'limited' end)
        local waited = perf.since(begin) >= 9
        flow.rate_limit(5, function() end, 'key')
        local f = flow.fallback(function() error('bad', 0) end, function(err) return 'instead of ' .. err end)
        local t1, t2, t3 = flow.throttle('k', '1m', function() return 1 end), flow.throttle('k', '1m', print)
        local o1 = flow.once('o', function() return 'once' end)
        local o2, why = flow.once('o', print)
        return n, r, e, m, never, l, waited, f, t1, t3, o1, o2, why";
    let expected =
        json!([3, "yes", null, 1, "x", "limited", true, "instead of bad", 1, "throttled", "once", null, "throttled"]);
    assert_eq!(world.values(source), expected);
    let asked = world.daemon.asked.lock().unwrap().clone();
    assert_eq!(asked[0].1, json!({"key": "main.sloth:6", "rps": 5}), "its place is the key");
    assert_eq!(world.engine.0.borrow()[0].0, "once");
}
