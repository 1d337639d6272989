//! Values, params, outputs, imports, bundle, definition journal.

use serde_json::json;

use crate::define::bridge::Loader;
use crate::define::testing::*;

fn map(value: serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
    value.as_object().cloned().expect("a map")
}

#[test]
fn values_called_merges_defaults_under_the_existing_ones_and_returns_the_table() {
    let mut world = world();
    world.given.values = map(json!({"region": "us", "deep": {"a": 1}, "list": [1]}));
    world.good(
        r#"
local v = values({ region = "eu", replicas = 2, deep = { a = 5, b = 6 }, list = { 7, 8 } })
assert(v == values and Values == values)
assert(values.region == "us" and values.replicas == 2)
assert(values.deep.a == 1 and values.deep.b == 6)
assert(#values.list == 1, "lists replace")
task("t"):shell("x")
"#,
    );
    assert_eq!(json!(world.vm.values()), json!({"region": "us", "deep": {"a": 1, "b": 6}, "list": [1], "replicas": 2}));
}

#[test]
fn values_get_reads_a_path_and_values_are_read_only_after_the_definition_phase() {
    let mut world = world();
    world.given.values = map(json!({"a": {"b": [10, {"c": "x"}]}, "get": 5}));
    let defined = world.good(
        r#"
assert(values.get("a.b[1]") == 10 and values.get("a.b[2].c") == "x")
assert(values.get("a.no.b", "d") == "d" and values.get("a.no") == nil)
assert(values.get("get") == 5)
values.own = 1
task("t"):command(function()
  local ok = pcall(function() values.x = 1 end)
  local deep = pcall(function() values.a.b = 1 end)
  return { ok = ok, deep = deep, own = values.own }
end)
"#,
    );
    let end = world.call(&defined.workflows[0].tasks[0], |_| {});
    assert_eq!(end.result.expect("runs")[0].to_json(), json!({"ok": false, "deep": false, "own": 1}));
}

#[test]
fn workflow_values_are_over_the_files_defaults_and_under_what_is_given() {
    let mut world = world();
    world.given.values = map(json!({"a": "given"}));
    world.good("values({ a = 'd', b = 'd', c = 'd' })\nworkflow('w', { values = { a = 'w', b = 'w' }, tasks = { x = { command = 'x' } } })");
    assert_eq!(json!(world.vm.values()), json!({"a": "given", "b": "w", "c": "d"}));
}

#[test]
fn params_are_those_of_the_run() {
    let mut world = world();
    world.given.params = map(json!({"order": 7}));
    world.good("assert(params.order == 7)\ntask('t'):shell('x')");
}

#[test]
fn outputs_export_and_stack_set_output_feed_the_same_map() {
    let world = world();
    world.good(
        "export({ a = 1 })\nexport('b', { 2 })\nstack.set_output('c', 'x')\noutputs = { endpoint = 'e', a = 5 }\ntask('t'):shell('x')",
    );
    assert_eq!(json!(world.vm.outputs()), json!({"a": 5, "b": [2], "c": "x", "endpoint": "e"}));
}

#[test]
fn import_is_relative_to_the_importing_file_then_to_the_main_file_and_evaluates_once() {
    let mut world = world();
    world.program.dir = "/srv/flow".into();
    for (path, text) in [
        ("lib/a.lua", "count = (count or 0) + 1\nreturn { b = import('b.lua'), main = import('top.lua') }"),
        ("lib/b.lua", "return 'b'"),
        ("top.lua", "x = 1"),
    ] {
        world.program.files.insert(path.into(), text.into());
    }
    world.good(
        r#"
local a, again = import("lib/a.lua"), import("./lib/../lib/a.lua")
assert(a == again and count == 1 and a.b == "b")
assert(a.main == true, "true if the chunk has no value")
task("t"):shell("x")
"#,
    );
}

#[test]
fn imports_in_a_circle_are_told() {
    let mut world = world();
    world.program.files.insert("a.lua".into(), "return import('main.sloth')".into());
    let found = world.define("import('a.lua')").expect_err("a circle");
    assert!(found[0].message.contains("circle") || found[0].message.contains("nested"), "{found:?}");
}

#[test]
fn require_finds_modules_then_files_with_dots_as_slashes_and_caches_them() {
    let mut world = world();
    world.program.dir = "/srv/flow".into();
    world.program.files.insert("modules/my/tool.lua".into(), "return { n = 1 }".into());
    world.good(
        r#"
local e, s, m = require("exec"), require("string"), require("my.tool")
assert(e == exec and s == string and m.n == 1 and m == require("my.tool"))
assert(package.loaded["my.tool"] == m and package.loaded["my.other"] == nil)
assert(not pcall(require, "_host") and package.loaded._host == nil and not bridge.exists("_host.run"))
assert(package.loaded.exec == exec and type(package.path) == "string")
assert(not pcall(function() package.loaded.x = 1 end))
assert(bridge.exists("exec.run") and not bridge.exists("exec.nothing"))
assert(bridge.call("exec.run", { cmd = "hi" }).stdout == "hi")
task("t"):shell("x")
"#,
    );
}

/// "`load`, `loadfile`, `dofile`" read files of the program as `import` does, and they belong to the bundle.
#[test]
fn loadfile_and_dofile_read_files_of_the_program() {
    let mut world = world();
    world.program.dir = "/srv/flow".into();
    world.program.files.insert("lib/five.lua".into(), "local n = ... return (n or 0) + 5".into());
    world.program.files.insert("lib/broken.lua".into(), "local = 5".into());
    let defined = world.good(
        r#"
assert(dofile("lib/five.lua") == 5 and loadfile("lib/five.lua")(2) == 7)
local f, problem = loadfile("lib/none.lua")
assert(f == nil and problem == "lib/none.lua: no such file (tried /srv/flow/lib/none.lua, /work/lib/none.lua)", problem)
local f, problem = loadfile("lib/broken.lua")
assert(f == nil and string.find(problem, "lib/broken.lua:1:", 1, true), problem)
local ok, problem = pcall(dofile, "../../etc/passwd")
assert(not ok and string.find(tostring(problem), "E106", 1, true), problem)
task("t"):command(function() return { n = dofile("lib/five.lua") } end)
"#,
    );
    let end = world.call(&defined.workflows[0].tasks[0], |_| {});
    assert_eq!(end.result.expect("runs")[0].to_json(), json!({"n": 5}));
}

/// "opts … over `runner_config.circuit_breakers[name]` over `.default`"
#[test]
fn circuits_take_their_defaults_from_runner_config() {
    let world = world();
    let defined = world.good(
        r#"
runner_config = { circuit_breakers = {
  default = { failure_threshold = 6, half_open_requests = 1 }, api = { failure_threshold = 2, recovery_timeout = "20s" } } }
task("t"):command(function()
  flow.circuit_breaker("api", function() return true end, { half_open_requests = 3 })
  flow.circuit_breaker("other", function() return true end)
  return true
end)
"#,
    );
    world.call(&defined.workflows[0].tasks[0], |_| {}).result.expect("runs");
    let asked = world.slothd.1.lock().unwrap().clone();
    let entered: Vec<_> =
        asked.iter().filter(|(what, _)| *what == "circuit.enter").map(|(_, body)| body.clone()).collect();
    let wanted = |name: &str, failures: u32, recovery: u32, trials: u32| json!({"name": name, "failure_threshold": failures, "recovery_timeout_ms": recovery, "half_open_requests": trials});
    assert_eq!(json!(entered), json!([wanted("api", 2, 20_000, 3), wanted("other", 6, 60_000, 1)]));
}

/// "`async.parallel`, `async.sequence` … called in the definition phase return a descriptor", "map keys are task names"
#[test]
fn async_at_file_level_describes_tasks() {
    let made = workflow(
        "workflow('w'):tasks({ async.sequence({ function() end, async.parallel({ b = function() end, c = function() end }, 1) }) })",
    );
    let mut all = names(&made);
    all.sort_unstable();
    assert_eq!(all.len(), 3);
    assert!(all.contains(&"b") && all.contains(&"c"), "{all:?}");
    assert_eq!(edges(&made).len(), 2, "{:?}", edges(&made));
    assert_eq!(made.groups.iter().map(|group| group.max_workers).collect::<Vec<_>>(), [Some(1)]);
}

struct Disk;

impl Loader for Disk {
    fn read(&self, path: &std::path::Path) -> std::io::Result<Option<Vec<u8>>> {
        match path.to_str() {
            Some("/srv/flow/lib.lua") => Ok(Some(b"return 1".to_vec())),
            Some("/work/shared.lua") => Ok(Some(b"return 2".to_vec())),
            Some("/srv/flow/locked.lua") => Err(std::io::Error::other("permission denied")),
            _ => Ok(None),
        }
    }
}

#[test]
fn all_files_that_the_evaluation_reads_belong_to_the_bundle() {
    let mut world = world();
    world.program.dir = "/srv/flow".into();
    world.program.loader = Some(std::rc::Rc::new(Disk));
    world.good("assert(import('lib.lua') == 1 and import('/work/shared.lua') == 2)\ntask('t'):shell('x')");
    let bundle = world.vm.bundle();
    assert_eq!(bundle.keys().collect::<Vec<_>>(), ["/work/shared.lua", "lib.lua", "main.sloth"]);
    let mut world = crate::define::testing::world();
    world.program.dir = "/srv/flow".into();
    world.program.loader = Some(std::rc::Rc::new(Disk));
    let found = world.define("import('locked.lua')").expect_err("cannot be read");
    assert!(found[0].message.contains("permission denied"), "{found:?}");
}

#[test]
fn host_calls_of_the_definition_are_recorded_and_given_again() {
    let source = "local r = exec.run('make id')\ntask('t'):shell(tostring(r))";
    let first = world();
    assert_eq!(
        first.good(source).workflows[0].tasks[0].command,
        Some(sloth_core::workflow::Command::Shell("make id".into()))
    );
    let records = first.slothd.0.lock().unwrap().clone();
    assert_eq!(records.len(), 1);
    let mut again = world();
    let mut results = records[0]["results"].clone();
    results["ok"][0]["m"][0][1] = json!({"s": "recorded"});
    again.given.recorded = vec![crate::RecordedCall {
        function: records[0]["function"].as_str().expect("a name").to_owned(),
        arguments: records[0]["arguments"].as_str().expect("a digest").to_owned(),
        results,
    }];
    let defined = again.good(source);
    assert_eq!(defined.workflows[0].tasks[0].command, Some(sloth_core::workflow::Command::Shell("recorded".into())));
    assert!(again.slothd.0.lock().unwrap().is_empty(), "nothing was executed");
    let mut other = world();
    other.given.recorded = again.given.recorded.clone();
    other.good("exec.run('something else')\ntask('t'):shell('x')");
    assert!(other.lines().iter().any(|line| line.starts_with("W301")), "{:?}", other.lines());
}
