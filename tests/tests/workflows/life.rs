//! A run from slothctl to its summary: what is printed, how it ends, and what is remembered.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use sloth_tests::Instance;
use sloth_tests::instance::texts;
use sloth_tests::paths::program;

use crate::support::{completes, ctl, file, list, run, start, task, text};

const TWO: &str = r#"
task("pack"):command(function(this)
  log.info("packing", { n = 1 })
  return true, "bundled", { file = "x.tgz" }
end)
task("ship"):depends_on("pack"):command("echo shipping $SLOTH_TASK; echo oops >&2")
workflow.define("site"):description("Publish"):tasks({ "pack", "ship" })
export("endpoint", "https://x")
"#;

#[test]
fn a_run_is_told_as_it_happens() {
    let instance = Instance::start();
    let path = file(&instance, "site.sloth", TWO);
    let ran = ctl(&instance, &["run", &path, "--verbose"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let id = ran.err.lines().find_map(|line| line.strip_prefix("run ")).expect("the id is said").to_owned();
    for part in [
        format!("site.sloth for stack site, run {id}\n"),
        "start  pack started\n".to_owned(),
        "    pack | packing n=1\n".to_owned(),
        "ok     pack completed".to_owned(),
        "    ship | shipping ship\n".to_owned(),
        "TASK  STATUS     CHANGED  DURATION  ATTEMPTS  AGENT  MESSAGE\n".to_owned(),
        "2 tasks: 2 completed\n".to_owned(),
        "endpoint = https://x\n".to_owned(),
    ] {
        assert!(ran.out.contains(&part), "{part:?} is missing:\n{}", ran.out);
    }
    assert!(ran.out.is_ascii());
    let logs = ctl(&instance, &["logs", &id, "--task", "ship"]).out;
    assert!(logs.contains("shipping ship\n") && logs.contains("oops\n") && !logs.contains("packing"), "{logs}");
    let only = ctl(&instance, &["logs", &id, "--task", "ship", "--stream", "stderr"]).out;
    assert_eq!(only, "oops\n");
}

/// "Every task of the graph gets exactly one terminal record and one terminal event"
#[test]
fn json_lines_hold_each_event_once() {
    let instance = Instance::start();
    let path = file(&instance, "site.sloth", TWO);
    let ran = ctl(&instance, &["run", &path, "-o", "json"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let lines = ran.lines();
    for (kind, name) in [("task.started", "pack"), ("task.completed", "pack"), ("task.completed", "ship")] {
        let found = lines.iter().filter(|line| line["type"] == kind && line["task"] == name).count();
        assert_eq!(found, 1, "{kind} {name}: {}", ran.out);
    }
    assert!(lines.iter().any(|line| line["type"] == "log" && line["msg"] == "packing" && line["fields"]["n"] == 1));
    let summary = ran.summary();
    assert_eq!(summary["counts"]["total"], 2);
    assert_eq!(summary["outputs"], json!({"endpoint": "https://x"}));
    assert_eq!(task(&summary, "pack")["output"], json!({"file": "x.tgz"}));
    assert_eq!((&summary["stack"], &summary["workflow"]), (&json!("site"), &json!("site")));
    let yaml = ctl(&instance, &["run", &path, "-o", "yaml"]);
    assert!(yaml.out.starts_with("type: summary\n"), "{}", yaml.out);
}

/// "Exit code: of the run (0; 1 `task_failed` and other failures; 2 `definition`, `unresolved`, `validation`; …)"
#[test]
fn exit_codes_follow_from_the_reason() {
    let instance = Instance::start();
    for (program, code, reason) in [
        ("task('a'):command('true')", 0, None),
        ("task('a'):command('exit 3')", 1, Some("task_failed")),
        ("task('a'):command(function() return false, 'no' end)", 1, Some("task_failed")),
        ("this is no program", 2, Some("definition")),
        ("local x = 1", 2, Some("definition")),
        ("workflow.define('w'):tasks({'nobody'})", 2, Some("unresolved")),
        ("task('a'):command('sleep 30') workflow.define('w'):tasks({'a'}):timeout('300ms')", 5, Some("timeout")),
    ] {
        let (found, summary) = run(&instance, program, &[]);
        assert_eq!((found, summary["reason"].as_str()), (code, reason), "{program}: {summary:#}");
    }
}

#[test]
fn a_failed_task_shows_its_last_lines_and_what_it_said() {
    let instance = Instance::start();
    let path =
        file(&instance, "bad.sloth", "task('noisy'):command('for i in $(seq 40); do echo line $i; done; exit 7')");
    let ran = ctl(&instance, &["run", &path]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("fail   noisy failed"), "{}", ran.out);
    assert!(ran.out.contains("    line 40\n") && ran.out.contains("    line 25\n"), "{}", ran.out);
    assert!(!ran.out.contains("    line 15\n"), "only the last 20 lines: {}", ran.out);
}

#[test]
fn values_and_parameters_arrive() {
    let instance = Instance::start();
    let yaml = file(&instance, "v.yaml", "region: us\nlist: [1, 2, 3]\nnested: {a: 1, b: 2}\n");
    let program = r#"
values({ region = "default", only_default = true })
task("t"):params({ p = "own", q = "own" }):command(function(this, params)
  return true, "ok", { region = values.region, list = values.list, nested = values.nested, d = values.only_default,
    p = params.p, q = params.q, global = _G.params.p }
end)"#;
    let path = file(&instance, "values.sloth", program);
    let words = [
        "run",
        &path,
        "-v",
        &yaml,
        "--set",
        "nested.a=true",
        "--set-string",
        "nested.c=5",
        "--param",
        "p=9",
        "-o",
        "json",
    ];
    let output = instance
        .ctl_command(&words)
        .env("SLOTH_VALUES_REGION", "eu")
        .env("SLOTH_VALUES_NESTED__A", "env")
        .output()
        .expect("slothctl runs");
    let (out, err) = texts(&output);
    let summary: Value =
        serde_json::from_str(out.lines().last().unwrap_or_default()).unwrap_or_else(|_| panic!("{out}{err}"));
    let expected = json!({"region": "eu", "list": [1, 2, 3], "nested": {"a": true, "b": 2, "c": "5"}, "d": true,
        "p": 9, "q": "own", "global": 9});
    assert_eq!(task(&summary, "t")["output"], expected);
}

#[test]
fn words_of_the_line_are_a_workflow_of_their_own() {
    let instance = Instance::start();
    let ran = ctl(&instance, &["run", "-o", "json", "--", "/bin/echo", "a b", "\"q\"", "$HOME"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.lines().iter().any(|line| line["msg"] == "a b \"q\" $HOME"), "{}", ran.out);
    assert_eq!(ran.summary()["workflow"], "adhoc");
    let ran = ctl(&instance, &["run", "lab", "echo $((20 + 3)); exit 4", "-o", "json"]);
    assert_eq!((ran.code, &ran.summary()["stack"]), (1, &json!("lab")));
    assert!(ran.lines().iter().any(|line| line["msg"] == "23"), "{}", ran.out);
}

#[test]
fn a_selection_runs_what_it_names() {
    let instance = Instance::start();
    let program = r#"
for _, n in ipairs({ "a", "b", "c", "d" }) do task(n):command("echo " .. n):tags({ n == "d" and "slow" or "fast" }) end
workflow.define("w"):tasks(chain({ "a", "b", "c", "d" }))"#;
    let done = |words: &[&str]| -> Vec<String> {
        let (code, summary) = run(&instance, program, words);
        assert_eq!(code, 0, "{words:?} {summary:#}");
        let tasks = summary["tasks"].as_array().expect("a list").iter();
        let done = tasks.filter(|task| task["status"] == "completed");
        done.filter_map(|task| task["name"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(done(&["--task", "b"]), ["a", "b"]);
    assert_eq!(done(&["--task", "b", "--no-deps"]), ["b"]);
    assert_eq!(done(&["--from", "c"]), ["c", "d"]);
    assert_eq!(done(&["--skip-tags", "slow"]), ["a", "b", "c"]);
}

#[test]
fn a_run_without_a_daemon_has_one_of_its_own() {
    let instance = Instance::prepare();
    let path = file(&instance, "site.sloth", TWO);
    let root = instance.dir().join("private");
    let mut command = std::process::Command::new(program("slothctl"));
    command.arg("--root").arg(&root).args(["run", &path, "--standalone", "-o", "json"]).env_remove("SLOTHD_ROOT");
    let (out, err) = texts(&command.output().expect("slothctl runs"));
    assert!(out.lines().last().unwrap_or_default().contains("\"status\":\"completed\""), "{out}{err}");
    assert!(!root.join("slothd.sock").exists(), "its daemon is still there");
    assert!(root.join("stacks.db").exists());
    let mut temporary = std::process::Command::new(program("slothctl"));
    temporary
        .args(["run", &path, "--standalone", "--summary-only"])
        .env_remove("SLOTHD_ROOT")
        .env("TMPDIR", instance.dir());
    assert!(temporary.output().expect("slothctl runs").status.success());
    let left = std::fs::read_dir(instance.dir()).expect("readable").flatten();
    let left: Vec<_> =
        left.map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().starts_with("slothctl-")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn following_outlives_a_restart_of_the_daemon() {
    let mut instance = Instance::start();
    let program = r#"
local names = {}
for i = 1, 12 do
  task("t" .. i):command("echo line " .. i .. "; sleep 0.15")
  names[i] = "t" .. i
end
workflow.define("long"):tasks(chain(names))"#;
    let path = file(&instance, "long.sloth", program);
    let mut command = instance.ctl_command(&["run", &path, "-o", "json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("slothctl runs");
    for _ in 0..2 {
        std::thread::sleep(Duration::from_millis(500));
        instance.restart();
    }
    let output = child.wait_with_output().expect("it ends");
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for n in 1..=12 {
        let name = format!("t{n}");
        let done =
            lines.iter().filter(|line| line["type"] == "task.completed" && line["task"] == name.as_str()).count();
        let said = lines.iter().filter(|line| line["type"] == "log" && line["msg"] == format!("line {n}")).count();
        assert_eq!((done, said), (1, 1), "{name}:\n{out}");
    }
}

#[test]
fn what_belongs_to_a_run_can_be_looked_at() {
    let instance = Instance::start();
    let program = r#"
task("pack"):command(function(this)
  fs.write("out.txt", "content")
  task.checkpoint("packed", { n = 7 })
  return true, "ok", { n = 7 }
end):artifacts({ bundle = "out.txt" })
task("next"):depends_on("pack"):condition("pack.output.n > 3"):command("true")
workflow.define("w"):tasks({ "pack", "next" })
export("n", 7)"#;
    let id = start(&instance, program, &["--set", "api_token=hush", "--label", "team=web"]);
    instance.finished(&id);
    let show = |words: &[&str]| {
        let ran = ctl(&instance, words);
        assert_eq!(ran.code, 0, "{words:?} {}{}", ran.out, ran.err);
        ran.out
    };
    assert!(show(&["runs", "list", "--workflow", "w", "--label", "team=web"]).contains(&id));
    assert!(!show(&["runs", "list", "--workflow", "other"]).contains(&id));
    let shown = show(&["runs", "show", &id, "--tasks", "--values", "--bundle"]);
    assert!(shown.contains("pack") && shown.contains("workflow.define"), "{shown}");
    assert!(!shown.contains("hush"), "a value named *token* is shown: {shown}");
    assert!(show(&["runs", "graph", &id]).contains("next [completed]  <- pack"));
    assert!(show(&["runs", "graph", &id, "--format", "mermaid"]).contains(":::completed"));
    assert!(show(&["runs", "events", &id]).contains("task.completed"));
    assert_eq!(show(&["runs", "outputs", &id, "-o", "json"]).trim(), "{\"n\":7}");
    assert!(show(&["runs", "checkpoints", &id]).contains("packed"));
    assert!(show(&["runs", "artifacts", &id]).contains("bundle"));
    let other = start(&instance, &program.replace("n = 7", "n = 8"), &[]);
    instance.finished(&other);
    let diff = ctl(&instance, &["runs", "diff", &id, &other, "--exit-code"]);
    assert_eq!(diff.code, 6, "{}{}", diff.out, diff.err);
    assert!(diff.out.contains("task w/pack output"), "{}", diff.out);
    assert_eq!(list(&instance, &id, "tasks").len(), 2);
}

#[test]
fn saved_workflows_run_by_name_and_only_while_active() {
    let instance = Instance::start();
    let path = file(
        &instance,
        "lib/site.sloth",
        "local t = import('text.lua') task('a'):command(function() return true, t end)",
    );
    file(&instance, "lib/text.lua", "return 'from the library'");
    assert_eq!(ctl(&instance, &["saved", "add", "site", "-f", &path, "-d", "The site"]).code, 0);
    std::fs::remove_dir_all(instance.dir().join("lib")).expect("written");
    let ran = ctl(&instance, &["run", "--saved", "site", "-o", "json"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(task(&ran.summary(), "a")["message"], "from the library");
    assert!(ctl(&instance, &["workflow", "list"]).out.contains("site"));
    assert_eq!(ctl(&instance, &["saved", "deactivate", "site"]).code, 0);
    let refused = ctl(&instance, &["run", "--saved", "site"]);
    assert_eq!(refused.code, 9);
    assert!(refused.err.contains("saved workflow \"site\" is inactive"), "{}", refused.err);
    assert_eq!(ctl(&instance, &["saved", "remove", "site"]).code, 0);
    assert_eq!(ctl(&instance, &["run", "--saved", "site"]).code, 8);
}

#[test]
fn a_plan_makes_no_run() {
    let instance = Instance::start();
    let target = instance.dir().join("made");
    let program = format!("task('a'):command(function() return fs.write('{}', 'x') end)", target.display());
    let path = file(&instance, "p.sloth", &program);
    let ran = ctl(&instance, &["run", &path, "--plan"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains('a') && ran.out.contains("plan: "), "{}", ran.out);
    assert!(!target.exists());
    assert_eq!(instance.value("SELECT count(*) FROM runs"), 0);
    completes(&instance, &program, &[]);
    assert_eq!(text(&target), "x");
}
