//! Compositions and their expansion.

use sloth_core::workflow::{Command, Condition, Group};

use crate::define::testing::*;

#[test]
fn in_a_chain_each_element_depends_on_the_previous_and_gets_its_output_as_previous() {
    let flow = workflow(
        r#"
for _, n in ipairs({ "a", "b", "c" }) do task(n):shell(n) end
workflow.define("w", { stages = { { name = "prepare", tasks = chain({ "a", "b", function() end, "c" }) } } })
"#,
    );
    assert_eq!(names(&flow), ["a", "b", "prepare_1", "c"]);
    assert_eq!(edges(&flow), ["b <- a previous", "c <- prepare_1 previous", "prepare_1 <- b previous"]);
}

#[test]
fn after_an_async_task_a_chain_waits_for_its_start_only() {
    let flow = workflow("task('a'):shell('a'):async()\ntask('b'):shell('b')\nworkflow('w'):tasks(chain({'a','b'}))");
    assert_eq!(edges(&flow), ["b <- a order"]);
}

#[test]
fn parallel_as_a_whole_stage_gives_the_stage_its_limits_and_as_a_part_makes_a_group() {
    let flow = workflow(
        r#"
for _, n in ipairs({ "a", "b", "c", "d" }) do task(n):shell(n) end
workflow.define("w", { stages = {
  { name = "push", tasks = workflow.parallel({ "a", "b" }, { max_workers = 2, fail_fast = true, tolerate = 1 }) },
  { name = "mixed", tasks = chain({ "c", parallel({ "d", function() end, max_workers = 3 }) }) },
} })
"#,
    );
    let push = &flow.stages[0];
    assert_eq!((push.max_workers, push.fail_fast, push.tolerate), (Some(2), Some(true), 1));
    assert_eq!(flow.groups, [Group { max_workers: Some(3), fail_fast: false, tolerate: 0 }]);
    assert_eq!(flow.tasks[3].group, Some(0));
    assert_eq!(edges(&flow), ["d <- c previous", "mixed_1 <- c previous"]);
}

#[test]
fn async_parallel_called_at_definition_is_a_descriptor_whose_keys_are_task_names() {
    let flow = workflow(
        r#"
workflow.define("w", { tasks = async.parallel({ left = function() end, right = "make right" }, 2) })
"#,
    );
    assert_eq!(names(&flow), ["left", "right"]);
    assert_eq!(flow.tasks[1].command, Some(Command::Shell("make right".into())));
    assert_eq!(flow.stages[0].max_workers, Some(2));
}

#[test]
fn when_decides_when_the_step_is_reached_and_only_one_branch_runs() {
    let flow = workflow(
        r#"
for _, n in ipairs({ "smoke", "promote", "page_oncall", "restore" }) do task(n):shell(n) end
workflow.define("w", { tasks = chain({
  "smoke",
  when("smoke.success && values.env == 'prod'"):then("promote"):else({ "page_oncall", "restore" }),
  function() end,
}) })
"#,
    );
    let task = |name: &str| flow.tasks.iter().find(|task| task.name == name).expect(name);
    let choose = task("w_when_1");
    let Some(Command::Choose(conditions)) = &choose.command else { panic!("{:?}", choose.command) };
    let wanted = Condition::Expression("smoke.success && values.env == 'prod'".into());
    assert_eq!(conditions.as_slice(), [Some(wanted), None]);
    assert_eq!(task("promote").branch.map(|(_, branch)| branch), Some(0));
    assert_eq!(task("page_oncall").branch.map(|(_, branch)| branch), Some(1));
    assert_eq!(task("restore").branch.map(|(_, branch)| branch), Some(1));
    let wanted = [
        "page_oncall <- w_when_1",
        "promote <- w_when_1",
        "restore <- page_oncall previous",
        "w_1 <- promote previous",
        "w_1 <- restore previous",
        "w_when_1 <- smoke previous",
    ];
    assert_eq!(edges(&flow), wanted);
}

#[test]
fn when_has_its_aliases_and_elseif_and_a_missing_branch_goes_on() {
    let flow = workflow(
        r#"
local w = when(true):then_("a"):elseif_("values.x", "b"):else_do("d")
local v = workflow.conditional(function() return true end, "a")
local bracket = when("values.y")["then"]
for _, n in ipairs({ "a", "b", "c", "d" }) do task(n):shell(n) end
workflow.define("w", { tasks = chain({ w, v, "c" }) })
assert(bracket)
"#,
    );
    let Some(Command::Choose(conditions)) = &flow.tasks[0].command else { panic!() };
    assert_eq!(conditions.len(), 3);
    assert!(names(&flow).contains(&"a[2]"), "the same task in another branch is a task of its own: {:?}", names(&flow));
}

#[test]
fn a_branch_may_name_a_task_that_is_registered_nowhere_and_fails_when_it_is_taken() {
    let world = world();
    let defined =
        world.good("workflow.define('w', { tasks = { when('values.x'):then_('nowhere'):else_(function() end) } })");
    let flow = &defined.workflows[0];
    assert_eq!(names(flow), ["w_when_1", "nowhere", "w_1"]);
    assert_eq!(defined.diagnostics.iter().map(|found| found.code).collect::<Vec<_>>(), ["W201"]);
    let end = world.call(&flow.tasks[1], |_| {});
    assert_eq!(end.result.expect_err("fails").message, "task \"nowhere\" not found");
}

#[test]
fn a_descriptor_may_be_the_command_of_a_task() {
    let flow = workflow(
        r#"
task("before"):shell("x")
task("group"):command(chain({ function() end, function() end })):depends_on("before")
task("after"):shell("y"):depends_on("group")
"#,
    );
    assert_eq!(names(&flow), ["before", "group", "group_1", "group_2", "after"]);
    let wanted =
        ["after <- group", "group <- before", "group <- group_2", "group_1 <- before", "group_2 <- group_1 previous"];
    assert_eq!(edges(&flow), wanted);
    assert_eq!(flow.tasks[1].command, None);
}

#[test]
fn a_task_of_the_same_name_in_two_stages_gets_its_stage_before_it() {
    let flow = workflow(
        r#"
workflow.define("w", { stages = {
  { name = "eu", tasks = { drain = { command = "x" }, swap = { command = "y", depends_on = "drain" } } },
  { name = "us", tasks = { drain = { command = "x" }, tell = { command = "z", run_if = "eu.drain.success && us.drain.failed" } } },
} })
"#,
    );
    assert_eq!(names(&flow), ["eu/drain", "swap", "us/drain", "tell"]);
    assert_eq!(edges(&flow), ["swap <- eu/drain", "tell <- eu/drain ended", "tell <- us/drain ended"]);
}

#[test]
fn a_stage_when_runs_its_branch_as_the_first_step() {
    let flow = workflow(
        r#"
for _, n in ipairs({ "a", "b", "c" }) do task(n):shell(n) end
workflow.define("w", { stages = {
  { name = "one", tasks = { "a" } },
  { name = "two", condition = when("one.success"):then_("b"), tasks = { "c" } },
} })
"#,
    );
    assert_eq!(flow.stages[1].condition, Some(Condition::Expression("one.success".into())));
    assert_eq!(edges(&flow), ["b <- two_when_1", "c <- b", "c <- two_when_1", "two_when_1 <- a ended"]);
}

#[test]
fn saga_participants_that_are_tasks_run_in_order_and_others_are_logical() {
    let flow = workflow(
        r#"
for _, n in ipairs({ "reserve_stock", "charge_card", "audit", "boss" }) do task(n):shell(n) end
workflow.define("order", { stages = { {
  name = "buy", tasks = { "audit" },
  saga = {
    participants = { "reserve_stock", "charge_card", "courier" },
    coordinator = "boss", timeout = "1m", retry = { max_attempts = 5 },
    compensation = { reserve_stock = function(ctx) end, charge_card = "audit" },
  },
} } })
"#,
    );
    let wanted = [
        "audit <- boss",
        "charge_card <- boss",
        "charge_card <- reserve_stock",
        "reserve_stock <- audit",
        "reserve_stock <- boss",
    ];
    assert_eq!(edges(&flow), wanted);
    let saga = flow.stages[0].saga.as_ref().expect("a saga");
    assert_eq!((saga.coordinator.as_str(), saga.timeout_ms, saga.retry.max_attempts), ("boss", 60_000, 5));
    assert_eq!(saga.participants.len(), 3);
    assert!(matches!(&saga.participants[2], sloth_core::workflow::Step::Logical(name) if name == "courier"));
    assert_eq!(saga.compensation[0], ("charge_card".into(), Command::Shell("audit".into())));
}

#[test]
fn listed_order_waits_for_the_previous_of_the_list() {
    let source =
        "workflow('w'):tasks({ task('a'):shell('a'), task('b'):shell('b'), task('c'):shell('c'):depends_on('a') })";
    let listed = workflow(&format!("{source}:config({{ ordering = 'listed' }})"));
    assert_eq!(edges(&listed), ["b <- a order", "c <- a", "c <- b order"]);
    let serial = workflow(&format!("{source}:config({{ parallel = false }})"));
    assert_eq!(edges(&serial).len(), 3);
    assert_eq!(serial.config.max_parallel, Some(1));
}

#[test]
fn a_name_resolves_to_the_stages_task_then_the_workflows_then_a_stage_then_a_registered_task() {
    let world = world();
    let defined = world.good(
        r#"
task("lib"):shell("lib"):depends_on("deeper")
task("deeper"):shell("deeper")
task("x"):shell("x")
workflow.define("w", { stages = {
  { name = "one", tasks = { "x", y = { command = "y" } } },
  { name = "two", tasks = { x = { command = "own" }, z = { command = "z", depends_on = { "x", "one", "lib" } } } },
} })
"#,
    );
    let flow = &defined.workflows[0];
    let wanted = ["lib <- deeper", "z <- lib", "z <- one/x", "z <- two/x", "z <- y"];
    assert_eq!(edges(flow), wanted);
    let codes: Vec<&str> = defined.diagnostics.iter().map(|found| found.code).collect();
    assert_eq!(codes, ["W202", "W202"]);
}

#[test]
fn a_composition_made_inside_a_task_has_run() {
    let world = world();
    let defined = world.good(
        r#"
task("t"):command(function()
  local seen = {}
  local ok = chain({ function() seen[1] = 1 return true end, function() seen[2] = 2 return true end }):run()
  local bad, why = parallel({ function() return true end, function() return false, "no" end }):run()
  return { ok2 = ok, seen = seen, bad = bad, why = why }
end)
"#,
    );
    let end = world.call(&defined.workflows[0].tasks[0], |_| {});
    let values = end.result.expect("runs");
    assert_eq!(values[0].to_json(), serde_json::json!({"ok2": true, "seen": [1, 2], "bad": false, "why": "no"}));
}
