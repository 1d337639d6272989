//! The schedules of the torture: every trigger, overlap and catch-up policy, failing, repeating, overlong and timed-out jobs.

use std::path::Path;
use std::thread;

use serde_json::{Value, json};

use super::Options;
use crate::Instance;
use crate::paths::program;

/// Adds the schedules.
pub(super) fn add_all(instance: &Instance, options: &Options, marks: &Path) -> anyhow::Result<()> {
    let fast = (options.rate / 3).max(1);
    // The others share what is left of the rate.
    let period = ((options.schedules - fast) * 3 / (options.rate * 2).max(1)).max(1);
    let specs: Vec<Value> = (0..options.schedules).map(|n| spec(n, if n < fast { 1 } else { period }, marks)).collect();
    thread::scope(|scope| {
        let adders: Vec<_> = specs
            .chunks(specs.len().div_ceil(4))
            .map(|part| {
                scope.spawn(move || part.iter().for_each(|spec| drop(instance.ok("POST", "/schedules", spec.clone()))))
            })
            .collect();
        adders.into_iter().try_for_each(|adder| adder.join().map_err(|_| anyhow::anyhow!("a schedule was refused")))
    })
}

fn spec(n: usize, period: usize, marks: &Path) -> Value {
    let trigger = match (n % 2, period) {
        (0, _) => format!("@every {period}s"),
        (_, 1) => "* * * * * *".to_owned(),
        // The period of a cron field must divide the minute for the instants to be equally far apart.
        (_, period) => {
            let period =
                [2, 3, 4, 5, 6, 10, 12, 15, 20, 30].into_iter().filter(|step| *step <= period).max().unwrap_or(2);
            format!("{}/{period} * * * * *", n % period)
        }
    };
    let mark = program("sloth-mark").display().to_string();
    let job = |arguments: &[&str]| {
        let marks = marks.display().to_string();
        let mut argv = vec![mark.clone(), marks];
        argv.extend(arguments.iter().map(|word| (*word).to_owned()));
        json!(argv)
    };
    let long = if period == 1 { "sleep=1500" } else { "sleep=3000" };
    let (kind, mut spec) = match n % 11 {
        0..=3 => ("plain", json!({ "command": job(&[]) })),
        4 => ("fails", json!({ "command": job(&["exit=3"]), "retries": { "max": 1, "delay": "1s" } })),
        5 => (
            "mends",
            json!({ "command": job(&["exit=4", "until=2"]), "retries": { "max": 3, "delay": "500ms", "jitter": 0.5 } }),
        ),
        6 => ("skips", json!({ "command": job(&[long]), "overlap": "skip" })),
        7 => ("queues", json!({ "command": job(&[long]), "overlap": "queue" })),
        8 => ("replaces", json!({ "command": job(&[long]), "overlap": "replace", "kill_grace": "1s" })),
        9 => ("allows", json!({ "command": job(&[long]), "overlap": "allow" })),
        _ => ("slow", json!({ "command": job(&["sleep=20000"]), "timeout": "1s", "kill_grace": "1s" })),
    };
    let catch_up = ["none", "latest", "all"][n / 11 % 3];
    if (n / 33).is_multiple_of(4) {
        spec["retry_lost"] = json!(true);
        if spec["retries"].is_null() {
            spec["retries"] = json!({ "max": 1, "delay": "1s" });
        }
    }
    spec["name"] = json!(format!("{kind}-{n}"));
    spec["trigger"] = json!(trigger);
    spec["timezone"] = json!("UTC");
    spec["catch_up"] = json!(catch_up);
    spec["keep"] = json!({ "runs": 1_000_000, "age": "30d" });
    spec
}

/// Which exit codes an attempt of a schedule may have.
pub(super) fn exit_code_is_right(schedule: &str, attempt: u64, code: i64) -> bool {
    match schedule.split('-').next() {
        Some("fails") => code == 3,
        Some("mends") => code == if attempt >= 2 { 0 } else { 4 },
        _ => code == 0,
    }
}
