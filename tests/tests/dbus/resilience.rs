//! The bus may be away, come back, be flooded: slothd lives on, and its other doors do not notice.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use sloth_tests::Instance;
use sloth_tests::bus::{BASE, Bus, Client, MANAGER, NAME, refusal};
use sloth_tests::paths::program;
use sloth_tests::process::wait_for;

use crate::world::{World, has, id_of, text};

#[test]
fn a_bus_that_is_restarted_is_met_again() {
    let Some(mut world) = World::start("a_bus_that_is_restarted_is_met_again", "session") else { return };
    world.add("kept", "true");
    for _ in 0..3 {
        world.bus.kill();
        let run = world.instance.run("kept");
        assert_eq!(run["status"], "completed", "the other door works without a bus");
        world.bus.up();
        world.client = Client::new(&world.bus.address());
        world.client.wait_for_slothd();
        let mut heard = world.client.hear();
        let run = world.run("kept");
        heard.next(&world.client, "RunFinished", |message| {
            message
                .body()
                .deserialize::<(String, String, String, std::collections::BTreeMap<String, zbus::OwnedVariant>)>()
                .is_ok_and(|(id, ..)| id == id_of(&run))
        });
    }
    assert_eq!(world.instance.term(), Some(0));
}

#[test]
fn without_a_bus_slothd_starts_and_stops_all_the_same() {
    let mut instance = Instance::prepare();
    instance.config("[dbus]\nbus = \"system\"\naddress = \"unix:path=/nonexistent/bus\"\n");
    instance.up();
    instance.add_shell("works", "true");
    assert_eq!(instance.run("works")["status"], "completed");
    wait_for("it says so", || instance.log().contains("not on the message bus"));
    let begin = Instant::now();
    assert_eq!(instance.term(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[test]
fn the_daemon_of_a_user_is_on_the_bus_of_its_session() {
    let test = "the_daemon_of_a_user_is_on_the_bus_of_its_session";
    if !has(test, &["dbus-daemon"]) {
        return;
    }
    let home = tempfile::tempdir().expect("a directory");
    let bus = Bus::start(home.path());
    let at = |name: &str| home.path().join(name);
    std::fs::create_dir(at("runtime")).expect("writable");
    let mut command = std::process::Command::new(program("slothd"));
    command.arg("--user").env("HOME", home.path()).env("XDG_RUNTIME_DIR", at("runtime"));
    command.env("XDG_CONFIG_HOME", at("config")).env("XDG_STATE_HOME", at("state"));
    command.env("DBUS_SESSION_BUS_ADDRESS", bus.address()).stderr(std::process::Stdio::null());
    let mut slothd = command.spawn().expect("slothd can be started");
    let client = Client::new(&bus.address());
    client.wait_for_slothd();
    let can = client.manager("CanManageDaemon", &"").expect("an answer");
    assert_eq!(text(&can), "yes", "its user may all");
    slothd.kill().expect("killed");
    slothd.wait().expect("ended");
}

#[test]
fn an_address_that_is_none_is_refused_at_the_start() {
    let instance = Instance::prepare();
    instance.config("[dbus]\nbus = \"everywhere\"\naddress = \"/run/bus\"\n");
    let (code, said) = instance.refused();
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("dbus.bus: \"everywhere\" is not one of") && said.contains("dbus.address: "), "{said}");
}

#[test]
fn a_flood_of_calls_is_bounded_and_every_call_is_answered() {
    let Some(world) = World::start("a_flood_of_calls_is_bounded_and_every_call_is_answered", "session") else { return };
    world.add("one", "true");
    let path = format!("{BASE}/Manager");
    let connection = &world.client.connection;
    let calls = (0..5000).map(|_| {
        let path = path.clone();
        async move { connection.call_method(Some(NAME), path.as_str(), Some(MANAGER), "ListSchedules", &()).await }
    });
    let answers = world.client.wait(join_all(calls));
    let mut served = 0;
    for answer in answers {
        match answer.map_err(refusal) {
            Ok(_) => served += 1,
            // By slothd, or before it by the bus.
            Err(refusal) => assert!(
                ["org.slothd.Slothd1.Error.QueueFull", "org.freedesktop.DBus.Error.LimitsExceeded"]
                    .contains(&&*refusal.name),
                "{refusal}"
            ),
        }
    }
    assert!(served >= 64, "{served} of 5000 were served");
    let rss = world.instance.ok("GET", "/status", json!(null))["rss_bytes"].as_u64().expect("a number");
    assert!(rss < 200 << 20, "{rss} bytes");
    world.client.manager("GetSchedule", &"one").expect("afterwards all is well");
}

#[test]
fn a_name_that_somebody_else_has_is_waited_for() {
    let Some(world) = World::start("a_name_that_somebody_else_has_is_waited_for", "session") else { return };
    let mut second = Instance::prepare();
    second.config(&world.bus.config("session"));
    second.up();
    wait_for("the second one says so", || second.log().contains("belongs to somebody else on this bus"));
    let mut first = world.instance;
    assert_eq!(first.term(), Some(0));
    world.client.wait_for_slothd();
    assert_eq!(second.term(), Some(0));
}
