//! Limits really limit, and each end says what it was.

use std::time::Instant;

use crate::Machine;

#[test]
fn more_memory_than_allowed_is_reported_as_oom() {
    let Some(machine) = Machine::boot() else { return };
    let eat = "head -c 200m /dev/zero | tail | wc -c";
    let run = machine.once(
        "eat",
        &["--limits", "memory=32Mi", "--shell", &format!("echo begins; exec sh -c 'x=$({eat}); exit 137'")],
    );
    assert_eq!((run["status"].as_str(), run["reason"].as_str()), (Some("failed"), Some("oom")), "{run}");
    let peak = run["memory_peak_bytes"].as_u64().unwrap_or_default();
    assert!((30 << 20..=32 << 20).contains(&peak), "{run}");
    assert!(machine.output(&run).contains("begins"));
    // Killed itself, not a child of it.
    let run = machine.once("direct", &["--limits", "memory=32Mi", "--", "/usr/bin/tail", "/dev/zero"]);
    assert_eq!((run["status"].as_str(), run["reason"].as_str()), (Some("failed"), Some("oom")), "{run}");
}

#[test]
fn a_quota_of_cpu_holds_and_is_accounted() {
    let Some(machine) = Machine::boot() else { return };
    let begin = Instant::now();
    let run = machine.once(
        "spin",
        &["--limits", "cpu=0.2", "--user", "ann", "--shell", "timeout 3 sh -c 'while :; do :; done'; exit 0"],
    );
    let wall = begin.elapsed().as_millis() as f64;
    let cpu = run["cpu_ms"].as_f64().unwrap_or_default();
    assert!(cpu > 300.0 && cpu < 900.0, "20 % of 3 s is 600 ms: {cpu} ms of {wall} ms, {run}");
}

#[test]
fn tasks_files_and_priority_are_limited() {
    let Some(machine) = Machine::boot() else { return };
    let script = "ulimit -n; nice; for i in $(seq 30); do sleep 1 & done; wait; echo done";
    let run = machine.once(
        "bomb",
        &["--user", "ann", "--limits", "tasks=10", "--limits", "nofile=77", "--limits", "nice=7", "--shell", script],
    );
    let output = machine.output(&run);
    assert!(output.contains("77\n7\n"), "{output}");
    assert!(output.contains("Cannot fork"), "{output}");
    let run = machine.once(
        "ten",
        &["--user", "ann", "--limits", "tasks=10", "--shell", "for i in $(seq 9); do sleep 1 & done; wait; echo all"],
    );
    assert!(machine.output(&run).contains("all"), "ten are ten: {}", machine.output(&run));
}

#[test]
fn what_this_machine_cannot_enforce_is_said_at_once() {
    let Some(machine) = Machine::boot() else { return };
    let has_weight = machine
        .run(&["sh", "-c", "ls /sys/fs/cgroup/blkio/*/blkio*weight /sys/fs/cgroup/*/io.weight"])
        .status
        .success();
    if !has_weight {
        let refusal =
            machine.refused(&["scheduler", "add", "io", "--manual", "--limits", "io_weight=50", "--", "/bin/true"]);
        assert!(refusal.contains("which systemd cannot use on this machine"), "{refusal}");
    }
    let refusal =
        machine.refused(&["scheduler", "add", "files", "--manual", "--limits", "nofile=999999999", "--", "/bin/true"]);
    assert!(refusal.contains("nofile"), "{refusal}");
}

#[test]
fn the_whole_tree_dies_of_a_timeout() {
    let Some(machine) = Machine::boot() else { return };
    let script =
        "trap '' TERM; (setsid sh -c \"trap '' TERM; echo deep; sleep 777\" &) ; echo first; sleep 778; echo last";
    let run = machine.once("long", &["--user", "ann", "--timeout", "1s", "--kill-grace", "1s", "--shell", script]);
    assert_eq!((run["status"].as_str(), run["reason"].as_str()), (Some("failed"), Some("timeout")), "{run}");
    let took = run["duration_ms"].as_u64().unwrap_or_default();
    assert!((1900..4000).contains(&took), "{run}");
    let output = machine.output(&run);
    assert!(output.contains("deep") && output.contains("first"), "{output}");
    assert!(!machine.run(&["pgrep", "-f", "sleep 77[78]"]).status.success(), "something is left");
}

#[test]
fn what_a_command_leaves_behind_ends_with_it() {
    let Some(machine) = Machine::boot() else { return };
    let run =
        machine.once("daemon", &["--user", "ann", "--kill-grace", "1s", "--shell", "setsid -f sleep 779; echo done"]);
    assert_eq!(run["status"], "completed", "{run}");
    assert!(!machine.run(&["pgrep", "-f", "sleep 779"]).status.success(), "something is left");
}

#[test]
fn a_cancelled_run_is_cancelled_with_its_tree() {
    let Some(machine) = Machine::boot() else { return };
    let script = "trap 'echo heard; exit 0' TERM; (trap '' TERM; sleep 780) & while :; do sleep 0.1; done";
    machine.add("going", &["--user", "ann", "--kill-grace", "2s", "--shell", script]);
    for words in [&["runs", "cancel"][..], &["runs", "cancel", "--force"][..]] {
        let run = machine.start("going");
        std::thread::sleep(std::time::Duration::from_millis(500));
        machine.ctl(&[words, &[run.as_str()]].concat());
        let run = machine.ended(&run);
        assert_eq!((run["status"].as_str(), run["reason"].as_str()), (Some("cancelled"), Some("user")), "{run}");
        assert!(!machine.run(&["pgrep", "-f", "sleep 780"]).status.success(), "something is left");
    }
}
