//! What functions of the script are called with, and what they may call.

use serde_json::{Value, json};

use crate::data::Data;
use crate::define::testing::*;
use crate::vm::Shape;

/// Calls the only task of a file and gives its values as JSON.
#[track_caller]
fn run(source: &str, change: impl FnOnce(&mut crate::vm::View)) -> Vec<Value> {
    let world = world();
    let defined = world.good(source);
    let end = world.call(&defined.workflows[0].tasks[0], change);
    match end.result {
        Ok(values) => values.iter().map(Data::to_json).collect(),
        Err(raised) => panic!("{}\n{}", raised.message, raised.traceback),
    }
}

#[test]
fn a_command_is_called_with_this_params_deps_session() {
    let values = run(
        r#"
task("t"):params({ n = 3, name = "own" }):command(function(this, params, deps, session)
  return { n = this.n, from_params = params.n, dep = this.build.file, dep2 = params.build.file, dep3 = deps.build.file,
    name = params.name, previous = deps.previous, group = params.group_name, task_name = params.task_name,
    run = session.run_id, stack = session.stack, flow = session.workflow, v = session.values == values, dir = params.workdir,
    none = this.nothing == nil }
end)
"#,
        |view| {
            view.deps.insert("build".into(), json!({"file": "a.tgz"}));
            view.previous = Some(json!({"x": 1}));
        },
    );
    let wanted = json!({
        "n": 3, "from_params": 3, "dep": "a.tgz", "dep2": "a.tgz", "dep3": "a.tgz", "name": "own", "previous": {"x": 1},
        "group": "w", "task_name": "t", "run": "run-1", "stack": "edge", "flow": "w", "v": true, "dir": "/work", "none": true,
    });
    assert_eq!(values[0], wanted);
}

#[test]
fn this_name_is_callable_converts_concatenates_and_compares() {
    let values = run(
        r#"
task("pack"):params({ name = "other" }):command(function(this)
  return { this.name(), this:name(), this.name:get(), "x-" .. this.name .. "-y", tostring(this.name), this.params.name,
    this.name == this.name, #this.name, this.name:upper() }
end)
"#,
        |_| {},
    );
    assert_eq!(values[0], json!(["pack", "pack", "pack", "x-pack-y", "pack", "other", true, 4, "PACK"]));
}

#[test]
fn this_has_its_fields() {
    let values = run(
        r#"
task("t"):command(function(this)
  this.output("k", 5); this:output("l", 6)
  return { a = this.attempt, m = this.max_attempts, run = this.run_id, s = this.stack, w = this.workflow, g = this.stage,
    d = tostring(this.workdir), d2 = this.workdir:get(), d3 = this.workdir.get(), agent = this.agent.name,
    agent2 = this.agent:get(), here = this.agent.is_local, tmp = this.temp_directory, c = this.cancelled(),
    check = this.check_mode, same = task.current() == this, results = this.results.x.status, cp = this.last_checkpoint.id }
end)
"#,
        |view| {
            view.attempt = 1;
            view.max_attempts = 3;
            view.stage = Some("s".into());
            view.temp_directory = "/tmp/t-1".into();
            view.results.insert("x".into(), json!({"status": "completed"}));
            view.last_checkpoint = Some(json!({"id": "cp_1"}));
        },
    );
    let wanted = json!({
        "a": 1, "m": 3, "run": "run-1", "s": "edge", "w": "w", "g": "s", "d": "/work", "d2": "/work", "d3": "/work",
        "agent": "host", "agent2": "host", "here": true, "tmp": "/tmp/t-1", "c": false, "check": false, "same": true,
        "results": "completed", "cp": "cp_1",
    });
    assert_eq!(values[0], wanted);
}

#[test]
fn results_are_asked_of_the_engine_when_they_are_read() {
    let world = world();
    let defined = world.good("task('t'):command(function(this) return this.results.a.status end)");
    world
        .engine
        .replies
        .borrow_mut()
        .insert("results".into(), vec![Data::from_json(&json!({"a": {"status": "failed"}}))]);
    let end = world.call(&defined.workflows[0].tasks[0], |_| {});
    assert_eq!(end.result.expect("runs")[0].to_json(), json!("failed"));
}

#[test]
fn a_failure_handler_gets_an_error_object_and_its_name_error_keeps_try_and_retry() {
    let world = world();
    let defined = world.good(
        r#"
task("t"):command(function() end):on_failure(function(this, params, err)
  return { err.message, err.task_name, err.kind, err.exit_code, tostring(err), "why: " .. err, err.error }
end)
"#,
    );
    let run = defined.workflows[0].tasks[0].handlers.entries[0].run;
    let view = Box::new(crate::vm::View { name: "t".into(), attempt: 2, ..Default::default() });
    let third = json!({"message": "no", "task_name": "t", "kind": "exit", "exit_code": 3});
    let end = world.shaped(run, Shape::Hook { view, third, error: true });
    assert_eq!(end.result.expect("runs")[0].to_json(), json!(["no", "t", "exit", 3, "no", "why: no", "no"]));
}

#[test]
fn handlers_of_workflows_get_ctx_and_may_recover() {
    let world = world();
    let defined = world.good(
        r#"
workflow("w", { tasks = { a = { command = "x" } }, values = { v = 9 },
  on_complete = function(ok, results, ctx) return { ok, results.a.status, ctx.run_id, ctx.values.v } end,
  error_handling = { on_failure = function(ctx, err) ctx.recover() return { ctx.task, err.message, err.kind } end } })
"#,
    );
    let entry = |when| defined.workflows[0].handlers.entries.iter().find(|e| e.when == when).expect("there").run;
    let shape =
        Shape::WorkflowEnd { ok: true, results: json!({"a": {"status": "completed"}}), ctx: json!({"run_id": "r"}) };
    let end = world.shaped(entry(sloth_core::workflow::HookWhen::OnComplete), shape);
    assert_eq!(end.result.expect("runs")[0].to_json(), json!([true, "completed", "r", 9]));
    let shape = Shape::Error { ctx: json!({"task": "a"}), error: json!({"message": "lost", "kind": "timeout"}) };
    let end = world.shaped(entry(sloth_core::workflow::HookWhen::ErrorHandling), shape);
    assert_eq!(end.output.get("$recover"), Some(&json!(true)));
    assert_eq!(end.result.expect("runs")[0].to_json(), json!(["a", "lost", "timeout"]));
}

#[test]
fn functions_of_task_ask_the_engine() {
    let world = world();
    let replies = [
        ("checkpoint", vec![Data::from("cp_indexed_1_1")]),
        ("last_checkpoint", vec![Data::from_json(&json!({"id": "cp", "state": {"n": 1}}))]),
        ("restore", vec![Data::Nil]),
        ("checkpoints", vec![Data::from_json(&json!([{"id": "cp"}]))]),
        ("execute", vec![Data::Bool(true), "done".into(), Data::from_json(&json!({"x": 1}))]),
        ("workflow.run", vec![Data::Bool(true), Data::from_json(&json!({"t": {"status": "completed"}}))]),
    ];
    *world.engine.replies.borrow_mut() = replies.into_iter().map(|(what, reply)| (what.to_owned(), reply)).collect();
    let defined = world.good(
        r#"
task("other"):shell("x")
workflow("sub", { manual = true, tasks = { t = { command = "x" } } })
workflow("w", { tasks = { t = { command = function()
  local id = task.checkpoint("indexed", { last = 5 })
  local state, why = task.restore("nothing")
  local ok, message, output = task.execute("other", { p = 1 })
  local done, results = workflow.run("sub", { q = 2 })
  local lost, reason = workflow.run("nowhere")
  return { id, task.last_checkpoint().state.n, why, #task.checkpoints(), ok, message, output.x, done, results.t.status,
    lost, reason, task.list(), task.get("other").name, task.get("nothing") == nil, workflow.list() }
end } } })
"#,
    );
    let flow = defined.workflows.iter().find(|flow| flow.name == "w").expect("w");
    let end = world.call(&flow.tasks[0], |_| {});
    let wanted = json!([
        "cp_indexed_1_1",
        1,
        "checkpoint not found",
        1,
        true,
        "done",
        1,
        true,
        "completed",
        false,
        "there is no workflow \"nowhere\"",
        ["other"],
        "other",
        true,
        ["sub", "w"],
    ]);
    assert_eq!(end.result.expect("runs")[0].to_json(), wanted);
    let asked = world.engine.asked.borrow();
    assert_eq!(asked[0], ("checkpoint".into(), json!({"name": "indexed", "state": {"last": 5}})));
    assert!(asked.contains(&("execute".into(), json!({"task": "other", "params": {"p": 1}}))));
}

#[test]
fn task_checkpoint_raises_outside_a_run_and_task_cancel_ends_the_task() {
    assert!(finding("task.checkpoint('x')").starts_with("E100 1: task.checkpoint works only inside a task"));
    let world = world();
    let defined = world.good("task('t'):command(function() task.cancel('enough') end)");
    let result = crate::task_result(world.call(&defined.workflows[0].tasks[0], |_| {}));
    assert_eq!((result.success, result.kind.as_deref(), result.message.as_str()), (false, Some("cancelled"), "enough"));
}

#[test]
fn a_saga_by_hand_journals_each_step_and_a_completed_one_does_not_run_again() {
    let world = world();
    let source = r#"
local runs = 0
task("t"):command(function()
  local s = saga.begin("order")
  local a = s:step("pay", function() runs += 1 return "paid", 2 end, function() end)
  local ok, why = pcall(function() return s:step("ship", function() error("no truck", 0) end) end)
  s:complete("courier"); s:commit()
  return { a, ok, why, runs }
end)
"#;
    let defined = world.good(source);
    world.engine.replies.borrow_mut().insert("saga.begin".into(), vec![Data::from("s1")]);
    let end = world.call(&defined.workflows[0].tasks[0], |_| {});
    assert_eq!(end.result.expect("runs")[0].to_json(), json!(["paid", false, "no truck", 1]));
    let steps: Vec<(String, Value)> = world.engine.asked.borrow().clone();
    let phases: Vec<_> =
        steps.iter().map(|(what, body)| format!("{what} {}", body["phase"].as_str().unwrap_or(""))).collect();
    let wanted = [
        "saga.begin ",
        "saga.step started",
        "saga.step completed",
        "saga.step started",
        "saga.step failed",
        "saga.complete ",
        "saga.commit ",
    ];
    assert_eq!(phases, wanted);
    let done = vec![Data::from_json(&json!({"completed": true, "results": ["before"]}))];
    world.engine.replies.borrow_mut().insert("saga.step".into(), done);
    let end = world.call(&defined.workflows[0].tasks[0], |_| {});
    assert_eq!(end.result.expect("runs")[0].to_json(), json!(["before", true, "before", 1]));
}

#[test]
fn rollback_resource_and_core_ask_the_engine() {
    let world = world();
    let replies = [
        ("rollback.execute", vec![Data::Bool(false), "one failed".into()]),
        ("resource.allocate", vec![Data::Nil]),
        ("resource.usage", vec![Data::from_json(&json!({"cpu": 1}))]),
    ];
    *world.engine.replies.borrow_mut() = replies.into_iter().map(|(what, reply)| (what.to_owned(), reply)).collect();
    let defined = world.good(
        r#"
task("t"):command(function()
  rollback.register(function() end, "undo")
  local ok, err = rollback.execute(nil)
  local id, why = resource.allocate({ cpu = 4 })
  return { ok, err, id == nil, why, resource.usage().cpu, core.stats().uptime_seconds, core.version() ~= "" }
end)
"#,
    );
    let end = world.call(&defined.workflows[0].tasks[0], |_| {});
    let wanted = json!([false, "one failed", true, "insufficient resources", 1, 5, true]);
    assert_eq!(end.result.expect("runs")[0].to_json(), wanted);
}

#[test]
fn what_this_build_has_not_says_so_when_it_is_used() {
    for name in ["secrets.x", "security.sandbox({})", "group('x', {})", "pipeline('x', {})", "task.template('x', {})"] {
        let found = finding(&format!("task('t'):shell('x')\nlocal x = {name}"));
        assert!(found.starts_with("E100 2: ") && found.ends_with("is not available in this build"), "{name}: {found}");
    }
}

#[test]
fn workflow_on_is_told_to_the_engine() {
    let world = world();
    world.good("workflow.on('task.failed', function(e) end)\ntask('t'):shell('x')");
    let subscriptions = world.vm.subscriptions();
    assert_eq!(subscriptions.iter().map(|(event, _)| event.as_str()).collect::<Vec<_>>(), ["task.failed"]);
}
