//! A run from its assignment to its end.

use serde_json::json;
use sloth_api::worker::Record;

use crate::fake::Fake;

/// "The command of a task runs in the work directory; its output is `{stdout, stderr, exit_code, success,
/// duration_ms}`"
#[test]
fn two_shell_tasks() {
    let mut fake = Fake::new(
        r#"
        task("first"):command("echo one; echo two >&2"):build()
        task("second"):command("echo $PWD > here"):depends_on("first"):build()
        "#,
    );
    let ended = fake.run();
    assert!(ended.success, "{}\n{:#?}", ended.stderr, fake.journal());
    assert_eq!(fake.end().status, "completed", "{:?}", fake.end());
    assert_eq!(fake.words(), ["first=completed", "second=completed"]);
    let first = fake.task("first");
    assert_eq!((&first.output["stdout"], first.exit_code), (&json!("one\n"), Some(0)));
    assert_eq!(fake.read("here").trim(), fake.path("").to_string_lossy().trim_end_matches('/'));
    let lines: Vec<(&str, &str)> = ended
        .log
        .iter()
        .filter(|line| line["task"] == "first")
        .map(|line| (line["stream"].as_str().unwrap_or(""), line["msg"].as_str().unwrap_or("")))
        .collect();
    assert!(lines.contains(&("stdout", "one")) && lines.contains(&("stderr", "two")), "{lines:?}");
}

/// "The worker starts a command only after `task started` is acknowledged as durable and starts dependents only after
/// `task finished` is."
#[test]
fn records_come_in_order() {
    let mut fake = Fake::new(
        r#"
        task("a"):command(function() return true, "fine", { n = 1 } end)
        task("b"):depends_on("a"):command(function(this, params, deps) return { got = deps.a.n } end)
        "#,
    );
    fake.faults.slow_ms = 5;
    assert!(fake.run().success);
    let told: Vec<String> = fake
        .journal()
        .iter()
        .filter_map(|record| match record {
            Record::TaskStarted { task, attempt, .. } => Some(format!("start {task} {attempt}")),
            Record::TaskFinished { end } => Some(format!("end {} {}", end.name, end.status)),
            Record::RunFinished { end } => Some(format!("run {}", end.status)),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["start a 1", "end a completed", "start b 1", "end b completed", "run completed"]);
    assert_eq!(fake.task("b").output, json!({ "got": 1 }));
    assert_eq!(fake.task("a").message, "fine");
}

/// "failed: definition": every finding is in the last record.
#[test]
fn a_file_that_is_wrong() {
    let mut fake = Fake::new("task(\"a\"):command(function( return 1 end)");
    assert!(fake.run().success, "the worker has done its work");
    let end = fake.end();
    assert_eq!((end.status.as_str(), end.reason.as_deref()), ("failed", Some("definition")));
    assert_eq!(end.diagnostics[0]["code"], "E101");
    assert_eq!(end.diagnostics[0]["line"], 1);
}

/// "no new task starts; the rest is `skipped`", with the texts of the table.
#[test]
fn a_failure() {
    let mut fake = Fake::new(
        r#"
        workflow.define("w", { tasks = {
          { name = "bad", command = "echo broken >&2; exit 3" },
          { name = "next", command = "true", depends_on = "bad" },
          { name = "mail", command = "touch mailed", condition = "bad.failed" },
        } })
        "#,
    );
    assert!(fake.run().success);
    let end = fake.end();
    assert_eq!((end.status.as_str(), end.reason.as_deref()), ("failed", Some("task_failed")));
    let bad = fake.task("bad");
    assert_eq!((bad.kind.as_deref(), bad.exit_code, bad.message.as_str()), (Some("exit"), Some(3), "broken"));
    assert_eq!(fake.task("next").message, "dependency \"bad\" failed");
    assert!(fake.path("mailed").exists());
}

/// "Each retry is a new attempt"; "`on_retry`: `false` stops retrying"; hooks and handlers in their order.
#[test]
fn retries_and_handlers() {
    let mut fake = Fake::new(
        r#"
        local seen = {}
        local function note(what) return function() table.insert(seen, what) end end
        workflow.define("w", {
          tasks = { task("flaky")
            :command(function(this)
              table.insert(seen, "try " .. this.attempt)
              if this.attempt < 3 then error("not yet") end
              return { seen = seen }
            end)
            :retries({ max_attempts = 3, strategy = "fixed", delay = "10ms" })
            :pre_hook(note("pre")):post_hook(note("post"))
            :on_retry(note("retry")):on_success(note("success")):on_complete(note("complete")) },
          on_start = note("start"),
          on_complete = function(ok, results, ctx)
            table.insert(seen, "over " .. tostring(ok) .. " " .. results.flaky.status)
            outputs = { seen = table.concat(seen, ", ") }
          end,
        })
        "#,
    );
    let ended = fake.run();
    assert_eq!(fake.end().status, "completed", "{:?} {:?}", fake.end(), ended.log);
    assert_eq!(
        fake.end().outputs["seen"],
        "start, pre, try 1, retry, pre, try 2, retry, pre, try 3, post, success, complete, over true completed"
    );
    assert_eq!(fake.task("flaky").attempts, 3);
}

/// "Templates: In shell commands the value is passed as an environment variable", and a value that is missing.
#[test]
fn templates() {
    let mut fake = Fake::new(
        r#"
        task("say"):params({ who = "a; touch hacked" }):command("echo \"${params.who}\"")
        task("none"):command("echo ${values.nothing}")
        "#,
    );
    fake.run();
    assert_eq!(fake.task("say").output["stdout"], "a; touch hacked\n");
    assert!(!fake.path("hacked").exists());
    let none = fake.task("none");
    assert!(none.status == "failed" && none.message.contains("E302"), "{none:?}");
}

/// "`artifacts`: evaluated after success; `consumes`: materialised in the workdir before the command"
#[test]
fn artifacts() {
    let mut fake = Fake::new(
        r#"
        task("compile"):workdir("build"):command("mkdir dist && echo tar > dist/x.tar && chmod 640 dist/x.tar")
          :artifacts({ bundle = "dist/*.tar" })
        task("publish"):workdir("out"):consumes("bundle"):command("cat dist/x.tar; stat -c %a dist/x.tar")
        task("none"):workdir("out"):command("true"):artifacts("missing.txt")
        "#,
    );
    fake.job.options.continue_on_error = true;
    fake.run();
    assert_eq!(fake.task("publish").output["stdout"], "tar\n640\n", "{:?}", fake.task("publish"));
    assert!(fake.task("none").message.contains("artifact \"missing.txt\" not found"));
}
