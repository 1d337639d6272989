//! Calls of modules, their two forms and their results.

use serde_json::json;

use super::*;

#[test]
fn positional_arguments_or_one_table_or_options_last() {
    let world = world();
    assert_eq!(world.values("return probe.echo('a', 2)"), json!(["a|2|"]));
    assert_eq!(world.values("return probe.echo{text = 'a', count = '2', mode = 'm'}"), json!(["a|2|m"]));
    assert_eq!(world.values("return probe.echo('a', {mode = 'm'})"), json!(["a||m"]));
    assert_eq!(world.values("return probe.echo(7)"), json!(["7||"]), "numbers are accepted for strings");
}

#[test]
fn a_wrong_type_raises_with_the_names() {
    let world = world();
    let error = world.error("probe.echo({1, 2})");
    assert!(error.contains("bad argument 'text' to 'probe.echo' (string expected, got"), "{error}");
    let error = world.error("probe.echo()");
    assert!(error.ends_with("bad argument 'text' to 'probe.echo' (string expected, got nil)"), "{error}");
    assert!(error.starts_with("main.sloth:1:"), "{error}");
}

#[test]
fn unknown_option_names_are_w112_and_missing_functions_say_what_was_meant() {
    let world = world();
    world.run("probe.echo('a', {mod = 'm'})");
    assert_eq!(world.lines(), ["W112: unknown option \"mod\" of probe.echo (did you mean \"mode\"?)"]);
    let error = world.error("probe.eccho('a')");
    assert!(error.ends_with("module \"probe\" has no function \"eccho\" (did you mean \"echo\"?)"), "{error}");
    assert_eq!(world.values("return nonsense == nil"), json!([true]), "an undefined global yields nil");
}

#[test]
fn a_module_that_is_not_in_this_build_answers_when_called() {
    let world = world();
    let text = "away.thing is not available in this build";
    assert_eq!(world.values("local a = away; return a.thing('x')"), json!([null, text]));
}

#[test]
fn a_module_is_a_global_and_what_require_returns_under_each_name() {
    let world = world();
    let source =
        "return require('probe') == probe, prb == probe, require('prb') == probe, package.loaded.probe == probe";
    assert_eq!(world.values(source), json!([true, true, true, true]));
    assert_eq!(world.values("return probe.twice(function() return 1 end)"), json!([1, 1]), "its prelude");
    let error = world.error("require('nothing.here')");
    assert!(error.contains("module 'nothing.here' not found"), "{error}");
}

#[test]
fn assigning_to_a_modules_name_shadows_it_for_the_file_and_logs_w101() {
    let world = world();
    assert_eq!(world.values("probe = 3; mine = 4; return probe, mine"), json!([3, 4]));
    assert_eq!(world.lines(), ["W101: the global \"probe\" shadows the module of that name in this file"]);
    let other = World { env: world.vm.file_env().unwrap(), ..world };
    assert_eq!(other.values("return type(probe), mine"), json!(["table", 4]), "another file");
}

#[test]
fn families_return_success_and_failure_in_their_shapes() {
    let world = world();
    let c = "local ok, info = probe.change_c{changed = true} return ok, tostring(info), 'x: ' .. info, info.changed";
    assert_eq!(world.values(c), json!([true, "it was done", "x: it was done", true]));
    assert_eq!(world.values("return probe.change_c{fail = 'no'}"), json!([false, "no"]));
    let m = "local ok, message, info = probe.change_m{changed = false} return ok, message, info.changed";
    assert_eq!(world.values(m), json!([true, "it was done", false]));
    assert_eq!(world.values("local i, e = probe.change_t() return i.changed, e"), json!([false, null]));
    assert_eq!(world.values("return probe.change_t{fail = 'no'}"), json!([null, "no"]));
    let error = world.error("probe.change_t{fail = 'no', raise = true}");
    assert!(error.ends_with("no"), "operational errors raise with raise = true only: {error}");
}

#[test]
fn changed_says_whether_a_resource_call_changed_something() {
    let world = world();
    assert_eq!(world.run("return 1").changed, None);
    assert_eq!(world.run("probe.change_c{changed = false}").changed, Some(false));
    assert_eq!(world.run("probe.change_c{changed = true} probe.change_c{changed = false}").changed, Some(true));
}

#[test]
fn an_exec_result_acts_as_its_standard_output() {
    let world = world();
    let source = "local out, err, failed = probe.command('one\\ntwo\\n')
        return tostring(out), out .. '!', #out, out:gsub('o', '0'), out:trim(), string.upper(out), tonumber(probe.command('42')),
               out == 'one\\ntwo\\n', err, failed, out.lines[2], out.success, out.exit_code, out.code";
    let expected = json!([
        "one\ntwo\n",
        "one\ntwo\n!",
        8,
        "0ne\ntw0\n",
        "one\ntwo",
        "ONE\nTWO\n",
        42,
        false,
        null,
        false,
        "two",
        true,
        0,
        0
    ]);
    assert_eq!(world.values(source), expected);
    let source =
        "local r, err, failed = probe.command{out = '', code = 3} return err, failed, r.failed, r.error, r and true";
    assert_eq!(world.values(source), json!(["exit status 3", true, true, "exit status 3", true]));
    assert_eq!(world.values("local _, e = probe.command{code = 1, err = 'bad'} return e"), json!(["bad"]));
    let source = "local t = {} for line in probe.command('a\\nb\\n'):lines() do t[#t + 1] = line end return t";
    assert_eq!(world.values(source), json!([["a", "b"]]));
    assert_eq!(world.values("return probe.echo(probe.command('as text'))"), json!(["as text||"]));
}

#[test]
fn values_keep_their_kind_across_the_border() {
    let world = world();
    let source = "local function back(v) return (probe.value(v)) end
        return back({}), back({1, 2, {a = 1}}), back(1.5), back(3), back('\\0\\255') == '\\0\\255', back(true), back(nil)";
    assert_eq!(world.values(source), json!([{}, [1, 2, {"a": 1}], 1.5, 3, true, true, null]));
    let error = world.error("local t = {} t.t = t probe.value(t)");
    assert!(error.contains("nested deeper than 100, or contains itself"), "{error}");
    let error = world.error("local t = {1} for i = 1, 60 do t = {t, t} end probe.value(t)");
    assert!(error.contains("more than 1000000 values"), "{error}");
    let error = world.error("probe.value(print)");
    assert!(error.contains("a function is not data"), "{error}");
}
