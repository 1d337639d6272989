//! The evaluation model: coroutines, waits, time slices, timeouts, cancellation.

use std::time::Instant;

use serde_json::json;

use super::*;

#[test]
fn coroutines_are_interleaved_at_suspension_points() {
    let world = world();
    let source = "local t = {}
        local a = goroutine.async(function() t[#t+1] = 'a1' probe.slow(80) t[#t+1] = 'a2' end)
        local b = goroutine.async(function() t[#t+1] = 'b1' probe.slow(10) t[#t+1] = 'b2' end)
        goroutine.await_all({a, b}) return t";
    assert_eq!(world.values(source), json!([["a1", "b1", "b2", "a2"]]));
}

#[test]
fn a_host_call_inside_a_user_coroutine_suspends_the_whole_task() {
    let world = world();
    let source = "local co = coroutine.create(function(a)
            local slept = probe.slow(5)
            local b = coroutine.yield(a + 1, slept)
            probe.slow(5)
            return b * 2
        end)
        local r1 = {coroutine.resume(co, 1)}
        local status = coroutine.status(co)
        local r2 = {coroutine.resume(co, 21)}
        return r1, status, r2, coroutine.status(co), {coroutine.resume(co)}";
    let dead = json!([false, "cannot resume dead coroutine"]);
    assert_eq!(world.values(source), json!([[true, 2, "slept"], "suspended", [true, 42], "dead", dead]));
    let source = "local gen = coroutine.wrap(function() for i = 1, 3 do probe.slow(1) coroutine.yield(i) end end)
        return gen(), gen(), gen(), gen()";
    assert_eq!(world.values(source), json!([1, 2, 3]));
    let source = "local inner = coroutine.wrap(function() coroutine.yield(probe.slow(1)) end)
        local outer = coroutine.wrap(function() coroutine.yield(inner()) end) return outer()";
    assert_eq!(world.values(source), json!(["slept"]), "two levels");
    let error = world.error("local co = coroutine.wrap(function() probe.slow(1) error('inside') end) co()");
    assert!(error.contains("inside"), "{error}");
}

#[test]
fn others_see_a_coroutine_that_waits_for_the_host_as_running() {
    let world = world();
    let source = "local co = coroutine.create(function() probe.slow(50) return 'x' end)
        local h = goroutine.async(function() return coroutine.resume(co) end)
        goroutine.sleep(5)
        local status, ok, why = coroutine.status(co), coroutine.resume(co)
        return status, ok, why, select(3, goroutine.await(h))";
    assert_eq!(world.values(source), json!(["normal", false, "cannot resume non-suspended coroutine", "x"]));
}

#[test]
fn yielding_outside_a_coroutine_is_an_error() {
    let error = world().error("coroutine.yield(1)");
    assert!(error.contains("attempt to yield from outside a coroutine"), "{error}");
}

#[test]
fn where_luau_cannot_suspend_a_host_call_completes_while_the_vm_waits() {
    let world = world();
    let source = "local t = setmetatable({}, {__index = function(_, k) return probe.slow(1) .. k end})
        local sorted = {3, 1, 2}
        table.sort(sorted, function(a, b) probe.slow(1) return a < b end)
        local s = string.gsub('ab', '%w', function(c) return c .. probe.slow(1) end)
        local seen = {}
        for v in function(_, last) return probe.slow(1) and #seen < 2 and 'v' or nil end do seen[#seen + 1] = v end
        return t.x, sorted, s, #seen";
    assert_eq!(world.values(source), json!(["sleptx", [1, 2, 3], "asleptbslept", 2]));
    assert!(world.lines().iter().any(|line| line.contains("probe.slow completes while the VM waits")));
    let error = world.error("local c = goroutine.channel() table.sort({1, 2}, function() c:receive() end)");
    assert!(error.contains("channel receive cannot wait inside a metamethod"), "{error}");
}

#[test]
fn a_host_call_inside_pcall_suspends_and_its_errors_are_caught() {
    let world = world();
    let source = "local ok, v = pcall(probe.slow, 1)
        local bad, why = pcall(probe.echo)
        return ok, v, bad, type(why), (xpcall(function() probe.slow(1) error('e') end, function(e) return e end))";
    assert_eq!(world.values(source), json!([true, "slept", false, "string", false]));
}

#[test]
fn a_timeout_interrupts_pure_lua_with_a_catchable_error() {
    let world = world();
    let mut ctx = world.ctx(Some("t"));
    ctx.deadline = Some(Instant::now() + Duration::from_millis(50));
    let end = world.run_in("local ok, e = pcall(function() while true do end end) return ok, e.kind, tostring(e)", ctx);
    let values: Vec<_> = end.result.unwrap().iter().map(Data::to_json).collect();
    assert_eq!(values, [json!(false), json!("timeout"), json!("timeout")]);
}

#[test]
fn a_script_cannot_disable_the_timeout() {
    let world = world();
    for body in [
        "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
        "local function f() pcall(f) f() end f()",
        "table.sort({1, 2, 3}, function() while true do pcall(function() while true do end end) end end)",
        "setmetatable({}, {__index = function() while true do pcall(string.rep, 'x', 10) end end}).x()",
        "local co = coroutine.wrap(function() while true do pcall(function() while true do end end) end end) co()",
        "while true do pcall(goroutine.sleep, 1) end",
        "while true do pcall(probe.slow, 1) end",
        "while true do pcall(coroutine.wrap(function() while true do end end)) end",
        "error.try(function() while true do end end, function() while true do end end, function() while true do end end)",
    ] {
        let mut ctx = world.ctx(Some("t"));
        ctx.deadline = Some(Instant::now() + Duration::from_millis(30));
        let began = Instant::now();
        let end = world.run_in(body, ctx);
        assert_eq!(end.result.unwrap_err().kind.as_deref(), Some("timeout"), "{body}");
        assert!(began.elapsed() < Duration::from_secs(3), "{body}: {:?}", began.elapsed());
    }
    assert_eq!(world.values("return 1 + 1"), json!([2]), "the VM goes on");
}

#[test]
fn cancellation_raises_at_the_next_suspension_point_of_each_coroutine() {
    let world = world();
    let ctx = world.ctx(Some("t"));
    let cancel = ctx.cancel.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        cancel.cancel(CancelKind::Cancelled("by a test".to_owned()));
    });
    let source = "local seen = {}
        local h = goroutine.async(function() local ok, e = pcall(goroutine.sleep, 10000) seen[1] = e.kind end)
        local ok, e = pcall(goroutine.sleep, 10000)
        goroutine.await(h)
        return seen[1], e.kind, e.message, (probe.slow(1))";
    let end = world.run_in(source, ctx);
    let values: Vec<_> = end.result.unwrap().iter().map(Data::to_json).collect();
    let expected = [json!("cancelled"), json!("cancelled"), json!("cancelled: by a test"), json!("slept")];
    assert_eq!(values, expected, "after it was told, a coroutine may clean up");
}

#[test]
fn what_the_task_waits_for_ends_first_when_the_task_is_cancelled() {
    let world = world();
    let mut ctx = world.ctx(Some("t"));
    ctx.deadline = Some(Instant::now() + Duration::from_millis(20));
    let cancel = ctx.cancel.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(40));
        cancel.cancel(CancelKind::Timeout);
    });
    let end = world.run_in("probe.waits()", ctx);
    assert_eq!(end.result.unwrap_err().kind.as_deref(), Some("timeout"));
}

#[test]
fn a_coroutine_that_runs_long_goes_to_the_end_of_the_queue() {
    let world = world_with(|settings| settings.slice = Duration::from_millis(20));
    let source = "local stop = false
        goroutine.spawn(function() stop = true end)
        local n = 0
        while not stop do n += 1 end
        return n > 0";
    assert_eq!(world.values(source), json!([true]), "atomic only up to the length of a slice");
    let source = "local stop = false
        goroutine.spawn(function() stop = true end)
        local co = coroutine.wrap(function() while not stop do end return 'out' end)
        return co()";
    assert_eq!(world.values(source), json!(["out"]), "also inside a coroutine of the script");
}

#[test]
fn a_host_call_of_the_definition_phase_is_recorded_and_not_repeated() {
    let first = world();
    first.vm.0.journal.borrow_mut().active = true;
    let ctx = first.ctx(None);
    first.run_in("probe.slow(1) probe.change_c{changed = true}", ctx);
    let records = first.daemon.journal.lock().unwrap().clone();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0]["function"], "probe.slow");
    let again = world();
    {
        let mut journal = again.vm.0.journal.borrow_mut();
        journal.active = true;
        journal.recorded = records
            .iter()
            .map(|record| RecordedCall {
                function: record["function"].as_str().unwrap().to_owned(),
                arguments: record["arguments"].as_str().unwrap().to_owned(),
                results: record["results"].clone(),
            })
            .collect();
    }
    let ctx = again.ctx(None);
    let end = again
        .run_in("local a = probe.slow(1) local ok, i = probe.change_c{changed = true} return a, ok, tostring(i)", ctx);
    let values: Vec<_> = end.result.unwrap().iter().map(Data::to_json).collect();
    assert_eq!(values, [json!("slept"), json!(true), json!("it was done")]);
    assert!(again.daemon.journal.lock().unwrap().is_empty(), "nothing was executed");
}

#[test]
fn a_definition_that_calls_something_else_executes_it_and_logs_w301() {
    let world = world();
    {
        let mut journal = world.vm.0.journal.borrow_mut();
        journal.active = true;
        let old =
            RecordedCall { function: "probe.other".to_owned(), arguments: String::new(), results: json!({"ok": []}) };
        journal.recorded.push_back(old);
    }
    let ctx = world.ctx(None);
    let end = world.run_in("return probe.slow(1)", ctx);
    assert_eq!(end.result.unwrap(), [Data::from("slept")]);
    assert!(world.lines()[0].starts_with("W301"), "{:?}", world.lines());
    assert_eq!(world.daemon.journal.lock().unwrap().len(), 1);
}

#[test]
fn os_exit_ends_the_task_from_anywhere_and_nothing_catches_it() {
    let world = world();
    for body in ["os.exit()", "pcall(os.exit, 0)", "coroutine.wrap(function() os.exit(true) end)()"] {
        assert_eq!(world.run(&format!("{body} error('not reached')")).result, Ok(Vec::new()), "{body}");
    }
    let raised = world.run("pcall(os.exit, 3)").result.unwrap_err();
    assert_eq!((raised.message.as_str(), raised.exit_code), ("exit code 3", Some(3)));
}

#[test]
fn ten_thousand_calls_of_a_function_that_does_nothing_are_cheap() {
    let world = world();
    let function = world.vm.0.compile(b"return true", "=noop", &world.env).unwrap();
    let ctx = Arc::new(world.ctx(Some("t")));
    let began = Instant::now();
    let mut running: Vec<_> =
        (0..10_000).map(|_| world.vm.run(function.clone(), MultiValue::new(), Arc::clone(&ctx))).collect();
    let all = std::future::poll_fn(move |context| {
        running.retain_mut(|call| call.as_mut().poll(context).is_pending());
        if running.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    });
    world.drive::<()>(Box::pin(all));
    let took = began.elapsed();
    println!("10000 calls: {took:?}");
    assert!(took < Duration::from_secs(10), "even without optimisation: {took:?}");
}
