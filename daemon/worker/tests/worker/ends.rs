//! Cancel, pause, time-outs, and connections that break.

use std::time::{Duration, Instant};

use sloth_api::worker::{Record, ToWorker};

use crate::fake::Fake;

fn started(name: &'static str) -> impl Fn(&Record) -> bool {
    move |record| matches!(record, Record::TaskStarted { task, .. } if task == name)
}

/// "running attempts get the kill sequence, tasks `cancelled`, saga compensation runs"
#[test]
fn cancel() {
    let mut fake = Fake::new(
        r#"
        task("slow"):command("echo $$ > pid; exec sleep 60")
        task("function"):command(function() async.sleep(60000) end)
        task("later"):command("true"):depends_on("slow")
        "#,
    );
    let running = fake.start();
    running.until(started("slow"));
    std::thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    running.cancel(false);
    assert!(running.wait().success);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let end = fake.end();
    assert_eq!((end.status.as_str(), end.reason.as_deref()), ("cancelled", Some("user")));
    let mut words = fake.words();
    words.sort();
    assert_eq!(words, ["function=cancelled", "later=cancelled", "slow=cancelled"]);
    let pid = fake.read("pid");
    assert!(!std::path::Path::new("/proc").join(pid.trim()).exists(), "the process {pid} lives");
}

/// "`--force` skips grace and handlers"
#[test]
fn cancel_by_force() {
    let mut fake = Fake::new(
        r#"task("deaf"):command("trap '' TERM; touch ready; while :; do sleep 0.1; done"):on_complete(function() exec.run("touch handled") end)"#,
    );
    let running = fake.start();
    running.until(started("deaf"));
    while !fake.path("ready").exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let began = Instant::now();
    running.cancel(true);
    assert!(running.wait().success);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(fake.task("deaf").status, "cancelled");
    assert!(!fake.path("handled").exists());
}

/// "`run cancel ID --task T`: only that task"
#[test]
fn cancel_one_task() {
    let mut fake = Fake::new(
        r#"
        task("slow"):command("sleep 60")
        task("other"):command("sleep 0.5")
        "#,
    );
    let running = fake.start();
    running.until(started("slow"));
    running.tell(&ToWorker::Cancel {
        reason: "user".to_owned(),
        task: Some("slow".to_owned()),
        force: false,
        compensate: true,
    });
    running.wait();
    assert_eq!((fake.task("slow").status.as_str(), fake.task("other").status.as_str()), ("cancelled", "completed"));
}

/// "nothing new starts, running tasks go on"
#[test]
fn pause() {
    let mut fake = Fake::new(
        r#"
        task("a"):command("touch begun; sleep 0.3")
        task("b"):command("true"):depends_on("a")
        "#,
    );
    let running = fake.start();
    running.until(started("a"));
    // The record comes first: what is not running yet when the pause comes waits for its end.
    for _ in 0..1000 {
        if fake.path("begun").exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    running.tell(&ToWorker::Pause);
    running.until(|record| matches!(record, Record::TaskFinished { end } if end.name == "a"));
    std::thread::sleep(Duration::from_millis(300));
    assert!(!fake.journal().iter().any(started("b")));
    running.tell(&ToWorker::Unpause);
    running.wait();
    assert_eq!(fake.words(), ["a=completed", "b=completed"]);
}

/// "task `timeout`: kill, kind `timeout`"; handlers `on_timeout`, then `on_failure`.
#[test]
fn timeout() {
    let mut fake = Fake::new(
        r#"
        task("slow"):command("sleep 60"):timeout("300ms")
          :on_timeout(function() exec.run("echo timeout >> seen") end)
          :on_failure(function(this, params, err) exec.run("echo " .. err.kind .. " >> seen") end)
        task("loop"):command(function() while true do end end):timeout("300ms")
        "#,
    );
    fake.job.options.continue_on_error = true;
    fake.run();
    let slow = fake.task("slow");
    assert_eq!((slow.status.as_str(), slow.kind.as_deref()), ("failed", Some("timeout")), "{slow:?}");
    assert_eq!(fake.read("seen"), "timeout\ntimeout\n");
    assert_eq!(fake.task("loop").kind.as_deref(), Some("timeout"));
}

/// "unacknowledged records are sent again; records carry sequence numbers, so none counts twice"
#[test]
fn connections_break() {
    let mut fake = Fake::new(
        r#"
        for i = 1, 20 do task("t" .. i):command(function() return { n = i } end) end
        "#,
    );
    fake.faults.cut_every = Some(5);
    let ended = fake.run();
    assert!(ended.success, "{}", ended.stderr);
    assert_eq!(fake.end().status, "completed");
    assert_eq!(fake.tasks().len(), 20);
}
