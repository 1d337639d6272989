//! Base functions, os and io.

use serde_json::json;

use super::*;

#[test]
fn print_writes_one_log_line_to_standard_output() {
    let world = world();
    world.run("print('a', 1, nil, true, 3.0, (probe.command('out')))");
    let lines = world.log.0.lock().unwrap().clone();
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (lines[0].message.as_str(), lines[0].level, lines[0].stream),
        ("a\t1\tnil\ttrue\t3\tout", LogLevel::Info, Stream::Stdout)
    );
    assert_eq!(lines[0].task.as_deref(), Some("t"));
}

#[test]
fn numbers_print_without_a_fraction_and_percent_d_truncates() {
    let world = world();
    let source = "return tostring(3.0), string.format('%d', 3.7), ('%d|%5.1f|%s'):format(-2.5, 1.25, 1.5), string.format('%5d|', 3.2), string.format('%x', 255)";
    assert_eq!(world.values(source), json!(["3", "3", "-2|  1.2|1.5", "    3|", "ff"]));
}

#[test]
fn lua_51_style_works() {
    let world = world();
    let source = "return unpack({1, 2}), rawlen({1, 2, 3}), table.unpack({4}), #string.rep('ab', 3), ('x'):upper(),
        select('#', nil, nil), loadstring('return 1 + 1')(), type(collectgarbage('count')), math.floor(2.7), bit32.band(6, 3),
        utf8.len('aé'), table.concat({'a', 'b'}, ','), os.time{year = 2000, month = 1, day = 1, hour = 12} > 0, type(os.clock()),
        tostring(nil), rawequal(1, 1)";
    let expected = json!([1, 3, 4, 6, "X", 2, 2, "number", 2, 2, 2, "a,b", true, "number", "nil", true]);
    assert_eq!(world.values(source), expected);
}

#[test]
fn luau_additions_work() {
    let world = world();
    let source = "local n = 0
        for i = 1, 5 do if i % 2 == 0 then continue end n += i end
        local s: string = `n is {n}`
        return s, 7 // 2, table.find({'a', 'b'}, 'b'), if n > 3 then 'big' else 'small'";
    assert_eq!(world.values(source), json!(["n is 9", 3, 2, "big"]));
}

#[test]
fn environment_of_the_task_is_seen_and_changed() {
    let world = world();
    let ctx = world.ctx(Some("t"));
    ctx.env.lock().unwrap().insert("GIVEN".to_owned(), Some("yes".to_owned()));
    ctx.env.lock().unwrap().insert("HOME".to_owned(), None);
    let env = Arc::clone(&ctx.env);
    let end = world.run_in(
        "os.setenv('NEW', 5) os.setenv('GIVEN', nil) return os.getenv('NEW'), os.getenv('GIVEN'), os.getenv('HOME')",
        ctx,
    );
    assert_eq!(end.result.unwrap(), [Data::from("5"), Data::Nil, Data::Nil]);
    assert_eq!(env.lock().unwrap().get("NEW"), Some(&Some("5".to_owned())));
}

#[test]
fn io_write_logs_whole_lines_and_the_rest_at_the_end() {
    let world = world();
    world.run("io.write('a', 1, '\\nb') io.stdout:write('c\\n') io.stderr:write('oops\\n') io.write('rest')");
    assert_eq!(world.lines(), ["a1", "bc", "oops", "rest"]);
    assert_eq!(world.values("return io.read()"), json!([null]), "a worker has no terminal");
}

#[test]
fn bridge_calls_functions_by_name() {
    let world = world();
    let source =
        "return bridge.call('probe.echo', {text = 'x'}), bridge.exists('probe.echo'), bridge.exists('probe.no'),
        go_bridge == bridge, table.find(bridge.list(), 'probe.echo') ~= nil, bridge.exists('_host.open')";
    assert_eq!(world.values(source), json!(["x||", true, false, true, true, false]));
    let source = "local i = module_info('probe') return i.name, i.tier, table.find(i.functions, 'echo'), table.find(modules(), 'probe') ~= nil";
    assert_eq!(world.values(source), json!(["probe", "core", 1, true]));
}

#[test]
fn package_loaded_is_read_only() {
    let world = world();
    let error = world.error("package.loaded.x = 1");
    assert!(error.contains("read only"), "{error}");
    assert_eq!(world.values("return require('string') == string, type(package.path)"), json!([true, "string"]));
}

#[test]
fn perf_measures_and_remembers() {
    let world = world();
    let source = "local r, ms, e = perf.measure(function() probe.slow(5) return 'x' end, 'n')
        local r2, _, e2 = perf.measure(function() error('no', 0) end, 'n')
        local s = perf.stats('n')
        local mark = perf.mark() goroutine.sleep(5)
        return r, ms >= 5, e, r2, e2, s.count, s.max >= s.min, perf.since(mark) >= 4, perf.memory().current_mb > 0, perf.stats().n.count";
    assert_eq!(world.values(source), json!(["x", true, null, null, "no", 2, true, true, true, 2]));
}
