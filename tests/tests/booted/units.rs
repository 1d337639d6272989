//! What systemd's own tools think of the units.

use sloth_tests::booted::Booted;
use sloth_tests::instance::texts;

#[test]
fn systemd_has_nothing_to_say_about_any_unit() {
    let Some(machine) = Booted::installed() else { return };
    for (manager, dir) in [("--system", "/usr/lib/systemd/system"), ("--user", "/usr/lib/systemd/user")] {
        let units: Vec<String> =
            ["slothd.service", "slothd.socket", "sloth.slice"].iter().map(|unit| format!("{dir}/{unit}")).collect();
        let mut words = vec!["env", "XDG_RUNTIME_DIR=/run", "systemd-analyze", "verify", "--man=no", manager];
        words.extend(units.iter().map(String::as_str));
        let output = machine.run(&words);
        let (out, err) = texts(&output);
        assert!(output.status.success() && out.is_empty() && err.is_empty(), "{words:?}:\n{out}{err}");
    }
    machine.ok(&["systemd-sysusers", "--dry-run", "slothd.conf"]);
    machine.ok(&["systemd-tmpfiles", "--create", "slothd.conf"]);
}

#[test]
fn the_daemon_is_locked_in() {
    let Some(machine) = Booted::installed() else { return };
    // In tenths; the command fails above.
    machine.ok(&["systemd-analyze", "security", "--no-pager", "--threshold=25", "slothd.service"]);
}

#[test]
fn a_newer_systemd_may_use_the_drop_in() {
    let Some(machine) = Booted::installed() else { return };
    // This one is older than notify-reload: the drop-in must be refused by name and not half taken.
    machine.sh("mkdir -p /etc/systemd/system/slothd.service.d
         cp /usr/share/doc/slothd/examples/notify-reload.conf /etc/systemd/system/slothd.service.d/
         systemctl daemon-reload");
    let version = machine.sh("systemctl --version | head -n 1 | cut -d ' ' -f 2").trim().parse::<u32>().unwrap_or(0);
    machine.ok(&["systemctl", "restart", "slothd"]);
    let kind = machine.property("slothd", "Type");
    assert_eq!(kind, if version >= 253 { "notify-reload" } else { "notify" });
}
