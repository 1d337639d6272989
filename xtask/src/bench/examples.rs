//! Benches whose work is done by the `examples` of a crate: the measured code is the production code of that crate.

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::row::{Goal, Row, median, numbers, percentile};
use super::{Bench, daemon, probe};
use crate::interrupt;

/// Numbers in the line of a report that begins like this.
fn line(report: &str, begins: &str) -> Result<Vec<f64>> {
    let line = report.lines().find_map(|line| line.strip_prefix(begins));
    let rest = line.with_context(|| format!("the report has no line `{begins}`"))?;
    Ok(rest.split(|c: char| c.is_whitespace() || "()=;/".contains(c)).filter_map(|word| word.parse().ok()).collect())
}

fn first(report: &str, begins: &str) -> Result<f64> {
    line(report, begins)?.first().copied().with_context(|| format!("no number behind `{begins}`"))
}

fn report(bench: &Bench, package: &str, name: &str, arguments: &[&str]) -> Result<String> {
    let program = probe::example(&bench.root, &bench.programs, package, name)?;
    Ok(String::from_utf8_lossy(&probe::output(&program, arguments)?).into_owned())
}

pub fn next(bench: &Bench) -> Result<Vec<Row>> {
    let report = report(bench, "sloth-core", "trigger_bench", &[])?;
    let size = first(&report, "size_of::<Trigger>() =")?;
    // The last two columns of each expression: median and slowest single call.
    let rows = report.lines().skip(2).filter_map(|line| {
        let mut words = line.split_whitespace().rev().map_while(|word| word.parse::<f64>().ok());
        let (max, median) = (words.next()?, words.next()?);
        Some((line.trim().to_owned(), median, max))
    });
    let rows: Vec<_> = rows.collect();
    let medians: Vec<f64> = rows.iter().map(|(_, median, _)| median / 1000.0).collect();
    let worst = rows.iter().map(|(.., max)| max / 1000.0).fold(0.0, f64::max);
    let raw = json!(rows.iter().map(|(line, ..)| line).collect::<Vec<_>>());
    Ok(vec![
        Row::at_most("next", "median of 32 expressions", "us", median(&medians), 1.0).raw(raw),
        Row::at_most("next", "slowest call, hostile ones too", "us", worst, 1000.0),
        Row::at_most("next", "size of a compiled trigger", "B", size, 64.0),
    ])
}

pub fn store(bench: &Bench) -> Result<Vec<Row>> {
    let directory = std::env::temp_dir();
    let seconds = if bench.quick { "0.3" } else { "1" };
    let report = report(bench, "sloth-store", "store_bench", &[&directory.display().to_string(), seconds])?;
    let two = |begins: &str| -> Result<(f64, f64)> {
        match line(&report, begins)?.as_slice() {
            [ours, theirs, ..] => Ok((*ours, *theirs)),
            _ => bail!("no two numbers behind `{begins}`"),
        }
    };
    let (rate, plain) = two("durable tx/s, 100 callers, one event each (median)")?;
    let (one, bare) = two("one durable write, nobody else, p50 us")?;
    let read = first(&report, "point read beside a saturated writer, p99 us")?;
    let raw = json!(report.lines().collect::<Vec<_>>());
    Ok(vec![
        Row::at_least("store", "durable tx/s, 100 callers", "/s", rate, 20_000.0).raw(raw),
        Row::at_least("store", "the same", "/s", rate, plain).beside("Mutex<SQLite>", Goal::AtLeast(10.0)),
        Row::at_most("store", "one durable write, p50", "us", one, bare).beside("bare commit", Goal::AtMost(1.3)),
        Row::at_most("store", "point read, writer saturated, p99", "us", read, 1000.0),
    ])
}

/// Lateness in milliseconds, and the part that fired at all.
struct Lateness {
    ms: Vec<f64>,
    fired: f64,
}

pub fn sched(bench: &Bench) -> Result<Vec<Row>> {
    let program = probe::example(&bench.root, &bench.programs, "slothd", "fire_bench")?;
    let fire = |arguments: &[&str]| -> Result<Lateness> {
        let report = probe::json(&program, arguments)?;
        let ms: Vec<f64> = numbers(&report["lateness_us"]).iter().map(|us| us / 1000.0).collect();
        let expected = report["expected"].as_f64().unwrap_or(f64::NAN);
        Ok(Lateness { fired: ms.len() as f64 / expected * 100.0, ms })
    };
    let (seconds, rounds) = if bench.quick { ("5", 1) } else { ("5", 3) };
    let hundred = fire(&["fire", "100", "* * * * * *", if bench.quick { "5" } else { "20" }])?;
    let burst = fire(&["fire", "10000", "*/5 * * * * *", if bench.quick { "2" } else { "10" }])?;
    let (mut ours, mut rival) = (Vec::new(), Vec::new());
    let (mut ours_fired, mut rival_fired) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        interrupt::check()?;
        let (us, them) = (fire(&["fire", "1000", "* * * * * *", seconds])?, fire(&["rival", "1000", seconds])?);
        ours_fired.push(us.fired);
        rival_fired.push(them.fired);
        ours.extend(us.ms);
        rival.extend(them.ms);
    }
    let p = percentile;
    let name = "tokio-cron";
    Ok(vec![
        Row::at_most("sched", "100 at one instant, p50", "ms", p(&hundred.ms, 0.5), 1.0).raw(json!(hundred.ms)),
        Row::at_most("sched", "100 at one instant, p99", "ms", p(&hundred.ms, 0.99), 5.0),
        Row::at_most("sched", "10,000 at one instant, p50", "ms", p(&burst.ms, 0.5), 25.0),
        Row::at_most("sched", "10,000 at one instant, p99", "ms", p(&burst.ms, 0.99), 25.0).raw(json!(burst.ms)),
        Row::at_least("sched", "10,000 at one instant, fired", "%", burst.fired, 100.0),
        Row::at_most("sched", "1,000 each second, p99", "ms", p(&ours, 0.99), 50.0).raw(json!(ours)),
        Row::at_most("sched", "1,000 each second, p50", "ms", p(&ours, 0.5), p(&rival, 0.5))
            .beside(name, Goal::AtMost(0.1))
            .raw(json!(rival)),
        Row::at_most("sched", "1,000 each second, p99", "ms", p(&ours, 0.99), p(&rival, 0.99))
            .beside(name, Goal::AtMost(0.5)),
        Row::at_least("sched", "1,000 each second, fired", "%", median(&ours_fired), median(&rival_fired))
            .beside(name, Goal::AtLeast(1.0)),
    ])
}

pub fn start(bench: &Bench) -> Result<Vec<Row>> {
    let report = report(bench, "sloth-exec", "start_bench", &[if bench.quick { "200" } else { "1000" }])?;
    let (mut ours, mut bare, mut flight, mut bare_flight) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // round N: sequential A/s of bare B/s = R; 16 in flight C/s of bare D/s = R
    for line in report.lines().filter(|line| line.starts_with("round ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let rates: Vec<f64> = words.iter().filter_map(|word| word.strip_suffix("/s")?.parse().ok()).collect();
        if let [a, b, c, d] = rates.as_slice() {
            ours.push(*a);
            bare.push(*b);
            flight.push(*c);
            bare_flight.push(*d);
        }
    }
    let raw = json!({ "sequential": ours, "bare": bare, "in_flight": flight, "bare_in_flight": bare_flight });
    let mut rows = vec![
        Row::at_least("start", "processes/s, 16 in flight", "/s", median(&flight), 1500.0).raw(raw),
        Row::at_least("start", "the same", "/s", median(&flight), median(&bare_flight))
            .beside("bare spawn", Goal::AtLeast(0.5)),
        Row::at_least("start", "processes/s, one after the other", "/s", median(&ours), median(&bare))
            .beside("bare spawn", Goal::AtLeast(0.5)),
    ];
    let bare_ms = 1000.0 / median(&bare);
    rows.push(daemon::due_to_process(bench, bare_ms)?);
    rows.extend(units(bench)?);
    Ok(rows)
}

/// Starts through a service manager, in a booted system of its own; nothing where that cannot be had, which is said.
fn units(bench: &Bench) -> Result<Option<Row>> {
    let program = probe::example(&bench.root, &bench.programs, "sloth-exec", "unit_bench")?;
    let exec = bench.programs.join("sloth-exec");
    let count = if bench.quick { "50" } else { "200" };
    let files = [program.as_path(), exec.as_path()];
    let report = match probe::booted(&bench.root, &files, &["/root/unit_bench", "/root/sloth-exec", count])? {
        Ok(report) => report,
        Err(reason) => {
            println!("   start of units: {reason}");
            return Ok(None);
        }
    };
    let numbers = line(&report, &format!("{count} in turn, median us:"))?;
    let [ours, theirs, ..] = numbers.as_slice() else { bail!("no two medians in the report: {report}") };
    let raw = json!({ "units_per_s_in_bulk": first(&report, "in bulk:")?, "report": report });
    let row = Row::at_most("start", "run as a unit, start to end, p50", "ms", ours / 1000.0, theirs / 1000.0);
    Ok(Some(row.beside("systemd-run", Goal::AtMost(2.0)).raw(raw)))
}
