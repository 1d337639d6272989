//! Benches of a whole slothd below a temporary directory.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::http::Connection;
use super::row::{Row, median, percentile};
use super::{Bench, probe};
use crate::instance::Instance;
use crate::interrupt;

/// Connections that add schedules at once.
const CONNECTIONS: u64 = 16;

fn instance(bench: &Bench) -> Result<Instance> {
    Instance::new(bench.programs.clone(), "bench")
}

fn pid(instance: &Instance) -> Result<u32> {
    instance.pid().context("slothd does not run")
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Writes a database before slothd starts; the seed of runs ends by an abort, as a power failure would.
fn seed(bench: &Bench, instance: &Instance, what: &str, count: u64) -> Result<()> {
    let program = probe::example(&bench.root, &bench.programs, "slothd", "fire_bench")?;
    let status = Command::new(program)
        .arg(what)
        .arg(&instance.root)
        .arg(count.to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("cannot write a database")?;
    interrupt::check()?;
    if !status.success() && what != "runs" {
        bail!("fire_bench {what} failed ({status})");
    }
    Ok(())
}

pub fn sched10k(bench: &Bench) -> Result<Vec<Row>> {
    let mut empty = instance(bench)?;
    empty.start()?;
    probe::settle(pid(&empty)?)?;
    let base = probe::rss_mib(pid(&empty)?);
    drop(empty);
    let mut rows = Vec::new();
    for (count, text, ready_ms, extra_mib) in
        [(10_000, "10,000", 1000.0, 10.0), (100_000, "100,000", 1000.0, 100.0), (1_000_000, "1,000,000", 3000.0, 100.0)]
    {
        if count == 1_000_000 && !bench.full {
            continue;
        }
        let mut instance = instance(bench)?;
        seed(bench, &instance, "schedules", count)?;
        // The first start takes each of them in, and its work is what loading costs; the second is the usual one.
        instance.start()?;
        probe::settle(pid(&instance)?)?;
        let taken_in = probe::cpu(pid(&instance)?).as_secs_f64();
        instance.kill()?;
        let ready = ms(instance.start()?);
        probe::settle(pid(&instance)?)?;
        let rss = probe::rss_mib(pid(&instance)?);
        let idle = Duration::from_secs(if bench.quick { 10 } else { 60 });
        let cpu = probe::cpu_percent(pid(&instance)?, idle)?;
        let raw = json!({ "empty_mib": base, "rss_mib": rss, "taken_in_cpu_s": taken_in });
        rows.push(Row::at_most("sched10k", format!("{text}: ready after kill -9"), "ms", ready, ready_ms).raw(raw));
        rows.push(Row::at_most("sched10k", format!("{text}: extra memory"), "MiB", rss - base, extra_mib));
        rows.push(Row::at_most("sched10k", format!("{text}: taken in, CPU"), "s", taken_in, count as f64 / 1e5));
        rows.push(Row::at_most("sched10k", format!("{text}: idle CPU"), "%", cpu, 0.02));
    }
    Ok(rows)
}

pub fn api_add(bench: &Bench) -> Result<Vec<Row>> {
    let mut instance = instance(bench)?;
    instance.start()?;
    let rounds = if bench.quick { 3 } else { 10 };
    let mut rates = Vec::new();
    let next = AtomicU64::new(0);
    for _ in 0..rounds {
        interrupt::check()?;
        rates.push(add_for(&instance.root.join("slothd.sock"), Duration::from_secs(1), &next)?);
    }
    let rate = median(&rates);
    Ok(vec![Row::at_least("api-add", "added/s, 16 connections", "/s", rate, 2000.0).raw(json!(rates))])
}

fn add_for(socket: &Path, time: Duration, next: &AtomicU64) -> Result<f64> {
    let begin = Instant::now();
    let add = |mut connection: Connection| -> Result<u64> {
        let mut added = 0;
        while begin.elapsed() < time {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let body = json!({ "name": format!("job-{n}"), "trigger": "30 2 * * *", "command": ["/bin/true"] });
            let status = connection.post("/schedules", &body.to_string())?;
            if status != 201 && status != 200 {
                bail!("slothd answered with status {status}");
            }
            added += 1;
        }
        Ok(added)
    };
    let counts: Result<Vec<u64>> = std::thread::scope(|scope| {
        let open = (0..CONNECTIONS).map(|_| Connection::open(socket)).collect::<Result<Vec<_>>>()?;
        let threads: Vec<_> = open.into_iter().map(|connection| scope.spawn(|| add(connection))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("a thread panicked"))).collect()
    });
    Ok(counts?.iter().sum::<u64>() as f64 / begin.elapsed().as_secs_f64())
}

pub fn idle(bench: &Bench) -> Result<Vec<Row>> {
    let mut instance = instance(bench)?;
    instance.start()?;
    probe::settle(pid(&instance)?)?;
    let time = Duration::from_secs(if bench.quick { 10 } else { 60 });
    let cpu = probe::cpu_percent(pid(&instance)?, time)?;
    let fresh = probe::rss_mib(pid(&instance)?);
    let half: u64 = if bench.quick { 1000 } else { 10_000 };
    let first = after_runs(&instance, half)?;
    let second = after_runs(&instance, half * 2)?;
    let supervisor = instance.supervisor().map_or(f64::NAN, probe::rss_mib);
    let raw = json!({ "fresh": fresh, "after_half": first, "after_all": second, "runs": half * 2 });
    Ok(vec![
        Row::at_most("idle", "slothd, fresh", "MiB", fresh, 15.0).raw(raw),
        Row::at_most("idle", "slothd, nothing to do, CPU", "%", cpu, 0.02),
        Row::at_most("idle", format!("slothd after {half} runs"), "MiB", first, 15.0),
        Row::at_most("idle", format!("slothd after {} runs", half * 2), "MiB", second, first * 1.05),
        Row::at_most("idle", "sloth-exec after them", "MiB", supervisor, 8.0),
    ])
}

/// Memory when so many runs have been made: a hundred each second, then rest.
fn after_runs(instance: &Instance, runs: u64) -> Result<f64> {
    let mut connection = Connection::open(&instance.root.join("slothd.sock"))?;
    for n in 0..100 {
        let body = json!({ "name": format!("tick-{n}"), "trigger": "* * * * * *", "command": ["/bin/true"] });
        // There already after the first half.
        connection.post("/schedules", &body.to_string())?;
    }
    instance.ctl().args(["scheduler", "resume-all", "-q"]).output().context("cannot run slothctl")?;
    let limit = Instant::now() + Duration::from_secs(30 + runs / 50);
    while starts(instance)? < runs {
        if Instant::now() > limit {
            bail!("{runs} runs took too long");
        }
        interrupt::pause(Duration::from_secs(1))?;
    }
    instance.ctl().args(["scheduler", "pause-all", "-y", "-q"]).output().context("cannot run slothctl")?;
    probe::settle(pid(instance)?)?;
    Ok(probe::rss_mib(pid(instance)?))
}

fn starts(instance: &Instance) -> Result<u64> {
    Ok(instance.ask(&["status"])?["lateness"]["count"].as_u64().unwrap_or_default())
}

pub fn recover(bench: &Bench) -> Result<Vec<Row>> {
    let rounds = if bench.quick { 3 } else { 10 };
    let mut times = Vec::new();
    for _ in 0..rounds {
        interrupt::check()?;
        let mut instance = instance(bench)?;
        seed(bench, &instance, "runs", 10_000)?;
        times.push(ms(instance.start()?));
        let status = instance.ask(&["status"])?;
        // Whoever is ready has not forgotten them.
        let known = status["running"].as_u64().unwrap_or_default() + lost(&instance)?;
        if known == 0 {
            bail!("slothd knows none of the open runs");
        }
    }
    let raw = json!(times);
    Ok(vec![
        Row::at_most("recover", "10,000 open runs: ready, p50", "ms", median(&times), 300.0).raw(raw),
        Row::at_most("recover", "10,000 open runs: ready, slowest", "ms", percentile(&times, 1.0), 300.0),
    ])
}

fn lost(instance: &Instance) -> Result<u64> {
    let runs = instance.ask(&["runs", "list", "--status", "failed", "--limit", "10"])?;
    Ok(runs.as_array().map_or(0, |runs| runs.len() as u64))
}

/// From the due instant to the released process, with instants spread over the second; `bare_ms` is spawn and wait alone.
pub fn due_to_process(bench: &Bench, bare_ms: f64) -> Result<Row> {
    let mut instance = instance(bench)?;
    instance.start()?;
    let mut connection = Connection::open(&instance.root.join("slothd.sock"))?;
    for n in 0..20 {
        let body = json!({ "name": format!("job-{n}"), "trigger": "@every 1s", "command": ["/bin/true"] });
        connection.post("/schedules", &body.to_string())?;
        interrupt::pause(Duration::from_millis(50))?;
    }
    interrupt::pause(Duration::from_secs(if bench.quick { 5 } else { 15 }))?;
    let mut late = Vec::new();
    for n in 0..20 {
        let rows: Value = instance.ask(&["scheduler", "history", &format!("job-{n}")])?;
        let rows = rows.as_array().context("the history is no list")?;
        late.extend(rows.iter().filter_map(|row| row["run"]["late_ms"].as_f64()));
    }
    let p50 = median(&late);
    let raw = json!({ "late_ms": late, "bare_spawn_ms": bare_ms, "p99_ms": percentile(&late, 0.99) });
    Ok(Row::at_most("start", "due to process, beyond bare spawn", "ms", p50 - bare_ms, 2.0).raw(raw))
}
