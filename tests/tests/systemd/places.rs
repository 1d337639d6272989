//! Whose units are whose.

use crate::Machine;

#[test]
fn another_instance_of_slothd_keeps_its_units() {
    let Some(machine) = Machine::boot() else { return };
    machine.sh("systemd-run --unit other -p Type=notify /usr/bin/slothd --root /srv/other --executor systemd");
    let other = |words: &[&str]| machine.ctl(&[&["--root", "/srv/other"], words].concat());
    other(&["scheduler", "add", "theirs", "--manual", "--shell", "sleep 785"]);
    other(&["scheduler", "run", "theirs"]);
    machine.wait_for("the unit", || machine.run(&["pgrep", "-f", "sleep 785"]).status.success());
    // A restart lists the units of the machine; those of the other instance are none of its business.
    machine.ok(&["systemctl", "restart", "slothd"]);
    machine.wait_for("slothd", || machine.is_ready());
    assert_eq!(machine.once("mine", &["--", "/bin/true"])["status"], "completed");
    assert!(machine.run(&["pgrep", "-f", "sleep 785"]).status.success(), "the other's run goes on");
    machine.ok(&["systemctl", "restart", "other"]);
    machine.wait_for("the other", || other(&["runs", "list"]).contains("running"));
}
