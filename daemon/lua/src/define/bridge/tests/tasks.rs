//! Tasks: constructors, methods, keys.

use serde_json::json;
use sloth_core::workflow::{Backoff, Command, Condition, HookWhen, OnResume, Retry};

use crate::define::testing::*;

#[test]
fn a_task_is_made_by_builder_by_table_by_name_then_table_and_by_define_task() {
    let flow = workflow(
        r#"
local pack = task("pack_site"):description("Bundle"):command(function() return true end):timeout("2m"):build()
local lint = task({ name = "lint", command = "make lint", retries = 1 })
task "audit" { command = "make audit", tags = { "quality" } }
define_task({ name = "ship", command = function(p) return true end })
workflow.define("all", { tasks = { pack, lint, "audit", "ship", inline = { command = "true" } } })
"#,
    );
    assert_eq!(names(&flow), ["pack_site", "lint", "audit", "ship", "inline"]);
    assert_eq!(flow.tasks[1].command, Some(Command::Shell("make lint".into())));
    assert_eq!(flow.tasks[1].retry.as_ref().map(|retry| retry.max_attempts), Some(2));
    assert_eq!(flow.tasks[2].tags, ["quality"]);
    assert_eq!(flow.tasks[0].place.line, 2);
}

#[test]
fn unbuilt_builders_are_accepted_wherever_a_task_is_expected_and_build_only_freezes() {
    let flow = workflow("local a = task('a'):command('true')\nworkflow('w'):tasks({ a })\na:retries(2)");
    assert_eq!(flow.tasks[0].retry.as_ref().map(|retry| retry.max_attempts), Some(3), "a later call still counts");
    let found = finding("local a = task('a'):command('true'):build()\na:retries(2)");
    assert_eq!(found, "E112 2: task \"a\" is built: retries comes too late [call build() last]");
}

#[test]
fn a_command_is_a_function_a_text_a_list_an_exec_like_table_or_a_descriptor() {
    let of = |command: &str| task(&format!("task('t'):command({command})")).command;
    assert!(matches!(of("function() end"), Some(Command::Function(_))));
    assert_eq!(of("'echo hi'"), Some(Command::Shell("echo hi".into())));
    assert_eq!(of("{ 'ls', '-l', 3 }"), Some(Command::Argv(vec!["ls".into(), "-l".into(), "3".into()])));
    let Some(Command::Module { module, action, args }) = of("{ cmd = 'ls', timeout = 3 }") else { panic!() };
    assert_eq!((module.as_str(), action.as_str(), *args), ("exec", "run", json!({"cmd": "ls", "timeout": 3})));
    assert_eq!(task("task('t'):shell('x')").command, Some(Command::Shell("x".into())));
    assert!(matches!(task("task('t'):run(function() end)").command, Some(Command::Function(_))));
    for key in ["command", "run", "execute", "action"] {
        let made = task(&format!("task({{ name = 't', {key} = function() end }})"));
        assert!(matches!(made.command, Some(Command::Function(_))), "{key}");
    }
}

#[test]
fn module_action_and_args_call_a_function_of_a_module() {
    let made = task("task { name = 't', module = 'pkg', action = 'install', args = { packages = 'nginx' } }");
    let wanted = Command::Module {
        module: "pkg".into(),
        action: "install".into(),
        args: Box::new(json!({"packages": "nginx"})),
    };
    assert_eq!(made.command, Some(wanted));
}

#[test]
fn every_method_sets_its_field() {
    let made = task(
        r#"
local function f() end
task("t"):command(f)
  :timeout(1.5):async():workdir("/srv"):user(1000):env({ A = 1, B = true, C = false, D = "x" })
  :params({ n = 3, list = { 1, 2 }, deep = { a = { b = "c" } } }):tags("x", { "y", "z" }):tags("x")
  :priority("high"):artifacts({ bundle = "dist/*.tar" }):artifacts("log.txt"):consumes("a", { "b" })
  :compensate(f):ignore_errors():concurrency("db", 2):rollback_on_failure()
  :health_check(f, { interval = "1s", timeout = "30s" }):on_resume("skip"):metadata({ owner = "me" }):check_safe()
  :circuit({ failure_threshold = 3 }):delegate_to({ "a1", "a2" })
  :resources({ cpu = { request = "250m", limit = "1" }, memory = "256Mi", network = { limit = "10Mbps" }, pids = 50, gpu = 1 })
"#,
    );
    assert_eq!((made.timeout_ms, made.is_async, made.workdir.as_deref()), (Some(1_500), true, Some("/srv")));
    assert_eq!(made.user.as_deref(), Some("1000"));
    let env: Vec<_> = made.env.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
    assert_eq!(env, [("A", Some("1")), ("B", Some("true")), ("C", None), ("D", Some("x"))]);
    assert_eq!(json!(made.params), json!({"n": 3, "list": [1, 2], "deep": {"a": {"b": "c"}}}));
    assert_eq!((made.tags.clone(), made.priority), (vec!["x".into(), "y".into(), "z".into()], 50));
    assert_eq!(made.artifacts, [("bundle".into(), "dist/*.tar".into()), ("log.txt".into(), "log.txt".into())]);
    assert_eq!(made.consumes, ["a", "b"]);
    assert!(made.compensate.is_some() && made.ignore_errors && made.rollback_on_failure && made.check_safe);
    assert_eq!(made.concurrency, Some(("db".into(), 2)));
    assert_eq!(made.health_check.map(|(_, interval, timeout)| (interval, timeout)), Some((1_000, 30_000)));
    assert_eq!((made.on_resume, json!(made.metadata)), (OnResume::Skip, json!({"owner": "me"})));
    assert_eq!(made.circuit.as_ref().map(|c| (c.failure_threshold, c.recovery_timeout_ms)), Some((3, 60_000)));
    assert_eq!(made.delegate_to, Some(json!(["a1", "a2"])));
    let r = &made.resources;
    assert_eq!((r.cpu_request, r.cpu_limit), (Some(250), Some(1_000)));
    assert_eq!((r.memory_request, r.memory_limit), (Some(256 << 20), Some(256 << 20)));
    assert_eq!((r.network_request, r.network_limit, r.pids), (None, Some(10_000_000), Some(50)));
    assert_eq!(r.named.get("gpu"), Some(&1));
}

#[test]
fn aliases_of_methods_do_the_same() {
    let made = task(
        "local function f() end task('t'):execute(f):on_fail(f):on_error(f):pre_exec(f):post_exec(f):allow_failure():condition(true)",
    );
    let whens: Vec<HookWhen> = made.handlers.entries.iter().map(|entry| entry.when).collect();
    assert_eq!(whens, [HookWhen::OnFailure, HookWhen::OnFailure, HookWhen::PreHook, HookWhen::PostHook]);
    assert!(made.ignore_errors);
    assert_eq!(made.condition, Some(Condition::Fixed(true)));
    for name in ["target_agent", "agent", "run_on"] {
        assert_eq!(task(&format!("task('t'):shell('x'):{name}('web1')")).delegate_to, Some(json!("web1")));
    }
    assert_eq!(task("task('t'):shell('x'):target_tags({'web'})").delegate_to, Some(json!({"tags": ["web"]})));
    assert_eq!(task("task('t'):shell('x'):delegate_to('localhost')").delegate_to, None);
}

#[test]
fn retries_are_a_number_or_a_table_or_parts() {
    let of = |text: &str| task(&format!("task('t'):shell('x'){text}")).retry.clone().expect("retries");
    assert_eq!(of(":retries(3)"), Retry { max_attempts: 4, ..Retry::default() });
    assert_eq!(
        of(":retries(2, 'fixed', { delay = '5s' })"),
        Retry { max_attempts: 3, backoff: Backoff::Fixed, delay_ms: 5_000, ..Retry::default() }
    );
    let full = of(
        ":retries({ max_attempts = 4, strategy = 'fibonacci', initial_delay = '2s', backoff_multiplier = 3, max_delay = '20s', jitter = true, retry_on = { 'exit', 'timeout' } })",
    );
    let wanted = Retry {
        max_attempts: 4,
        backoff: Backoff::Fibonacci,
        delay_ms: 2_000,
        multiplier: 3.0,
        max_delay_ms: 20_000,
        jitter: 0.2,
        kinds: Some(vec!["exit".into(), "timeout".into()]),
        decide: None,
    };
    assert_eq!(full, wanted);
    let parts = of(":retry(2, '3s'):retry_strategy('linear'):retry_delay('4s')");
    assert_eq!((parts.max_attempts, parts.backoff, parts.delay_ms), (3, Backoff::Linear, 4_000));
    assert!(of(":retries({ max_attempts = 2, retry_on = function() end })").decide.is_some());
    assert_eq!(of(":retry_delay('9s')").max_attempts, 1, "a delay alone retries as often as the workflow says");
}

#[test]
fn uses_inherits_what_is_not_given_and_merges_dependencies_tags_and_environment() {
    let flow = workflow(
        r#"
local function f() end
task("first"):shell("true")
task("base"):shell("base"):depends_on("first"):tags("a"):env({ A = "1", B = "1" }):timeout("1m"):on_success(f):retries(2)
task("copy", { uses = "base", command = "own", depends_on = "base", tags = { "b" }, env = { B = "2" }, on_success = f })
"#,
    );
    let copy = &flow.tasks[2];
    assert_eq!((copy.command.clone(), copy.timeout_ms), (Some(Command::Shell("own".into())), Some(60_000)));
    assert_eq!(copy.tags, ["a", "b"]);
    assert_eq!((copy.env["A"].as_deref(), copy.env["B"].as_deref()), (Some("1"), Some("2")));
    assert_eq!(copy.handlers.entries.len(), 1, "a given key overrides the inherited one");
    assert_eq!(edges(&flow), ["base <- first", "copy <- base", "copy <- first"]);
}

#[test]
fn hooks_are_a_function_one_entry_or_a_list() {
    let made = task(
        r#"
local function f() end
define_task({ name = "t", command = f, hooks = {
  pre_task = f,
  post_task = { name = "after", command = f, condition = "values.x == 1", async = true, timeout = "5s" },
  on_failure = { { name = "wipe", command = f }, { name = "tell", command = "mail ops" } },
} })
"#,
    );
    let seen: Vec<_> = made
        .handlers
        .entries
        .iter()
        .map(|e| (e.when, e.with_ctx, e.name.as_deref(), e.is_async, e.timeout_ms))
        .collect();
    let wanted = [
        (HookWhen::PreTask, true, None, false, None),
        (HookWhen::PostTask, true, Some("after"), true, Some(5_000)),
        (HookWhen::OnFailure, true, Some("wipe"), false, None),
        (HookWhen::OnFailure, true, Some("tell"), false, None),
    ];
    assert_eq!(seen, wanted);
    assert_eq!(made.handlers.entries[1].condition, Some(Condition::Expression("values.x == 1".into())));
}

#[test]
fn depends_on_takes_names_objects_lists_and_mixtures_and_adds() {
    let flow = workflow(
        r#"
local a, b = task("a"):shell("a"), task("b"):shell("b")
task("c"):shell("c")
task("d"):shell("d"):depends_on("a", b):depends_on({ "c", a })
"#,
    );
    assert_eq!(edges(&flow), ["d <- a", "d <- b", "d <- c"]);
}

#[test]
fn next_if_fail_runs_only_after_a_failure() {
    let flow = workflow(
        r#"
task("a"):shell("a"):next_if_fail("cleanup")
task("b"):shell("b"):next_if_fail("cleanup")
task("cleanup"):shell("c")
task("checked"):shell("d"):run_if(function() return true end)
task("e"):shell("e"):next_if_fail("checked")
"#,
    );
    let expected = r#"tasks["a"].failed || tasks["b"].failed"#;
    assert_eq!(flow.tasks[2].condition, Some(Condition::Expression(expected.into())));
    assert_eq!(names(&flow)[5], "checked_if_failed", "a condition that is code stays; a step before it decides");
    assert!(matches!(flow.tasks[3].condition, Some(Condition::Function(_))));
    let gates = [
        "checked <- checked_if_failed",
        "checked <- e ended",
        "checked_if_failed <- e ended",
        "cleanup <- a ended",
        "cleanup <- b ended",
    ];
    assert_eq!(edges(&flow), gates);
}

#[test]
fn consumes_waits_for_the_producing_task() {
    let flow = workflow(
        r#"
task("compile"):command("make dist"):artifacts({ bundle = "dist/*.tar" })
task("publish"):command("upload"):consumes("bundle")
task("check"):command("check"):consumes("compile:dist/*.tar")
task("other"):command("other"):consumes("nobody")
"#,
    );
    assert_eq!(edges(&flow), ["check <- compile", "publish <- compile"]);
}

#[test]
fn a_condition_that_names_a_task_waits_for_its_end_whatever_its_result() {
    let flow = workflow(
        r#"
task("import"):shell("x")
task("tell_ops"):condition("import.failed || import.cancelled"):shell("mail ops import")
task("reindex"):run_if("values.full == true"):depends_on("import"):shell("reindex")
task("probe"):run_if("test -f /etc/x"):abort_if("import.skipped"):shell("y")
"#,
    );
    assert_eq!(edges(&flow), ["probe <- import ended", "reindex <- import", "tell_ops <- import ended"]);
    assert_eq!(flow.tasks[1].condition, Some(Condition::Expression("import.failed || import.cancelled".into())));
    assert_eq!(flow.tasks[3].condition, Some(Condition::Shell("test -f /etc/x".into())));
    assert_eq!(flow.tasks[3].abort_if, Some(Condition::Expression("import.skipped".into())));
}
