//! Files that mean harm, or are broken, give findings and nothing else.

use std::time::{Duration, Instant};

use crate::define::testing::*;
use crate::vm::VmSettings;

#[test]
fn an_endless_loop_at_file_level_ends_with_the_definition_timeout() {
    let settings = VmSettings {
        definition_timeout: Duration::from_millis(100),
        kill_grace: Duration::from_millis(50),
        ..VmSettings::default()
    };
    let world = world_with(settings);
    let started = Instant::now();
    let found = world.define("task('a'):shell('x')\nwhile true do end").expect_err("endless");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(found[0].code, "E100");
    assert!(found[0].message.contains("definition_timeout"), "{found:?}");
}

#[test]
fn a_million_tasks_are_refused() {
    let found = findings("for i = 1, 1000000 do task('t' .. i):shell('x') end");
    assert_eq!(found[0].code, "E204");
    let found = findings("local t = {}\nfor i = 1, 1000000 do t[i] = 'x' end\nworkflow('w', { tasks = t })");
    assert!(found.iter().any(|found| matches!(found.code, "E115" | "E204" | "E201")), "{found:?}");
}

#[test]
fn a_memory_bomb_is_a_finding() {
    let world = world_with(VmSettings { memory_max: 16 << 20, ..VmSettings::default() });
    let found = world.define("local s = 'x'\nwhile true do s = s .. s end").expect_err("too much");
    assert_eq!(found[0].code, "E100");
    assert!(found[0].message.contains("memory"), "{found:?}");
}

#[test]
fn cyclic_and_deep_tables_are_refused() {
    let found = finding("local t = {}\nt.t = t\ntask('a'):shell('x'):params(t)");
    assert!(found.starts_with("E115 3: ") && found.contains("contains itself"), "{found}");
    let found = findings("local t = {}\nfor i = 1, 1000 do t = { t } end\nworkflow('w', { tasks = t })");
    assert!(found.iter().any(|found| found.message.contains("nested")), "{found:?}");
    let found = findings("local w = when('values.x')\nw:then_(w)\nworkflow('w'):tasks({ w })");
    assert!(found.iter().any(|found| found.code == "E204"), "{found:?}");
    let wide = "local x = chain({ function() end })\nfor i = 1, 15 do x = chain({ x, x, x, x }) end\nworkflow('w'):tasks({ x })";
    let found = findings(wide);
    assert!(found.iter().any(|found| found.code == "E204"), "{found:?}");
}

#[test]
fn a_deep_recursion_is_a_finding() {
    let found = findings("local function f() return 1 + f() end\nf()");
    assert_eq!(found[0].code, "E100");
}

#[test]
fn files_up_to_4_mib_are_read_and_larger_ones_refused() {
    let large = format!("--{}\ntask('a'):shell('x')", "x".repeat((4 << 20) - 30));
    assert!(findings(&large).is_empty());
    let found = findings(&format!("--{}\ntask('a'):shell('x')", "x".repeat(4 << 20)));
    assert_eq!(found[0].code, "E101");
    let mut tables = "workflow('w', { tasks = {\n".to_owned();
    while tables.len() < 1 << 20 {
        tables += "  { name = 'a', command = 'x' },\n";
    }
    tables += "} })";
    assert!(findings(&tables).iter().any(|found| matches!(found.code, "E204" | "E111")));
}

#[test]
fn a_byte_order_mark_and_a_first_line_of_a_script_are_ignored() {
    let flow = workflow("\u{feff}#!/usr/bin/env slothctl run\ntask('a'):shell('x')\r\n");
    assert_eq!(flow.tasks[0].place.line, 2);
}

#[test]
fn a_script_cannot_forge_or_change_an_object() {
    let source = r#"
local t = task("a"):shell("x")
assert(getmetatable(t) == "locked")
assert(not pcall(setmetatable, t, {}))
assert(not pcall(rawset, t, "__id", 5))
assert(not pcall(function() t.x = 1 end))
local forged = setmetatable({ __id = 0 }, { __index = {} })
assert(not pcall(function() workflow("w"):tasks({ forged }) end) or true)
"#;
    assert!(findings(source).iter().all(|found| found.code != "E100"), "{:?}", findings(source));
}

#[test]
fn a_loop_of_errors_does_not_fill_memory() {
    let found = findings(
        "for i = 1, 1000 do pcall(function() task('a'):nothing() end) end\nfor i = 1, 1500 do task('t' .. i):timeout('x') end",
    );
    assert!(found.len() <= 1_000);
}

#[test]
fn odd_arguments_everywhere_never_panic() {
    let odd = [
        "nil",
        "true",
        "5",
        "''",
        "'x'",
        "{}",
        "{1}",
        "{a=1}",
        "print",
        "task('o')",
        "when(true)",
        "{{{}}}",
        "0/0",
        "math.huge",
    ];
    for words in [
        crate::define::words::task_words(),
        crate::define::words::workflow_words(),
        crate::define::words::config_words(),
    ] {
        // `then` and its like are no plain keys; everything else must give findings, not a panic.
        let mut source = String::new();
        for word in words {
            for value in odd {
                source += &format!("pcall(function() local t = task('x') return t:{0}({value}) end)\n", word.name);
                source += &format!("pcall(function() return task({{ name = 'y', {0} = {value} }}) end)\n", word.name);
                source += &format!(
                    "pcall(function() return workflow('w', {{ {0} = {value}, config = {{ {0} = {value} }} }}) end)\n",
                    word.name
                );
                source += &format!(
                    "pcall(function() local w = workflow('v') return w:{0}({value}, {value}) end)\n",
                    word.name
                );
            }
        }
        let found = world().define(&source).expect_err("much is wrong");
        assert!(found.iter().all(|finding| finding.code != "E101"), "{found:?}");
    }
}
