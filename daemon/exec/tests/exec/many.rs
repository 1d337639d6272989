//! Many at once, and nobody starved.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use sloth_core::launch::{Order, Report};
use sloth_core::run::Outcome;

use crate::harness::{World, shell};

#[tokio::test]
async fn five_hundred_at_once() {
    for arguments in [&[][..], &["--no-cgroup"]] {
        let mut world = World::with(arguments).await;
        let begin = Instant::now();
        let jobs: HashMap<_, _> = (0..500)
            .map(|number| {
                let job = shell(&format!("read line </dev/null; sleep 0.{}; exit {}", number % 5, number % 200));
                (job.key, (job, number % 200))
            })
            .collect();
        for (job, _) in jobs.values() {
            world.order(Order::Prepare(Box::new(job.clone()))).await;
            world.order(Order::Release(job.key)).await;
        }
        let mut ended = HashSet::new();
        while ended.len() < jobs.len() {
            if let Report::Ended { key, end } = world.report().await {
                assert_eq!(end.outcome, Outcome::Exited(jobs[&key].1));
                assert!(ended.insert(key), "{key} ended twice");
                world.order(Order::Forget(key)).await;
            }
        }
        println!("{arguments:?}: 500 jobs in {:?}", begin.elapsed());
        world.no_report_for(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_chatty_job_starves_nobody() {
    let mut world = World::new().await;
    let mut chatty = shell("exec yes");
    chatty.output_limit = 1 << 20;
    world.started(&chatty).await;
    for _ in 0..20 {
        let begin = Instant::now();
        assert_eq!(world.run(&shell("echo x")).await.outcome, Outcome::Exited(0));
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    }
    world.order(Order::Kill { key: chatty.key, grace: Duration::ZERO }).await;
    assert_eq!(world.ended(chatty.key).await.outcome, Outcome::Killed);
}
