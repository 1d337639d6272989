//! The .rpm: what it installs into an empty root, and its scripts on a booted system.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use sloth_tests::booted::{Booted, Tree, is_there, list, rpm_package};
use sloth_tests::skips::skip;

fn package(test: &str) -> Option<std::path::PathBuf> {
    let found = if is_there("rpm") { rpm_package() } else { Err("rpm is missing (apt-get install rpm)".to_owned()) };
    found.map_err(|reason| skip(test, &reason)).ok()
}

#[track_caller]
fn rpm(words: &[&str]) -> String {
    // Whatever it is asked, it makes a database at home.
    let home = tempfile::tempdir().expect("a directory");
    let output = Command::new("rpm")
        .args(words)
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .output()
        .expect("rpm(8) can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "rpm {words:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// A script of the package.
fn script(package: &Path, name: &str) -> String {
    rpm(&["-qp", "--queryformat", &format!("%{{{name}}}"), &package.to_string_lossy()])
}

/// An empty root with the package in it.
struct Root(tempfile::TempDir);

impl Root {
    #[track_caller]
    fn with(package: &Path) -> Root {
        let root = Root(tempfile::tempdir().expect("a directory"));
        root.rpm(&["--initdb"]);
        root.rpm(&["--install", "--nodeps", "--noscripts", &package.to_string_lossy()]);
        root
    }

    #[track_caller]
    fn rpm(&self, words: &[&str]) -> String {
        let root = self.0.path().to_string_lossy();
        let mut all = vec!["--root", &root, "--dbpath", "/var/lib/rpm"];
        all.extend(words);
        rpm(&all)
    }
}

#[test]
fn the_rpm_installs_what_the_list_says() {
    let Some(package) = package("the_rpm_installs_what_the_list_says") else { return };
    if !sloth_tests::skips::root_or_skip("the_rpm_installs_what_the_list_says") {
        return;
    }
    let root = Root::with(&package);
    let listed = list::listed("rpm");
    for (path, mode) in &listed.modes {
        let meta =
            std::fs::symlink_metadata(root.0.path().join(&path[1..])).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(format!("{:o}", meta.mode() & 0o7777), format!("{mode:o}"), "{path}");
        assert_eq!((meta.uid(), meta.gid()), (0, 0), "{path}");
    }
    let files = root.rpm(&["-ql", "slothd"]);
    for path in files.lines() {
        let known = listed.modes.contains_key(path) || listed.patterns.iter().any(|dir| path.starts_with(dir.as_str()));
        assert!(known, "{path} is in the package and not in the list");
    }
    let config = root.rpm(&["-qc", "slothd"]);
    assert_eq!(config, "/etc/slothd/slothd.toml\n");
    root.rpm(&["--verify", "--nodeps", "--noscripts", "slothd"]);
}

#[test]
fn the_scripts_of_the_rpm_work_on_a_booted_system() {
    let Some(package) = package("the_scripts_of_the_rpm_work_on_a_booted_system") else { return };
    let Some(machine) = Booted::boot(Tree::Plain) else { return };
    // Debian has no rpm of its own: what it installed elsewhere is copied.
    let root = Root::with(&package);
    for part in ["usr", "etc"] {
        let copy =
            Command::new("cp").arg("-a").arg(root.0.path().join(part).join(".")).arg(machine.path(part)).status();
        assert!(copy.is_ok_and(|status| status.success()), "{part} could not be copied");
    }
    let run = |name: &str, count: &str| {
        let script = script(&package, name);
        machine.ok(&["sh", "-n", "-c", &script]);
        machine.ok(&["sh", "-c", &script, "script", count])
    };
    // First installation: presets, which enable on Debian.
    run("POSTIN", "1");
    machine.ok(&["getent", "group", "sloth"]);
    assert!(machine.path("/var/lib/slothd").is_dir());
    machine.ok(&["systemctl", "enable", "--now", "slothd"]);
    machine.ctl(&["scheduler", "add", "hello", "--every", "1s", "--", "/bin/true"]);
    machine.wait_for("a run", || !machine.runs("hello", "completed").is_empty());
    // Upgrade: the new package's post, the old one's postun, with the count that stays.
    let before = machine.daemon();
    run("POSTIN", "2");
    run("POSTUN", "1");
    assert!(!matches!(machine.daemon(), 0) && machine.daemon() != before, "an upgrade restarts the daemon");
    // Removal.
    run("PREUN", "0");
    assert_ne!(machine.property("slothd.service", "ActiveState"), "active");
    let enabled = machine.run(&["systemctl", "is-enabled", "slothd.service", "slothd.socket"]);
    assert_eq!(String::from_utf8_lossy(&enabled.stdout), "disabled\ndisabled\n");
    assert!(run("POSTUN", "0").contains("stay in /var/lib/slothd"));
    assert!(machine.path("/var/lib/slothd/stacks.db").exists());
}
