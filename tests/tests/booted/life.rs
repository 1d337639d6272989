//! Start, stop, restart, death: what systemd and slothd tell each other.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

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

/// Puts a drop-in beside a unit and makes systemd read it.
fn drop_in(machine: &Booted, unit: &str, text: &str) {
    machine.ok(&["mkdir", "-p", &format!("/etc/systemd/system/{unit}.d")]);
    machine.write(&format!("/etc/systemd/system/{unit}.d/test.conf"), text);
    machine.ok(&["systemctl", "daemon-reload"]);
}

#[test]
fn a_stop_that_takes_long_asks_for_time() {
    let Some(machine) = Booted::installed() else { return };
    drop_in(&machine, "slothd.service", "[Service]\nTimeoutStopSec=1s\n");
    // A caller who never finishes the question: the door waits five seconds for it.
    let mut caller = UnixStream::connect(machine.path("/run/slothd/slothd.sock")).expect("a connection");
    caller.write_all(b"POST /api/v1/schedules HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{").expect("sent");
    machine.json(&["status"]);
    let start = Instant::now();
    machine.ok(&["systemctl", "stop", "slothd.service"]);
    assert!(start.elapsed() > Duration::from_secs(2), "nothing was waited for: this shows nothing");
    assert_eq!(machine.property("slothd.service", "Result"), "success", "it was killed while it wrote");
}

#[test]
fn every_socket_of_the_unit_is_served_and_what_is_none_is_given_back() {
    let Some(machine) = Booted::installed() else { return };
    machine.ok(&["systemctl", "stop", "slothd.socket", "slothd.service"]);
    let more = "[Socket]\nListenStream=/run/slothd/second.sock\nListenDatagram=/run/slothd/datagrams.sock\n";
    drop_in(&machine, "slothd.socket", more);
    machine.ok(&["systemctl", "start", "slothd.socket"]);
    for socket in ["/run/slothd/second.sock", "/run/slothd/slothd.sock"] {
        machine.ctl(&["--socket", socket, "status"]);
    }
    let warned = machine.journal(&["_SYSTEMD_UNIT=slothd.service", "PRIORITY=4"]);
    assert!(warned.iter().any(|entry| entry.to_string().contains("no listening Unix socket")), "{warned:?}");
}

#[test]
fn a_credential_is_passed_when_there_is_one() {
    let Some(machine) = Booted::installed() else { return };
    machine.ok(&["mkdir", "-p", "-m", "0700", "/etc/credstore"]);
    machine.write("/etc/credstore/slothd.master-key", "secret");
    machine.ok(&["systemctl", "restart", "slothd"]);
    assert_eq!(machine.sh("cat /run/credentials/slothd.service/slothd.master-key"), "secret");
    machine.ok(&["rm", "/etc/credstore/slothd.master-key"]);
    machine.ok(&["systemctl", "restart", "slothd"]);
}
