//! While somebody holds an inhibitor no schedule fires; it ends with its holder, and what was missed follows `catch_up`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use sloth_tests::paths::program;
use sloth_tests::process::wait_for;
use zbus::OwnedFd;

use crate::world::World;

fn held(world: &World) -> usize {
    world.instance.ok("GET", "/status", json!(null))["inhibitors"].as_array().map_or(0, Vec::len)
}

fn inhibit(world: &World, who: &str) -> OwnedFd {
    let answer = world.client.manager("Inhibit", &("schedules", who, "a test")).expect("held");
    answer.body().deserialize().expect("a descriptor")
}

fn runs(world: &World, name: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM runs WHERE schedule = '{name}'");
    world.instance.value(&sql).as_i64().expect("a number")
}

fn hold(world: &World) -> Child {
    let mut child = Command::new(program("sloth-hold"))
        .args([&world.bus.address(), "holder"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sloth-hold can be started");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("readable");
    assert_eq!(line, "held\n");
    child
}

#[test]
fn nothing_fires_until_it_is_let_go_and_what_was_missed_is_made_up() {
    let test = "nothing_fires_until_it_is_let_go_and_what_was_missed_is_made_up";
    let Some(world) = World::start(test, "session") else { return };
    let fd = inhibit(&world, "backup");
    world.instance.add("latest", json!({"trigger": "@every 1s", "shell": "true", "catch_up": "latest"}));
    world.instance.add("none", json!({"trigger": "@every 1s", "shell": "true", "catch_up": "none"}));
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!((runs(&world, "latest"), runs(&world, "none")), (0, 0));
    let status = world.instance.ok("GET", "/status", json!(null));
    assert_eq!((&status["state"], &status["inhibitors"][0]["who"]), (&json!("inhibited"), &json!("backup")));
    let text = world.instance.ctl_ok(&["status"]);
    assert!(text.contains("kept from firing by backup") && text.contains("a test"), "{text}");
    assert_eq!(world.instance.ok("GET", "/schedules/-/audit", json!(null))["clean"], true);
    drop(fd);
    wait_for("what was missed is made up", || {
        let sql = "SELECT count(*) FROM runs WHERE schedule = 'latest' AND trigger = 'catch_up'";
        runs(&world, "latest") > 0 && (world.instance.value(sql) == json!(1) || runs(&world, "latest") > 1)
    });
    wait_for("both fire again", || runs(&world, "none") > 0 && runs(&world, "latest") > 1);
    let skipped = "SELECT count(*) > 2 FROM occurrences JOIN schedules ON schedules.id = schedule_id
                   WHERE name = 'none' AND decision = 'skipped' AND detail = 'catch_up'";
    assert_eq!(world.instance.value(skipped), json!(1));
    let events = world.instance.ok("GET", "/events?type=schedule.inhibited,schedule.released", json!(null));
    let kinds: Vec<&str> =
        events["items"].as_array().expect("a list").iter().filter_map(|e| e["type"].as_str()).collect();
    assert_eq!(kinds, ["schedule.released", "schedule.inhibited"]);
    assert_eq!(world.audit("schedule:inhibit"), [("ok".to_owned(), "dbus".to_owned())]);
    assert_eq!(world.instance.ok("GET", "/schedules/-/audit", json!(null))["clean"], true);
}

#[test]
fn it_ends_with_the_last_holder_also_when_he_is_killed() {
    let Some(world) = World::start("it_ends_with_the_last_holder_also_when_he_is_killed", "session") else { return };
    let mut holder = hold(&world);
    let fd = inhibit(&world, "other");
    assert_eq!(held(&world), 2);
    holder.kill().expect("killed");
    holder.wait().expect("ended");
    wait_for("his is gone", || held(&world) == 1);
    assert_eq!(world.instance.ok("GET", "/status", json!(null))["state"], "inhibited");
    drop(fd);
    wait_for("none is held", || held(&world) == 0);
    assert_eq!(world.instance.ok("GET", "/status", json!(null))["state"], "ready");
}

#[test]
fn it_outlives_the_bus_but_not_slothd() {
    let Some(mut world) = World::start("it_outlives_the_bus_but_not_slothd", "session") else { return };
    let mut holder = hold(&world);
    world.bus.kill();
    world.bus.up();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(held(&world), 1, "the descriptor does not depend on the bus");
    world.instance.restart();
    assert_eq!(held(&world), 0);
    holder.kill().expect("killed");
    holder.wait().expect("ended");
}
