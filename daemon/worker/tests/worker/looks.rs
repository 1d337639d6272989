//! `validate`, `graph` and `plan`, without a daemon.

use std::process::Command;

use serde_json::Value;

fn look(word: &str, file: &str) -> (Value, Option<i32>) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("main.sloth");
    std::fs::write(&path, file).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_sloth-worker"))
        .args([word, "--json"])
        .arg(&path)
        .output()
        .expect("the worker starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let value =
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    (value, output.status.code())
}

const GOOD: &str = r#"
    workflow.define("site", { description = "Publish", tasks = chain({
      { name = "pack", command = "tar c ." },
      { name = "ship", command = function() return true end, condition = "values.env == 'prod'" },
    }) })
"#;

#[test]
fn validate() {
    let (good, code) = look("validate", GOOD);
    assert_eq!((good["ok"].as_bool(), code), (Some(true), Some(0)), "{good}");
    assert_eq!(good["workflows"], serde_json::json!(["site"]));
    let (bad, code) = look("validate", "task(\"a\"):depends_on(\"nobody\"):comand(\"true\")");
    assert_eq!((bad["ok"].as_bool(), code), (Some(false), Some(2)), "{bad}");
    assert_eq!(bad["diagnostics"][0]["code"], "E112");
}

#[test]
fn graph() {
    let (graph, code) = look("graph", GOOD);
    assert_eq!(code, Some(0));
    let tasks = &graph["workflows"][0]["tasks"];
    assert_eq!((&tasks[0]["kind"], &tasks[0]["command"]), (&"shell".into(), &"tar c .".into()));
    assert_eq!(tasks[1]["depends_on"], serde_json::json!(["pack"]));
    assert_eq!(tasks[1]["condition"], "values.env == 'prod'");
}

/// "functions run in check mode to collect resources; handlers and hooks do not run"
#[test]
fn plan() {
    let (plan, code) = look("plan", GOOD);
    assert_eq!(code, Some(0), "{plan}");
    assert_eq!(plan["workflows"][0]["tasks"][1]["condition_value"], false);
    assert_eq!(plan["totals"]["unknown"], 1);
}
