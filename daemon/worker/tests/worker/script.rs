//! What scripts ask of the engine.

use serde_json::json;
use sloth_api::worker::Record;

use crate::fake::Fake;

/// "`task.checkpoint` → id `cp_<name>_<unix>_<n>`; returns once durable"
#[test]
fn checkpoints() {
    let mut fake = Fake::new(
        r#"
        task("a"):command(function(this)
          local id = task.checkpoint("half", { at = 5 })
          local last = task.last_checkpoint("half")
          local none, why = task.restore("nothing")
          return { id = id, at = last.state.at, restored = task.restore("half").at, why = why }
        end)
        "#,
    );
    fake.run();
    let output = fake.task("a").output;
    assert!(output["id"].as_str().is_some_and(|id| id.starts_with("cp_half_") && id.ends_with("_1")), "{output}");
    assert_eq!((&output["at"], &output["restored"]), (&json!(5), &json!(5)));
    assert_eq!(output["why"], "checkpoint not found");
}

/// "runs it now as a child of the current task: `ok, message, output`"; "its tasks are journalled as
/// `<parent>/<name>/<task>`"
#[test]
fn tasks_and_workflows_inside_of_tasks() {
    let mut fake = Fake::new(
        r#"
        task("child"):command(function(this, params) return true, "hi", { got = params.x } end)
        workflow.define("inner", { manual = true, tasks = { { name = "one", command = "true" } } })
        workflow.define("outer", { tasks = { { name = "parent", command = function()
          local ok, message, output = task.execute("child", { x = 7 })
          local fine, results = workflow.run("inner")
          return { done = ok, message = message, got = output.got, fine = fine, status = results.one.status }
        end } } })
        "#,
    );
    fake.run();
    assert_eq!(
        fake.task("parent").output,
        json!({ "done": true, "message": "hi", "got": 7, "fine": true, "status": "completed" }),
        "{:#?}",
        fake.journal()
    );
    assert_eq!(fake.words(), ["parent/child=completed", "parent/inner/one=completed", "parent=completed"]);
}

/// "executes the task in the definition phase, through the whole task machinery"
#[test]
fn immediate_tasks() {
    let mut fake = Fake::new(
        r#"
        local ok, message, output = task("now"):command(function() return true, "done", { n = 3 } end):run()
        outputs = { ok = ok, message = message, n = output.n }
        "#,
    );
    fake.run();
    let end = fake.end();
    assert_eq!(end.status, "completed", "{end:?}");
    assert_eq!(json!(end.outputs), json!({ "ok": true, "message": "done", "n": 3 }));
    assert_eq!(fake.words(), ["now=completed"]);
}

const ORDER: &str = r#"
    local function undo(name) return function(ctx)
      exec.run("echo " .. name .. " " .. tostring(ctx.participant) .. " >> undone")
      return true
    end end
    workflow.define("order", { stages = { { name = "order", tasks = chain({
        { name = "reserve", command = function() return true, "", { id = "r1" } end },
        { name = "charge", command = "true" },
        { name = "ship", command = "exit 1" },
      }),
      saga = { participants = { "reserve", "charge", "ship" }, coordinator = "order_saga",
        compensation = { reserve = undo("release"), charge = undo("refund"), ship = undo("recall") } } } } })
"#;

/// "Participants whose work completed are compensated in reverse order of completion."
#[test]
fn a_saga_is_compensated() {
    let mut fake = Fake::new(ORDER);
    let ended = fake.run();
    let end = fake.end();
    assert_eq!((end.status.as_str(), end.compensation.as_str()), ("failed", "compensated"), "{:?}", ended.log);
    assert_eq!(fake.read("undone"), "refund charge\nrelease reserve\n");
    let steps: Vec<String> = fake
        .journal()
        .iter()
        .filter_map(|record| match record {
            Record::Saga { step, participant, .. } => Some(format!("{step} {}", participant.as_deref().unwrap_or("-"))),
            _ => None,
        })
        .collect();
    assert_eq!(
        steps,
        [
            "participant_done reserve",
            "participant_done charge",
            "compensating -",
            "compensation_started charge",
            "compensation_done charge",
            "compensation_started reserve",
            "compensation_done reserve",
            "compensated -",
        ]
    );
}

/// "`saga.begin(name)` → object with `:step(name, fn, comp)` → fn's results … `:abort([reason])`"
#[test]
fn a_saga_of_the_script() {
    let mut fake = Fake::new(
        r#"
        task("a"):command(function()
          local s = saga.begin("own")
          local got = s:step("one", function() return 5 end, function() exec.run("echo one >> undone") end)
          s:step("two", function() return true end, function() exec.run("echo two >> undone") end)
          return { got = got, undone = s:abort("enough") }
        end)
        "#,
    );
    fake.run();
    assert_eq!(fake.task("a").output, json!({ "got": 5, "undone": true }), "{:#?}", fake.journal());
    assert_eq!(fake.read("undone"), "two\none\n");
}
