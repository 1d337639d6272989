//! Settings and schedule files: all problems at once, a bad file keeps the old state, and only one daemon for a root.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sloth_tests::Instance;
use sloth_tests::instance::texts;
use sloth_tests::process::{signal, wait_for};

fn schedules_file(instance: &Instance, name: &str, text: &str) {
    instance.make_root();
    let dir = instance.root().join("schedules.d");
    fs::create_dir_all(&dir).expect("writable");
    fs::write(dir.join(name), text).expect("writable");
}

fn names(instance: &Instance) -> Vec<String> {
    let page = instance.ok("GET", "/schedules", Value::Null);
    let items = page["items"].as_array().cloned().unwrap_or_default();
    items.iter().map(|item| item["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn check_config_tells_every_problem_with_its_place() {
    let instance = Instance::prepare();
    instance.config("[scheduler]\nmax_running = 0\nhorizon = \"soon\"\nspeed = 9\n[log]\nlevel = 3\n");
    schedules_file(
        &instance,
        "bad.toml",
        "[schedule.one]\ntrigger = \"61 * * * *\"\ncommand = [\"true\"]\n[schedule.two]\ntrigger = \"@daily\"\nshel = \"x\"\n[schedule.\"no/name\"]\ntrigger = \"@daily\"\nshell = \"x\"\n",
    );
    let output = instance.slothd(&["check-config"]).output().expect("slothd runs");
    let (_, err) = texts(&output);
    assert_eq!(output.status.code(), Some(78), "{err}");
    for place in [
        "scheduler.max_running",
        "scheduler.horizon",
        "scheduler.speed",
        "log.level",
        "slothd.toml",
        "bad.toml",
        "one",
        "61",
        "shel",
        "no/name",
    ] {
        assert!(err.contains(place), "{place} is not named in:\n{err}");
    }
    let (code, err) = instance.refused();
    assert_eq!(code, Some(78), "{err}");
    assert!(err.contains("max_running") && err.contains("horizon"), "{err}");
    assert!(!instance.root().join("stacks.db").exists(), "a database was made with bad settings");
}

#[test]
fn check_config_of_good_files_is_quiet_and_zero() {
    let instance = Instance::prepare();
    instance.config("[scheduler]\nmax_running = 7\n");
    schedules_file(&instance, "good.toml", "[schedule.one]\ntrigger = \"@daily\"\ncommand = [\"true\"]\n");
    let output = instance.slothd(&["check-config"]).output().expect("slothd runs");
    assert_eq!(output.status.code(), Some(0), "{:?}", texts(&output));
}

#[test]
fn a_reload_takes_good_files_and_leaves_the_old_state_for_bad_ones() {
    let mut instance = Instance::prepare();
    instance.config("[scheduler]\nmax_running = 7\n");
    schedules_file(&instance, "a.toml", "[schedule.one]\ntrigger = \"@daily\"\ncommand = [\"true\"]\n");
    instance.up();
    assert_eq!(names(&instance), ["one"]);
    let max = |instance: &Instance| {
        let all = instance.ok("GET", "/config", Value::Null);
        all.as_array().into_iter().flatten().find(|s| s["key"] == "scheduler.max_running").map(|s| s["value"].clone())
    };
    assert_eq!(max(&instance), Some(json!(7)));

    instance.config("[scheduler]\nmax_running = 8\n");
    schedules_file(&instance, "b.toml", "[schedule.two]\ntrigger = \"@daily\"\ncommand = [\"true\"]\n");
    signal(instance.pid(), Signal::SIGHUP);
    wait_for("two is there", || names(&instance).len() == 2);
    assert_eq!(max(&instance), Some(json!(8)));

    instance.config("[scheduler]\nmax_running = \"many\"\n");
    schedules_file(&instance, "b.toml", "[schedule.two]\ntrigger = \"99 * * * *\"\ncommand = [\"true\"]\n");
    let reply = instance.ok("POST", "/config/reload", json!({}));
    let problems = reply["problems"].to_string();
    assert!(problems.contains("max_running") && problems.contains("b.toml"), "{problems}");
    assert_eq!(max(&instance), Some(json!(8)), "a bad file changed a setting");
    assert_eq!(names(&instance), ["one", "two"], "a bad file changed the schedules");
    while instance.notice().is_some() {}
    signal(instance.pid(), Signal::SIGHUP);
    let mut said = String::new();
    wait_for("the status says so", || {
        said.extend(instance.notice());
        said.contains("STATUS=") && said.contains("problem")
    });
    assert!(instance.ended().is_none());

    // A daemon that starts with such files still serves what it can.
    instance.config("");
    instance.restart();
    assert_eq!(names(&instance), ["one", "two"], "a bad file took a schedule away at the start");

    fs::remove_file(instance.root().join("schedules.d/b.toml")).expect("there");
    let reply = instance.ok("POST", "/config/reload", json!({}));
    assert_eq!(reply["schedules"]["deleted"].as_array().map(Vec::len), Some(1), "{reply}");
    assert_eq!(names(&instance), ["one"]);
}

#[test]
fn schedules_of_files_refuse_edits() {
    let mut instance = Instance::prepare();
    schedules_file(&instance, "a.toml", "[schedule.one]\ntrigger = \"@daily\"\ncommand = [\"true\"]\n");
    instance.up();
    for (method, path, body) in [
        ("PATCH", "/schedules/one", json!({ "trigger": "@hourly" })),
        ("PUT", "/schedules/one", json!({ "trigger": "@hourly", "command": ["true"] })),
        ("DELETE", "/schedules/one", Value::Null),
    ] {
        let (status, reply) = instance.http(method, path, body);
        assert_eq!((status, reply["error"]["code"].as_str()), (409, Some("conflict")), "{method}: {reply}");
        assert!(reply["error"]["message"].as_str().unwrap_or_default().contains("a.toml"), "{reply}");
    }
    // Its history stays when the file goes, and the name is free again.
    let run = instance.trigger("one");
    instance.finished(&run);
    fs::remove_file(instance.root().join("schedules.d/a.toml")).expect("there");
    instance.ok("POST", "/config/reload", json!({}));
    instance.ok("GET", &format!("/runs/{run}"), Value::Null);
    instance.add_shell("one", "true");
}

#[test]
fn a_second_daemon_refuses_at_once_and_names_the_first() {
    let instance = Instance::start();
    let begin = Instant::now();
    let (code, err) = instance.refused();
    assert!(begin.elapsed() < Duration::from_secs(1), "it took {:?}", begin.elapsed());
    assert_eq!(code, Some(75), "{err}");
    assert!(err.contains("already_running") && err.contains(&instance.pid().to_string()), "{err}");
    instance.ok("GET", "/status", Value::Null);
    let output = instance.slothd(&["restore", "whatever"]).output().expect("slothd runs");
    assert_ne!(output.status.code(), Some(0), "restored under a running daemon");
    assert!(texts(&output).1.contains(&instance.pid().to_string()), "{:?}", texts(&output));
}
