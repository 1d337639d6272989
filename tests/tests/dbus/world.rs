//! A private bus with a slothd on it.

use std::collections::BTreeMap;

use serde_json::json;
use sloth_tests::Instance;
use sloth_tests::bus::{BASE, Bus, Client, MANAGER};
use sloth_tests::skips::skip;
use zbus::{Array, ObjectPath, Variant};

/// `nobody`.
pub const NOBODY: u32 = 65534;

/// Options.
pub type Options = BTreeMap<&'static str, Variant<'static>>;

pub struct World {
    pub instance: Instance,
    pub bus: Bus,
    pub client: Client,
}

/// Whether a program is there; else the test is noted as skipped.
pub fn has(test: &str, programs: &[&str]) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = |program: &str| path.split(':').any(|dir| std::path::Path::new(dir).join(program).exists());
    match programs.iter().find(|program| !found(program)) {
        None => true,
        Some(program) => {
            skip(test, &format!("needs {program}"));
            false
        }
    }
}

impl World {
    /// With the daemon on a bus of this kind, `system` or `session`.
    pub fn start(test: &str, kind: &str) -> Option<World> {
        if !has(test, &["dbus-daemon"]) {
            return None;
        }
        let mut instance = Instance::prepare();
        // Other users reach the bus through it.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(instance.dir(), open).expect("ours");
        let bus = Bus::start(instance.dir());
        instance.config(&bus.config(kind));
        instance.up();
        let client = Client::new(&bus.address());
        client.wait_for_slothd();
        Some(World { instance, bus, client })
    }

    /// Adds a schedule that runs by hand; its path.
    pub fn add(&self, name: &str, shell: &str) -> ObjectPath<'static> {
        let options = options(&[("name", name), ("trigger", "manual"), ("shell", shell)]);
        path(&self.client.manager("AddSchedule", &options).expect("added"))
    }

    /// Runs it; the path of the run.
    pub fn run(&self, name: &str) -> ObjectPath<'static> {
        path(&self.client.manager("RunSchedule", &(name, Options::new())).expect("started"))
    }

    /// Arguments of `busctl` for a method of the manager.
    pub fn call<'a>(&self, arguments: &[&'a str]) -> Vec<&'a str> {
        [&["call", "org.slothd.Slothd1", "/org/slothd/Slothd1/Manager", MANAGER], arguments].concat()
    }

    /// Entries of the audit trail: action, result, method.
    pub fn audit(&self, action: &str) -> Vec<(String, String)> {
        let page = self.instance.ok("GET", &format!("/audit?action={action}"), json!(null));
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let items = page["items"].as_array().cloned().unwrap_or_default();
        items.iter().map(|entry| (text(&entry["result"]), text(&entry["method"]))).collect()
    }
}

pub fn options(list: &[(&'static str, &str)]) -> Options {
    list.iter().map(|(name, text)| (*name, Variant::from((*text).to_owned()))).collect()
}

pub fn words(list: &[&str]) -> Variant<'static> {
    Variant::Array(Array::from(list.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>()))
}

/// The path in an answer.
pub fn path(message: &zbus::Message) -> ObjectPath<'static> {
    let body = message.body();
    let path: ObjectPath<'_> = body.deserialize().expect("a path");
    path.to_owned()
}

/// The text in an answer.
pub fn text(message: &zbus::Message) -> String {
    message.body().deserialize::<String>().expect("a text")
}

/// The identity of the object at a path, with hyphens.
pub fn id_of(path: &ObjectPath<'_>) -> String {
    let plain = path.as_str().rsplit('/').next().unwrap_or_default();
    assert_eq!(plain.len(), 32, "{path} below {BASE}");
    format!("{}-{}-{}-{}-{}", &plain[..8], &plain[8..12], &plain[12..16], &plain[16..20], &plain[20..])
}
