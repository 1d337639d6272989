//! From the .deb to the first run, and back to nothing.

use std::os::unix::fs::MetadataExt;

use sloth_tests::booted::{Booted, list};

#[test]
fn a_package_a_command_and_the_first_schedule_fires() {
    let Some(machine) = Booted::installed() else { return };
    machine.ok(&["systemctl", "enable", "--now", "slothd"]);
    assert_eq!(machine.property("slothd.service", "ActiveState"), "active");
    machine.ctl(&["scheduler", "add", "hello", "--every", "1s", "--", "/bin/echo", "hello"]);
    machine.wait_for("a run", || !machine.runs("hello", "completed").is_empty());
    let run = machine.runs("hello", "completed")[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(machine.ctl(&["runs", "logs", &run]), "hello\n");
    // Nothing that the unit forbids is missed.
    let complaints = machine.journal(&["-u", "slothd", "-p", "warning"]);
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[test]
fn the_deb_installs_what_the_list_says() {
    let Some(machine) = Booted::installed() else { return };
    let listed = list::listed("deb");
    for (path, mode) in &listed.modes {
        let meta = std::fs::symlink_metadata(machine.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(format!("{:o}", meta.mode() & 0o7777), format!("{mode:o}"), "{path}");
        assert_eq!((meta.uid(), meta.gid()), (0, 0), "{path}");
    }
    // And nothing else, but the directories on the way.
    for path in machine.ok(&["dpkg", "-L", "slothd"]).lines().filter(|path| *path != "/.") {
        let known = listed.modes.contains_key(path) || listed.patterns.iter().any(|dir| path.starts_with(dir.as_str()));
        let on_the_way = listed.modes.keys().any(|known| known.starts_with(&format!("{path}/")))
            || listed.patterns.iter().any(|dir| dir.starts_with(&format!("{path}/")));
        assert!(known || on_the_way, "{path} is in the package and not in the list");
    }
    assert_eq!(machine.ok(&["dpkg", "--verify", "slothd"]), "", "installed files differ from their sums");
    // Every program has a page, and every command of slothctl.
    for page in ["man8/slothd.8", "man8/sloth-exec.8", "man1/slothctl.1", "man1/slothctl-scheduler-add.1"] {
        assert!(machine.path(&format!("/usr/share/man/{page}.gz")).exists(), "{page}");
    }
}

#[test]
fn removal_keeps_data_and_purge_removes_it() {
    let Some(machine) = Booted::installed() else { return };
    machine.ctl(&["scheduler", "add", "kept", "--every", "1h", "--", "/bin/true"]);
    machine.write("/etc/slothd/conf.d/mine.toml", "[log]\nlevel = \"debug\"\n");
    machine.ok(&["dpkg", "--remove", "slothd"]);
    assert_ne!(machine.property("slothd.service", "ActiveState"), "active");
    assert!(machine.path("/var/lib/slothd/stacks.db").exists(), "a removal keeps the data");
    assert!(machine.path("/etc/slothd/slothd.toml").exists(), "a removal keeps the configuration");

    // The same data serve when it comes back.
    machine.ok(&["dpkg", "--install", "/root/package.deb"]);
    assert!(machine.ctl(&["scheduler", "list"]).contains("kept"));

    machine.ok(&["dpkg", "--remove", "slothd"]);
    let said = machine.ok(&["dpkg", "--purge", "slothd"]);
    assert!(said.contains("removing schedules, runs and their output"), "{said}");
    for path in ["/var/lib/slothd", "/var/log/slothd", "/etc/slothd", "/run/slothd", "/usr/bin/slothd"] {
        assert!(!machine.path(path).exists(), "{path} is still there");
    }
    let left = machine.sh("find /etc/systemd /var/lib/systemd -name '*slothd*'");
    assert_eq!(left, "", "traces of the units");
}

#[test]
fn purge_ends_what_still_runs() {
    let Some(machine) = Booted::installed() else { return };
    machine.ctl(&["scheduler", "add", "long", "--manual", "--", "/bin/sleep", "4711"]);
    machine.ctl(&["scheduler", "run", "long"]);
    machine.wait_for("the run", || machine.run(&["pgrep", "-f", "sleep 4711"]).status.success());
    machine.ok(&["dpkg", "--purge", "slothd"]);
    assert!(!machine.run(&["pgrep", "-f", "sleep 4711"]).status.success(), "a job outlived its data");
}
