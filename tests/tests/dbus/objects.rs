//! What the methods do: schedules are added, run and removed; runs are seen, read and cancelled.

use std::io::Read;
use std::time::Duration;

use serde_json::json;
use sloth_tests::bus::BASE;
use sloth_tests::process::wait_for;
use zbus::{ObjectPath, OwnedFd, Variant};

use crate::world::{Options, World, id_of, options, path, words};

const SCHEDULE: &str = "org.slothd.Slothd1.Schedule";
const RUN: &str = "org.slothd.Slothd1.Run";

#[test]
fn a_schedule_is_added_listed_switched_and_removed() {
    let Some(world) = World::start("a_schedule_is_added_listed_switched_and_removed", "session") else { return };
    let mut wish = options(&[("name", "report"), ("trigger", "0 3 * * *"), ("timezone", "Europe/Berlin")]);
    wish.insert("command", words(&["/bin/echo", "hi"]));
    wish.insert("timeout", Variant::from("90s"));
    wish.insert("retries", Variant::U32(2));
    let at = path(&world.client.manager("AddSchedule", &wish).expect("added"));
    let seen = world.instance.ok("GET", "/schedules/report", json!(null));
    assert_eq!(seen["id"], id_of(&at));
    assert_eq!((&seen["timeout"], &seen["retries"]["max"]), (&json!("1m30s"), &json!(2)));

    let list = world.client.manager("ListSchedules", &()).expect("a list");
    type Row<'a> = (String, String, bool, u64, ObjectPath<'a>);
    let body = list.body();
    let rows: Vec<Row<'_>> = body.deserialize().expect("rows");
    let [(name, _, enabled, next, listed)] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((name.as_str(), *enabled, listed.as_str()), ("report", true, at.as_str()));
    let due: String = seen["next_due"].as_str().unwrap_or_default().to_owned();
    assert!(*next > 1_700_000_000_000_000 && !due.is_empty(), "{next} {due}");

    world.client.call(at.as_str(), SCHEDULE, "Disable", &()).expect("disabled");
    assert_eq!(world.instance.ok("GET", "/schedules/report", json!(null))["enabled"], false);
    world.client.call(at.as_str(), SCHEDULE, "Enable", &()).expect("enabled");
    world.client.manager("RemoveSchedule", &"report").expect("removed");
    let gone = world.client.call(at.as_str(), SCHEDULE, "Enable", &()).expect_err("gone");
    assert_eq!(gone.name, "org.freedesktop.DBus.Error.UnknownObject");
    assert_eq!(world.audit("schedule:delete"), [("ok".to_owned(), "dbus".to_owned())]);
}

#[test]
fn a_key_makes_a_repetition_safe() {
    let Some(world) = World::start("a_key_makes_a_repetition_safe", "session") else { return };
    world.add("once", "true");
    let key = options(&[("idempotency_key", "k1")]);
    let first = path(&world.client.manager("RunSchedule", &("once", &key)).expect("started"));
    let again = path(&world.client.manager("RunSchedule", &("once", &key)).expect("the same"));
    assert_eq!(first, again);
}

#[test]
fn a_run_is_an_object_until_it_ends() {
    let Some(world) = World::start("a_run_is_an_object_until_it_ends", "session") else { return };
    let schedule = world.add("long", "echo begun; printf '\\377'; sleep 60");
    let run = path(&world.client.call(schedule.as_str(), SCHEDULE, "Run", &Options::new()).expect("started"));
    let log = world.client.call(run.as_str(), RUN, "OpenLog", &()).expect("a log");
    let body = log.body();
    let log: OwnedFd = body.deserialize().expect("a descriptor");
    let mut log = std::fs::File::from(std::os::fd::OwnedFd::from(log));
    let mut begun = [0; 7];
    log.read_exact(&mut begun).expect("readable");
    assert_eq!(&begun, b"begun\n\xff");

    let state =
        world.client.call(run.as_str(), "org.freedesktop.DBus.Properties", "Get", &(RUN, "State")).expect("there");
    let body = state.body();
    let state: zbus::OwnedVariant = body.deserialize().expect("a value");
    assert_eq!(*state, Variant::from("running"));
    world.client.call(run.as_str(), RUN, "Cancel", &options(&[("reason", "enough")])).expect("cancelled");
    let mut rest = Vec::new();
    log.read_to_end(&mut rest).expect("the output ends with the run");
    wait_for("the object goes", || world.client.call(run.as_str(), RUN, "Cancel", &Options::new()).is_err());

    let got = world.client.manager("GetRun", &id_of(&run)).expect("the record stays");
    let body = got.body();
    let got: std::collections::BTreeMap<String, zbus::OwnedVariant> = body.deserialize().expect("a{sv}");
    assert_eq!(*got["status"], Variant::from("cancelled"));
    assert!(matches!(*got["queued_at"], Variant::U64(at) if at > 1_700_000_000_000_000), "{got:?}");
    assert!(!got.contains_key("retry_at"), "what is not known is left out");
}

#[test]
fn the_object_manager_knows_what_is_there_and_nothing_else() {
    let Some(world) = World::start("the_object_manager_knows_what_is_there_and_nothing_else", "session") else {
        return;
    };
    let long = world.add("long", "sleep 60");
    let short = world.add("short", "true");
    let run = world.run("long");
    let ended = world.run("short");
    world.instance.finished(&id_of(&ended));
    let answer =
        world.client.call(BASE, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", &()).expect("objects");
    type Objects<'a> = std::collections::BTreeMap<
        ObjectPath<'a>,
        std::collections::BTreeMap<String, std::collections::BTreeMap<String, zbus::OwnedVariant>>,
    >;
    let body = answer.body();
    let objects: Objects<'_> = body.deserialize().expect("objects");
    let mut paths: Vec<&str> = objects.keys().map(|path| path.as_str()).collect();
    let manager = format!("{BASE}/Manager");
    let mut expected = vec![manager.as_str(), long.as_str(), short.as_str(), run.as_str()];
    paths.sort_unstable();
    expected.sort_unstable();
    assert_eq!(paths, expected);
    assert_eq!(*objects[&run][RUN]["Schedule"], Variant::from("long"));
    assert_eq!(*objects[&short][SCHEDULE]["LastResult"], Variant::from("completed"));
}

#[test]
fn a_reader_who_goes_away_costs_nothing() {
    let Some(world) = World::start("a_reader_who_goes_away_costs_nothing", "session") else { return };
    world.add("long", "sleep 60");
    let run = world.run("long");
    // More than may be open at once: each is given back when its reader closes it.
    for _ in 0..200 {
        let mut refused = None;
        let opened = sloth_tests::process::holds_within(Duration::from_secs(10), || {
            match world.client.call(run.as_str(), RUN, "OpenLog", &()) {
                Ok(_) => true,
                Err(refusal) => {
                    refused = Some(refusal);
                    false
                }
            }
        });
        assert!(opened, "{refused:?}");
    }
}
