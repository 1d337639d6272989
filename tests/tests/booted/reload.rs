//! `systemctl reload` validates first; a bad file keeps the old settings, and everybody can see it.

use sloth_tests::booted::Booted;

fn level(machine: &Booted) -> String {
    let settings = machine.json(&["config", "show"]);
    let items = settings.as_array().or(settings["items"].as_array()).cloned().unwrap_or_default();
    let found = items.iter().find(|setting| setting["key"] == "log.level");
    found.and_then(|setting| setting["value"].as_str()).unwrap_or_default().to_owned()
}

#[test]
fn reload_takes_a_good_configuration() {
    let Some(machine) = Booted::installed() else { return };
    let before = machine.daemon();
    machine.write("/etc/slothd/conf.d/10-log.toml", "[log]\nlevel = \"debug\"\n");
    machine.write(
        "/etc/slothd/schedules.d/one.toml",
        "[schedule.from-file]\ntrigger = \"@every 1h\"\ncommand = [\"/bin/true\"]\n",
    );
    machine.ok(&["systemctl", "reload", "slothd"]);
    assert_eq!(level(&machine), "debug");
    assert!(machine.ctl(&["scheduler", "list"]).contains("from-file"));
    assert_eq!(machine.daemon(), before);
    assert_eq!(machine.property("slothd", "ActiveState"), "active");
}

#[test]
fn reload_refuses_a_bad_configuration_and_says_so() {
    let Some(machine) = Booted::installed() else { return };
    machine.write("/etc/slothd/conf.d/10-log.toml", "[log]\nlevel = \"debug\"\n");
    machine.ok(&["systemctl", "reload", "slothd"]);

    machine.write("/etc/slothd/conf.d/10-log.toml", "[log]\nlevel = \"loud\"\n");
    let reload = machine.run(&["systemctl", "reload", "slothd"]);
    assert!(!reload.status.success(), "a bad configuration was called good");
    assert_eq!(level(&machine), "debug", "the old setting stays");
    let sentence = machine.property("slothd", "StatusText");
    assert!(sentence.contains("10-log.toml") && sentence.contains("log.level"), "{sentence}");
    assert_eq!(machine.property("slothd", "ActiveState"), "active", "a bad file takes nothing down");
    let errors = machine.journal(&["-u", "slothd", "-p", "err"]);
    assert!(errors.iter().any(|entry| entry.to_string().contains("log.level")), "{errors:?}");
    // The sentence is renewed every ten seconds; the trouble stays in it.
    std::thread::sleep(std::time::Duration::from_secs(12));
    assert!(machine.property("slothd", "StatusText").contains("10-log.toml"));

    // A plain HUP does the same, and a repaired file clears it.
    machine.write("/etc/slothd/conf.d/10-log.toml", "[log]\nlevel = \"warn\"\n");
    machine.ok(&["systemctl", "kill", "--kill-whom=main", "-s", "HUP", "slothd"]);
    machine.wait_for("the new level", || level(&machine) == "warn");
    machine.wait_for("a clean sentence", || !machine.property("slothd", "StatusText").contains("10-log.toml"));
}

#[test]
fn a_configuration_that_nobody_can_start_with_is_not_tried_again_and_again() {
    let Some(machine) = Booted::installed() else { return };
    machine.write("/etc/slothd/conf.d/10-bad.toml", "[scheduler]\nmax_running = 0\nspeed = 9\n");
    assert!(!machine.run(&["systemctl", "restart", "slothd"]).status.success());
    assert_eq!(machine.property("slothd", "ExecMainStatus"), "78");
    assert_eq!(machine.property("slothd", "NRestarts"), "0");
    assert_eq!(machine.property("slothd", "ActiveState"), "failed");
    // Both problems, with the priority of an error.
    let errors = machine.journal(&["_SYSTEMD_UNIT=slothd.service", "-p", "err"]);
    let text = format!("{errors:?}");
    assert!(text.contains("max_running") && text.contains("scheduler.speed"), "{text}");

    machine.ok(&["rm", "/etc/slothd/conf.d/10-bad.toml"]);
    machine.ok(&["systemctl", "reset-failed", "slothd.service", "slothd.socket"]);
    machine.ok(&["systemctl", "start", "slothd.socket", "slothd.service"]);
    assert_eq!(machine.json(&["status"])["state"], "ready");
}
