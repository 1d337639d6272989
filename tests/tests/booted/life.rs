//! Start, stop, restart, death: what systemd and slothd tell each other.

use std::time::Duration;

use sloth_tests::booted::Booted;

#[test]
fn when_the_unit_is_active_the_daemon_answers() {
    let Some(machine) = Booted::installed() else { return };
    for _ in 0..5 {
        machine.ok(&["systemctl", "restart", "slothd"]);
        assert_eq!(machine.json(&["status"])["state"], "ready");
    }
    let sentence = machine.property("slothd", "StatusText");
    assert!(sentence.contains("schedules") && sentence.contains("runs going"), "{sentence}");
}

#[test]
fn the_first_caller_starts_the_daemon() {
    let Some(machine) = Booted::installed() else { return };
    machine.ok(&["systemctl", "stop", "slothd.service"]);
    assert_eq!(machine.property("slothd.service", "ActiveState"), "inactive");
    assert!(machine.path("/run/slothd/slothd.sock").exists(), "the socket of systemd goes with the daemon");
    assert_eq!(machine.json(&["status"])["state"], "ready");
    assert_eq!(machine.property("slothd.service", "ActiveState"), "active");
}

#[test]
fn without_the_socket_unit_it_makes_its_own() {
    let Some(machine) = Booted::installed() else { return };
    machine.ok(&["systemctl", "disable", "--now", "slothd.socket", "slothd.service"]);
    machine.ok(&["systemctl", "mask", "slothd.socket"]);
    machine.ok(&["systemctl", "start", "slothd.service"]);
    assert_eq!(machine.sh("stat -c '%a %U:%G' /run/slothd/slothd.sock"), "660 root:sloth\n");
    assert_eq!(machine.json(&["status"])["state"], "ready");
    machine.ok(&["systemctl", "stop", "slothd.service"]);
    assert!(!machine.path("/run/slothd/slothd.sock").exists(), "its own socket goes with it");
}

#[test]
fn a_restart_keeps_runs_going() {
    let Some(machine) = Booted::installed() else { return };
    machine.ctl(&["scheduler", "add", "work", "--manual", "--shell", "echo begin; sleep 8; echo end; exit 3"]);
    machine.ctl(&["scheduler", "run", "work"]);
    machine.wait_for("the run", || machine.run(&["pgrep", "-f", "sleep 8"]).status.success());
    let job = machine.ok(&["pgrep", "-f", "sleep 8"]);
    machine.ok(&["systemctl", "restart", "slothd"]);
    assert_eq!(machine.ok(&["pgrep", "-f", "sleep 8"]), job, "the run goes on");
    machine.wait_for("the end of the run", || !machine.runs("work", "failed").is_empty());
    let run = machine.runs("work", "failed").remove(0);
    assert_eq!(run["exit_code"], 3, "{run}");
    assert_eq!(machine.ctl(&["runs", "logs", run["id"].as_str().expect("an id")]), "begin\nend\n");
}

#[test]
fn a_killed_daemon_comes_back() {
    let Some(machine) = Booted::installed() else { return };
    machine.ctl(&["scheduler", "add", "kept", "--every", "1h", "--", "/bin/true"]);
    let before = machine.daemon();
    machine.ok(&["kill", "-KILL", &before.to_string()]);
    machine.wait_for("another daemon", || !matches!(machine.daemon(), 0) && machine.daemon() != before);
    assert!(machine.ctl(&["scheduler", "list"]).contains("kept"));
    assert_eq!(machine.property("slothd.service", "NRestarts"), "1");
}

#[test]
fn the_watchdog_ends_a_stuck_daemon_and_it_comes_back() {
    let Some(machine) = Booted::installed() else { return };
    machine.sh("mkdir -p /run/systemd/system/slothd.service.d
         printf '[Service]\nWatchdogSec=3s\n' > /run/systemd/system/slothd.service.d/fast.conf
         systemctl daemon-reload && systemctl restart slothd");
    // A daemon that is well is left alone for several periods.
    let before = machine.daemon();
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(machine.daemon(), before, "a daemon that is well was killed");
    machine.ok(&["kill", "-STOP", &before.to_string()]);
    machine.wait_for("another daemon", || !matches!(machine.daemon(), 0) && machine.daemon() != before);
    let said = machine.sh("journalctl -b --no-pager _PID=1 UNIT=slothd.service");
    assert!(said.contains("Watchdog timeout"), "{said}");
    assert_eq!(machine.json(&["status"])["state"], "ready");
}

#[test]
fn a_restored_backup_keeps_the_socket_of_systemd() {
    let Some(machine) = Booted::installed() else { return };
    machine.ctl(&["scheduler", "add", "old", "--every", "1h", "--", "/bin/true"]);
    let backup = machine.json(&["sysadmin", "backup", "create"]);
    let id = backup["id"].as_str().or(backup["backup"]["id"].as_str()).expect("an id").to_owned();
    machine.ctl(&["scheduler", "delete", "old", "--yes"]);
    machine.ctl(&["sysadmin", "backup", "restore", &id, "--yes"]);
    machine.wait_for("the restored schedule", || {
        let output = machine.run(&["slothctl", "scheduler", "list"]);
        String::from_utf8_lossy(&output.stdout).contains("old")
    });
    assert_eq!(machine.property("slothd.service", "ActiveState"), "active");
    assert_eq!(machine.property("slothd.service", "NRestarts"), "0", "the same process is the new daemon");
}
