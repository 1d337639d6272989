//! With polkit its answer decides, for everybody but root. The polkit here is a service of the test that answers as it is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use sloth_tests::bus::Client;
use sloth_tests::skips::root_or_skip;
use zbus::message::Type;
use zbus::{Message, MessageStream, OwnedVariant, Variant};

use crate::world::{NOBODY, World, has};

/// What was asked: action, details, whether somebody may be asked for a password.
type Asked = (String, BTreeMap<String, String>, bool);

#[derive(Clone, Default)]
struct Polkit {
    asked: Arc<Mutex<Vec<Asked>>>,
    /// Answer by the last word of the action: yes, no, challenge, fail.
    answers: Arc<Mutex<BTreeMap<String, &'static str>>>,
}

type Question = ((String, BTreeMap<String, OwnedVariant>), String, BTreeMap<String, String>, u32, String);

impl Polkit {
    fn start(world: &World) -> (Polkit, Client) {
        let polkit = Polkit::default();
        let client = Client::new(&world.bus.address());
        let mut stream = MessageStream::from(&client.connection);
        client.wait(client.connection.request_name("org.freedesktop.PolicyKit1")).expect("the name");
        let (mock, connection) = (polkit.clone(), client.connection.clone());
        client.beside(async move {
            while let Some(Ok(message)) = stream.next().await {
                if message.message_type() == Type::MethodCall {
                    let _ = connection.send(&mock.answer(&message)).await;
                }
            }
        });
        (polkit, client)
    }

    fn answer(&self, message: &Message) -> Message {
        let header = message.header();
        let body = message.body();
        let ((kind, subject), action, details, flags, _): Question = body.deserialize().expect("CheckAuthorization");
        assert_eq!(kind, "system-bus-name");
        assert!(matches!(&*subject["name"], Variant::Str(name) if name.starts_with(":")), "{subject:?}");
        let word = action.strip_prefix("org.slothd.slothd1.").expect("an action of ours").to_owned();
        let answer = self.answers.lock().expect("unpoisoned").get(&word).copied().unwrap_or("no");
        let interactive = flags & 1 == 1;
        self.asked.lock().expect("unpoisoned").push((word, details, interactive));
        let none = BTreeMap::<String, String>::new();
        let reply = Message::method_return(&header);
        let reply = match answer {
            "yes" => reply.build(&((true, false, none),)),
            "challenge" if interactive => reply.build(&((true, false, none),)),
            "challenge" => reply.build(&((false, true, none),)),
            "fail" => Message::error(&header, "org.freedesktop.PolicyKit1.Error.Failed").build(&"no such action"),
            _ => reply.build(&((false, false, none),)),
        };
        reply.expect("an answer")
    }

    fn say(&self, action: &str, answer: &'static str) {
        self.answers.lock().expect("unpoisoned").insert(action.to_owned(), answer);
    }

    fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().expect("unpoisoned"))
    }
}

fn shared(test: &str) -> Option<World> {
    if !root_or_skip(test) || !has(test, &["busctl", "setpriv"]) {
        return None;
    }
    World::start(test, "system")
}

#[test]
fn its_answer_decides_and_it_is_told_the_details() {
    let Some(world) = shared("its_answer_decides_and_it_is_told_the_details") else { return };
    world.add("roots", "true");
    let (polkit, _client) = Polkit::start(&world);
    let nobody = |arguments: &[&str]| world.bus.busctl(NOBODY, &world.call(arguments));
    let add = ["AddSchedule", "a{sv}", "3", "name", "s", "mine", "trigger", "s", "manual", "shell", "s", "true"];

    // Not even one's own against its answer.
    assert!(nobody(&add).expect_err("no").contains("schedule:create is not allowed here"));
    polkit.say("manage-own", "yes");
    nobody(&add).expect("yes");
    polkit.asked();
    nobody(&["RunSchedule", "sa{sv}", "mine", "0"]).expect_err("no");
    let (action, details, interactive) = polkit.asked().remove(0);
    // busctl lets somebody be asked.
    assert_eq!((action.as_str(), interactive), ("run", true));
    let expected = [("owner", "nobody"), ("permission", "run:create"), ("schedule", "mine")];
    assert_eq!(details, expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into());

    let path = nobody(&["GetSchedule", "s", "mine"]).expect_err("no");
    assert!(path.contains("schedule:read is not allowed here"), "{path}");
    polkit.say("read", "yes");
    let path = nobody(&["GetSchedule", "s", "nobody/mine"]).expect("yes");
    let path = path.trim().trim_start_matches("o ").trim_matches('"');
    let run = ["call", "org.slothd.Slothd1", path, "org.slothd.Slothd1.Schedule", "Run", "a{sv}", "0"];
    polkit.asked();
    world.bus.busctl(NOBODY, &run).expect_err("no");
    assert_eq!(polkit.asked().remove(0).1, details, "by its path as by its name");

    // Others' schedules are another matter, and another user than the caller one more.
    polkit.say("run", "yes");
    nobody(&["RunSchedule", "sa{sv}", "mine", "0"]).expect("yes");
    nobody(&["RunSchedule", "sa{sv}", "root/roots", "0"]).expect_err("no");
    assert_eq!(polkit.asked().last().map(|(action, ..)| action.as_str()), Some("manage-all"));
    polkit.say("manage-all", "yes");
    nobody(&["RunSchedule", "sa{sv}", "root/roots", "0"]).expect("as it is");
    let other_user = [
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
    ];
    assert!(nobody(&other_user).expect_err("no").contains("to run as root needs an administrator"));
    assert_eq!(polkit.asked().last().map(|(action, ..)| action.as_str()), Some("manage-daemon"));
    polkit.say("manage-daemon", "yes");
    nobody(&other_user).expect("yes");
    nobody(&["Reload"]).expect("yes");
    assert!(world.audit("run:create").iter().all(|(_, method)| method == "dbus"));
}

#[test]
fn a_challenge_is_told_and_met_when_somebody_may_be_asked() {
    let Some(world) = shared("a_challenge_is_told_and_met_when_somebody_may_be_asked") else { return };
    let (polkit, _client) = Polkit::start(&world);
    polkit.say("manage-daemon", "challenge");
    let can = world.bus.busctl(NOBODY, &world.call(&["CanManageDaemon", "s", ""])).expect("an answer");
    assert_eq!(can.trim(), "s \"challenge\"");
    let silent = [&["--allow-interactive-authorization=no"], &world.call(&["Reload"])[..]].concat();
    let refused = world.bus.busctl(NOBODY, &silent).expect_err("nobody may be asked");
    assert!(refused.contains("interactive authorization"), "{refused}");
    world.bus.busctl(NOBODY, &world.call(&["Reload"])).expect("somebody is asked");
}

#[test]
fn root_needs_nobody() {
    let Some(world) = shared("root_needs_nobody") else { return };
    let (polkit, _client) = Polkit::start(&world);
    world.add("roots", "true");
    world.run("roots");
    assert!(polkit.asked().is_empty(), "root is not asked about");
}

#[test]
fn a_polkit_that_cannot_answer_allows_nothing_and_one_that_is_gone_is_none() {
    let test = "a_polkit_that_cannot_answer_allows_nothing_and_one_that_is_gone_is_none";
    let Some(world) = shared(test) else { return };
    let (polkit, client) = Polkit::start(&world);
    for action in ["manage-own", "read"] {
        polkit.say(action, "fail");
    }
    let add = ["AddSchedule", "a{sv}", "3", "name", "s", "mine", "trigger", "s", "manual", "shell", "s", "true"];
    let refused = world.bus.busctl(NOBODY, &world.call(&add)).expect_err("unsure");
    assert!(refused.contains("polkit cannot decide") && refused.contains("org.slothd.Slothd1.policy"), "{refused}");
    drop(client);
    sloth_tests::process::wait_for("polkit is gone and roles decide", || {
        world.bus.busctl(NOBODY, &world.call(&add)).is_ok()
    });
}
