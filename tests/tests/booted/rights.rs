//! Who reaches the socket, and as whom runs run.

use sloth_tests::booted::{Booted, Tree};
use sloth_tests::instance::texts;

fn schedules_as_themselves(machine: &Booted) {
    machine.add_user("member", "sloth");
    machine.add_user("stranger", "");
    let add = ["slothctl", "scheduler", "add", "mine", "--manual", "--shell", "id -un"];
    let (out, err) = texts(&machine.run_as("member", &add));
    assert!(out.contains("created mine"), "{out}{err}");
    machine.run_as("member", &["slothctl", "scheduler", "run", "mine", "--wait"]);
    machine.wait_for("the run", || !machine.runs("member/mine", "completed").is_empty());
    let run = machine.runs("member/mine", "completed")[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(machine.ctl(&["runs", "logs", &run]), "member\n");

    let refused = machine.run_as("stranger", &["slothctl", "scheduler", "list"]);
    let (out, err) = texts(&refused);
    assert!(!refused.status.success(), "a stranger got an answer: {out}");
    assert!(err.to_lowercase().contains("permission"), "{err}");
}

#[test]
fn the_group_may_ask_and_others_may_not() {
    let Some(machine) = Booted::installed() else { return };
    assert_eq!(machine.sh("stat -c '%a %U:%G' /run/slothd/slothd.sock"), "660 root:sloth\n");
    schedules_as_themselves(&machine);
}

#[test]
fn the_same_holds_with_polkitd() {
    let Some(machine) = Booted::installed_on(Tree::Polkit) else { return };
    machine.ok(&["systemctl", "start", "polkit"]);
    machine.ok(&["systemctl", "restart", "slothd"]);
    schedules_as_themselves(&machine);
    assert_eq!(machine.json(&["status"])["executor"], "systemd");
}

#[test]
fn data_and_the_supervisors_socket_are_roots_alone() {
    let Some(machine) = Booted::installed() else { return };
    assert_eq!(machine.sh("stat -c '%a %U' /var/lib/slothd /var/lib/slothd/stacks.db"), "700 root\n600 root\n");
    // A worker runs as the user of its run and comes in with the token of that run; anybody else is refused there.
    assert_eq!(machine.sh("stat -c '%a %U' /run/slothd/worker.sock"), "666 root\n");
    let others = "find /run/slothd -name '*.sock' ! -name slothd.sock ! -name worker.sock -perm /077";
    assert_eq!(machine.sh(others), "");
}

#[test]
fn the_daemon_has_no_capability() {
    let Some(machine) = Booted::installed() else { return };
    let status = machine.sh("cat /proc/$(systemctl show --value -p MainPID slothd)/status");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        let line = status.lines().find(|line| line.starts_with(set)).unwrap_or_default();
        assert!(line.ends_with("\t0000000000000000"), "{line}");
    }
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    assert_eq!(machine.json(&["status"])["executor"], "systemd", "PID 1 starts the runs");
}
