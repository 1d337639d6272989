//! Many at once, and kill -9 again and again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Machine;

/// PID 1 answers a small question.
fn answer_time(machine: &Machine) -> Duration {
    let begin = Instant::now();
    machine.property("dbus.service", "ActiveState");
    begin.elapsed()
}

#[test]
fn two_hundred_runs_due_in_one_second_all_run() {
    let Some(machine) = Machine::boot() else { return };
    machine.sh("mkdir /srv/marks");
    let at = machine.sh("date -u -d '+20 seconds' +%Y-%m-%dT%H:%M:%SZ").trim().to_owned();
    for i in 0..200 {
        let shell = format!("echo $SLOTH_RUN_ID >> /srv/marks/{i}");
        machine
            .post("/schedules", &json!({ "name": format!("at-{i}"), "trigger": format!("@at {at}"), "shell": shell }));
    }
    // What PID 1 does for anybody else meanwhile.
    let epoch: f64 = machine.sh(&format!("date -d {at} +%s")).trim().parse().expect("a time");
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64();
    assert!(now() < epoch, "adding took too long");
    std::thread::sleep(Duration::from_secs_f64((epoch - now()).max(0.0)));
    let mut slowest = Duration::ZERO;
    let begin = Instant::now();
    machine.wait_for("all marks", || {
        slowest = slowest.max(answer_time(&machine));
        machine.sh("ls /srv/marks | wc -l").trim() == "200"
    });
    println!("200 due at once: slowest answer of PID 1 {slowest:?}, waited {:?}", begin.elapsed());
    machine.wait_for("all ends", || {
        machine.sh("slothctl runs list --limit 1000 -o json | grep -o '\"status\":\"completed\"' | wc -l").trim()
            == "200"
    });
    assert_eq!(machine.sh("cat /srv/marks/* | sort -u | wc -l").trim(), "200", "none twice");
    let lateness = machine.json(&["status"])["lateness"].clone();
    println!("lateness {lateness}");
    assert!(slowest < Duration::from_secs(3), "PID 1 took {slowest:?} to answer");
}

#[test]
fn five_hundred_running_units_are_found_again_in_two_seconds() {
    let Some(machine) = Machine::boot() else { return };
    machine.sh("mkdir -p /etc/slothd; printf '[scheduler]\\nmax_running = 1000\\n' > /etc/slothd/slothd.toml; systemctl restart slothd");
    machine.add("many", &["--overlap", "allow", "--user", "ann", "--shell", "sleep 900"]);
    for _ in 0..500 {
        machine.post("/schedules/many/trigger", &json!({}));
    }
    machine.wait_for("500 units", || machine.sh("pgrep -c -f '[s]loth-exec attempt' || true").trim() == "500");
    machine.wait_for("500 running", || machine.json(&["status"])["running"] == 500);
    machine.ok(&["systemctl", "kill", "--kill-who=main", "-s", "KILL", "slothd"]);
    machine.wait_for("another slothd", || machine.is_ready());
    let text = "re-attached";
    machine.wait_for("the units", || {
        machine.ok(&["journalctl", "-u", "slothd", "-o", "cat", "--no-pager"]).contains(text)
    });
    let journal = machine.ok(&["journalctl", "-u", "slothd", "-o", "cat", "--no-pager"]);
    let line = journal.lines().rev().find(|line| line.contains(text)).unwrap_or_default().to_owned();
    println!("{line}");
    let ms: u64 = line.split(' ').find_map(|word| word.strip_suffix("ms")?.parse().ok()).expect("a time");
    assert!(line.contains("500 runs") && ms < 2000, "{line}");
    assert_eq!(machine.json(&["status"])["running"], 500);
    assert!(machine.runs("many").iter().all(|run| run["attempts"] == 1));
}

#[test]
fn fifty_kills_lose_nothing_and_repeat_nothing() {
    let Some(machine) = Machine::boot() else { return };
    let rounds: u32 = std::env::var("SLOTH_TORTURE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(50);
    machine.sh("mkdir -p /etc/slothd /srv/marks; chmod 1777 /srv/marks; \
                printf '[scheduler]\\ncatch_up_spread = \"1s\"\\nhorizon = \"3s\"\\n' > /etc/slothd/slothd.toml; systemctl restart slothd");
    for i in 0..6 {
        let script = format!(
            "echo \"$SLOTH_RUN_ID $SLOTH_ATTEMPT $SLOTH_DUE_AT\" >> /srv/marks/{i}; echo out-$SLOTH_RUN_ID; sleep 0.{i}; exit {}",
            i % 2
        );
        machine.ctl(&[
            "scheduler",
            "add",
            &format!("s{i}"),
            "--every",
            "1s",
            "--overlap",
            "allow",
            "--catch-up",
            "all",
            "--catch-up-max",
            "1000",
            "--keep-runs",
            "100000",
            "--user",
            "ann",
            "--shell",
            &script,
        ]);
    }
    let mut random = u64::from(std::process::id()) | 1;
    println!("seed {random}");
    for _ in 0..rounds {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(Duration::from_millis(200 + (random >> 33) % 1500));
        machine.kill_daemon();
    }
    for i in 0..6 {
        machine.ctl(&["scheduler", "disable", &format!("s{i}")]);
    }
    machine.wait_for("the last ends", || {
        let status = machine.json(&["status"]);
        status["running"] == 0 && status["queued"] == 0
    });
    machine.wait_for("no units", || {
        machine.ok(&["systemctl", "list-units", "--all", "--no-legend", "sloth-run-*"]).trim().is_empty()
    });
    judge(&machine);
}

/// Ledger, run table, marks and output files tell the same story.
fn judge(machine: &Machine) {
    let rows = |sql: &str| machine.json(&["db", "query", sql]).as_array().cloned().expect("rows");
    let mut ran = 0;
    for i in 0..6 {
        machine.ctl(&["scheduler", "audit", &format!("s{i}")]);
        let runs = rows(&format!("SELECT id, status, exit_code, reason, attempts FROM runs WHERE schedule = 's{i}'"));
        let marks = machine.sh(&format!("cat /srv/marks/{i}"));
        let mut marked: BTreeMap<&str, u32> = BTreeMap::new();
        for line in marks.lines() {
            *marked.entry(line.split(' ').next().unwrap_or_default()).or_default() += 1;
        }
        let (status, code) = if i % 2 == 0 { ("completed", 0) } else { ("failed", 1) };
        for run in &runs {
            let id = run["id"].as_str().expect("an id");
            assert_eq!(
                (run["status"].as_str(), run["exit_code"].as_i64(), run["attempts"].as_i64()),
                (Some(status), Some(code), Some(1)),
                "{run}"
            );
            assert_eq!(marked.remove(id), Some(1), "run {id} left one mark");
        }
        assert!(marked.is_empty(), "marks without a run: {marked:?}");
        ran += runs.len();
        for run in runs.iter().rev().take(20) {
            let id = run["id"].as_str().expect("an id");
            assert_eq!(machine.ctl(&["runs", "logs", id]).trim(), format!("out-{id}"));
        }
        let ledger = rows(&format!(
            "SELECT count(*), count(DISTINCT due_at), sum(run_id IS NOT NULL) FROM occurrences \
                                    WHERE schedule_id = (SELECT id FROM schedules WHERE name = 's{i}')"
        ));
        println!("s{i}: ledger {:?}, runs {}", ledger[0], runs.len());
    }
    assert!(ran > 100, "only {ran} runs");
}
