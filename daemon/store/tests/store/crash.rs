//! kill -9 at random: everything that was acknowledged is there afterwards, and no request is half there.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use sloth_core::record::{Decision, Record};
use sloth_core::run::RunTrigger;

use crate::things::*;

const DIR: &str = "SLOTH_STORE_CRASH_DIR";
const FROM: &str = "SLOTH_STORE_CRASH_FROM";

#[test]
fn nothing_acknowledged_is_lost() {
    let (dir, store, s) = store_with_schedule();
    drop(store);
    let path = dir.path().join("stacks.db");
    let mut dice = Dice(5);
    let (mut acknowledged, mut next, mut unclean) = (0, 1, 0);
    for _ in 0..25 {
        let mut child = Command::new(std::env::current_exe().expect("own path"))
            .args(["--exact", "crash::child_writes", "--ignored", "--nocapture"])
            .env(DIR, dir.path())
            .env(FROM, next.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("child");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut numbers = Vec::new();
        let kill_after = 1 + dice.below(400);
        for line in lines.by_ref().map_while(Result::ok) {
            if let Some(n) = line.strip_prefix("ACK ").and_then(|n| n.parse::<u32>().ok()) {
                numbers.push(n);
            }
            if numbers.len() as u64 >= kill_after {
                break;
            }
        }
        std::thread::sleep(Duration::from_micros(dice.below(3000)));
        child.kill().expect("killed");
        child.wait().expect("gone");
        // What was in the pipe was acknowledged too.
        numbers.extend(lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("ACK ")?.parse::<u32>().ok()));
        assert!(!numbers.is_empty());

        let (store, opened) = open(&path);
        unclean += usize::from(opened.unclean);
        for n in &numbers {
            assert!(store.run(run_id(*n)).expect("read").is_some(), "run {n} was acknowledged and is lost");
        }
        acknowledged += numbers.len();
        // Run, decision and event come together or not at all.
        let status = store.status().expect("status").rows;
        assert_eq!((status["runs"], status["tasks"]), (status["occurrences"], status["events"]));
        assert_eq!(status["runs"], status["events"]);
        assert_eq!(store.integrity_check().expect("check"), [] as [String; 0]);
        next = status["runs"] as u32 + 1;
        assert_eq!(store.occurrences(s.id, &Default::default(), 1).expect("read").len(), 1);
    }
    eprintln!("25 kills, {acknowledged} acknowledged, 0 lost, {unclean} unclean stops seen");
    assert_eq!(unclean, 25);
}

#[test]
#[ignore = "run by nothing_acknowledged_is_lost"]
fn child_writes() {
    let (Some(dir), Ok(from)) = (std::env::var_os(DIR), std::env::var(FROM)) else {
        return;
    };
    let store = open(&PathBuf::from(dir).join("stacks.db")).0;
    let s = schedule(1, "nightly", "30 2 * * *");
    for n in from.parse::<u32>().expect("a number").. {
        let records = vec![
            Record::Decided(due(&s, i64::from(n)), Decision::Run { run: run_id(n), trigger: RunTrigger::Due }),
            Record::RunCreated(Arc::new(run(n, &s))),
            Record::Event(Box::new(event(u64::from(n), "run.queued"))),
        ];
        store.submit(records, move |result| {
            result.expect("written");
            let mut out = std::io::stdout().lock();
            writeln!(out, "ACK {n}").and_then(|()| out.flush()).expect("the parent reads");
        });
        if n % 16 == 0 {
            store.write(vec![]).expect("written");
        }
    }
}
