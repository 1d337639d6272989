//! The life of an attempt: held, released, ended, told until forgotten.

use std::time::Duration;

use sloth_core::launch::{KnownState, Order};
use sloth_core::run::Outcome;

use crate::harness::{World, is_alive, shell, wait_until};

#[tokio::test]
async fn the_true_end_is_told() {
    let mut world = World::new().await;
    for (script, expected) in [
        ("exit 0", Outcome::Exited(0)),
        ("exit 3", Outcome::Exited(3)),
        ("exit 255", Outcome::Exited(255)),
        ("kill -9 $$", Outcome::Signaled(9)),
        ("kill -TERM $$", Outcome::Signaled(15)),
        ("ulimit -c 0; kill -SEGV $$", Outcome::Signaled(11)),
    ] {
        let end = world.run(&shell(script)).await;
        assert_eq!(end.outcome, expected, "{script}");
    }
}

#[tokio::test]
async fn a_held_process_does_nothing_until_released() {
    let mut world = World::new().await;
    let mark = world.data().join("mark");
    let job = shell(&format!("echo x >> {}", mark.display()));
    let process = world.prepared(&job).await;
    assert!(is_alive(process.pid as i32));
    world.no_report_for(Duration::from_millis(200)).await;
    assert!(!mark.exists());
    // Repeating changes nothing.
    assert_eq!(world.prepared(&job).await, process);
    world.order(Order::Release(job.key)).await;
    world.order(Order::Release(job.key)).await;
    assert_eq!(world.ended(job.key).await.outcome, Outcome::Exited(0));
    assert_eq!(std::fs::read_to_string(mark).unwrap(), "x\n");
}

#[tokio::test]
async fn a_discarded_process_never_runs() {
    let mut world = World::new().await;
    let mark = world.data().join("mark");
    let job = shell(&format!("touch {}", mark.display()));
    let process = world.prepared(&job).await;
    world.order(Order::Discard(job.key)).await;
    world.order(Order::Release(job.key)).await;
    world.no_report_for(Duration::from_millis(100)).await;
    assert!(!is_alive(process.pid as i32) && !mark.exists());
    assert_eq!(world.connect().await, []);
}

#[tokio::test]
async fn a_process_that_is_ended_while_it_is_held_never_started() {
    let mut world = World::new().await;
    let mark = world.data().join("mark");
    let job = shell(&format!("touch {}", mark.display()));
    world.prepared(&job).await;
    world.order(Order::Kill { key: job.key, grace: Duration::from_secs(1) }).await;
    world.order(Order::Release(job.key)).await;
    let end = world.ended(job.key).await;
    assert!(matches!(end.outcome, Outcome::NotStarted(_)), "{end:?}");
    assert!(!mark.exists());
}

#[tokio::test]
async fn a_held_process_dies_with_its_supervisor() {
    let mut world = World::new().await;
    let mark = world.data().join("mark");
    let job = shell(&format!("touch {}", mark.display()));
    let process = world.prepared(&job).await;
    world.kill_supervisor().await;
    wait_until(|| !is_alive(process.pid as i32)).await;
    assert!(!mark.exists());
}

#[tokio::test]
async fn an_end_is_told_at_each_connection_until_forgotten() {
    let mut world = World::new().await;
    let job = shell("echo out; echo err >&2; exit 7");
    world.started(&job).await;
    let end = world.ended(job.key).await;
    assert_eq!((end.outcome.clone(), end.output_bytes, end.dropped_bytes), (Outcome::Exited(7), 8, 0));
    assert_eq!(end.stderr_tail, "err\n");
    for _ in 0..2 {
        let known = world.connect().await;
        assert_eq!(known.len(), 1);
        assert_eq!(known[0].state, KnownState::Ended(end.clone()));
    }
    assert_eq!(world.output(&job), ("out\n".to_owned(), "err\n".to_owned()));
    world.order(Order::Forget(job.key)).await;
    world.no_report_for(Duration::from_millis(50)).await;
    assert_eq!(world.connect().await, []);
}
