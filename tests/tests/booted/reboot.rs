//! The host goes down and comes back.

use std::time::{Duration, Instant};

use serde_json::json;
use sloth_tests::Request;
use sloth_tests::booted::Booted;

#[test]
fn after_a_reboot_missed_instants_are_made_up() {
    let Some(mut machine) = Booted::installed() else { return };
    machine.write("/etc/slothd/conf.d/10-spread.toml", "[scheduler]\ncatch_up_spread = \"0s\"\n");
    machine.ctl(&["scheduler", "add", "often", "--every", "1s", "--catch-up", "latest", "--", "/bin/true"]);
    machine.ctl(&["scheduler", "add", "boot", "--reboot", "--", "/bin/true"]);
    machine.wait_for("a run", || !machine.runs("often", "completed").is_empty());
    machine.ok(&["systemctl", "stop", "slothd.socket", "slothd.service"]);
    std::thread::sleep(Duration::from_secs(5));

    machine.reboot();

    assert_eq!(machine.property("slothd.service", "ActiveState"), "active", "it starts with the host");
    machine.wait_for("the run of the boot", || machine.runs("boot", "completed").len() == 1);
    // The newest of the missed instants runs, and answers the older ones.
    machine.wait_for("what was missed", || {
        let history = machine.json(&["scheduler", "history", "often", "--count", "200"]).to_string();
        history.contains("coalesced") && history.contains("catch_up")
    });
    // Every second has its row, and each says the truth.
    machine.ctl(&["scheduler", "audit", "often"]);
}

#[test]
fn a_power_failure_loses_no_schedule_and_no_truth() {
    let Some(mut machine) = Booted::installed() else { return };
    machine.ctl(&["scheduler", "add", "often", "--every", "1s", "--catch-up", "all", "--", "/bin/true"]);
    machine.ctl(&["scheduler", "add", "cut", "--manual", "--", "/bin/sleep", "600"]);
    machine.ctl(&["scheduler", "run", "cut"]);
    machine
        .wait_for("runs", || machine.runs("often", "completed").len() > 2 && machine.runs("cut", "running").len() == 1);
    machine.crash();
    machine.wait_for("the truth about the run that was cut", || {
        machine.runs("cut", "failed").iter().any(|run| run["reason"] == "lost")
    });
    let before = machine.runs("often", "completed").len();
    machine.wait_for("further runs", || machine.runs("often", "completed").len() > before);
    machine.ctl(&["scheduler", "audit", "often"]);
}

#[test]
fn ten_thousand_schedules_are_there_after_a_boot() {
    let Some(mut machine) = Booted::installed() else { return };
    let socket = machine.path("/run/slothd/slothd.sock");
    std::thread::scope(|scope| {
        for part in 0..10 {
            let socket = &socket;
            scope.spawn(move || {
                for number in 0..1000 {
                    let body = json!({ "name": format!("s-{part}-{number}"), "trigger": "@every 1d", "command": ["/bin/true"] });
                    let reply = Request::new("POST", "/schedules").json(&body).send(socket).expect("an answer");
                    assert!(reply.status < 300, "{}", reply.text());
                }
            });
        }
    });
    machine.reboot();
    assert_eq!(machine.json(&["status"])["schedules"], 10_000);
    // A figure to look at, not a limit: the machine may be busy with other tests.
    let times = |name: &str| machine.property("slothd.service", name).parse::<u64>().unwrap_or(0);
    let (begin, ready) = (times("ExecMainStartTimestampMonotonic"), times("ActiveEnterTimestampMonotonic"));
    println!("from exec to READY=1 with 10,000 schedules, at boot: {} ms", (ready - begin) / 1000);
    let start = Instant::now();
    machine.ok(&["systemctl", "restart", "slothd"]);
    println!("systemctl restart: {} ms", start.elapsed().as_millis());
}
