//! The profiles really protect.

use crate::Machine;

/// Each line is `what: outcome`.
const TRY: &str = "try() { what=$1; shift; if sh -c \"$*\" >/dev/null 2>&1; then echo \"$what: yes\"; else echo \"$what: no\"; fi; }; \
    try data test -e /var/lib/slothd/stacks.db; try etc touch /etc/x; try home touch /home/ann/x; try usr touch /usr/x; \
    try sysctl \"echo 1 > /proc/sys/vm/swappiness\"; try cgroup mkdir /sys/fs/cgroup/systemd/x; \
    try tmp touch /tmp/mine; try others-tmp test -e /tmp/others; try work touch here; try dev test -e /dev/mem -o -e /dev/vda; \
    try net test -e /sys/class/net/host0 -o \"\\$(ls /sys/class/net | wc -l)\" -gt 1; try mount mount -t tmpfs none /mnt; \
    grep NoNewPrivs /proc/self/status";

fn tried(machine: &Machine, profile: &str, user: &str) -> String {
    machine.sh("touch /tmp/others; rm -f /tmp/mine /srv/work/here; install -d -o ann /srv/work");
    let name = format!("{profile}-{user}");
    let run = machine.once(&name, &["--sandbox", profile, "--user", user, "--cwd", "/srv/work", "--shell", TRY]);
    assert_eq!(run["status"], "completed", "{run}");
    machine.output(&run)
}

#[track_caller]
fn outcome(output: &str, what: &str, wanted: &str) {
    assert!(output.contains(&format!("{what}: {wanted}")), "{what} should be {wanted}:\n{output}");
}

#[test]
fn none_takes_nothing_away() {
    let Some(machine) = Machine::boot() else { return };
    let output = tried(&machine, "none", "root");
    for what in ["data", "etc", "home", "usr", "tmp", "others-tmp", "work", "mount"] {
        outcome(&output, what, "yes");
    }
}

#[test]
fn default_hides_the_daemon_and_protects_the_kernel() {
    let Some(machine) = Machine::boot() else { return };
    let output = tried(&machine, "default", "root");
    for what in ["data", "sysctl", "cgroup", "others-tmp"] {
        outcome(&output, what, "no");
    }
    for what in ["etc", "home", "tmp", "work"] {
        outcome(&output, what, "yes");
    }
    assert!(!machine.run(&["test", "-e", "/tmp/mine"]).status.success(), "its temporary files are its own");
    // Root's own set-user-ID files are root's business; those of others are not.
    let run =
        machine.once("suid", &["--sandbox", "default", "--user", "ann", "--shell", "cp /bin/sh ./s; chmod 4755 ./s"]);
    assert_eq!(run["status"], "failed", "{run}");
}

#[test]
fn strict_leaves_its_directory_and_temporary_files() {
    let Some(machine) = Machine::boot() else { return };
    for user in ["root", "ann"] {
        let output = tried(&machine, "strict", user);
        for what in ["data", "etc", "home", "usr", "sysctl", "cgroup", "others-tmp", "dev", "net", "mount"] {
            outcome(&output, what, "no");
        }
        for what in ["tmp", "work"] {
            outcome(&output, what, "yes");
        }
        assert!(output.contains("NoNewPrivs:\t1"), "{output}");
    }
    // With the home as directory, which it then has.
    let run = machine
        .once("home", &["--sandbox", "strict", "--user", "ann", "--shell", "touch ~/mine && ls /home; ls /root"]);
    assert!(machine.output(&run).contains("ann"), "{}", machine.output(&run));
    assert!(machine.run(&["test", "-e", "/home/ann/mine"]).status.success());
}
