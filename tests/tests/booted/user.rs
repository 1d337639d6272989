//! The daemon of one user, under that user's own manager.

use sloth_tests::booted::Booted;
use sloth_tests::instance::texts;

#[track_caller]
fn ok_as(machine: &Booted, user: &str, words: &[&str]) -> String {
    let output = machine.run_as(user, words);
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{words:?}: {:?}\n{out}{err}", output.status.code());
    out
}

#[test]
fn a_user_has_a_daemon_of_their_own() {
    let Some(machine) = Booted::installed() else { return };
    machine.add_user("ada", "");
    machine.ok(&["loginctl", "enable-linger", "ada"]);
    machine.wait_for("the manager of the user", || {
        machine.run_as("ada", &["systemctl", "--user", "is-system-running"]).status.success()
    });
    ok_as(&machine, "ada", &["systemctl", "--user", "enable", "--now", "slothd"]);
    let show = |name: &str| ok_as(&machine, "ada", &["systemctl", "--user", "show", "--value", "-p", name, "slothd"]);
    assert_eq!(show("ActiveState").trim(), "active");
    assert_eq!(machine.sh("stat -c '%a %U' /run/user/$(id -u ada)/slothd/slothd.sock"), "600 ada\n");

    ok_as(&machine, "ada", &["slothctl", "--user", "scheduler", "add", "me", "--every", "1s", "--shell", "id -un"]);
    machine.wait_for("a run", || {
        ok_as(&machine, "ada", &["slothctl", "--user", "runs", "list", "-o", "json"]).contains("completed")
    });
    // Where the standards of desktops want it.
    assert!(machine.path("/home/ada/.local/state/slothd/stacks.db").exists());
    ok_as(&machine, "ada", &["mkdir", "-p", "/home/ada/.config/slothd"]);
    ok_as(&machine, "ada", &["sh", "-c", "echo '[log]\nlevel = \"wrong\"' > /home/ada/.config/slothd/slothd.toml"]);
    assert!(!machine.run_as("ada", &["systemctl", "--user", "reload", "slothd"]).status.success());
    assert!(show("StatusText").contains("log.level"));

    // The first caller starts it again, and the daemon of the system knows nothing of it.
    ok_as(&machine, "ada", &["rm", "/home/ada/.config/slothd/slothd.toml"]);
    ok_as(&machine, "ada", &["systemctl", "--user", "stop", "slothd.service"]);
    assert!(ok_as(&machine, "ada", &["slothctl", "--user", "scheduler", "list"]).contains("me"));
    assert!(!machine.ctl(&["--system", "scheduler", "list"]).contains("me "));
}
