//! Runs: one, by a short id, a page, those that are unfinished, and their attempts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, Row};
use sloth_core::machine::{Loaded, OpenRun};
use sloth_core::run::{Attempt, AttemptEnd, Outcome, ProcessId, Run, RunStatus, RunTrigger, StartFailure, Usage};
use sloth_core::{AttemptKey, Moment, RunId, Schedule, ScheduleId, Uid};

use super::{Conditions, first, moment, moment_opt, parsed, rows, schedules, word, word_opt};
use crate::apply::Key;
use crate::{Store, StoreError, words};

const SELECT: &str = "SELECT id, schedule_id, revision, schedule, owner, user, trigger, catch_up, due_at, clock_epoch, asked_by, status,
  reason, message, queued_at, started_at, ended_at, attempts, retry_at, exit_code, signal, cpu_us, memory_peak_bytes, io_read_bytes,
  io_write_bytes, output_bytes, stderr_tail, pid, start_ticks, boot_id, ip_ingress_bytes, ip_egress_bytes, workflow, stack,
  chosen, bundle, main, saved, \"values\", params, options, mode, invocation_dir, priority, labels, paused, cancel_reason,
  cancel_compensate, compensation, handled, workers_lost, end_status, end_reason, end_message, resume_from, compensate_only
  FROM runs LEFT JOIN workflow_runs ON run_id = id";

const ATTEMPTS: &str =
    "SELECT run_id, attempt, started_at, ended_at, outcome, exit_code, signal, failure, message, cpu_us,
  memory_peak_bytes, io_read_bytes, io_write_bytes, output_bytes, dropped_bytes, stderr_tail, pid, start_ticks, boot_id,
  ip_ingress_bytes, ip_egress_bytes FROM attempts";

/// The condition of the index `runs_unfinished`, word for word.
const UNFINISHED: &str = "status NOT IN ('completed', 'failed', 'cancelled')";

/// Characters of an id from which on a part of it may stand for the whole.
const SHORT_MIN: usize = 6;

/// Which runs to list. Order is that of their ids, which begin with the millisecond in which they were accepted.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only of this schedule.
    pub schedule: Option<ScheduleId>,
    /// Only of schedules with this name (whoever owns them, unless `owner` says).
    pub schedule_name: Option<String>,
    /// Only in one of these states; empty: all.
    pub status: Vec<RunStatus>,
    /// Only this owner's.
    pub owner: Option<Uid>,
    /// Accepted at or after.
    pub since: Option<Moment>,
    /// Accepted before.
    pub until: Option<Moment>,
    /// Only made by this.
    pub trigger: Option<RunTrigger>,
    /// Only of this stack.
    pub stack: Option<String>,
    /// Only of this workflow.
    pub workflow: Option<String>,
    /// Only as this user.
    pub user: Option<String>,
    /// Only of this owner's saved workflow.
    pub saved: Option<(Uid, String)>,
    /// Only with this label: name, and its value where one is meant.
    pub label: Option<(String, Option<String>)>,
    /// From the oldest to the newest; otherwise the newest come first.
    pub oldest_first: bool,
    /// Only those after this one, in the order of the list.
    pub after: Option<RunId>,
}

/// One page of runs.
#[derive(Clone, Debug, Default)]
pub struct RunPage {
    /// The runs.
    pub items: Vec<Run>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<RunId>,
}

/// The runs that have not ended.
#[derive(Clone, Debug, Default)]
pub struct Unfinished {
    /// Oldest first.
    pub items: Vec<OpenRun>,
    /// Runs whose schedule, or the revision that they execute, cannot be read.
    pub broken: Vec<(Run, StoreError)>,
}

impl Store {
    /// The run with this id.
    pub fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        self.read(|conn| first(conn, &format!("{SELECT} WHERE id = ?1"), [Key::new(id.uuid())], run))
    }

    /// The run whose id begins or ends with `text`: a whole id, or at least six characters of it.
    /// [`StoreError::Ambiguous`] when there are several, [`StoreError::NotFound`] when there is none.
    pub fn run_by_text(&self, text: &str) -> Result<Run, StoreError> {
        let missing = || StoreError::not_found(format!("run {text:?}"));
        let text = text.to_ascii_lowercase();
        if let Ok(id) = text.parse::<RunId>() {
            return self.run(id)?.ok_or_else(missing);
        }
        if text.len() < SHORT_MIN || !text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
            return Err(missing());
        }
        self.read(|conn| {
            let end = format!("{text}g"); // the first text after all that begin with it: `g` follows the hexadecimal digits
            let mut ids: Vec<RunId> = rows(conn, BY_PREFIX, [&text, &end], |row| Ok(parsed(row, 0)?))?;
            if ids.len() < 2 {
                let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
                let found = rows(conn, BY_SUFFIX, rusqlite::params![length, text], |row| Ok(parsed::<RunId>(row, 0)?))?;
                ids.extend(found);
                ids.dedup();
            }
            match ids.as_slice() {
                [] => Err(missing()),
                [id] => {
                    first(conn, &format!("{SELECT} WHERE id = ?1"), [Key::new(id.uuid())], run)?.ok_or_else(missing)
                }
                _ => Err(StoreError::Ambiguous { text }),
            }
        })
    }

    /// One page of runs.
    pub fn runs(&self, filter: &RunFilter, limit: u32) -> Result<RunPage, StoreError> {
        let (sql, values) = list_sql(filter, limit);
        let items = self.read(|conn| rows(conn, &sql, rusqlite::params_from_iter(values), run))?;
        let full = items.len() >= limit.clamp(1, super::LIST_MAX) as usize;
        let next = items.last().filter(|_| full).map(|run| run.id);
        Ok(RunPage { items, next })
    }

    /// All runs that have not ended, with their schedule as it was and as it is.
    pub fn unfinished_runs(&self) -> Result<Unfinished, StoreError> {
        self.inner.readers.snapshot(|conn| {
            let runs = rows(conn, &format!("{SELECT} WHERE {UNFINISHED} ORDER BY id"), [], run)?;
            let mut today = HashMap::new();
            let mut revisions = HashMap::new();
            let mut all = Unfinished::default();
            for run in runs {
                let today = today.entry(run.schedule).or_insert_with(|| self.today(conn, &run)).clone();
                let schedule = match &today {
                    Ok(loaded) if loaded.schedule.revision == run.revision => Ok(loaded.schedule.clone()),
                    _ => {
                        let key = (run.schedule, run.revision);
                        revisions.entry(key).or_insert_with(|| self.revision(conn, &run)).clone()
                    }
                };
                match (schedule, today) {
                    (Ok(schedule), Ok(today)) => all.items.push(OpenRun { run, schedule, today }),
                    (Err(error), _) | (_, Err(error)) => all.broken.push((run, error)),
                }
            }
            Ok(all)
        })
    }

    /// The attempts of all runs that have not ended.
    pub fn unfinished_attempts(&self) -> Result<HashMap<RunId, Vec<Attempt>>, StoreError> {
        let sql =
            format!("{ATTEMPTS} WHERE run_id IN (SELECT id FROM runs WHERE {UNFINISHED}) ORDER BY run_id, attempt");
        let mut by_run: HashMap<RunId, Vec<Attempt>> = HashMap::new();
        for attempt in self.read(|conn| rows(conn, &sql, [], attempt))? {
            by_run.entry(attempt.key.run).or_default().push(attempt);
        }
        Ok(by_run)
    }

    /// The attempts of a run, first to last.
    pub fn attempts(&self, run: RunId) -> Result<Vec<Attempt>, StoreError> {
        let sql = format!("{ATTEMPTS} WHERE run_id = ?1 ORDER BY attempt");
        self.read(|conn| rows(conn, &sql, [Key::new(run.uuid())], attempt))
    }

    fn today(&self, conn: &Connection, run: &Run) -> Result<Loaded, StoreError> {
        let sql = format!("{} WHERE id = ?1", schedules::SELECT);
        let found =
            first(conn, &sql, [Key::new(run.schedule.uuid())], |row| schedules::loaded(row, &*self.inner.zones))?;
        found.ok_or_else(|| StoreError::not_found(format!("schedule {} ({})", run.schedule_name, run.schedule)))
    }

    fn revision(&self, conn: &Connection, run: &Run) -> Result<Arc<Schedule>, StoreError> {
        let found = schedules::version(conn, run.schedule, run.revision, &*self.inner.zones)?;
        found.map(Arc::new).ok_or_else(|| {
            StoreError::not_found(format!(
                "revision {} of schedule {} ({})",
                run.revision, run.schedule_name, run.schedule
            ))
        })
    }
}

pub(super) const BY_PREFIX: &str = "SELECT id FROM runs WHERE id >= ?1 AND id < ?2 LIMIT 2";

/// Reads the whole index of ids: a person waits for it, and it costs no write anything.
pub(super) const BY_SUFFIX: &str = "SELECT id FROM runs WHERE substr(id, -?1) = ?2 LIMIT 2";

pub(super) fn list_sql(filter: &RunFilter, limit: u32) -> (String, Vec<Value>) {
    let mut conditions = Conditions::default();
    if let Some(id) = filter.schedule {
        conditions.add("schedule_id = ?", id.to_string());
    }
    if let Some(name) = &filter.schedule_name {
        conditions.add("schedule = ?", name.clone());
    }
    if let Some(owner) = filter.owner {
        conditions.add("owner = ?", i64::from(owner.0));
    }
    status_condition(&mut conditions, &filter.status);
    if let Some(since) = filter.since {
        conditions.add("id >= ?", first_id(since));
        conditions.add("queued_at >= ?", since.micros());
    }
    if let Some(until) = filter.until {
        conditions.add("id < ?", first_id(until + Duration::from_millis(1)));
        conditions.add("queued_at < ?", until.micros());
    }
    if let Some(trigger) = filter.trigger {
        conditions.fixed(format!("trigger = '{}'", words::run_trigger(trigger)));
        conditions.fixed(format!("catch_up = {}", i32::from(trigger == RunTrigger::CatchUp)));
    }
    if let Some(stack) = &filter.stack {
        conditions.add("stack = ?", stack.clone());
    }
    if let Some(workflow) = &filter.workflow {
        conditions.add("workflow = ?", workflow.clone());
    }
    if let Some((owner, name)) = &filter.saved {
        conditions.add("owner = ?", i64::from(owner.0));
        conditions.add("saved = ?", name.clone());
    }
    if let Some(user) = &filter.user {
        conditions.add("user = ?", user.clone());
    }
    if let Some((name, value)) = &filter.label {
        let path = format!("$.\"{}\"", name.replace('"', ""));
        match value {
            None => conditions.add("json_type(labels, ?) IS NOT NULL", path),
            Some(value) => {
                conditions.add("labels ->> ? =", path);
                conditions.and_value(value.clone());
            }
        }
    }
    if let Some(id) = filter.after {
        conditions.add(if filter.oldest_first { "id > ?" } else { "id < ?" }, id.to_string());
    }
    let order = if filter.oldest_first { "id" } else { "id DESC" };
    (conditions.sql(SELECT, order, limit), conditions.values)
}

/// Names the states in the text, so that SQLite can use the index that holds just those.
fn status_condition(conditions: &mut Conditions, wanted: &[RunStatus]) {
    match wanted {
        [] => {}
        [one] if one.is_terminal() => conditions.fixed(format!("status = '{}'", words::status(*one))),
        many => {
            if many.iter().all(|status| !status.is_terminal()) {
                conditions.fixed(UNFINISHED);
            }
            let list: Vec<_> = many.iter().map(|status| format!("'{}'", words::status(*status))).collect();
            conditions.fixed(format!("status IN ({})", list.join(", ")));
        }
    }
}

/// The smallest id of a run that was accepted in this millisecond or later.
fn first_id(at: Moment) -> String {
    let hex = format!("{:012x}", at.millis().max(0));
    format!("{}-{}-7000-8000-000000000000", &hex[..8], &hex[8..12])
}

fn run(row: &Row<'_>) -> Result<Run, StoreError> {
    let catch_up: bool = row.get(7)?;
    let trigger = row.get_ref(6)?;
    let trigger = trigger.as_str().map_err(|e| StoreError::unreadable("a run", e))?;
    Ok(Run {
        id: parsed(row, 0)?,
        schedule: parsed(row, 1)?,
        revision: row.get(2)?,
        schedule_name: row.get(3)?,
        owner: Uid(row.get(4)?),
        user: row.get(5)?,
        trigger: words::read_run_trigger(trigger, catch_up)
            .ok_or_else(|| StoreError::unreadable("a run", format!("unknown trigger {trigger:?}")))?,
        due_at: moment(row, 8)?,
        epoch: row.get(9)?,
        asked_by: row.get(10)?,
        status: word(row, 11, words::read_status)?,
        reason: word_opt(row, 12, words::read_reason)?,
        message: row.get(13)?,
        queued_at: moment(row, 14)?,
        started_at: moment_opt(row, 15)?,
        ended_at: moment_opt(row, 16)?,
        attempts: row.get(17)?,
        retry_at: moment_opt(row, 18)?,
        exit_code: row.get(19)?,
        signal: row.get(20)?,
        usage: usage(row, 21, 30)?,
        output_bytes: bytes(row, 25)?.unwrap_or(0),
        stderr_tail: row.get(26)?,
        process: process(row, 27)?,
        workflow: super::workflows::part(row, 32)?.map(Box::new),
    })
}

fn attempt(row: &Row<'_>) -> Result<Attempt, StoreError> {
    let key = AttemptKey { run: parsed(row, 0)?, attempt: row.get(1)? };
    let bad = |why: String| StoreError::unreadable(format!("attempt {key}"), why);
    let outcome: Option<String> = row.get(4)?;
    let message = || Ok::<_, rusqlite::Error>(row.get::<_, Option<String>>(8)?.unwrap_or_default());
    let outcome = match outcome.as_deref() {
        None => None,
        Some("exited") => Some(Outcome::Exited(row.get(5)?)),
        Some("signaled") => Some(Outcome::Signaled(row.get(6)?)),
        Some("timed_out") => Some(Outcome::TimedOut),
        Some("killed") => Some(Outcome::Killed),
        Some("oom") => Some(Outcome::Oom),
        Some("not_started") => Some(Outcome::NotStarted(StartFailure {
            kind: word(row, 7, words::read_start_failure)?,
            message: message()?,
        })),
        Some("lost") => Some(Outcome::Lost(message()?)),
        Some(other) => return Err(bad(format!("unknown outcome {other:?}"))),
    };
    let end = match (outcome, moment_opt(row, 3)?) {
        (Some(outcome), Some(ended_at)) => Some(AttemptEnd {
            outcome,
            ended_at,
            usage: usage(row, 9, 19)?,
            output_bytes: bytes(row, 13)?.unwrap_or(0),
            dropped_bytes: bytes(row, 14)?.unwrap_or(0),
            stderr_tail: row.get::<_, Option<String>>(15)?.unwrap_or_default(),
        }),
        (None, None) => None,
        _ => return Err(bad("it has an end without an outcome, or the reverse".into())),
    };
    Ok(Attempt { key, started_at: moment(row, 2)?, process: process(row, 16)?, end })
}

/// Four columns from `at` on, and two from `network` on.
fn usage(row: &Row<'_>, at: usize, network: usize) -> rusqlite::Result<Usage> {
    Ok(Usage {
        cpu: Duration::from_micros(bytes(row, at)?.unwrap_or(0)),
        memory_peak_bytes: bytes(row, at + 1)?,
        io_read_bytes: bytes(row, at + 2)?,
        io_write_bytes: bytes(row, at + 3)?,
        ip_ingress_bytes: bytes(row, network)?,
        ip_egress_bytes: bytes(row, network + 1)?,
    })
}

/// Three columns from `at` on.
fn process(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<ProcessId>> {
    let Some(pid) = row.get(at)? else { return Ok(None) };
    Ok(Some(ProcessId {
        pid,
        start_ticks: bytes(row, at + 1)?.unwrap_or(0),
        boot_id: row.get::<_, Option<String>>(at + 2)?.unwrap_or_default(),
    }))
}

fn bytes(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(i64::unsigned_abs))
}
