//! A few promises of the language that only the whole chain can keep: dsl.md.

use serde_json::json;
use sloth_tests::Instance;

use crate::support::{completes, run, task};

/// each row of the table "Command returns".
#[test]
fn what_a_command_returns_is_its_result() {
    let instance = Instance::start();
    let program = r#"
local function t(name, f) task(name):command(f):ignore_errors() end
t("nothing", function() end)
t("message", function() return true, "said" end)
t("output", function() return true, { a = 1 } end)
t("all", function() return true, "said", { a = 1 } end)
t("failure", function() return false, "no", { part = 1 } end)
t("nil_failure", function() return nil, "no" end)
t("result", function() return exec.run("echo out; exit 3") end)
t("decides", function() return { ok = false, error = "no", x = 1 } end)
t("table", function() return { a = 1 } end)
t("value", function() return 5 end)
t("raised", function() error("boom") end)"#;
    let summary = completes(&instance, program, &[]);
    for (name, status, output) in [
        ("nothing", "completed", json!({})),
        ("message", "completed", json!({})),
        ("output", "completed", json!({"a": 1})),
        ("all", "completed", json!({"a": 1})),
        ("failure", "failed", json!({"part": 1})),
        ("nil_failure", "failed", json!({})),
        ("table", "completed", json!({"a": 1})),
        ("value", "completed", json!({"value": 5})),
        ("raised", "failed", json!({})),
    ] {
        let found = task(&summary, name);
        assert_eq!(found["status"], status, "{name}: {found}");
        let kept = if found["output"].is_null() { json!({}) } else { found["output"].clone() };
        assert_eq!(kept, output, "{name}: {found}");
    }
    assert_eq!(task(&summary, "result")["exit_code"], 3);
    assert!(task(&summary, "raised")["message"].as_str().is_some_and(|text| text.contains("boom")));
    assert_eq!(task(&summary, "message")["message"], "said");
}

/// "Participants whose work completed are compensated in reverse order of completion."
#[test]
fn a_saga_is_compensated_in_reverse() {
    let instance = Instance::start();
    let program = r#"
local mark = values.mark
local function step(n, ok) return function() fs.append(mark, n .. "\n") return ok, n end end
task("one"):command(step("one", true)) task("two"):command(step("two", true)) task("three"):command(step("three", false))
local function undo(n) return function(ctx) fs.append(mark, "undo " .. n .. " " .. ctx.results[n].message .. "\n") return true end end
workflow.define("w", { stages = { { name = "s", saga = { coordinator = "c", participants = { "one", "two", "three" },
  compensation = { one = undo("one"), two = undo("two"), three = undo("three") } } } } })"#;
    let mark = instance.dir().join("mark");
    let (code, summary) = run(&instance, program, &["--set", &format!("mark={}", mark.display())]);
    assert_eq!((code, &summary["compensation"]), (1, &json!("compensated")), "{summary:#}");
    assert_eq!(crate::support::text(&mark), "one\ntwo\nthree\nundo two two\nundo one one\n");
}

#[test]
fn retries_go_on_until_they_succeed() {
    let instance = Instance::start();
    let mark = instance.dir().join("mark");
    let program = format!(
        "task('flaky'):command('echo x >> {0}; test $(wc -l < {0}) -ge 3'):retries({{ max_attempts = 4, strategy = 'fixed', delay = '20ms' }})",
        mark.display()
    );
    let summary = completes(&instance, &program, &[]);
    assert_eq!(task(&summary, "flaky")["attempts"], 3);
    assert_eq!(crate::support::text(&mark).lines().count(), 3);
}

/// "This is how notification and clean-up steps are written."
#[test]
fn a_step_for_failures_runs_although_the_run_is_failing() {
    let instance = Instance::start();
    let program = r#"
task("import"):command("exit 1")
task("tell"):condition("import.failed"):command("true")
task("never"):depends_on("import"):command("true")
workflow.define("w"):tasks({ "import", "tell", "never" })"#;
    let (code, summary) = run(&instance, program, &[]);
    assert_eq!(code, 1);
    assert_eq!(task(&summary, "tell")["status"], "completed", "{summary:#}");
    assert_eq!(task(&summary, "never")["status"], "skipped");
    assert_eq!(task(&summary, "never")["skip_reason"], "dependency_failed");
}

/// "values cannot inject code".
#[test]
fn templates_in_shell_commands_are_no_code() {
    let instance = Instance::start();
    let program = "task('t'):command('echo ${values.x} | tr a-z A-Z; echo ${HOME:+home} ${values.no:-none}')";
    let summary = completes(&instance, program, &["--set", "x=a; touch /tmp/owned `id` $(id) 'q\""]);
    let out = task(&summary, "t")["output"]["stdout"].as_str().unwrap_or_default().to_owned();
    assert!(out.starts_with("A; TOUCH /TMP/OWNED `ID` $(ID) 'Q\"\n"), "{out}");
    assert!(out.contains("home none"), "{out}");
}

/// "concurrent tasks".
#[test]
fn no_more_tasks_run_at_once_than_are_allowed() {
    let instance = Instance::start();
    let program = r#"
local names, now, most = {}, 0, 0
for i = 1, 12 do
  task("t" .. i):command(function()
    now += 1 most = math.max(most, now)
    sleep(0.05)
    now -= 1
    return true, "ok", { most = most }
  end)
  names[i] = "t" .. i
end
workflow.define("w"):max_parallel(3):tasks(names)"#;
    let summary = completes(&instance, program, &[]);
    let most = (1..=12).filter_map(|n| task(&summary, &format!("t{n}"))["output"]["most"].as_u64()).max();
    assert_eq!(most, Some(3));
    let summary = completes(&instance, program, &["--sequential"]);
    let most = (1..=12).filter_map(|n| task(&summary, &format!("t{n}"))["output"]["most"].as_u64()).max();
    assert_eq!(most, Some(1));
}
