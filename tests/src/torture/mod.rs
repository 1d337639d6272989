//! The kill -9 loop: a thousand schedules fire while slothd, its supervisor or both are killed at random moments; then file, ledger,
//! runs and attempts must tell the same story, without a gap and without a repetition.

mod callers;
mod chaos;
mod ledger;
mod plan;
mod tables;
mod verdict;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Instance;
use crate::process::holds_within;

pub use verdict::Verdict;

/// How much torture.
#[derive(Clone, Debug)]
pub struct Options {
    /// Kills of slothd at least.
    pub kills: u32,
    /// Goes on for at least this long.
    pub at_least: Duration,
    /// Schedules.
    pub schedules: usize,
    /// Due instants of one second, all schedules together.
    pub rate: usize,
    /// Kills of the supervisor: how many of 100 rounds.
    pub supervisor_percent: u64,
    /// Repeats the same run as far as a busy machine allows.
    pub seed: u64,
    /// Says how far it is.
    pub progress: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            kills: 200,
            at_least: Duration::ZERO,
            schedules: 1000,
            rate: 40,
            supervisor_percent: 10,
            seed: 1,
            progress: false,
        }
    }
}

/// Lets everything happen, then judges.
pub fn run(options: &Options) -> anyhow::Result<Verdict> {
    let mut instance = Instance::prepare();
    // Catching up must not outlast the test, and nothing may be folded or deleted before it is looked at.
    instance.config(
        "[scheduler]\ncatch_up_spread = \"1s\"\nhorizon = \"3s\"\n[backup]\nevery = \"0\"\n[log]\nlevel = \"warn\"\n",
    );
    instance.up();
    let marks = instance.dir().join("marks");
    let began = Instant::now();
    plan::add_all(&instance, options, &marks)?;
    let say = |text: String| {
        if options.progress {
            println!("{:>7.1} s  {text}", began.elapsed().as_secs_f64());
        }
    };
    say(format!("{} schedules, {} instants per second", options.schedules, options.rate));
    let callers = callers::start(instance.socket(), options.seed);
    let chaos = chaos::rage(&mut instance, options, &say);
    let promised = callers.stop();
    say(format!("{} kills; calming down", chaos.kills));
    calm(&mut instance)?;
    say("judging".to_owned());
    let mut verdict = verdict::judge(&instance, &marks, &chaos, &promised)?;
    verdict.took = began.elapsed();
    if !verdict.findings.is_empty() {
        keep_evidence(&mut instance, &mut verdict);
    }
    Ok(verdict)
}

/// Nothing new is fired, what is open ends.
fn calm(instance: &mut Instance) -> anyhow::Result<()> {
    if instance.pid() == 0 {
        instance.up();
    }
    instance.ok("POST", "/schedules/-/pause-all", json!({ "reason": "calm" }));
    let open = "SELECT count(*) FROM runs WHERE status IN ('queued', 'starting', 'running')";
    let calm = holds_within(Duration::from_secs(180), || {
        std::thread::sleep(Duration::from_millis(200));
        instance.value(open) == 0
    });
    if !calm {
        let left = instance.rows(
            "SELECT id, schedule, status, attempts, retry_at, pid FROM runs WHERE status IN ('queued', 'starting', 'running') LIMIT 20",
        );
        println!("{}", instance.log());
        anyhow::bail!("runs did not end within 180 s: {left:?}");
    }
    // The audit looks at what is older than 3 s.
    std::thread::sleep(Duration::from_secs(5));
    anyhow::ensure!(instance.ok("GET", "/status", Value::Null)["running"] == 0, "something runs again");
    Ok(())
}

/// Keeps database, marks and log for whoever wants to know.
fn keep_evidence(instance: &mut Instance, verdict: &mut Verdict) {
    instance.term();
    let place = std::env::temp_dir().join(format!("sloth-torture-{}", std::process::id()));
    let copied = std::process::Command::new("cp").arg("-r").arg(instance.dir()).arg(&place).status();
    if copied.is_ok_and(|status| status.success()) {
        verdict.evidence = Some(place);
    }
}
