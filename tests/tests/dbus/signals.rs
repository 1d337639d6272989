//! Signals tell what happened, in order, and no more than everybody may know.

use std::collections::BTreeMap;

use sloth_tests::bus::BASE;
use zbus::{ObjectPath, OwnedVariant, Variant};

use crate::world::{World, id_of, options};

type Details = BTreeMap<String, OwnedVariant>;

#[test]
fn the_end_of_a_run_is_told_with_its_result() {
    let Some(world) = World::start("the_end_of_a_run_is_told_with_its_result", "session") else { return };
    let schedule = world.add("fails", "echo secret >&2; exit 3");
    let mut heard = world.client.hear();
    let run = world.run("fails");
    let id = id_of(&run);
    // That of the schedule may come only now.
    let added = heard.next(&world.client, "InterfacesAdded", |message| {
        let body = message.body();
        let added = body.deserialize::<(ObjectPath<'_>, BTreeMap<String, Details>)>();
        added.is_ok_and(|(path, _)| path == run)
    });
    let body = added.body();
    let (path, interfaces): (ObjectPath<'_>, BTreeMap<String, Details>) = body.deserialize().expect("oa{sa{sv}}");
    assert_eq!((path.as_str(), added.header().path().expect("a path").as_str()), (run.as_str(), BASE));
    assert_eq!(*interfaces["org.slothd.Slothd1.Run"]["State"], Variant::from("queued"));
    let started = heard.next(&world.client, "RunStarted", |_| true);
    let body = started.body();
    let (of, name, _): (String, String, Details) = body.deserialize().expect("ssa{sv}");
    assert_eq!((of, name.as_str()), (id.clone(), "fails"));
    let finished = heard.next(&world.client, "RunFinished", |_| true);
    let body = finished.body();
    let (of, name, result, details): (String, String, String, Details) = body.deserialize().expect("sssa{sv}");
    assert_eq!((of, name.as_str(), result.as_str()), (id, "fails", "failed"));
    assert_eq!(*details["exit_code"], Variant::U64(3));
    assert_eq!(*details["reason"], Variant::from("task_failed"));
    assert!(!format!("{details:?}").contains("secret"), "output is for its owner only: {details:?}");
    heard.next(&world.client, "InterfacesRemoved", |message| {
        let body = message.body();
        body.deserialize::<(ObjectPath<'_>, Vec<String>)>().is_ok_and(|(path, _)| path == run)
    });
    let changed = heard.next(&world.client, "PropertiesChanged", |m| m.header().path() == Some(&schedule));
    let body = changed.body();
    let (_, _, invalidated): (String, Details, Vec<String>) = body.deserialize().expect("sa{sv}as");
    assert!(invalidated.contains(&"LastResult".to_owned()), "{invalidated:?}");
}

#[test]
fn schedules_come_and_go_with_signals() {
    let Some(world) = World::start("schedules_come_and_go_with_signals", "session") else { return };
    let mut heard = world.client.hear();
    let schedule = world.add("new", "true");
    let added = heard.next(&world.client, "InterfacesAdded", |_| true);
    let body = added.body();
    let (path, interfaces): (ObjectPath<'_>, BTreeMap<String, Details>) = body.deserialize().expect("oa{sa{sv}}");
    assert_eq!(path, schedule);
    assert_eq!(*interfaces["org.slothd.Slothd1.Schedule"]["Name"], Variant::from("new"));
    world.client.call(schedule.as_str(), "org.slothd.Slothd1.Schedule", "Disable", &()).expect("disabled");
    heard.next(&world.client, "PropertiesChanged", |m| m.header().path() == Some(&schedule));
    world.client.manager("RemoveSchedule", &"new").expect("removed");
    heard.next(&world.client, "InterfacesRemoved", |_| true);
    // The figures of the manager come at most once a second, with their values.
    heard.next(&world.client, "PropertiesChanged", |message| {
        let body = message.body();
        let change = body.deserialize::<(String, Details, Vec<String>)>();
        change.is_ok_and(|(_, changed, _)| changed.get("NSchedules").is_some_and(|n| **n == Variant::U64(0)))
    });
}

#[test]
fn a_published_event_is_in_the_feed_and_told_to_all() {
    let Some(world) = World::start("a_published_event_is_in_the_feed_and_told_to_all", "session") else { return };
    let mut heard = world.client.hear();
    let data = options(&[("version", "1.2")]);
    let answer = world.client.manager("EmitEvent", &("deploy.finished", &data)).expect("published");
    let seq: u64 = answer.body().deserialize().expect("a number");
    let event = world.instance.ok("GET", &format!("/events/{seq}"), serde_json::json!(null));
    assert_eq!((&event["type"], &event["data"]["version"]), (&"deploy.finished".into(), &"1.2".into()));
    let told = heard.next(&world.client, "EventPublished", |message| {
        let body = message.body();
        body.deserialize::<(u64, String, Details)>().is_ok_and(|(told, ..)| told == seq)
    });
    let body = told.body();
    let (_, kind, details): (u64, String, Details) = body.deserialize().expect("tsa{sv}");
    assert_eq!(kind, "deploy.finished");
    assert!(format!("{:?}", details["data"]).contains("1.2"), "{details:?}");
}
