//! The judgement: what the jobs wrote themselves against what slothd has recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::callers::Promised;
use super::chaos::Chaos;
use super::ledger;
use super::plan::exit_code_is_right;
use super::tables::{all, number, text};
use crate::Instance;

/// What was counted and what is wrong.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What was counted, in the order of the table.
    pub counts: Vec<(String, u64)>,
    /// Rows of the ledger by decision.
    pub decisions: BTreeMap<String, u64>,
    /// Attempts by outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// Rows of the ledger.
    pub ledger_rows: usize,
    /// What must not be.
    pub findings: Vec<String>,
    /// Where everything was kept.
    pub evidence: Option<PathBuf>,
    /// Altogether.
    pub took: Duration,
}

/// Between the order to start and the job's own line a signal may end it; how long that may take on a busy machine, µs.
const BEFORE_ITS_LINE: i64 = 5_000_000;

struct Attempt {
    outcome: String,
    started: i64,
    ended: i64,
    code: Option<i64>,
}

impl Verdict {
    pub(super) fn finding(&mut self, text: String) {
        self.findings.push(text);
    }

    fn count(&mut self, name: &str, number: impl TryInto<u64>) {
        self.counts.push((name.to_owned(), number.try_into().unwrap_or(0)));
    }
}

pub(super) fn judge(instance: &Instance, marks: &Path, chaos: &Chaos, promised: &Promised) -> anyhow::Result<Verdict> {
    let mut verdict = Verdict::default();
    let marks = read_marks(marks, &mut verdict)?;
    let runs = runs(instance);
    let attempts = attempts(instance, &mut verdict);
    let instants = ledger::check(instance, &mut verdict);
    count_chaos(&mut verdict, chaos, promised);
    verdict.count("lines of jobs", marks.len());
    verdict.count("runs", runs.len());
    verdict.count("attempts", attempts.len());
    verdict.count("rows of the ledger", verdict.ledger_rows);
    lines_against_attempts(&mut verdict, &marks, &attempts, &runs, chaos);
    runs_against_attempts(&mut verdict, &runs, &attempts);
    runs_against_instants(&mut verdict, &runs, &instants);
    promises(instance, &mut verdict, promised, &runs);
    events(instance, &mut verdict);
    own_audits(instance, &mut verdict);
    verdict.findings.extend(chaos.surprises.iter().cloned());
    Ok(verdict)
}

fn count_chaos(verdict: &mut Verdict, chaos: &Chaos, promised: &Promised) {
    verdict.count("kills of slothd", chaos.kills);
    verdict.count("  before it was ready", chaos.early);
    verdict.count("kills of sloth-exec", chaos.supervisor_kills.len());
    verdict.count("  of both", chaos.both);
    verdict.count("orderly stops", chaos.stops);
    let mut starts = chaos.starts.clone();
    starts.sort();
    if let Some(median) = starts.get(starts.len() / 2) {
        verdict.count("ready, median ms", median.as_millis());
        verdict.count("ready, slowest ms", starts.last().map_or(0, Duration::as_millis));
    }
    verdict.count("acknowledged schedules", promised.schedules.len());
    verdict.count("acknowledged runs", promised.runs.len());
    verdict.count("requests repeated", promised.repeated);
}

type Key = (String, u64);

/// The lines that jobs wrote; none may be there twice.
fn read_marks(path: &Path, verdict: &mut Verdict) -> anyhow::Result<BTreeSet<Key>> {
    let mut marks = BTreeSet::new();
    for line in std::fs::read_to_string(path)?.lines() {
        let key = line.split_once(' ').and_then(|(run, attempt)| Some((run.to_owned(), attempt.parse().ok()?)));
        match key {
            None => verdict.finding(format!("a job wrote {line:?}")),
            Some(key) if !marks.insert(key.clone()) => verdict.finding(format!("started twice: {line}")),
            Some(_) => {}
        }
    }
    Ok(marks)
}

struct Run {
    schedule_id: String,
    schedule: String,
    trigger: String,
    due: i64,
    epoch: i64,
    status: String,
    attempts: u64,
}

fn runs(instance: &Instance) -> BTreeMap<String, Run> {
    let sql = "SELECT id, schedule_id, schedule, \"trigger\", due_at, clock_epoch, status, attempts FROM runs WHERE id > '{after}' ORDER BY id";
    let row = |row: Vec<Value>| {
        let run = Run {
            schedule_id: text(&row[1]),
            schedule: text(&row[2]),
            trigger: text(&row[3]),
            due: number(&row[4]),
            epoch: number(&row[5]),
            status: text(&row[6]),
            attempts: number(&row[7]) as u64,
        };
        (text(&row[0]), run)
    };
    all(instance, sql).into_iter().map(row).collect()
}

fn attempts(instance: &Instance, verdict: &mut Verdict) -> BTreeMap<Key, Attempt> {
    let sql = "SELECT run_id || '/' || printf('%05d', attempt) AS key, run_id, attempt, outcome, started_at, ended_at, exit_code
               FROM attempts WHERE run_id || '/' || printf('%05d', attempt) > '{after}' ORDER BY key";
    let mut attempts = BTreeMap::new();
    for row in all(instance, sql) {
        let outcome = text(&row[3]);
        *verdict.outcomes.entry(outcome.clone()).or_default() += 1;
        let attempt = Attempt { outcome, started: number(&row[4]), ended: number(&row[5]), code: row[6].as_i64() };
        attempts.insert((text(&row[1]), number(&row[2]) as u64), attempt);
    }
    attempts
}

fn lines_against_attempts(
    verdict: &mut Verdict,
    marks: &BTreeSet<Key>,
    attempts: &BTreeMap<Key, Attempt>,
    runs: &BTreeMap<String, Run>,
    chaos: &Chaos,
) {
    for (run, attempt) in marks.iter().filter(|key| !attempts.contains_key(*key)) {
        verdict.finding(format!("attempt {attempt} of {run} ran and has no row"));
    }
    let (mut ended_early, mut lost) = (0, 0);
    for (key, attempt) in attempts {
        let (run, number) = key;
        let Some(record) = runs.get(run) else {
            verdict.finding(format!("attempt {number} of {run} has no run"));
            continue;
        };
        let ran = marks.contains(key);
        let what = format!(
            "attempt {number} of {run} ({}, {}, {}..{})",
            record.schedule, attempt.outcome, attempt.started, attempt.ended
        );
        let marks_itself = !record.schedule.starts_with("called-");
        match attempt.outcome.as_str() {
            "exited" => {
                if !ran && marks_itself {
                    verdict.finding(format!("{what} never ran"));
                }
                if !attempt.code.is_some_and(|code| exit_code_is_right(&record.schedule, *number, code)) {
                    verdict.finding(format!("{what} has the exit code {:?}", attempt.code));
                }
            }
            "signaled" | "killed" | "timed_out" => {
                // A run that is cancelled while its process is still held, perhaps through several kills, is never released.
                let held = attempt.outcome == "killed" && record.status == "cancelled";
                if !ran && !held && attempt.ended - attempt.started > BEFORE_ITS_LINE {
                    verdict.finding(format!("{what} never ran"));
                }
                ended_early += u64::from(!ran);
            }
            "lost" | "not_started" => {
                lost += 1;
                // Only a killed supervisor explains it: somewhere between the start and the finding.
                let window = attempt.started - 500_000..=attempt.ended;
                if !chaos.supervisor_kills.iter().any(|at| window.contains(at)) {
                    verdict.finding(format!("{what}, and no sloth-exec was killed"));
                }
                if attempt.outcome == "not_started" && ran {
                    verdict.finding(format!("{what} did run"));
                }
            }
            _ => verdict.finding(format!("{what} has no outcome")),
        }
    }
    verdict.count("attempts ended before their line", ended_early);
    verdict.count("attempts lost with sloth-exec", lost);
}

fn runs_against_attempts(verdict: &mut Verdict, runs: &BTreeMap<String, Run>, attempts: &BTreeMap<Key, Attempt>) {
    let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
    for (run, number) in attempts.keys() {
        let count = counted.entry(run).or_default();
        *count += 1;
        if *count != *number {
            verdict.findings.push(format!("attempts of {run} are not 1, 2, …: there is {number}"));
        }
    }
    let mut statuses: BTreeMap<&str, u64> = BTreeMap::new();
    for (id, run) in runs {
        *statuses.entry(&run.status).or_default() += 1;
        if !matches!(run.status.as_str(), "completed" | "failed" | "cancelled") {
            verdict.findings.push(format!("{id} has not ended: {}", run.status));
        }
        let rows = counted.get(id.as_str()).copied().unwrap_or(0);
        if rows != run.attempts {
            verdict.findings.push(format!("{id} has {rows} rows of attempts and says {}", run.attempts));
        }
        let last = attempts.get(&(id.clone(), rows));
        if run.status == "completed" && last.is_none_or(|last| last.code != Some(0)) {
            verdict.findings.push(format!("{id} is completed and its last attempt is not"));
        }
        let most = match run.schedule.split('-').next() {
            Some("mends") => 4,
            _ => 2,
        };
        if rows > most {
            verdict.findings.push(format!("{id} of {} has {rows} attempts", run.schedule));
        }
    }
    for (status, count) in statuses {
        verdict.count(&format!("  {status}"), count);
    }
}

fn runs_against_instants(
    verdict: &mut Verdict,
    runs: &BTreeMap<String, Run>,
    instants: &BTreeMap<String, (String, i64)>,
) {
    let mut seen = BTreeSet::new();
    for (id, run) in runs {
        if matches!(run.trigger.as_str(), "due" | "catch_up" | "schedule")
            && !seen.insert((&run.schedule_id, run.due, run.epoch))
        {
            verdict.findings.push(format!("{} has two runs for {}, one of them {id}", run.schedule, run.due));
        }
        match instants.get(id) {
            Some((schedule, due)) if *schedule == run.schedule_id && *due == run.due => {}
            Some(_) => verdict.findings.push(format!("{id} and its row of the ledger name different instants")),
            None => verdict.findings.push(format!("{id} has no row in the ledger")),
        }
    }
    for id in instants.keys().filter(|id| !runs.contains_key(*id)) {
        verdict.findings.push(format!("the ledger names the run {id}, which is not there"));
    }
    verdict.count("instants with a run", seen.len());
}

fn promises(instance: &Instance, verdict: &mut Verdict, promised: &Promised, runs: &BTreeMap<String, Run>) {
    verdict.findings.extend(promised.contradictions.iter().cloned());
    let names = all(instance, "SELECT name FROM schedules WHERE deleted_at IS NULL AND name > '{after}' ORDER BY name");
    let names: BTreeSet<String> = names.iter().map(|row| text(&row[0])).collect();
    for name in &promised.schedules {
        if names.contains(name) == promised.deleted.contains(name) {
            verdict
                .findings
                .push(format!("{name} is {} against the answer", if names.contains(name) { "there" } else { "gone" }));
        }
    }
    for (key, run) in promised.runs.iter().filter(|(_, run)| !runs.contains_key(*run)) {
        verdict.findings.push(format!("{key} was answered with {run}, which is not there"));
    }
    let mut made: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, run) in runs.iter().filter(|(_, run)| run.schedule.starts_with("called-")) {
        made.entry(&run.schedule).or_default().push(id);
    }
    for (schedule, ids) in made.iter().filter(|(_, ids)| ids.len() > 1) {
        verdict.findings.push(format!("one key made {} runs of {schedule}: {ids:?}", ids.len()));
    }
}

/// What happened is said once.
fn events(instance: &Instance, verdict: &mut Verdict) {
    let of_runs = "type IN ('run.queued', 'run.started', 'run.completed', 'run.failed', 'run.cancelled')";
    let count = instance.value(&format!("SELECT count(*) FROM events WHERE {of_runs}"));
    verdict.count("events of runs", number(&count));
    // When sloth-exec is killed between the record of a start and the release, the same attempt starts again.
    let again = "SELECT type, count(*) - count(DISTINCT run_id) FROM events WHERE type LIKE 'run.%' GROUP BY type";
    for row in instance.rows(again).iter().filter(|row| row[1] != 0) {
        if row[0] == "run.started" {
            verdict.count("  starts said again", number(&row[1]));
        } else {
            verdict.finding(format!("{} is said {} times too often", row[0], row[1]));
        }
    }
    let ends = "SELECT run_id, count(*) FROM events WHERE type IN ('run.completed', 'run.failed', 'run.cancelled') GROUP BY run_id HAVING count(*) > 1 LIMIT 5";
    for row in instance.rows(ends) {
        verdict.finding(format!("the end of {} was said {} times", row[0], row[1]));
    }
    let silent = "SELECT id, status FROM runs WHERE NOT EXISTS (SELECT 1 FROM events WHERE run_id = runs.id AND type = 'run.' || runs.status) LIMIT 5";
    for row in instance.rows(silent) {
        verdict.finding(format!("nobody said that {} is {}", row[0], row[1]));
    }
}

/// What slothd says about itself.
fn own_audits(instance: &Instance, verdict: &mut Verdict) {
    let audit = instance.ok("GET", "/schedules/-/audit", Value::Null);
    verdict.count("instants recomputed by the audit", audit["instants"].as_u64().unwrap_or(0));
    for difference in audit["differences"].as_array().into_iter().flatten() {
        verdict.finding(format!("audit: {difference}"));
    }
    if audit["clean"] != true {
        verdict.finding("the audit is not clean".to_owned());
    }
    let check = instance.ok("POST", "/db/check", json!({}));
    if check["ok"] != true {
        verdict.finding(format!("db check: {}", check["findings"]));
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in &self.counts {
            writeln!(f, "{name:<34} {count:>9}")?;
        }
        for (what, table) in [("instants", &self.decisions), ("attempts", &self.outcomes)] {
            for (word, count) in table {
                writeln!(f, "{:<34} {count:>9}", format!("{what} {word}"))?;
            }
        }
        writeln!(f, "{:<34} {:>9.1}", "seconds", self.took.as_secs_f64())?;
        for finding in self.findings.iter().take(40) {
            writeln!(f, "WRONG: {finding}")?;
        }
        if let Some(place) = &self.evidence {
            writeln!(f, "kept in {}", place.display())?;
        }
        write!(f, "{} findings", self.findings.len())
    }
}
