//! What a schedule does, from end to end: overlap, retries, timeouts, chains, single shots, maintenance.

use std::time::Duration;

use serde_json::{Value, json};
use sloth_tests::Instance;
use sloth_tests::process::{is_alive, wait_for};

/// Statuses and reasons of the runs of a schedule, the oldest first.
fn runs(instance: &Instance, name: &str) -> Vec<(String, String)> {
    let page = instance.ok("GET", &format!("/runs?schedule={name}&limit=1000"), Value::Null);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut list: Vec<_> = page["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|run| (text(&run["status"]), text(&run["reason"])))
        .collect();
    list.reverse();
    list
}

#[test]
fn a_timeout_ends_the_whole_tree() {
    let instance = Instance::start();
    let place = instance.dir().join("pids");
    let script = format!(
        "trap '' TERM; echo $$ >> {0}; (trap '' TERM; echo $(exec sh -c 'echo $PPID') >> {0}; setsid sh -c 'trap \"\" TERM; echo $$ >> {0}; sleep 60' & sleep 60) & sleep 60",
        place.display()
    );
    instance.add("tree", json!({ "trigger": "manual", "shell": script, "timeout": "1s", "kill_grace": "500ms" }));
    let view = instance.run("tree");
    assert_eq!((&view["status"], &view["reason"]), (&json!("failed"), &json!("timeout")), "{view}");
    assert!(view["duration_ms"].as_i64().is_some_and(|ms| (1400..6000).contains(&ms)), "{view}");
    let pids: Vec<i32> =
        std::fs::read_to_string(&place).expect("written").lines().filter_map(|line| line.parse().ok()).collect();
    assert!(pids.len() >= 2, "{pids:?}");
    wait_for("the whole tree is gone", || pids.iter().all(|pid| !is_alive(*pid)));
}

#[test]
fn a_cancelled_run_is_told_first_and_killed_later() {
    let instance = Instance::start();
    instance.add_shell("polite", "trap 'echo goodbye; exit 0' TERM; echo ready; while :; do sleep 0.05; done");
    let run = instance.trigger("polite");
    wait_for("it is ready", || instance.output(&run, "stdout").contains("ready"));
    instance.ok("POST", &format!("/runs/{run}/cancel"), json!({ "reason": "enough" }));
    let view = instance.finished(&run);
    assert_eq!(view["status"], "cancelled", "{view}");
    assert!(instance.output(&run, "stdout").contains("goodbye"));
    let again = instance.ok("POST", &format!("/runs/{run}/cancel"), json!({}));
    assert_eq!(again["status"], "already cancelled");
}

#[test]
fn retries_are_attempts_of_the_same_run() {
    let instance = Instance::start();
    let mends = json!({ "trigger": "manual", "shell": "echo try $SLOTH_ATTEMPT; [ $SLOTH_ATTEMPT = 3 ]", "retries": { "max": 4, "delay": "100ms" } });
    instance.add("mends", mends);
    let view = instance.run("mends");
    assert_eq!((&view["status"], &view["attempts"]), (&json!("completed"), &json!(3)), "{view}");
    assert_eq!(instance.output(view["id"].as_str().expect("an id"), "stdout"), "try 1\ntry 2\ntry 3\n");
    instance.add("fails", json!({ "trigger": "manual", "shell": "exit 4", "retries": { "max": 2, "delay": "100ms" } }));
    let view = instance.run("fails");
    assert_eq!(
        (&view["status"], &view["attempts"], &view["exit_code"]),
        (&json!("failed"), &json!(3), &json!(4)),
        "{view}"
    );
}

#[test]
fn a_retry_survives_a_kill() {
    let mut instance = Instance::start();
    instance.add(
        "later",
        json!({ "trigger": "manual", "shell": "[ $SLOTH_ATTEMPT = 2 ]", "retries": { "max": 1, "delay": "2s" } }),
    );
    let run = instance.trigger("later");
    wait_for("the first attempt has failed", || {
        !instance.ok("GET", &format!("/runs/{run}"), Value::Null)["retry_at"].is_null()
    });
    instance.restart();
    let view = instance.finished(&run);
    assert_eq!((&view["status"], &view["attempts"]), (&json!("completed"), &json!(2)), "{view}");
}

#[test]
fn overlap_modes_do_what_they_say() {
    let instance = Instance::start();
    for mode in ["skip", "queue", "queue_all", "replace", "allow"] {
        instance.add(mode, json!({ "trigger": "manual", "shell": "sleep 1", "overlap": mode, "kill_grace": "1s" }));
    }
    let ask = |name: &str| instance.http("POST", &format!("/schedules/{name}/trigger"), json!({})).0;
    let three = |name: &str| [ask(name), ask(name), ask(name)];
    assert_eq!(three("skip"), [202, 409, 409]);
    assert_eq!(three("queue"), [202, 202, 409]);
    assert_eq!(three("queue_all"), [202, 202, 202]);
    assert_eq!(three("replace"), [202, 202, 202]);
    assert_eq!(three("allow"), [202, 202, 202]);
    wait_for("all have ended", || instance.value("SELECT count(*) FROM runs WHERE ended_at IS NULL") == 0);
    let done = ("completed".to_owned(), String::new());
    assert_eq!(runs(&instance, "skip"), std::slice::from_ref(&done));
    assert_eq!(runs(&instance, "queue"), [done.clone(), done.clone()]);
    assert_eq!(runs(&instance, "queue_all"), [done.clone(), done.clone(), done.clone()]);
    let replaced = runs(&instance, "replace");
    assert_eq!(
        (replaced[0].0.as_str(), replaced[1].0.as_str(), &replaced[2]),
        ("cancelled", "cancelled", &done),
        "{replaced:?}"
    );
    assert_eq!(runs(&instance, "allow"), [done.clone(), done.clone(), done]);
    // In a queue one after the other, with allow beside each other.
    let most = |name: &str| {
        let sql = format!(
            "SELECT max((SELECT count(*) FROM runs b WHERE b.schedule = a.schedule AND b.started_at <= a.started_at AND b.ended_at > a.started_at))
             FROM runs a WHERE a.schedule = '{name}'"
        );
        instance.value(&sql)
    };
    assert_eq!((most("queue_all"), most("allow")), (json!(1), json!(3)));
}

#[test]
fn chains_follow_the_result() {
    let instance = Instance::start();
    instance.add_shell("good", "true");
    instance.add_shell("bad", "false");
    for (name, after) in [
        ("on-success", json!({ "good": "success" })),
        ("on-failure", json!({ "bad": "failure" })),
        ("never", json!({ "good": "failure", "bad": "success" })),
        ("any", json!({ "good": "any", "bad": "any" })),
    ] {
        instance.add(name, json!({ "trigger": "manual", "shell": "true", "after": after, "overlap": "queue_all" }));
    }
    instance.add("third", json!({ "trigger": "manual", "shell": "true", "after": { "on-success": "success" } }));
    instance.run("good");
    instance.run("bad");
    wait_for("the chain has run", || runs(&instance, "third").len() == 1 && runs(&instance, "any").len() == 2);
    assert_eq!(runs(&instance, "on-success").len(), 1);
    assert_eq!(runs(&instance, "on-failure").len(), 1);
    assert!(runs(&instance, "never").is_empty());
    let (status, reply) = instance.http("PATCH", "/schedules/good", json!({ "after": { "third": "any" } }));
    assert_eq!((status, reply["error"]["code"].as_str()), (422, Some("circular_dependency")), "{reply}");
}

#[test]
fn a_single_shot_fires_once_and_disables_itself() {
    let mut instance = Instance::start();
    let soon = instance.value("SELECT strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '+2 seconds')");
    instance.add("once", json!({ "trigger": format!("@at {}", soon.as_str().expect("a time")), "shell": "true" }));
    wait_for("it has run", || runs(&instance, "once").len() == 1);
    wait_for("it is disabled", || instance.ok("GET", "/schedules/once", Value::Null)["enabled"] == false);
    instance.restart();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(runs(&instance, "once").len(), 1, "it fired again");
    let (status, reply) = instance.http(
        "POST",
        "/schedules",
        json!({ "name": "late", "trigger": "@at 2020-01-01T00:00", "shell": "true" }),
    );
    assert_eq!(status, 400, "{reply}");
}

#[test]
fn maintenance_holds_everything_and_is_remembered() {
    let mut instance = Instance::start();
    instance.add("tick", json!({ "trigger": "* * * * * *", "shell": "true" }));
    wait_for("it ticks", || !runs(&instance, "tick").is_empty());
    assert_eq!(instance.ok("POST", "/schedules/-/pause-all", json!({ "reason": "work" }))["change"], "quiesced");
    assert_eq!(instance.ok("POST", "/schedules/-/pause-all", json!({ "reason": "work" }))["change"], "unchanged");
    std::thread::sleep(Duration::from_secs(1));
    let before = runs(&instance, "tick").len();
    instance.restart();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(runs(&instance, "tick").len(), before, "it ticks in maintenance");
    assert_eq!(instance.ok("GET", "/status", Value::Null)["state"], "maintenance");
    assert_eq!(instance.http("POST", "/schedules/tick/trigger", json!({})).0, 409);
    let skipped = instance.value("SELECT count(*) FROM occurrences WHERE detail = 'quiesced'");
    assert!(skipped.as_i64().is_some_and(|count| count >= 2), "{skipped}");
    instance.ok("POST", "/schedules/-/resume-all", json!({}));
    wait_for("it ticks again", || runs(&instance, "tick").len() > before);
}

#[test]
fn a_paused_schedule_records_what_it_did_not_do() {
    let instance = Instance::start();
    instance.add("tick", json!({ "trigger": "* * * * * *", "shell": "true", "enabled": false }));
    std::thread::sleep(Duration::from_millis(3500));
    assert!(runs(&instance, "tick").is_empty());
    let page = instance.ok("GET", "/schedules/tick/occurrences", Value::Null);
    let paused = page["items"].as_array().into_iter().flatten().filter(|row| row["detail"] == "paused").count();
    assert!(paused >= 2, "{page}");
    instance.ok("POST", "/schedules/tick/enable", json!({}));
    wait_for("it ticks", || !runs(&instance, "tick").is_empty());
    instance.add("broken", json!({ "trigger": "* * * * * *", "shell": "false", "pause_after_failures": 2 }));
    wait_for("it pauses itself", || instance.ok("GET", "/schedules/broken", Value::Null)["enabled"] == false);
    let view = instance.ok("GET", "/schedules/broken", Value::Null);
    assert!(view["paused"]["reason"].as_str().is_some_and(|text| text.contains('2')), "{view}");
}

#[test]
fn a_command_that_cannot_start_says_why() {
    let instance = Instance::start();
    for (name, spec, word) in [
        ("no-program", json!({ "command": ["/nowhere/program"] }), "/nowhere/program"),
        ("no-directory", json!({ "command": ["/bin/true"], "cwd": "/nowhere/dir" }), "/nowhere/dir"),
        ("no-permission", json!({ "command": ["/etc/passwd"] }), "/etc/passwd"),
    ] {
        let mut spec = spec;
        spec["trigger"] = json!("manual");
        instance.add(name, spec);
        let view = instance.run(name);
        assert_eq!(view["status"], "failed", "{view}");
        assert!(view.to_string().contains(word) && !view["reason"].is_null(), "{name}: {view}");
        assert_eq!(view["tasks"][0]["attempts"][0]["outcome"], "not_started", "{view}");
    }
}

#[test]
fn output_is_kept_exactly_and_bounded() {
    let instance = Instance::start();
    instance.add("bytes", json!({ "trigger": "manual", "shell": "printf 'a\\000\\377b'; printf 'err' >&2" }));
    let view = instance.run("bytes");
    let run = view["id"].as_str().expect("an id");
    let page = instance.ok("GET", &format!("/runs/{run}/logs?stream=stdout"), Value::Null);
    assert_eq!(page["chunks"][0]["bytes"], "YQD/Yg==", "{page}");
    assert_eq!((&view["output_bytes"], &view["stderr_tail"]), (&json!(7), &json!("err")));
    let spec = json!({ "trigger": "manual", "shell": "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done", "output_limit": "16Ki" });
    instance.add("much", spec);
    let view = instance.run("much");
    let run = view["id"].as_str().expect("an id");
    let text = instance.output(run, "stdout");
    assert!(text.starts_with("line 0\n") && text.ends_with("line 19999\n"), "{:?}", &text[..50]);
    let file =
        walk(instance.root()).into_iter().find(|path| path.to_string_lossy().contains(run)).expect("an output file");
    // The middle is a hole: what counts is the space that it takes.
    let blocks = std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&file).expect("there"));
    assert!(blocks * 512 < 320 * 1024, "the file takes {} bytes", blocks * 512);
    let page = instance.ok("GET", &format!("/runs/{run}/logs"), Value::Null);
    assert!(page["dropped_bytes"].as_u64().is_some_and(|bytes| bytes > 100_000), "{}", page["dropped_bytes"]);
    instance.ok("DELETE", &format!("/runs/{run}"), Value::Null);
    assert!(!file.exists(), "the output of a deleted run stays");
}

fn walk(root: &std::path::Path) -> Vec<std::path::PathBuf> {
    let (mut open, mut files) = (vec![root.to_owned()], Vec::new());
    while let Some(path) = open.pop() {
        match std::fs::read_dir(&path) {
            Ok(entries) => open.extend(entries.flatten().map(|entry| entry.path())),
            Err(_) => files.push(path),
        }
    }
    files
}
