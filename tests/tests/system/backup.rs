//! Backups while everything runs, and the way back.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use serde_json::{Value, json};
use sloth_tests::Instance;
use sloth_tests::process::wait_for;

#[test]
fn a_backup_under_load_is_consistent_and_can_be_restored_while_running() {
    let mut instance = Instance::start();
    for n in 0..20 {
        instance.add(&format!("busy-{n}"), json!({ "trigger": "* * * * * *", "command": ["/bin/true"] }));
    }
    std::thread::sleep(Duration::from_secs(2));
    let backup = instance.ok("POST", "/backup/create", json!({ "description": "under load" }));
    let id = backup["id"].as_str().expect("an id").to_owned();
    assert_eq!(instance.ok("POST", "/backup/verify", json!({ "id": id }))["ok"], true);
    let listed = instance.ok("GET", "/backup", Value::Null);
    assert_eq!(listed["items"][0]["id"], id.as_str(), "{listed}");
    instance.add_shell("later", "true");
    let began = instance.ok("GET", "/status", Value::Null)["started_at"].clone();

    let (status, reply) = instance.http("POST", "/backup/restore", json!({ "id": id }));
    assert_eq!(status, 202, "{reply}");
    wait_for("the old state is back", || {
        let asked = sloth_tests::Request::new("GET", "/status").send(instance.socket());
        asked.is_ok_and(|reply| reply.status == 200 && reply.json()["started_at"] != began)
    });
    assert!(instance.ended().is_none(), "it is the same process");
    assert_eq!(instance.http("GET", "/schedules/later", Value::Null).0, 404);
    instance.ok("GET", "/schedules/busy-0", Value::Null);
    // What ran meanwhile is not repeated as if nothing had happened, and it goes on.
    std::thread::sleep(Duration::from_secs(2));
    let (status, _) = instance.http("POST", "/schedules/busy-0/trigger", json!({}));
    assert!(matches!(status, 202 | 409), "{status}");
    instance.ok("POST", "/schedules/-/pause-all", json!({}));
    std::thread::sleep(Duration::from_secs(5));
    let audit = instance.ok("GET", "/schedules/-/audit", Value::Null);
    assert_eq!(audit["clean"], true, "{audit}");
    assert_eq!(instance.ok("POST", "/db/check", json!({}))["ok"], true);
    let trail = instance.rows("SELECT action FROM audit WHERE action LIKE 'backup:%'");
    assert!(trail.iter().any(|row| row[0] == "backup:restore"), "the restore is not in the audit trail: {trail:?}");
    let told = instance.ok("GET", "/events?type=restore.completed", Value::Null);
    assert_eq!(told["items"].as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!(instance.term(), Some(0));
}

#[test]
fn a_damaged_backup_is_found_out_and_never_restored() {
    let mut instance = Instance::start();
    instance.add_shell("kept", "true");
    let backup = instance.ok("POST", "/backup/create", json!({}));
    let (id, path) = (backup["id"].clone(), backup["path"].as_str().expect("a path").to_owned());
    let length = std::fs::metadata(&path).expect("there").len();
    let file = OpenOptions::new().write(true).read(true).open(&path).expect("writable");
    let mut byte = [0];
    file.read_exact_at(&mut byte, length / 2).expect("readable");
    file.write_all_at(&[byte[0] ^ 0x10], length / 2).expect("writable");
    let verified = instance.ok("POST", "/backup/verify", json!({ "id": id }));
    assert_eq!(verified["ok"], false, "{verified}");
    let (status, reply) = instance.http("POST", "/backup/restore", json!({ "id": id }));
    assert!((400..500).contains(&status), "{status} {reply}");
    instance.ok("GET", "/schedules/kept", Value::Null);
    assert_eq!(instance.term(), Some(0));
    let output = instance.slothd(&["restore", id.as_str().unwrap_or_default()]).output().expect("slothd runs");
    assert_ne!(output.status.code(), Some(0));
    instance.up();
    instance.ok("GET", "/schedules/kept", Value::Null);
    instance.ok("DELETE", &format!("/backup/{}", id.as_str().unwrap_or_default()), Value::Null);
    assert_eq!(instance.ok("GET", "/backup", Value::Null)["items"], json!([]));
    assert_eq!(instance.http("POST", "/backup/verify", json!({ "id": "nonsense" })).0, 404);
}
