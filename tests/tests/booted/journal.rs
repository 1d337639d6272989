//! What the journal says, under which fields, and how loudly.

use serde_json::Value;
use sloth_tests::booted::Booted;

fn priority(entry: &Value) -> u8 {
    entry["PRIORITY"].as_str().and_then(|text| text.parse().ok()).unwrap_or(99)
}

#[test]
fn a_failed_run_is_found_by_its_fields_and_by_its_priority() {
    let Some(machine) = Booted::installed() else { return };
    machine.ctl(&["scheduler", "add", "broken", "--manual", "--shell", "exit 9"]);
    machine.ctl(&["scheduler", "run", "broken"]);
    machine.wait_for("the failure", || !machine.runs("broken", "failed").is_empty());
    let run = machine.runs("broken", "failed")[0]["id"].as_str().expect("an id").to_owned();
    machine.wait_for("the entry", || !machine.journal(&[&format!("SLOTH_RUN={run}")]).is_empty());
    let entries = machine.journal(&[&format!("SLOTH_RUN={run}")]);
    for entry in &entries {
        assert_eq!(entry["SLOTH_SCHEDULE"], "broken", "{entry}");
        assert_eq!(entry["SYSLOG_IDENTIFIER"], "slothd", "{entry}");
        assert_eq!(entry["_SYSTEMD_UNIT"], "slothd.service", "{entry}");
        assert!(entry.get("SLOTH_TASK").is_none_or(|task| task != ""), "an empty field: {entry}");
    }
    assert!(entries.iter().any(|entry| (3..=4).contains(&priority(entry))), "{entries:?}");
    let loud = machine.journal(&["-u", "slothd", "-p", "warning"]);
    assert!(loud.iter().all(|entry| priority(entry) <= 4));
    assert!(!loud.iter().any(|entry| entry["MESSAGE"].as_str().is_some_and(|text| text.starts_with("ready"))));
}

#[test]
fn everyday_messages_are_information() {
    let Some(machine) = Booted::installed() else { return };
    let entries = machine.journal(&["_SYSTEMD_UNIT=slothd.service"]);
    let ready = entries.iter().find(|entry| entry["MESSAGE"].as_str().is_some_and(|text| text.starts_with("ready")));
    assert_eq!(priority(ready.expect("an entry")), 6);
}

#[test]
fn a_refused_request_is_found_by_its_number() {
    let Some(machine) = Booted::installed() else { return };
    machine.write("/etc/slothd/conf.d/10-log.toml", "[log]\nlevel = \"debug\"\n");
    machine.ok(&["systemctl", "reload", "slothd"]);
    assert!(!machine.run(&["slothctl", "scheduler", "show", "nobody-knows"]).status.success());
    machine.wait_for("the entry", || {
        let entries = machine.journal(&["_SYSTEMD_UNIT=slothd.service"]);
        let refused = |entry: &&Value| entry["SLOTH_REQUEST"].as_str().is_some_and(|id| !id.is_empty());
        entries.iter().find(refused).is_some_and(|entry| priority(entry) == 7)
    });
}
