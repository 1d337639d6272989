//! Measures starts of `/bin/true` from order to recorded end, beside bare posix_spawn and wait in the same run.
//! `cargo run --release -p sloth-exec --example start_bench -- [COUNT] [supervisor arguments]`; build the program first.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sloth_core::launch::{Launch, Order, Report};
use sloth_core::run::Outcome;
use sloth_core::{AttemptKey, Limits, Moment, RunId};
use sloth_exec::{Options, ProcessExecutor};
use tokio::sync::mpsc::Receiver;

const IN_FLIGHT: usize = 16;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let count: usize = arguments.next().map_or(Ok(2000), |text| text.parse())?;
    let directory = tempfile::tempdir()?;
    let program =
        std::env::current_exe()?.parent().and_then(|p| p.parent()).context("no target directory")?.join("sloth-exec");
    let (executor, mut reports) = ProcessExecutor::start_with(Options {
        data: directory.path().to_owned(),
        socket: directory.path().join("exec.sock"),
        program,
        arguments: arguments.map(Into::into).collect(),
    });
    let Some(Report::Connected(_)) = reports.recv().await else { bail!("no supervisor") };
    ours(&executor, &mut reports, 100, 1).await?;

    for round in 1..=10 {
        let bare = rate(count, bare_sequential(count)?);
        let sequential = rate(count, ours(&executor, &mut reports, count, 1).await?);
        let bare_flight = rate(count, bare_in_flight(count)?);
        let flight = rate(count, ours(&executor, &mut reports, count, IN_FLIGHT).await?);
        println!(
            "round {round}: sequential {sequential:.0}/s of bare {bare:.0}/s = {:.2}; {IN_FLIGHT} in flight {flight:.0}/s of bare {bare_flight:.0}/s = {:.2}",
            sequential / bare,
            flight / bare_flight
        );
    }
    let lock = std::fs::read_to_string(directory.path().join("exec.sock.lock"))?;
    let status = std::fs::read_to_string(format!("/proc/{}/status", lock.trim()))?;
    for line in
        status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS") || line.starts_with("Rss"))
    {
        println!("supervisor {line}");
    }
    // The last order is on its way; without it the supervisor would keep an end for ever.
    tokio::time::sleep(Duration::from_millis(200)).await;
    Ok(())
}

fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

async fn ours(
    executor: &ProcessExecutor,
    reports: &mut Receiver<Report>,
    count: usize,
    in_flight: usize,
) -> Result<Duration> {
    let begin = Instant::now();
    let (mut asked, mut ended) = (0, 0);
    while ended < count {
        while asked < count && asked - ended < in_flight {
            let launch = launch();
            let key = launch.key;
            executor.order(Order::Prepare(Box::new(launch))).await?;
            executor.order(Order::Release(key)).await?;
            asked += 1;
        }
        match reports.recv().await.context("the executor has ended")? {
            Report::Ended { key, end } if end.outcome == Outcome::Exited(0) => {
                executor.order(Order::Forget(key)).await?;
                ended += 1;
            }
            Report::Prepared { .. } | Report::Started { .. } => {}
            other => bail!("unexpected {other:?}"),
        }
    }
    Ok(begin.elapsed())
}

fn bare() -> Command {
    let mut command = Command::new("/bin/true");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn bare_sequential(count: usize) -> Result<Duration> {
    let begin = Instant::now();
    for _ in 0..count {
        bare().status()?;
    }
    Ok(begin.elapsed())
}

fn bare_in_flight(count: usize) -> Result<Duration> {
    let begin = Instant::now();
    let mut running = std::collections::VecDeque::new();
    for _ in 0..count {
        if running.len() == IN_FLIGHT {
            let first: Option<std::process::Child> = running.pop_front();
            first.context("none runs")?.wait()?;
        }
        running.push_back(bare().spawn()?);
    }
    for mut child in running {
        child.wait()?;
    }
    Ok(begin.elapsed())
}

fn launch() -> Launch {
    static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let run = RunId::v7(Moment::from_secs(1_900_000_000), u128::from(count) << 8);
    Launch {
        key: AttemptKey { run, attempt: 1 },
        argv: vec!["/bin/true".to_owned()],
        user: nix::unistd::User::from_uid(nix::unistd::geteuid())
            .ok()
            .flatten()
            .map_or("root".to_owned(), |user| user.name),
        group: None,
        cwd: None,
        env: BTreeMap::from([("SLOTH_RUN_ID".to_owned(), run.to_string())]),
        umask: 0o022,
        stdin: None,
        limits: Limits::default(),
        timeout: Some(Duration::from_secs(60)),
        kill_grace: Duration::from_secs(10),
        output: format!("runs/2031-03/{run}/output").into(),
        output_limit: 10 << 20,
        sandbox: Default::default(),
        journal: false,
    }
}
