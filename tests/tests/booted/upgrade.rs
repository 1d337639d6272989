//! A new version comes: the daemon is a new one, and no run notices.

use sloth_tests::booted::{Booted, Tree, packages};

/// A machine with the older package, and the path of the newer one.
fn older() -> Option<(Booted, std::path::PathBuf)> {
    let packages = match packages() {
        Ok(packages) => packages,
        Err(reason) => {
            sloth_tests::skips::skip("upgrade", &reason);
            return None;
        }
    };
    let machine = Booted::boot(Tree::Plain)?;
    machine.install(&packages.older);
    Some((machine, packages.current))
}

#[test]
fn an_upgrade_restarts_the_daemon_and_no_run_notices() {
    let Some((machine, newer)) = older() else { return };
    machine.ctl(&["scheduler", "add", "work", "--manual", "--shell", "echo begin; sleep 12; echo end; exit 7"]);
    machine.ctl(&["scheduler", "run", "work"]);
    machine.wait_for("the run", || machine.run(&["pgrep", "-f", "sleep 12"]).status.success());
    let (before, job) = (machine.daemon(), machine.ok(&["pgrep", "-f", "sleep 12"]));

    machine.install(&newer);

    assert_ne!(machine.daemon(), before, "an upgrade starts the new daemon");
    assert_eq!(machine.ok(&["pgrep", "-f", "sleep 12"]), job, "the run goes on");
    machine.wait_for("the end of the run", || !machine.runs("work", "failed").is_empty());
    let run = machine.runs("work", "failed").remove(0);
    assert_eq!(run["exit_code"], 7, "{run}");
    let output = machine.ctl(&["runs", "logs", run["id"].as_str().expect("an id")]);
    assert_eq!(output, "begin\nend\n");
}

#[test]
fn an_upgrade_keeps_what_the_administrator_decided() {
    let Some((machine, newer)) = older() else { return };
    machine.ok(&["systemctl", "disable", "--now", "slothd.service", "slothd.socket"]);
    machine.write("/etc/slothd/slothd.toml", "[log]\nlevel = \"debug\"\n");
    machine.install(&newer);
    let enabled = machine.run(&["systemctl", "is-enabled", "slothd.service"]);
    assert_eq!(String::from_utf8_lossy(&enabled.stdout).trim(), "disabled");
    assert_ne!(machine.property("slothd.service", "ActiveState"), "active", "a stopped daemon stays stopped");
    let config = std::fs::read_to_string(machine.path("/etc/slothd/slothd.toml")).expect("readable");
    assert!(config.contains("debug"), "the configuration was overwritten");
}
