//! What a script must not be able to do to its worker.

use std::time::Instant;

use serde_json::json;

use super::*;

#[test]
fn a_memory_bomb_ends_the_task_with_a_clear_message() {
    let world = world_with(|settings| settings.memory_max = 32 << 20);
    for body in [
        "local t = {} while true do t[#t + 1] = string.rep('x', 100000) .. #t end",
        "local s = 'x' while true do s = s .. s end",
        "return string.rep('x', 1000000000)",
        "return table.create(50000000, 1)",
        "return buffer.create(1000000000)",
        "local t = {} for i = 1, math.huge do t[i] = {} end",
        "return string.rep('ab', 500000000, ',')",
        "local t = {} for i = 1, 1e9 do t[i] = coroutine.create(print) end",
        "return ('x'):rep(20000000):gsub('x', 'yyyyyyyy')",
        "return table.concat(table.create(1000000, string.rep('x', 1000)))",
    ] {
        let raised = world.run(body).result.unwrap_err();
        assert!(raised.message.contains("not enough memory"), "{body}: {}", raised.message);
    }
    assert_eq!(world.values("return 1 + 1"), json!([2]), "the VM goes on");
    let caught = world.values("return pcall(function() return string.rep('x', 1000000000) end)");
    assert_eq!(caught[0], json!(false));
}

#[test]
fn deep_recursion_is_an_error() {
    let world = world();
    for body in [
        "local function f() return f() + 1 end f()",
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k .. 'x'] end return t.a",
        "local function f() return pcall(f) end return select('#', f())",
        "local f f = function() return coroutine.wrap(f)() end f()",
        "local s = string.rep('(', 100000) .. '1' .. string.rep(')', 100000) return assert(loadstring('return ' .. s))()",
        "local s = string.rep('{', 100000) .. string.rep('}', 100000) return assert(loadstring('return ' .. s))()",
        "local t = {} for i = 1, 300000 do t = {t} end return probe.value(t)",
    ] {
        let _ = world.run(body).result;
    }
    assert_eq!(world.values("return 1 + 1"), json!([2]));
    let error = world.error("local function f() return f() + 1 end f()");
    assert!(error.contains("stack overflow"), "{error}");
}

#[test]
fn a_pattern_bomb_is_interrupted() {
    let world = world();
    for body in [
        "return string.find(string.rep('a', 40), string.rep('a?', 40) .. string.rep('a', 40) .. 'b')",
        "return string.find(string.rep('a', 100000), '.-.-.-.-.-.-b')",
        "return string.gsub(string.rep('a', 100000), '(.*)(.*)(.*)(.*)(.*)b', '')",
        "return ('x'):rep(100000):match('.-.-.-.-b$')",
    ] {
        let mut ctx = world.ctx(Some("t"));
        ctx.deadline = Some(Instant::now() + Duration::from_millis(50));
        let began = Instant::now();
        let _ = world.run_in(body, ctx);
        assert!(began.elapsed() < Duration::from_secs(2), "{body}: {:?}", began.elapsed());
    }
}

#[test]
fn library_calls_cannot_run_long_without_a_safepoint() {
    let world = world();
    for body in [
        "table.move({}, 1, 2^31 - 2, 2)",
        "return string.rep('', 2^31 - 1)",
        "return select('#', table.unpack({}, 1, 1e8))",
        "return table.concat({}, 'x', 1, 2^31 - 2)",
        "return string.format('%' .. string.rep('9', 50) .. 'd', 1)",
        "for i = 1, 1e15 do end",
    ] {
        let mut ctx = world.ctx(Some("t"));
        ctx.deadline = Some(Instant::now() + Duration::from_millis(50));
        let began = Instant::now();
        let _ = world.run_in(body, ctx);
        assert!(began.elapsed() < Duration::from_secs(2), "{body}: {:?}", began.elapsed());
    }
}

#[test]
fn bytecode_is_never_loaded() {
    let world = world();
    let source = r"return load('\27Lua'), (select(2, load('\27Lua'))) ~= nil, load('\6\3\0'), string.dump, load('return 1', 'x', 'b')";
    assert_eq!(world.values(source)[0], json!(null));
    assert_eq!(world.values("return (load('\\3\\1\\0'))"), json!([null]));
    assert_eq!(world.values("return load('return 2', 'x', 'b')"), json!([null, "bytecode cannot be loaded"]));
    assert_eq!(world.values("return load('return 2')()"), json!([2]));
    assert_eq!(world.values("return loadstring('return ...')(7)"), json!([7]));
}

#[test]
fn nothing_of_the_host_can_be_reached() {
    let world = world();
    let source = "return getfenv, setfenv, newproxy, gcinfo, debug.getregistry, debug.sethook, debug.getlocal, debug.setmetatable,
        debug.getupvalue, string.dump, os.getpid, io.tmpfile";
    let values = world.run(source).result.unwrap();
    for (index, value) in values.iter().take(10).enumerate() {
        assert_eq!(value, &Data::Nil, "{index}");
    }
    assert_eq!(
        world.values("local n = 0 for k in debug do n += 1 end return n"),
        json!([2]),
        "traceback and info only"
    );
    assert_eq!(world.values("return getmetatable('')"), json!(["locked"]));
    assert!(!world.values("return pcall(setmetatable, _G, {})")[0].as_bool().unwrap());
    let source = "local ok, e = pcall(function() local t = nil; return t.x end) return type(e)";
    assert_eq!(world.values(source), json!(["string"]));
    for raise in [
        "probe.echo()",
        "string.rep('x', 1e9)",
        "local t = nil t.x = 1",
        "coroutine.wrap(function() probe.echo() end)()",
    ] {
        let source = format!("local ok, e = pcall(function() {raise} end) return type(e) ~= 'userdata'");
        assert_eq!(world.values(&source), json!([true]), "{raise}");
    }
}

#[test]
fn functions_of_the_vm_that_debug_finds_do_no_harm() {
    let world = world();
    let source = "local found = {}
        local function look() for level = 1, 30 do local f = debug.info(level, 'f') if f then found[f] = true end end end
        pcall(function() local t = setmetatable({}, {__index = function() look() return 1 end}) return t.x end)
        xpcall(function() error('x') end, function() look() end)
        coroutine.wrap(function() look() end)()
        look()
        for f in found do for _, args in {{}, {0}, {1, 'x'}, {2, 1}, {2, 1e300}, {2, -1}, {2, 0/0}, {'x'}, {nil, {}}} do
          pcall(f, table.unpack(args)) end end
        return true";
    let mut ctx = world.ctx(Some("t"));
    ctx.deadline = Some(Instant::now() + Duration::from_secs(1));
    let _ = world.run_in(source, ctx);
    assert_eq!(world.values("return 1 + 1"), json!([2]));
}

#[test]
fn goroutines_are_limited() {
    let world = world_with(|settings| settings.max_coroutines = 100);
    let error = world.error("for i = 1, 1000 do goroutine.spawn(function() goroutine.sleep(1000) end) end");
    assert!(error.contains("too many goroutines (limit 100, lua.max_coroutines)"), "{error}");
    assert_eq!(
        world.values(
            "local n = 0 for i = 1, 90 do goroutine.spawn(function() n += 1 end) end goroutine.sleep(5) return n"
        ),
        json!([90])
    );
}

#[test]
fn wild_values_in_calls_are_errors() {
    let world = world();
    for body in [
        "probe.echo(setmetatable({}, {__tostring = function() error('boom') end}))",
        "probe.echo('x', 0/0)",
        "probe.echo('x', 'abc')",
        "probe.echo(coroutine.create(print))",
        "probe.echo(setmetatable({}, {__index = function() error('boom') end}))",
        "goroutine.sleep('x')",
        "goroutine.channel(-1)",
        "goroutine.select({})",
        "goroutine.select(5)",
        "error(setmetatable({}, {__tostring = function() error('boom') end}))",
        "error(nil)",
        "error(coroutine.create(print))",
        "error()",
    ] {
        let raised = world.run(body).result;
        assert!(raised.is_err(), "{body}");
    }
    assert_eq!(world.values("return 1 + 1"), json!([2]));
}
