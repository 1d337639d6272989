//! Measures runs of `/bin/true` as units, from order to reported end, beside `systemd-run --wait` in turn. Needs systemd; run as root:
//! `unit_bench SLOTH_EXEC [COUNT]`.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sloth_core::launch::{Launch, Order, Report};
use sloth_core::run::Outcome;
use sloth_core::{AttemptKey, Limits, Moment, RunId};
use sloth_exec::{Manager, SystemdExecutor, SystemdOptions};
use tokio::sync::mpsc::Receiver;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().context("usage: unit_bench SLOTH_EXEC [COUNT]")?;
    let count: usize = arguments.next().map_or(Ok(200), |text| text.parse())?;
    let directory = tempfile::tempdir()?;
    let options = SystemdOptions {
        data: directory.path().to_owned(),
        program: std::path::absolute(program)?,
        manager: Manager::System,
    };
    let (executor, mut reports) = SystemdExecutor::start(options);
    let Some(Report::Connected(_)) = reports.recv().await else { bail!("no systemd") };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..count {
        ours.push(one(&executor, &mut reports).await?);
        theirs.push(systemd_run()?);
    }
    ours.sort_unstable();
    theirs.sort_unstable();
    let (ours, theirs) = (ours[count / 2], theirs[count / 2]);
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    println!(
        "{count} in turn, median us: ours {} systemd-run {} ratio {ratio:.2}",
        ours.as_micros(),
        theirs.as_micros()
    );
    let begin = Instant::now();
    many(&executor, &mut reports, count).await?;
    println!("in bulk: {:.0} /s", count as f64 / begin.elapsed().as_secs_f64());
    Ok(())
}

async fn one(executor: &SystemdExecutor, reports: &mut Receiver<Report>) -> Result<Duration> {
    let begin = Instant::now();
    many(executor, reports, 1).await?;
    Ok(begin.elapsed())
}

async fn many(executor: &SystemdExecutor, reports: &mut Receiver<Report>, count: usize) -> Result<()> {
    for _ in 0..count {
        let launch = launch();
        let key = launch.key;
        executor.order(Order::Prepare(Box::new(launch))).await?;
        executor.order(Order::Release(key)).await?;
    }
    let mut ended = 0;
    while ended < count {
        match reports.recv().await.context("the executor has ended")? {
            Report::Ended { key, end } if end.outcome == Outcome::Exited(0) => {
                executor.order(Order::Forget(key)).await?;
                ended += 1;
            }
            Report::Prepared { .. } | Report::Started { .. } => {}
            other => bail!("unexpected {other:?}"),
        }
    }
    Ok(())
}

fn systemd_run() -> Result<Duration> {
    let begin = Instant::now();
    let mut command = Command::new("systemd-run");
    let status = command.args(["--wait", "--quiet", "/bin/true"]).stdin(Stdio::null()).status()?;
    if !status.success() {
        bail!("systemd-run: {status}");
    }
    Ok(begin.elapsed())
}

fn launch() -> Launch {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let run = RunId::v7(Moment::from_micros(now.as_micros() as i64), now.as_nanos());
    Launch {
        key: AttemptKey { run, attempt: 1 },
        argv: vec!["/bin/true".to_owned()],
        user: "root".to_owned(),
        group: None,
        cwd: Some("/".into()),
        env: BTreeMap::new(),
        umask: 0o022,
        stdin: None,
        limits: Limits::default(),
        timeout: None,
        kill_grace: Duration::from_secs(10),
        output: format!("runs/2031-03/{run}/output").into(),
        output_limit: 10 << 20,
        sandbox: Default::default(),
        journal: false,
    }
}
