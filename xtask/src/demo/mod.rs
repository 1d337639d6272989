//! `cargo xtask demo`: half a minute that shows what slothd is good for, on a private instance that leaves nothing behind. It exits
//! with 0 only when everything that it claims has happened.

mod feed;
mod proof;
mod screen;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};

use crate::instance::{Instance, is_alive};
use crate::{interrupt, workspace};
use feed::Feed;
use screen::{Ink, Screen};

const HELP: &str = "Usage: cargo xtask demo [--keep]

Builds slothd (dev profile), starts it below a temporary directory and shows for half a minute how it runs
schedules, retries, skips overlaps, and goes on after kill -9. Needs no root and leaves nothing behind.

Options:
  --keep   leave the private slothd running at the end, to play with; it says how to end it
";

const BEFORE_BACKUP: Duration = Duration::from_millis(9500);
const BEFORE_KILL: Duration = Duration::from_millis(2500);
const DEAD: Duration = Duration::from_millis(3500);
const AFTER: Duration = Duration::from_millis(7500);
/// After so long the cron schedule of the demo is due.
const CRON_AHEAD: u64 = 7;

/// Runs `cargo xtask demo`.
pub fn run(args: &[String]) -> Result<ExitCode> {
    let mut is_kept = false;
    for arg in args {
        match arg.as_str() {
            "-h" | "--help" => {
                print!("{HELP}");
                return Ok(ExitCode::SUCCESS);
            }
            "--keep" => is_kept = true,
            other => bail!("unknown option `{other}`; see `cargo xtask demo --help`"),
        }
    }
    interrupt::watch()?;
    let screen = Screen::new();
    let programs = build(screen)?;
    let mut instance = Instance::new(programs, "demo")?;
    let played = play(screen, &mut instance);
    match played {
        Ok(true) if is_kept => {
            instance.is_kept = true;
            screen.say("It is still running, as you asked. To end it and everything it runs:");
            let pids = [instance.pid(), instance.supervisor()].map(|pid| pid.map_or(String::new(), |p| p.to_string()));
            screen.command(&format!("kill {}; rm -r {}", pids.join(" "), instance.root.display()));
            Ok(ExitCode::SUCCESS)
        }
        Ok(true) => {
            let root = instance.root.clone();
            drop(instance);
            screen.say(&format!("slothd is stopped and {} is removed.", root.display()));
            Ok(ExitCode::SUCCESS)
        }
        Ok(false) => Ok(ExitCode::FAILURE),
        Err(_) if interrupt::asked() => {
            drop(instance);
            println!("\nInterrupted: slothd is stopped, its directory is removed.");
            Ok(ExitCode::from(130))
        }
        Err(error) => Err(error),
    }
}

/// Builds the three programs; they are beside this one afterwards.
fn build(screen: Screen) -> Result<PathBuf> {
    screen.gap();
    screen.heading("slothd: runs what has to happen when nobody is watching");
    screen.say(
        "Like cron it starts commands when they are due. Unlike cron it writes down every due instant and what became \
         of it before anything starts, so that no crash loses a run or makes it twice, and anyone can ask why.",
    );
    screen.gap();
    screen.say("Building it first (dev profile): minutes on a fresh clone, otherwise seconds.");
    let root = workspace::root()?;
    let status = workspace::cargo(&root)
        .args(["build", "--quiet", "-p", "slothd", "-p", "slothctl", "-p", "sloth-exec", "-p", "sloth-worker"])
        .status()
        .context("cannot run cargo build")?;
    interrupt::check()?;
    if !status.success() {
        bail!("the build failed ({status})");
    }
    let here = std::env::current_exe().context("cannot find this program")?;
    Ok(here.parent().context("this program has no directory")?.to_owned())
}

/// The whole play; `false` when something that it claims did not happen.
fn play(screen: Screen, instance: &mut Instance) -> Result<bool> {
    start(screen, instance)?;
    let mut feed = Feed::open(instance, screen)?;
    schedules(screen, instance)?;

    screen.heading("3. Watch");
    screen.say("Seconds from now, schedule, and what happened. The same stream in full: slothctl events tail -f");
    screen.gap();
    feed.follow(BEFORE_BACKUP)?;
    screen.gap();
    let run = crash(screen, instance, &mut feed)?;
    feed.follow(AFTER)?;
    screen.gap();
    drop(feed);

    look_back(screen, instance)?;
    proof::check(screen, instance, &run)
}

fn start(screen: Screen, instance: &mut Instance) -> Result<()> {
    screen.gap();
    screen.heading("1. Start a private slothd");
    screen.say(
        "No root, no configuration, one directory. The commands below are real; --keep lets it run on for you to try.",
    );
    screen.gap();
    screen.command(&format!("export PATH={}:$PATH", instance.programs.display()));
    screen.command(&format!("export SLOTHD_ROOT={}", instance.root.display()));
    screen.command("slothd --root $SLOTHD_ROOT &");
    let took = instance.start()?;
    println!("    ready after {} ms, process {}", took.as_millis(), instance.pid().unwrap_or_default());
    screen.gap();
    Ok(())
}

fn schedules(screen: Screen, instance: &Instance) -> Result<()> {
    screen.heading("2. Give it something to do");
    screen.say("A job every two seconds:");
    screen.gap();
    screen.run(instance, &["scheduler", "add", "pulse", "--every", "2s", "--", "date", "+%T"])?;
    screen.say("Cron in another time zone, here Tokyo. It is due in a few seconds, and then once a day:");
    screen.gap();
    let cron = soon_in_tokyo();
    screen
        .run(instance, &["scheduler", "add", "tokyo", "--cron", &cron, "--tz", "Asia/Tokyo", "--", "echo", "ohayo"])?;
    screen.say("A job that fails twice. It is tried again after 1 s, then after 2 s:");
    screen.gap();
    let flaky = ["--retries", "3", "--retry-delay", "1s", "--retry-backoff", "exponential"];
    let shell = ["--shell", "test $SLOTH_ATTEMPT = 3"];
    screen.run(instance, &[&["scheduler", "add", "flaky", "--every", "5s"], &flaky[..], &shell].concat())?;
    screen.say("A job that takes longer than its period. A second copy must not start beside it:");
    screen.gap();
    let slow = ["scheduler", "add", "slow", "--every", "3s", "--overlap", "skip", "--", "sleep", "4"];
    screen.run(instance, &slow)?;
    screen.say("A backup that is started by hand, and a mail that follows when it has succeeded:");
    screen.gap();
    let steps = "for part in 1 2 3 4 5 6 7 8; do echo part $part; sleep 1; done";
    screen.run(instance, &["scheduler", "add", "backup", "--manual", "--shell", steps])?;
    screen.run(
        instance,
        &["scheduler", "add", "mail", "--manual", "--after", "backup=success", "--", "echo", "the backup is done"],
    )
}

/// Kills slothd while a backup runs and starts it again; returns the run.
fn crash(screen: Screen, instance: &mut Instance, feed: &mut Feed) -> Result<proof::Backup> {
    screen.heading("4. Kill slothd while a backup is running");
    screen.run(instance, &["scheduler", "run", "backup"])?;
    feed.follow(BEFORE_KILL)?;
    let running = instance.ask(&["runs", "list", "--schedule", "backup"])?;
    let id = running[0]["id"].as_str().context("the backup does not run")?.to_owned();
    let pid = instance.ask(&["runs", "show", &id])?["pid"].as_u64().context("the backup has no process")?;
    let pid = u32::try_from(pid).context("a process id out of range")?;

    screen.gap();
    screen.command(&format!("kill -KILL {}    # slothd, without any warning", instance.pid().unwrap_or_default()));
    instance.kill()?;
    interrupt::pause(DEAD)?;
    let survived = is_alive(pid);
    let (is, ink) = if survived { ("lives on below its supervisor", Ink::Good) } else { ("is gone", Ink::Bad) };
    let later = DEAD.as_secs_f64();
    println!("    {later:.1} s without slothd: process {pid} of the backup {}", screen.paint(is, ink));
    screen.gap();
    screen.command("slothd --root $SLOTHD_ROOT &");
    let took = instance.start()?;
    println!("    ready after {} ms, process {}", took.as_millis(), instance.pid().unwrap_or_default());
    screen.gap();
    Ok(proof::Backup { id, pid, survived })
}

fn look_back(screen: Screen, instance: &Instance) -> Result<()> {
    screen.heading("5. Look back");
    screen.say("All schedules:");
    screen.gap();
    screen.run(instance, &["scheduler", "list", "--columns", "name,schedule,next,last,runs"])?;
    screen.say("The ledger has one line for every instant, also for those at which nothing ran:");
    screen.gap();
    let columns = "due,decision,result,late,duration,trigger";
    screen.run(instance, &["scheduler", "history", "slow", "-n", "8", "--columns", columns])?;
    screen.say("Why did nothing run there?");
    screen.gap();
    let at = skipped_instant(instance)?;
    screen.run(instance, &["scheduler", "explain", "slow", "--at", &at])?;
    screen.say("What the backup wrote, before, during and after the crash:");
    screen.gap();
    let backup = instance.ask(&["runs", "list", "--schedule", "backup"])?;
    screen.run(instance, &["logs", backup[0]["id"].as_str().unwrap_or_default()])?;
    screen.say("Cron across daylight saving time: 02:30 does not exist in New York on 9 March 2031.");
    screen.gap();
    let next = ["scheduler", "next", "30 2 * * *", "--tz", "America/New_York", "--from", "2031-03-08", "-n", "3"];
    screen.run(instance, &[&next[..], &["--columns", "local,note"]].concat())?;
    screen.say("The proof: recompute every instant from the rules and compare it with the ledger.");
    screen.gap();
    screen.run(instance, &["scheduler", "audit"])
}

/// An instant of `slow` that was skipped because of its earlier run.
fn skipped_instant(instance: &Instance) -> Result<String> {
    let rows = instance.ask(&["scheduler", "history", "slow"])?;
    let rows = rows.as_array().context("the history is no list")?;
    let skipped = rows.iter().find(|row| row["detail"].as_str().is_some_and(|detail| detail.starts_with("overlap")));
    Ok(skipped.and_then(|row| row["due_at"].as_str()).context("no instant was skipped")?.to_owned())
}

/// A cron expression for a few seconds from now on the clocks of Tokyo, which are nine hours ahead all year.
fn soon_in_tokyo() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let second = (now + CRON_AHEAD + 9 * 3600) % 86_400;
    format!("{} {} {} * * *", second % 60, second / 60 % 60, second / 3600)
}
