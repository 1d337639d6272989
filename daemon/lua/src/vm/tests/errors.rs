//! `error` as a function and as a table.

use serde_json::json;

use super::*;

#[test]
fn error_raises_as_usual() {
    let world = world();
    assert_eq!(world.error("error('boom')"), "main.sloth:1: boom");
    assert_eq!(world.error("local function f() error('boom', 2) end\nf()"), "main.sloth:2: boom");
    assert_eq!(world.error("error('boom', 0)"), "boom");
    assert_eq!(world.values("return pcall(error, 'x', 0)"), json!([false, "x"]));
    assert_eq!(world.values("local ok, e = pcall(error, {code = 7}) return e.code"), json!([7]));
    let raised = world
        .run("local function inner() error('deep') end\nlocal function outer() inner() end\nouter()")
        .result
        .unwrap_err();
    assert!(raised.traceback.contains("main.sloth:2"), "message and traceback: {}", raised.traceback);
}

#[test]
fn try_returns_the_value_or_that_of_catch_and_always_runs_finally() {
    let world = world();
    let source = "local log = {}
        local function fin() log[#log + 1] = 'f' end
        local a, b = error.try(function() return 1 end, nil, fin)
        local c, d = error.try(function() error('no', 0) end, function(m, e) return 'caught ' .. m .. ' ' .. e.message end, fin)
        local e, f = error.try(function() return nil, 'failed' end)
        local g, h = error.try(function() return (probe.command{code = 2}) end)
        local ok, again = pcall(error.try, function() error('x') end, function() error('again', 0) end, fin)
        return a, b, c, d, e, f, h, ok, again, #log";
    let expected = json!([1, null, "caught no no", "no", null, "failed", "exit status 2", false, "again", 3]);
    assert_eq!(world.values(source), expected);
}

#[test]
fn retry_repeats_with_growing_delays() {
    let world = world();
    let source = "local n = 0
        local r, e = error.retry(function() n += 1 if n < 3 then error('no', 0) end return 'done' end, 5, 1)
        local m = 0
        local r2, e2 = error.retry(function() m += 1 return false, 'never' end, 2, 1)
        return n, r, e, m, r2, e2";
    assert_eq!(world.values(source), json!([3, "done", null, 2, null, "never"]));
}

#[test]
fn error_objects_have_fields_and_convert_to_their_message() {
    let world = world();
    let source = "local inner = error.new('disk full', {kind = 'resource_limit', exit_code = 5})
        local e = error.wrap(inner, 'backup')
        return tostring(e), e .. '!', e.kind, error.is(e, 'resource_limit'), error.is(e, 'timeout'), inner.exit_code,
            inner.error, e.try(function() return 4 end), e:try(function() return 5 end), error.is('text', 'error')";
    let expected =
        json!(["backup: disk full", "backup: disk full!", "resource_limit", true, false, 5, "disk full", 4, 5, true]);
    let values = world.values(source);
    assert_eq!(values, expected);
    let raised = world.run("error(error.new('x', {kind = 'denied', exit_code = 9}))").result.unwrap_err();
    assert_eq!((raised.message.as_str(), raised.kind.as_deref(), raised.exit_code), ("x", Some("denied"), Some(9)));
}

#[test]
fn a_handler_parameter_named_error_keeps_working() {
    let source = "local function handler(ctx, error)
            return error.try(function() return 'rolled back' end, function(why) return why end)
        end
        return (handler({}, error.new('x')))";
    assert_eq!(world().values(source), json!(["rolled back"]));
}
