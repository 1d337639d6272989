//! The whole tree ends: on a time limit, on a kill, and with the main process; with cgroups and without.

use std::time::{Duration, Instant};

use sloth_core::launch::Order;
use sloth_core::run::Outcome;

use crate::harness::{World, is_alive, shell, wait_until};

const BOTH: [&[&str]; 2] = [&[], &["--no-cgroup"]];

/// Leaves the session twice over, forgets its parents and is deaf to TERM, as the worst daemons are. Writes its number here.
fn daemon(file: &std::path::Path) -> String {
    let file = file.display();
    let inner = format!(
        "echo $$ > {file}.part; mv {file}.part {file}; trap : TERM; i=0; while [ $i -lt 1200 ]; do i=$((i+1)); sleep 0.05; done"
    );
    format!("INNER='{inner}' setsid sh -c 'setsid sh -c \"$INNER\" </dev/null >/dev/null 2>&1 & exit 0'")
}

async fn pid_in(file: &std::path::Path) -> i32 {
    wait_until(|| file.exists()).await;
    std::fs::read_to_string(file).unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn a_time_limit_ends_daemons_too() {
    for arguments in BOTH {
        let mut world = World::with(arguments).await;
        let file = world.data().join("pid");
        let mut job = shell(&format!("{}; sleep 100", daemon(&file)));
        job.timeout = Some(Duration::from_millis(300));
        job.kill_grace = Duration::from_millis(200);
        let begin = Instant::now();
        world.started(&job).await;
        let pid = pid_in(&file).await;
        let end = world.ended(job.key).await;
        assert_eq!(end.outcome, Outcome::TimedOut, "{arguments:?}");
        assert!(!is_alive(pid), "{arguments:?}: the daemon still lives");
        assert!(begin.elapsed() < Duration::from_secs(3), "{arguments:?}: {:?}", begin.elapsed());
    }
}

#[tokio::test]
async fn what_the_main_process_leaves_behind_is_ended() {
    for arguments in BOTH {
        let mut world = World::with(arguments).await;
        let file = world.data().join("pid");
        let job = shell(&format!("{}; while ! test -e {}; do sleep 0.01; done; exit 4", daemon(&file), file.display()));
        let end = world.run(&job).await;
        assert_eq!(end.outcome, Outcome::Exited(4), "{arguments:?}");
        assert!(!is_alive(pid_in(&file).await), "{arguments:?}");
    }
}

#[tokio::test]
async fn without_cgroups_even_a_process_that_hides_from_everything_is_ended() {
    let mut world = World::with(&["--no-cgroup"]).await;
    let file = world.data().join("pid");
    let job = shell(&format!(
        "env -i /usr/bin/setsid /bin/sh -c 'env -i /usr/bin/setsid /bin/sh -c \"echo \\$\\$ > {f}.part; mv {f}.part {f}; exec sleep 100\" </dev/null >/dev/null 2>&1 & exit 0'; while ! test -e {f}; do sleep 0.01; done",
        f = file.display()
    ));
    let end = world.run(&job).await;
    assert_eq!(end.outcome, Outcome::Exited(0));
    let pid = pid_in(&file).await;
    wait_until(|| !is_alive(pid)).await;
}

#[tokio::test]
async fn term_comes_first_and_kill_after_the_grace() {
    for arguments in BOTH {
        let mut world = World::with(arguments).await;
        let mut gentle = shell("trap 'echo bye; exit 9' TERM; echo ready; while :; do sleep 0.02; done");
        gentle.timeout = Some(Duration::from_millis(200));
        gentle.kill_grace = Duration::from_secs(10);
        let end = world.run(&gentle).await;
        assert_eq!(end.outcome, Outcome::TimedOut);
        assert_eq!(world.output(&gentle).0, "ready\nbye\n", "{arguments:?}");

        let mut deaf = shell("trap '' TERM; while :; do sleep 0.02; done");
        deaf.timeout = Some(Duration::from_millis(200));
        deaf.kill_grace = Duration::from_millis(200);
        let begin = Instant::now();
        assert_eq!(world.run(&deaf).await.outcome, Outcome::TimedOut);
        let took = begin.elapsed();
        assert!(took >= Duration::from_millis(390) && took < Duration::from_secs(3), "{arguments:?}: {took:?}");
    }
}

#[tokio::test]
async fn a_kill_with_and_without_grace() {
    for arguments in BOTH {
        let mut world = World::with(arguments).await;
        for grace in [Duration::ZERO, Duration::from_millis(150)] {
            let job = shell("trap '' TERM; sleep 100 & wait; sleep 100");
            world.started(&job).await;
            world.order(Order::Kill { key: job.key, grace }).await;
            assert_eq!(world.ended(job.key).await.outcome, Outcome::Killed, "{arguments:?} {grace:?}");
        }
    }
}

#[tokio::test]
async fn a_stopped_job_can_be_killed() {
    let mut world = World::with(&["--no-cgroup"]).await;
    let job = shell("kill -STOP $$");
    world.started(&job).await;
    world.order(Order::Kill { key: job.key, grace: Duration::from_secs(5) }).await;
    assert_eq!(world.ended(job.key).await.outcome, Outcome::Killed);
}

#[tokio::test]
async fn a_fork_bomb_dies() {
    for arguments in BOTH {
        let mut world = World::with(arguments).await;
        // Bounded in number and in time, so that an interrupted test does not take the machine with it.
        let bomb = shell(
            "i=0; while [ $i -lt 300 ]; do i=$((i+1)); \
             (trap '' TERM; j=0; while [ $j -lt 300 ]; do j=$((j+1)); sleep 0.03; (sleep 0.01 &) ; done) & done; wait",
        );
        world.started(&bomb).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        let begin = Instant::now();
        world.order(Order::Kill { key: bomb.key, grace: Duration::ZERO }).await;
        assert_eq!(world.ended(bomb.key).await.outcome, Outcome::Killed);
        println!("{arguments:?}: the bomb was dead after {:?}", begin.elapsed());
        let mark = format!("SLOTH_RUN_ID={}", bomb.key.run);
        let left = std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
            let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            environ.split(|byte| *byte == 0).any(|part| part == mark.as_bytes())
        });
        assert_eq!(left.count(), 0, "{arguments:?}");
    }
}
