//! The introspection of the running daemon is what the files in git say, also to the tools that people use.

use std::fs;

use sloth_tests::paths::project;

use crate::world::{World, has, path, text};

#[test]
fn objects_describe_themselves_as_the_files_say() {
    let Some(world) = World::start("objects_describe_themselves_as_the_files_say", "session") else { return };
    let schedule = world.add("long", "sleep 60");
    let run = world.run("long");
    for (file, path, below) in [
        ("org.slothd.Slothd1", "/org/slothd/Slothd1", 3),
        ("org.slothd.Slothd1.Manager", "/org/slothd/Slothd1/Manager", 0),
        ("org.slothd.Slothd1.Schedule", schedule.as_str(), 0),
        ("org.slothd.Slothd1.Run", run.as_str(), 0),
        ("org.freedesktop.LogControl1", "/org/freedesktop/LogControl1", 0),
    ] {
        let answer = world.client.call(path, "org.freedesktop.DBus.Introspectable", "Introspect", &()).expect(path);
        let xml = text(&answer);
        let stored = fs::read_to_string(project().join(format!("daemon/doors/dbus/{file}.xml"))).expect("the file");
        let (nodes, rest): (Vec<&str>, Vec<&str>) = xml.lines().partition(|line| line.starts_with(" <node "));
        assert_eq!(rest, stored.lines().collect::<Vec<_>>(), "{path}");
        assert_eq!(nodes.len(), below, "{path}");
    }
}

#[test]
fn every_method_and_property_of_the_files_answers() {
    let Some(world) = World::start("every_method_and_property_of_the_files_answers", "session") else { return };
    let schedule = world.add("long", "sleep 60");
    let run = world.run("long");
    let mut properties = 0;
    for (file, at) in [
        ("org.slothd.Slothd1.Manager", "/org/slothd/Slothd1/Manager"),
        ("org.slothd.Slothd1.Schedule", schedule.as_str()),
        ("org.slothd.Slothd1.Run", run.as_str()),
        ("org.freedesktop.LogControl1", "/org/freedesktop/LogControl1"),
    ] {
        let stored = fs::read_to_string(project().join(format!("daemon/doors/dbus/{file}.xml"))).expect("the file");
        for line in stored.lines() {
            let attribute =
                |name: &str| line.split(&format!("{name}=\"")).nth(1).and_then(|rest| rest.split('"').next());
            let Some(name) = attribute("<property name") else { continue };
            let kind = attribute("type").expect("a type");
            let got = world.client.call(at, "org.freedesktop.DBus.Properties", "Get", &(file, name)).expect(name);
            let body = got.body();
            let value: zbus::OwnedVariant = body.deserialize().expect("a variant");
            assert_eq!(value.value_signature().to_string(), kind, "{file}.{name}");
            properties += 1;
        }
    }
    assert_eq!(properties, 23);
}

#[test]
fn busctl_and_gdbus_find_everything() {
    let test = "busctl_and_gdbus_find_everything";
    if !has(test, &["busctl", "gdbus"]) {
        return;
    }
    let Some(world) = World::start(test, "session") else { return };
    let schedule = world.add("hello", "echo hi");
    let tree = world.bus.busctl(0, &["tree", "--list", "org.slothd.Slothd1"]).expect("a tree");
    for path in ["/org/slothd/Slothd1/Manager", schedule.as_str(), "/org/freedesktop/LogControl1"] {
        assert!(tree.lines().any(|line| line == path), "{path} in {tree}");
    }
    let call =
        world.call(&["AddSchedule", "a{sv}", "3", "name", "s", "x", "trigger", "s", "@daily", "shell", "s", "true"]);
    let added = world.bus.busctl(0, &call).expect("added");
    assert!(added.starts_with("o \"/org/slothd/Slothd1/schedule/"), "{added}");
    let address = world.bus.address();
    let gdbus = |rest: &[&str]| {
        let first = ["call", "--address", &address, "--dest", "org.slothd.Slothd1", "--object-path"];
        let output = world.bus.tool(0, "gdbus", &[&first, rest].concat());
        let (out, err) = sloth_tests::instance::texts(&output);
        assert!(output.status.success(), "{rest:?}: {err}");
        out
    };
    let got = gdbus(&[
        schedule.as_str(),
        "--method",
        "org.freedesktop.DBus.Properties.GetAll",
        "org.slothd.Slothd1.Schedule",
    ]);
    assert!(got.contains("'Name': <'hello'>") && got.contains("'Trigger': <'manual'>"), "{got}");
    let run =
        gdbus(&["/org/slothd/Slothd1/Manager", "--method", "org.slothd.Slothd1.Manager.RunSchedule", "hello", "{}"]);
    assert!(run.contains("/org/slothd/Slothd1/run/"), "{run}");
    let objects = gdbus(&["/org/slothd/Slothd1", "--method", "org.freedesktop.DBus.ObjectManager.GetManagedObjects"]);
    assert!(objects.contains(schedule.as_str()), "{objects}");
    let again = path(&world.client.manager("GetSchedule", &"hello").expect("there"));
    assert_eq!(again, schedule);
}
