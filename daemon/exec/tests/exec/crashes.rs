//! Programs die at the worst moments; no run is lost, none runs twice.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use sloth_core::AttemptKey;
use sloth_core::launch::{Finding, KnownState, Order, Report};
use sloth_core::run::{Outcome, ProcessId};

use crate::harness::{World, is_alive, shell, wait_until};

#[tokio::test]
async fn a_run_goes_on_without_slothd() {
    let mut world = World::new().await;
    let job = shell("for i in 1 2 3 4 5 6; do echo line $i; sleep 0.1; done; exit 6");
    let process = world.started(&job).await;
    let known = world.connect().await;
    assert!(matches!(&known[0].state, KnownState::Running { process: p, .. } if *p == process));
    world.disconnect();
    wait_until(|| !is_alive(process.pid as i32)).await;
    let known = world.connect().await;
    let KnownState::Ended(end) = &known[0].state else { panic!("{known:?}") };
    assert_eq!((&end.outcome, end.output_bytes, end.dropped_bytes), (&Outcome::Exited(6), 42, 0));
    assert_eq!(world.output(&job).0, "line 1\nline 2\nline 3\nline 4\nline 5\nline 6\n");
}

#[tokio::test]
async fn the_supervisor_survives_kill_of_its_starter() {
    // The starter is a shell that is killed with its whole process group.
    let mut world = World::idle(&[]);
    let script = format!(
        "{} supervise --socket {} --data {} && echo ready && exec sleep 100",
        crate::harness::PROGRAM,
        world.socket().display(),
        world.data().display()
    );
    let mut starter = Command::new("setsid").args(["sh", "-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(starter.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    assert_eq!(world.connect().await, []);
    let job = shell("sleep 0.5; echo survived");
    world.started(&job).await;
    world.disconnect();
    let group = nix::unistd::Pid::from_raw(-(starter.id() as i32));
    nix::sys::signal::kill(group, nix::sys::signal::Signal::SIGKILL).unwrap();
    starter.wait().unwrap();
    let known = world.connect().await;
    assert!(matches!(known[0].state, KnownState::Running { .. }));
    assert_eq!(world.ended(job.key).await.outcome, Outcome::Exited(0));
    assert_eq!(world.output(&job).0, "survived\n");
}

#[tokio::test]
async fn the_remains_of_a_killed_supervisor_are_judged() {
    for arguments in [&[][..], &["--no-cgroup"]] {
        let mut world = World::with(arguments).await;
        let ended = shell("echo done; exit 2");
        world.started(&ended).await;
        let end = world.ended(ended.key).await;
        let held = shell("echo never");
        let held_process = world.prepared(&held).await;
        let file = world.data().join("pid");
        let running = shell(&format!("setsid sh -c 'echo $$ > {f}; exec sleep 100' & sleep 100", f = file.display()));
        let running_process = world.started(&running).await;
        let gone = shell("while test -d /proc/$PARENT; do sleep 0.01; done");
        let mut gone = gone;
        gone.env.insert("PARENT".into(), world.supervisor().unwrap().to_string());
        let gone_process = world.started(&gone).await;
        wait_until(|| std::fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n'))).await;
        let background: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();

        world.kill_supervisor().await;
        assert!(matches!(world.report().await, Report::Disconnected(_)));
        match world.report().await {
            Report::Connected(known) => assert_eq!(known, []),
            other => panic!("{other:?}"),
        }
        wait_until(|| !is_alive(gone_process.pid as i32)).await;
        assert_eq!(world.inspected(&ended, None).await, Finding::Ended(end));
        assert_eq!(world.inspected(&held, Some(held_process)).await, Finding::NeverStarted);
        assert_eq!(world.inspected(&shell("never asked"), None).await, Finding::NeverStarted);
        let finding = world.inspected(&gone, Some(gone_process)).await;
        assert!(matches!(&finding, Finding::Lost(why) if why.contains("none of its processes")), "{finding:?}");
        assert!(is_alive(background));
        let finding = world.inspected(&running, Some(running_process.clone())).await;
        assert!(matches!(&finding, Finding::Lost(why) if why.contains("has been killed")), "{finding:?}");
        wait_until(|| !is_alive(running_process.pid as i32) && !is_alive(background)).await;

        let other_boot = ProcessId { boot_id: "another".into(), ..running_process };
        let finding = world.inspected(&shell("not on disk"), Some(other_boot)).await;
        assert!(matches!(finding, Finding::Lost(_)), "a missing start proves nothing after a boot");
    }
}

#[tokio::test]
async fn an_attempt_that_is_known_after_all_is_not_inspected() {
    let mut world = World::new().await;
    let job = shell("sleep 100");
    let process = world.started(&job).await;
    let traces = sloth_core::launch::Traces { key: job.key, output: job.output.clone(), process: None };
    world.order(Order::Inspect(Box::new(traces))).await;
    assert!(matches!(world.report().await, Report::Prepared { process: p, .. } if p == process));
    assert!(matches!(world.report().await, Report::Started { .. }));
    assert!(is_alive(process.pid as i32));
    world.order(Order::Kill { key: job.key, grace: Duration::ZERO }).await;
    world.ended(job.key).await;
}

#[tokio::test]
async fn connections_break_all_the_time_and_each_attempt_ends_once() {
    let mut world = World::new().await;
    let ran = world.data().join("ran");
    let mut wanted: HashMap<AttemptKey, i32> = HashMap::new();
    let mut jobs = Vec::new();
    for number in 0..120 {
        let job = shell(&format!("echo {number} >> {}; exit {}", ran.display(), number % 50));
        wanted.insert(job.key, number % 50);
        jobs.push(job);
    }
    let mut recorded: HashMap<AttemptKey, i32> = HashMap::new();
    let mut breaks = 0;
    while recorded.len() < jobs.len() {
        // The engine's part: whatever is neither recorded nor known is ordered again, until it is.
        for job in jobs.iter().filter(|job| !recorded.contains_key(&job.key)) {
            world.order(Order::Prepare(Box::new(job.clone()))).await;
            world.order(Order::Release(job.key)).await;
        }
        let until = tokio::time::Instant::now() + Duration::from_millis(15 + breaks % 7);
        while let Ok(Some(report)) = tokio::time::timeout_at(until, world.reports.as_mut().unwrap().recv()).await {
            match report {
                Report::Ended { key, end } => record(&mut recorded, key, &end.outcome),
                Report::Refused { key, failure } => {
                    assert!(failure.message.contains("has run before") && recorded.contains_key(&key), "{failure:?}");
                }
                _ => {}
            }
        }
        for key in recorded.keys() {
            world.order(Order::Forget(*key)).await;
        }
        for item in world.connect().await {
            if let KnownState::Ended(end) = item.state {
                record(&mut recorded, item.key, &end.outcome);
            }
        }
        breaks += 1;
        assert!(breaks < 500, "{} of {} after {breaks} connections", recorded.len(), jobs.len());
    }
    assert_eq!(recorded, wanted);
    let text = std::fs::read_to_string(&ran).unwrap();
    assert_eq!(text.lines().count(), jobs.len(), "each ran exactly once");
    println!("{} attempts over {breaks} connections", jobs.len());
}

fn record(recorded: &mut HashMap<AttemptKey, i32>, key: AttemptKey, outcome: &Outcome) {
    let Outcome::Exited(code) = outcome else { panic!("{outcome:?}") };
    let before = recorded.insert(key, *code);
    assert!(before.is_none_or(|before| before == *code));
}
