//! Who may do what over the bus without polkit: administrators everything, others their own; every refusal leaves its trace.

use sloth_tests::skips::root_or_skip;

use crate::world::{NOBODY, World, has};

fn shared(test: &str) -> Option<World> {
    if !root_or_skip(test) || !has(test, &["busctl", "setpriv"]) {
        return None;
    }
    World::start(test, "system")
}

#[test]
fn others_have_their_own_and_nothing_else() {
    let Some(world) = shared("others_have_their_own_and_nothing_else") else { return };
    let roots = world.add("roots", "sleep 60");
    let run = world.run("roots");
    let nobody = |arguments: &[&str]| world.bus.busctl(NOBODY, &world.call(arguments));
    let at =
        |path: &str, rest: &[&str]| world.bus.busctl(NOBODY, &[&["call", "org.slothd.Slothd1", path], rest].concat());

    let added =
        nobody(&["AddSchedule", "a{sv}", "3", "name", "s", "mine", "trigger", "s", "manual", "shell", "s", "true"]);
    assert!(added.as_ref().is_ok_and(|path| path.contains("/schedule/")), "{added:?}");
    let list = nobody(&["ListSchedules"]).expect("his own");
    assert!(list.starts_with("a(ssbto) 1 \"mine\""), "{list}");
    nobody(&["RunSchedule", "sa{sv}", "mine", "0"]).expect("his own");

    for denied in [
        nobody(&["GetSchedule", "s", "root/roots"]),
        nobody(&["RunSchedule", "sa{sv}", "root/roots", "0"]),
        nobody(&["RemoveSchedule", "s", "root/roots"]),
        nobody(&["CancelRun", "sa{sv}", run.as_str().rsplit('/').next().expect("an id"), "0"]),
        nobody(&["Reload"]),
        nobody(&["Inhibit", "sss", "schedules", "me", "why"]),
        nobody(&[
            "AddSchedule",
            "a{sv}",
            "4",
            "name",
            "s",
            "y",
            "trigger",
            "s",
            "manual",
            "shell",
            "s",
            "id",
            "user",
            "s",
            "root",
        ]),
        at(roots.as_str(), &["org.slothd.Slothd1.Schedule", "Disable"]),
        at(roots.as_str(), &["org.freedesktop.DBus.Properties", "GetAll", "s", "org.slothd.Slothd1.Schedule"]),
        at(run.as_str(), &["org.slothd.Slothd1.Run", "OpenLog"]),
        at(
            "/org/freedesktop/LogControl1",
            &["org.freedesktop.DBus.Properties", "Set", "ssv", "org.freedesktop.LogControl1", "LogLevel", "s", "debug"],
        ),
    ] {
        let error = denied.expect_err("not his");
        assert!(error.contains("needs an administrator"), "{error}");
    }
    let trail = world.audit("*");
    let denials = trail.iter().filter(|entry| *entry == &("denied".to_owned(), "dbus".to_owned())).count();
    assert_eq!(denials, 11, "{trail:?}");

    for (method, schedule, answer) in [
        ("CanRun", "mine", "yes"),
        ("CanRun", "nothing", "na"),
        ("CanRun", "root/roots", "no"),
        ("CanManageOwn", "", "yes"),
        ("CanManageAll", "", "no"),
        ("CanManageDaemon", "", "no"),
    ] {
        assert_eq!(
            nobody(&[method, "s", schedule]).expect(method).trim(),
            format!("s {answer:?}"),
            "{method} {schedule}"
        );
    }
    assert_eq!(world.audit("*").len(), trail.len(), "asking leaves no trace");
}
