//! A run survives its scheduler, and what cannot be known is called lost.

use std::time::Duration;

use crate::Machine;

#[test]
fn a_run_survives_a_restart_of_slothd() {
    let Some(machine) = Machine::boot() else { return };
    machine.add("long", &["--user", "ann", "--shell", "echo before; sleep 4; echo after; exit 7"]);
    let run = machine.start("long");
    machine.wait_output(&run, "before");
    machine.ok(&["systemctl", "restart", "slothd"]);
    machine.wait_for("slothd", || machine.is_ready());
    let run = machine.ended(&run);
    assert_eq!(
        (run["status"].as_str(), run["exit_code"].as_i64(), run["attempts"].as_i64()),
        (Some("failed"), Some(7), Some(1))
    );
    assert!(machine.output(&run).ends_with("before\nafter\n"), "{}", machine.output(&run));
}

#[test]
fn a_run_that_ends_while_slothd_is_down_is_recorded_with_its_truth() {
    let Some(machine) = Machine::boot() else { return };
    let script = "echo before; sleep 2; x=$(head -c 20m /dev/zero | tr '\\0' x); i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo after; exit 9";
    machine.add("down", &["--user", "ann", "--shell", script]);
    let run = machine.start("down");
    machine.wait_output(&run, "before");
    // Killed, not stopped: it must not have a chance to prepare.
    machine
        .sh("systemctl mask --runtime --now slothd >/dev/null 2>&1 & sleep 0.1; systemctl kill -s KILL slothd || true");
    machine.wait_for("no slothd", || machine.daemon() == 0);
    machine
        .wait_for("the end of the command", || !machine.run(&["pgrep", "-f", "sloth-exec attempt"]).status.success());
    machine.sh("systemctl unmask --runtime slothd; systemctl start slothd");
    let run = machine.ended(&run);
    assert_eq!(
        (run["status"].as_str(), run["exit_code"].as_i64(), run["attempts"].as_i64()),
        (Some("failed"), Some(9), Some(1)),
        "{run}"
    );
    assert!(run["cpu_ms"].as_f64().unwrap_or_default() > 50.0, "{run}");
    assert!(run["memory_peak_bytes"].as_u64().unwrap_or_default() > 20 << 20, "{run}");
    assert!(machine.output(&run).ends_with("before\nafter\n"));
}

#[test]
fn a_run_survives_kill_9_of_slothd() {
    let Some(machine) = Machine::boot() else { return };
    machine.add("long", &["--user", "ann", "--shell", "echo before; sleep 3; echo after"]);
    let run = machine.start("long");
    machine.wait_output(&run, "before");
    machine.kill_daemon();
    machine.kill_daemon();
    let run = machine.ended(&run);
    assert_eq!((run["status"].as_str(), run["attempts"].as_i64()), (Some("completed"), Some(1)), "{run}");
    assert!(machine.output(&run).ends_with("before\nafter\n"));
    // And one that is cancelled by a slothd that did not start it.
    machine.add("endless", &["--kill-grace", "1s", "--shell", "sleep 781"]);
    let run = machine.start("endless");
    std::thread::sleep(Duration::from_millis(500));
    machine.kill_daemon();
    machine.ctl(&["runs", "cancel", &run]);
    assert_eq!(machine.ended(&run)["status"], "cancelled");
}

#[test]
fn a_run_survives_the_restart_of_systemd_and_of_the_bus() {
    let Some(machine) = Machine::boot() else { return };
    machine.add("long", &["--shell", "echo before; sleep 5; echo after"]);
    let run = machine.start("long");
    machine.wait_output(&run, "before");
    machine.ok(&["systemctl", "daemon-reexec"]);
    machine.ok(&["systemctl", "restart", "dbus"]);
    let run = machine.ended(&run);
    assert_eq!((run["status"].as_str(), run["attempts"].as_i64()), (Some("completed"), Some(1)), "{run}");
    // It is connected again.
    assert_eq!(machine.once("later", &["--", "/bin/true"])["status"], "completed");
}

#[test]
fn a_run_whose_supervisor_was_killed_is_lost_and_its_tree_ends() {
    let Some(machine) = Machine::boot() else { return };
    machine.add("orphan", &["--user", "ann", "--shell", "echo before; sleep 782"]);
    let run = machine.start("orphan");
    machine.wait_output(&run, "before");
    machine.ok(&["systemctl", "kill", "--kill-who=main", "-s", "KILL", &format!("sloth-run-{run}-1.service")]);
    let run = machine.ended(&run);
    assert_eq!((run["status"].as_str(), run["reason"].as_str()), (Some("failed"), Some("lost")), "{run}");
    assert!(run["message"].as_str().unwrap_or_default().contains("signal 9"), "{run}");
    assert!(!machine.run(&["pgrep", "-f", "sleep 782"]).status.success(), "something is left");
    machine.wait_for("no units", || {
        machine.ok(&["systemctl", "list-units", "--all", "--no-legend", "sloth-run-*"]).trim().is_empty()
    });
}

#[test]
fn a_unit_that_somebody_stops_is_lost_with_the_reason() {
    let Some(machine) = Machine::boot() else { return };
    machine.add("stopped", &["--shell", "echo before; sleep 783"]);
    let run = machine.start("stopped");
    machine.wait_output(&run, "before");
    machine.ok(&["systemctl", "stop", &format!("sloth-run-{run}-1.service")]);
    let run = machine.ended(&run);
    assert_eq!((run["status"].as_str(), run["reason"].as_str()), (Some("failed"), Some("lost")), "{run}");
    assert!(run["message"].as_str().unwrap_or_default().contains("stopped from outside"), "{run}");
}

#[test]
fn a_reboot_in_the_middle_of_a_run_is_lost_with_the_reason() {
    let Some(mut machine) = Machine::boot() else { return };
    for force in [true, false] {
        let name = if force { "crash" } else { "orderly" };
        machine.add(name, &["--user", "ann", "--shell", "echo before; sleep 784"]);
        let run = machine.start(name);
        machine.wait_output(&run, "before");
        machine.reboot(force);
        let run = machine.ended(&run);
        assert_eq!((run["status"].as_str(), run["reason"].as_str()), (Some("failed"), Some("lost")), "{run}");
        let message = run["message"].as_str().unwrap_or_default();
        assert!(message.contains("machine was started anew") || message.contains("shutdown of the host"), "{run}");
    }
}
