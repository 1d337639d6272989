//! tokio-cron-scheduler as firing engine, with nothing durable: the best that it can do.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_cron_scheduler::{Job, JobScheduler};

pub fn run(count: usize, instants: usize) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let (expected, lateness) = runtime.block_on(fire(count, instants));
    super::report(expected, &lateness);
}

async fn fire(count: usize, instants: usize) -> (usize, Vec<u64>) {
    let mut scheduler = JobScheduler::new().await.expect("a scheduler");
    let late = Arc::new(Mutex::new(Vec::with_capacity(count * instants)));
    for _ in 0..count {
        let late = late.clone();
        let job = Job::new_async("* * * * * *", move |_, _| {
            let late = late.clone();
            Box::pin(async move {
                let now = super::since_epoch();
                late.lock().expect("not poisoned").push((now.as_secs(), u64::from(now.subsec_micros())));
            })
        });
        scheduler.add(job.expect("a job")).await.expect("added");
    }
    scheduler.start().await.expect("started");
    // The first two seconds are for settling down; it fires up to a second late, so there is one more at the end.
    let from = super::since_epoch().as_secs() + 2;
    let to = from + instants as u64;
    tokio::time::sleep(Duration::from_secs(instants as u64 + 4)).await;
    scheduler.shutdown().await.expect("stopped");
    let late = late.lock().expect("not poisoned");
    let counted = late.iter().filter(|(second, _)| (from..to).contains(second)).map(|(_, us)| *us).collect();
    (count * instants, counted)
}
