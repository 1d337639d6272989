//! Workflows, configuration, the implicit workflow, runner_config.

use serde_json::json;
use sloth_core::workflow::{
    Backoff, Condition, FailurePolicy, HookWhen, OnConflict, Ordering, Resolution, Retry, WorkflowFailure,
};

use crate::define::testing::*;

#[test]
fn the_chain_form_and_the_table_form_say_the_same() {
    let chain = workflow(
        r#"
workflow.define("site_release"):description("Publish the site"):version("1.4.0"):author("me"):tags({ "web" })
  :metadata({ team = "x" }):tasks({ a = { command = "x" } }):env({ A = 1 }):workdir("/srv"):values({ v = 1 }):params({ p = 2 })
  :timeout("20m"):max_parallel(3):config({ fail_fast = true })
"#,
    );
    let table = workflow(
        r#"
workflow "site_release" {
  description = "Publish the site", version = "1.4.0", author = "me", tags = { "web" }, metadata = { team = "x" },
  tasks = { a = { command = "x" } }, env = { A = 1 }, workdir = "/srv", values = { v = 1 }, params = { p = 2 },
  timeout = "20m", config = { max_parallel_tasks = 3 }, fail_fast = true,
}
"#,
    );
    let strip = |mut flow: sloth_core::workflow::Workflow| {
        flow.tasks.iter_mut().for_each(|task| task.place = Default::default());
        flow
    };
    assert_eq!(strip(chain.clone()), strip(table));
    assert_eq!((chain.config.timeout_ms, chain.config.max_parallel), (Some(1_200_000), Some(3)));
}

#[test]
fn workflow_called_as_a_function_equals_define_and_task_adds_one() {
    let flow = workflow(
        "workflow('x', { tasks = { a = { command = 'a' } } }):task('b', { command = 'b' }):add_task(task('c'):shell('c'))",
    );
    assert_eq!(names(&flow), ["a", "b", "c"]);
}

#[test]
fn every_configuration_key_is_understood() {
    let flow = workflow(
        r#"
workflow.define("w", { tasks = { a = { command = "a" } }, config = {
  timeout = "1h", max_workers = 4, ordering = "listed", on_task_failure = "rollback", fail_fast = true,
  max_retries = 2, retry_strategy = "linear", retry_delay = "3s", create_workdir_before_run = true,
  cleanup = function() return true end, require_lock = true, lock_timeout = "5m", lock_wait = "10s",
  create_snapshot = true, snapshot_after = true, validate_before = true, detect_drift = true, on_failure = "compensate",
  dependency_resolution = "topological", priority = "critical", concurrency_group = "g", concurrency_limit = 2,
  on_conflict = "cancel_running", resumable = false, depends_on_stacks = { "base" }, artifact_retention = "7d",
  artifact_compression = true, verify_checksums = true, environment = { A = "1" },
} })
"#,
    );
    let config = &flow.config;
    assert_eq!((config.timeout_ms, config.max_parallel, config.ordering), (Some(3_600_000), Some(4), Ordering::Listed));
    assert_eq!((config.on_task_failure, config.fail_fast), (FailurePolicy::Rollback, true));
    let retry = Retry { max_attempts: 3, backoff: Backoff::Linear, delay_ms: 3_000, ..Retry::default() };
    assert_eq!(config.task_retry, Some(retry));
    assert!(config.create_workdir && flow.clean_workdir.is_some() && config.not_resumable);
    assert_eq!(config.require_lock, Some(true));
    assert!(config.create_snapshot && config.snapshot_after && config.validate_before && config.detect_drift);
    assert_eq!((config.on_failure, config.resolution), (WorkflowFailure::Compensate, Resolution::Topological));
    assert_eq!((config.priority, config.concurrency_limit), (100, Some(2)));
    assert_eq!((config.concurrency_group.as_deref(), config.on_conflict), (Some("g"), OnConflict::CancelRunning));
    assert_eq!(
        (config.depends_on_stacks.as_slice(), config.artifact_retention_ms),
        (["base".to_owned()].as_slice(), Some(604_800_000))
    );
    assert_eq!(flow.env["A"].as_deref(), Some("1"));
}

#[test]
fn handlers_of_a_workflow_keep_their_order() {
    let flow = workflow(
        r#"
local function f() end
workflow("w"):tasks({ a = { command = "a" } }):on_start(f):on_complete(f):on_success(f):on_failure(f)
  :error_handling({ on_failure = f, retry = { max_attempts = 2 }, ignore = { "a" } }):config({ on_failure = f })
"#,
    );
    let whens: Vec<HookWhen> = flow.handlers.entries.iter().map(|entry| entry.when).collect();
    use HookWhen::{ConfigOnFailure, ErrorHandling, OnComplete, OnFailure, OnStart, OnSuccess};
    assert_eq!(whens, [OnStart, OnComplete, OnSuccess, OnFailure, ErrorHandling, ConfigOnFailure]);
    assert_eq!(flow.config.on_failure, WorkflowFailure::Function);
    assert_eq!(
        (flow.config.ignore.as_slice(), flow.retry.map(|r| r.max_attempts)),
        (["a".to_owned()].as_slice(), Some(2))
    );
}

#[test]
fn stages_are_in_order_have_defaults_and_give_their_tasks_what_they_inherit() {
    let flow = workflow(
        r#"
local function f() end
workflow.define("w", { delegate_to = "far", stages = {
  { tasks = { a = { command = "a" }, b = f }, env = { E = "1" }, delegate_to = "local", timeout = "5m", retries = 1,
    resources = { cpu = "1" }, hooks = { pre_task = f, on_failure = f }, on_success = f, continue_on_error = true },
  { name = "last", condition = "stage_1.success", tasks = f },
} })
"#,
    );
    assert_eq!(flow.stages.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["stage_1", "last"]);
    assert_eq!(names(&flow), ["a", "b", "last_1"]);
    let (stage, a) = (&flow.stages[0], &flow.tasks[0]);
    assert_eq!((stage.timeout_ms, stage.retry.as_ref().map(|r| r.max_attempts)), (Some(300_000), Some(2)));
    assert_eq!((stage.continue_on_error, stage.handlers.entries.len()), (Some(true), 2));
    assert_eq!((a.env["E"].as_deref(), a.resources.cpu_limit, &a.delegate_to), (Some("1"), Some(1_000), &None));
    assert_eq!(a.handlers.entries.iter().map(|e| e.when).collect::<Vec<_>>(), [HookWhen::PreTask]);
    assert_eq!(flow.tasks[2].delegate_to, Some(json!("far")));
    assert_eq!(flow.stages[1].condition, Some(Condition::Expression("stage_1.success".into())));
}

#[test]
fn tasks_beside_stages_are_a_first_stage_named_tasks() {
    let flow = workflow(
        "workflow('w', { tasks = { a = { command = 'a' } }, stages = { { name = 's', tasks = { b = { command = 'b' } } } } })",
    );
    assert_eq!(flow.stages.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["tasks", "s"]);
}

#[test]
fn a_file_without_workflows_gets_one_named_after_the_file_or_the_global_name() {
    let flow = workflow("task('a'):shell('a')\ndefine_task({ name = 'b', command = 'b' })");
    assert_eq!((flow.name.as_str(), names(&flow)), ("main", vec!["a", "b"]));
    let flow = workflow("name = 'nightly'\nversion = '2'\ndescription = 'Jobs'\ntask('a'):shell('a')");
    assert_eq!((flow.name.as_str(), flow.version.as_str(), flow.description.as_str()), ("nightly", "2", "Jobs"));
}

#[test]
fn what_the_main_chunk_returns_with_tasks_or_stages_is_a_workflow() {
    let flow = workflow("return { name = 'w', tasks = { a = { command = 'a' } }, config = { fail_fast = true } }");
    assert_eq!((flow.name.as_str(), flow.config.fail_fast), ("w", true));
    assert_eq!(workflow("task('x'):shell('x')\nreturn 5").name, "main");
}

#[test]
fn workflow_run_and_a_workflows_run_select_it_at_file_level() {
    let defined = world().good(
        "workflow('a'):tasks({ x = { command = 'x' } }):run({ n = 1 })\nlocal ok, r = workflow.run('a', { n = 2 })\nassert(ok == true and next(r) == nil)\nworkflow('b', { manual = true, tasks = { x = { command = 'x' } } })",
    );
    assert_eq!(defined.selected, [("a".to_owned(), json!({"n": 2}).as_object().cloned().expect("a map"))]);
    assert_eq!(
        defined.workflows.iter().map(|w| (w.name.as_str(), w.manual)).collect::<Vec<_>>(),
        [("a", false), ("b", true)]
    );
}

#[test]
fn a_schedule_is_collected() {
    let defined = world().good(
        "workflow('a'):tasks({ x = { command = 'x' } }):schedule('0 3 * * *', { jitter = '5m' }):schedule({ every = '1h' })",
    );
    let seen: Vec<_> = defined.schedules.iter().map(|(w, when, o)| (w.as_str(), when.as_str(), json!(o))).collect();
    assert_eq!(seen, [("a", "0 3 * * *", json!({"jitter": "5m"})), ("a", "1h", json!({}))]);
}

#[test]
fn runner_config_is_read_at_the_end() {
    let defined = world().good(
        r#"
task("a"):shell("a"):retry_delay("2s")
runner_config = { max_concurrency = 6, timeout_default = "4m", retry_default = 1, backoff_strategy = "fixed",
  state_store = "sqlite", checkpoint_interval = "1m", enable_rollback = false, cycle_detection = true,
  resource_limits = { max_memory = "1Gi" },
  circuit_breakers = { default = { failure_threshold = 6 }, ["stock-api"] = { failure_threshold = 2, recovery_timeout = "20s" } } }
"#,
    );
    let runner = &defined.runner;
    assert_eq!(
        (runner.max_concurrency, runner.timeout_default_ms, runner.retry_default),
        (Some(6), Some(240_000), Some(1))
    );
    assert_eq!(
        (runner.backoff, runner.checkpoint_interval_ms, runner.no_rollback),
        (Some(Backoff::Fixed), Some(60_000), true)
    );
    assert_eq!(runner.memory_limit, Some(1 << 30));
    let stock = &runner.circuits["stock-api"];
    assert_eq!((stock.failure_threshold, stock.recovery_timeout_ms, stock.half_open_requests), (2, 20_000, 2));
    assert_eq!(runner.circuits["default"].failure_threshold, 6);
    let retry = defined.workflows[0].tasks[0].retry.as_ref().map(|r| (r.max_attempts, r.delay_ms));
    assert_eq!(retry, Some((2, 2_000)), "the number of retries comes from retry_default");
}

#[test]
fn stack_declares_the_expected_stack() {
    let mut world = world();
    let defined = world.good("stack('edge')\ntask('a'):shell('a')");
    assert_eq!(defined.stack.as_deref(), Some("edge"));
    world = crate::define::testing::world();
    world.given.stack = "other".into();
    let defined = world.good("stack('edge')\ntask('a'):shell('a')");
    assert_eq!(defined.diagnostics[0].code, "W130");
}

#[test]
fn an_immediate_task_runs_in_the_definition_phase_and_is_no_part_of_the_implicit_workflow() {
    let world = world();
    let reply = vec![true.into(), "fine".into(), crate::Data::map([("n", crate::Data::Num(4.0))])];
    world.engine.replies.borrow_mut().insert("immediate".into(), reply);
    let defined = world.good(
        r#"
local ok, message, output = task("now"):command(function() return true end):run()
assert(ok == true and message == "fine" and output.n == 4)
task("later"):shell("x")
"#,
    );
    assert_eq!(names(&defined.workflows[0]), ["later"]);
    assert_eq!(*world.engine.asked.borrow(), [("immediate".to_owned(), json!({"task": "now"}))]);
    assert_eq!(names(&world.vm.single("now").expect("a graph")), ["now"]);
    let only = crate::define::testing::world().good("task('now'):command(function() end):run()");
    assert_eq!(only.workflows.len(), 0, "a file with only immediate tasks is a completed run");
}

#[test]
fn a_task_that_is_executed_by_itself_waits_for_nothing_of_a_workflow() {
    let world = world();
    world.good(
        "task('a'):shell('a')\ntask('b'):shell('b'):depends_on('a'):run_if('a.success'):next_if_fail('c')\ntask('c'):shell('c'):run_if('values.x == 1')",
    );
    let alone = world.vm.single("b").expect("a graph");
    assert_eq!((names(&alone), alone.edges.len(), &alone.tasks[0].condition), (vec!["b"], 0, &None));
    assert!(world.vm.single("c").expect("a graph").tasks[0].condition.is_some());
    assert_eq!(world.vm.single("nowhere").expect_err("no such task")[0].message, "task \"nowhere\" not found");
}
