//! org.freedesktop.LogControl1: the level of the log changes while slothd runs.

use sloth_tests::process::wait_for;
use zbus::Variant;

use crate::world::{World, has};

const AT: &str = "/org/freedesktop/LogControl1";
const LOG: &str = "org.freedesktop.LogControl1";

#[test]
fn the_level_changes_while_it_runs() {
    let test = "the_level_changes_while_it_runs";
    if !has(test, &["busctl"]) {
        return;
    }
    let Some(world) = World::start(test, "session") else { return };
    let get = |name: &str| {
        world.bus.busctl(0, &["get-property", "org.slothd.Slothd1", AT, LOG, name]).expect(name).trim().to_owned()
    };
    let set = |name: &str, value: &str| {
        world.bus.busctl(0, &["set-property", "org.slothd.Slothd1", AT, LOG, name, "s", value])
    };
    assert_eq!((get("LogLevel"), get("LogTarget")), ("s \"info\"".to_owned(), "s \"console\"".to_owned()));
    assert_eq!(get("SyslogIdentifier"), "s \"slothd\"");
    let _ = world.client.manager("GetSchedule", &"before").expect_err("there is none");
    set("LogLevel", "debug").expect("set");
    assert_eq!(get("LogLevel"), "s \"debug\"");
    let _ = world.client.manager("GetSchedule", &"after").expect_err("there is none");
    wait_for("a line of the new level", || world.instance.log().contains("there is no schedule \\\"after\\\""));
    assert!(!world.instance.log().contains("there is no schedule \\\"before\\\""));
    set("LogLevel", "crit").expect("set");
    assert_eq!(get("LogLevel"), "s \"err\"");
    let wrong = set("LogLevel", "loud").expect_err("no level");
    assert!(wrong.contains("not one of emerg, alert"), "{wrong}");
    set("LogTarget", "console").expect("where it goes anyway");
    let elsewhere = set("LogTarget", "kmsg").expect_err("not while it runs");
    assert!(elsewhere.contains("set log.target"), "{elsewhere}");
    let properties = "org.freedesktop.DBus.Properties";
    let number = world.client.call(AT, properties, "Set", &(LOG, "LogLevel", Variant::U32(7))).expect_err("no text");
    assert_eq!(number.name, "org.freedesktop.DBus.Error.InvalidArgs");
    assert_eq!(world.audit("daemon:log_level"), vec![("ok".to_owned(), "dbus".to_owned()); 2]);
}
