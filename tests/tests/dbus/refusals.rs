//! What is wrong is refused by its name: options, types, objects, members. The words are those of HTTP.

use serde_json::json;
use sloth_tests::bus::{BASE, MANAGER};
use zbus::Variant;

use crate::world::{Options, World, options};

const ERROR: &str = "org.slothd.Slothd1.Error";
const STANDARD: &str = "org.freedesktop.DBus.Error";

#[test]
fn wrong_options_are_refused_as_over_http() {
    let Some(world) = World::start("wrong_options_are_refused_as_over_http", "session") else { return };
    for (wrong, body) in [
        (vec![("trigger", Variant::from("61 * * * *"))], json!({"trigger": "61 * * * *"})),
        (
            vec![("trigger", Variant::from("@daily")), ("overlap", Variant::from("maybe"))],
            json!({"trigger": "@daily", "overlap": "maybe"}),
        ),
        (
            vec![("trigger", Variant::from("@daily")), ("timeuot", Variant::from("3s"))],
            json!({"trigger": "@daily", "timeuot": "3s"}),
        ),
        (vec![("trigger", Variant::U32(7))], json!({"trigger": 7})),
        (
            vec![("trigger", Variant::from("@daily")), ("user", Variant::from("no-such-user"))],
            json!({"trigger": "@daily", "user": "no-such-user"}),
        ),
    ] {
        let mut wish: Options = wrong.into_iter().collect();
        let mut request = body;
        wish.insert("name", Variant::from("x"));
        wish.insert("shell", Variant::from("true"));
        request["name"] = json!("x");
        request["shell"] = json!("true");
        let refusal = world.client.manager("AddSchedule", &wish).expect_err("wrong");
        let (status, reply) = world.instance.http("POST", "/schedules", request);
        let error = &reply["error"];
        let message = error["message"].as_str().unwrap_or_default();
        let said = refusal.text.replacen("options: ", "body: ", 1);
        assert!((400..500).contains(&status), "{reply}");
        assert!(said.starts_with(message), "{said}\nover HTTP: {message}");
        assert_eq!(refusal.name, format!("{ERROR}.InvalidArgument"));
    }
    let refusal = world.client.manager("AddSchedule", &options(&[("trigger", "@daily")])).expect_err("no name");
    assert!(refusal.text.starts_with("name: is missing"), "{refusal}");
    let mut odd = options(&[("name", "x"), ("trigger", "@daily"), ("shell", "true")]);
    odd.insert("jitter", Variant::F64(f64::INFINITY));
    let refusal = world.client.manager("AddSchedule", &odd).expect_err("no number");
    assert!(refusal.text.starts_with("jitter: "), "{refusal}");
    odd.insert("jitter", Variant::new((1u32, "x")));
    let refusal = world.client.manager("AddSchedule", &odd).expect_err("a structure");
    assert!(refusal.text.starts_with("jitter: "), "{refusal}");
    assert_eq!(world.instance.value("SELECT count(*) FROM schedules"), 0, "nothing half made");
}

#[test]
fn what_is_not_there_has_the_names_of_the_specification() {
    let Some(world) = World::start("what_is_not_there_has_the_names_of_the_specification", "session") else { return };
    let manager = format!("{BASE}/Manager");
    let call = |path: &str, interface: &str, member: &str| {
        world.client.call(path, interface, member, &()).expect_err(member).name
    };
    assert_eq!(call("/org/slothd/Slothd1/nothing", MANAGER, "Reload"), format!("{STANDARD}.UnknownObject"));
    assert_eq!(call(&manager, "org.example.Other", "Reload"), format!("{STANDARD}.UnknownInterface"));
    assert_eq!(call(&manager, MANAGER, "Explode"), format!("{STANDARD}.UnknownMethod"));
    assert_eq!(call(BASE, MANAGER, "Reload"), format!("{STANDARD}.UnknownInterface"));
    let schedule = format!("{BASE}/schedule/00000000000070008000000000000000");
    assert_eq!(call(&schedule, "org.slothd.Slothd1.Schedule", "Enable"), format!("{STANDARD}.UnknownObject"));
    let introspect = "org.freedesktop.DBus.Introspectable";
    assert_eq!(call(&schedule, introspect, "Introspect"), format!("{STANDARD}.UnknownObject"));
    // Arguments of other types.
    let refusal = world.client.manager("GetSchedule", &7u32).expect_err("no text");
    assert_eq!(refusal.name, format!("{STANDARD}.InvalidArgs"));
    assert!(refusal.text.contains("GetSchedule takes \"s\", not \"u\""), "{refusal}");
    let refusal = world.client.manager("RunSchedule", &"x").expect_err("an argument is missing");
    assert_eq!(refusal.name, format!("{STANDARD}.InvalidArgs"));
    let properties = "org.freedesktop.DBus.Properties";
    let get = |name: &str| world.client.call(&manager, properties, "Get", &(MANAGER, name)).expect_err(name).name;
    assert_eq!(get("Nothing"), format!("{STANDARD}.UnknownProperty"));
    let set = world.client.call(&manager, properties, "Set", &(MANAGER, "Version", Variant::from("2")));
    assert_eq!(set.expect_err("read only").name, format!("{STANDARD}.PropertyReadOnly"));
}

#[test]
fn refusals_of_the_use_cases_have_names_of_the_table() {
    let Some(world) = World::start("refusals_of_the_use_cases_have_names_of_the_table", "session") else { return };
    world.add("twice", "sleep 60");
    let refusal = |member: &str, name: &str| world.client.manager(member, &name).expect_err(member).name;
    assert_eq!(refusal("GetSchedule", "nothing"), format!("{ERROR}.NotFound"));
    assert_eq!(refusal("GetRun", "0123456789"), format!("{ERROR}.NotFound"));
    let again = options(&[("name", "twice"), ("trigger", "manual"), ("shell", "true")]);
    assert_eq!(world.client.manager("AddSchedule", &again).expect_err("taken").name, format!("{ERROR}.AlreadyExists"));
    world.run("twice");
    let overlap = world.client.manager("RunSchedule", &("twice", Options::new())).expect_err("it runs");
    assert_eq!(overlap.name, format!("{ERROR}.OverlapForbidden"));
    let inhibit = world.client.manager("Inhibit", &("sleep", "test", "why")).expect_err("not ours");
    assert_eq!(inhibit.name, format!("{ERROR}.InvalidArgument"));
    assert!(inhibit.text.contains("\"sleep\" cannot be inhibited"), "{inhibit}");
    let event = world.client.manager("EmitEvent", &("run.mine", Options::new())).expect_err("reserved");
    assert_eq!(event.name, format!("{ERROR}.InvalidArgument"));
    world.instance.config(&format!("{}[scheduler]\nmax_running = 0\n", world.bus.config("session")));
    let reload = world.client.manager("Reload", &()).expect_err("bad settings");
    assert_eq!(reload.name, format!("{ERROR}.DefinitionError"));
    assert!(reload.text.contains("max_running"), "{reload}");
}
