//! Forgets what is old, in batches small enough that the writer is never held up for long. What goes is chosen on a
//! reader and removed by key in the writer, where the choice is checked again.

use std::time::Duration;

use rusqlite::{Connection, params};
use sloth_core::{Moment, RunId, ScheduleId};

use crate::apply::{Apply, AuditRow};
use crate::read::keep_of;
use crate::{Store, StoreError};

/// Rows of one batch; a run has about four.
const BATCH_ROWS: u32 = 5_000;
const BATCH_RUNS: usize = 1_000;

/// Rows of the ledger that a schedule keeps, as long as they are younger than its `keep.age`.
const LEDGER_ROWS: u32 = 1_000;

/// Rows of the ledger that a schedule keeps however old they are.
const LEDGER_ROWS_MIN: u32 = 100;

/// Schedules looked at in one read.
const SCHEDULES: u32 = 1_000;

/// How long the answer of a request is remembered.
const ANSWERS: Duration = Duration::from_secs(24 * 3600);

/// Which schedules to look at.
#[derive(Clone, Debug)]
pub enum Scope {
    /// All, deleted ones included.
    All,
    /// Those whose runs have changed since the last time.
    These(Vec<ScheduleId>),
}

/// What went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Runs deleted.
    pub runs: usize,
    /// Their output directories, relative to the data directory, to be deleted now. A caller that dies before finds them
    /// as directories without a run.
    pub outputs: Vec<String>,
}

/// How much of the feed is kept.
#[derive(Clone, Copy, Debug)]
pub struct EventLimits {
    /// How long.
    pub age: Duration,
    /// How many.
    pub rows: u64,
}

impl Default for EventLimits {
    fn default() -> Self {
        EventLimits { age: Duration::from_secs(30 * 86_400), rows: 5_000_000 }
    }
}

impl Store {
    /// Deletes runs beyond the `keep` of their schedule, with tasks, attempts and earlier revisions that no run needs.
    /// The last run and the last success of a schedule, and runs that have not ended, stay.
    pub fn prune_runs(&self, scope: &Scope, now: Moment) -> Result<Pruned, StoreError> {
        let mut pruned = Pruned::default();
        self.each_schedule(scope, |id| {
            while let Some(batch) = self.read(|conn| runs_to_go(conn, id, now))? {
                let is_last = batch.len() < BATCH_RUNS;
                let schedule = id.to_owned();
                let outputs = self.inner.writer.inside(move |apply| delete_runs(apply.conn, &schedule, &batch))?;
                pruned.runs += outputs.len();
                pruned.outputs.extend(outputs);
                if is_last {
                    break;
                }
            }
            Ok(())
        })?;
        Ok(pruned)
    }

    /// Folds old decided rows of the ledger into the summary of their schedule: those beyond the newest 1,000, and those
    /// older than its `keep.age` beyond the newest 100. Rows of runs that are still stored stay, and so do planned
    /// ones. The number of rows folded.
    pub fn fold_occurrences(&self, scope: &Scope, now: Moment) -> Result<usize, StoreError> {
        let mut folded = 0;
        self.each_schedule(scope, |id| {
            while let Some(until) = self.read(|conn| fold_limit(conn, id, now))? {
                let schedule = id.to_owned();
                let n = self.inner.writer.inside(move |apply| fold(apply.conn, &schedule, until))?;
                folded += n;
                if n < BATCH_ROWS as usize {
                    break;
                }
            }
            Ok(())
        })?;
        Ok(folded)
    }

    /// Deletes processed events beyond the limits. The number of rows.
    pub fn prune_events(&self, limits: EventLimits, now: Moment) -> Result<usize, StoreError> {
        let before = (now - limits.age).millis();
        let rows = i64::try_from(limits.rows).unwrap_or(i64::MAX);
        self.in_batches(move |apply| {
            Ok(apply
                .conn
                .prepare_cached(
                    "DELETE FROM events WHERE seq IN (SELECT seq FROM events
                       WHERE (created_at < ?1 OR seq <= (SELECT max(seq) FROM events) - ?2) AND status = 'completed'
                       ORDER BY seq LIMIT ?3)
                     AND seq < (SELECT max(seq) FROM events)",
                )?
                .execute(params![before, rows, BATCH_ROWS])?)
        })
    }

    /// Deletes entries of the audit trail from before this moment. A new entry keeps the hash of the last one that went,
    /// so that the chain can still be verified. The number of entries.
    pub fn prune_audit(&self, before: Moment, now: Moment) -> Result<usize, StoreError> {
        let marked = self.inner.writer.inside(move |apply| mark_audit(apply, before, now))?;
        let Some(until) = marked else { return Ok(0) };
        self.in_batches(move |apply| {
            let sql = "DELETE FROM audit WHERE seq IN (SELECT seq FROM audit WHERE seq <= ?1 ORDER BY seq LIMIT ?2)";
            Ok(apply.conn.prepare_cached(sql)?.execute(params![until, BATCH_ROWS])?)
        })
    }

    /// Forgets answers of requests that are older than 24 hours. The number of rows.
    pub fn prune_answers(&self, now: Moment) -> Result<usize, StoreError> {
        let before = (now - ANSWERS).millis();
        self.in_batches(move |apply| {
            let sql = "DELETE FROM idempotency WHERE (key, uid) IN
                       (SELECT key, uid FROM idempotency WHERE created < ?1 ORDER BY created LIMIT ?2)";
            Ok(apply.conn.prepare_cached(sql)?.execute(params![before, BATCH_ROWS])?)
        })
    }

    /// Repeats a deletion until a batch is not full.
    fn in_batches(
        &self,
        batch: impl Fn(&mut Apply<'_>) -> Result<usize, StoreError> + Clone + Send + 'static,
    ) -> Result<usize, StoreError> {
        let mut all = 0;
        loop {
            let n = self.inner.writer.inside(batch.clone())?;
            all += n;
            if n < BATCH_ROWS as usize {
                return Ok(all);
            }
        }
    }

    fn each_schedule(
        &self,
        scope: &Scope,
        mut work: impl FnMut(&str) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match scope {
            Scope::These(ids) => ids.iter().try_for_each(|id| work(&id.to_string())),
            Scope::All => {
                let mut after = String::new();
                loop {
                    let ids: Vec<String> = self.read(|conn| {
                        let mut statement =
                            conn.prepare_cached("SELECT id FROM schedules WHERE id > ?1 ORDER BY id LIMIT ?2")?;
                        let rows = statement.query_map(params![after, SCHEDULES], |row| row.get(0))?;
                        Ok(rows.collect::<Result<_, _>>()?)
                    })?;
                    ids.iter().try_for_each(|id| work(id))?;
                    match ids.into_iter().last() {
                        Some(last) => after = last,
                        None => return Ok(()),
                    }
                }
            }
        }
    }
}

/// Terminal runs beyond either limit, oldest first; `None`: there is none.
fn runs_to_go(conn: &Connection, id: &str, now: Moment) -> Result<Option<Vec<String>>, StoreError> {
    let Some((runs, age)) = keep_of(conn, id)? else {
        return Ok(None);
    };
    let mut statement = conn.prepare_cached(
        "SELECT id FROM runs WHERE schedule_id = ?1 AND status IN ('completed', 'failed', 'cancelled')
           AND (queued_at < ?2 OR id <= COALESCE((SELECT id FROM runs WHERE schedule_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?3), ''))
           AND id <> (SELECT id FROM runs WHERE schedule_id = ?1 ORDER BY id DESC LIMIT 1)
           AND id <> COALESCE((SELECT id FROM runs WHERE schedule_id = ?1 AND status = 'completed' ORDER BY id DESC LIMIT 1), '')
         ORDER BY id LIMIT ?4",
    )?;
    let rows = statement.query_map(params![id, (now - age).micros(), runs, BATCH_RUNS as i64], |row| row.get(0))?;
    let ids: Vec<String> = rows.collect::<Result<_, _>>()?;
    Ok(if ids.is_empty() { None } else { Some(ids) })
}

/// Deletes those that are still terminal; their output directories.
fn delete_runs(conn: &Connection, schedule: &str, ids: &[String]) -> Result<Vec<String>, StoreError> {
    let mut delete = conn.prepare_cached(
        "DELETE FROM runs WHERE id = ?1 AND status IN ('completed', 'failed', 'cancelled') RETURNING queued_at",
    )?;
    let mut outputs = Vec::with_capacity(ids.len());
    for id in ids {
        let mut rows = delete.query([id])?;
        let Some(row) = rows.next()? else { continue };
        let run = id.parse().map_err(|e| StoreError::unreadable(format!("run {id}"), e))?;
        outputs.push(output_dir(run, Moment::from_micros(row.get(0)?)));
    }
    conn.prepare_cached(
        "DELETE FROM schedule_versions WHERE schedule_id = ?1 AND NOT EXISTS
           (SELECT 1 FROM runs r WHERE r.schedule_id = ?1 AND r.revision = schedule_versions.revision)",
    )?
    .execute([schedule])?;
    Ok(outputs)
}

/// Where the output of a run is, relative to the data directory.
fn output_dir(id: RunId, queued_at: Moment) -> String {
    let file = sloth_core::launch::output_path(id, queued_at);
    file.parent().unwrap_or(&file).to_string_lossy().into_owned()
}

/// Instant up to which rows of a schedule are to be folded; `None`: there are too few.
fn fold_limit(conn: &Connection, id: &str, now: Moment) -> Result<Option<i64>, StoreError> {
    let Some((_, age)) = keep_of(conn, id)? else {
        return Ok(None);
    };
    let nth = |n: u32| -> Result<Option<i64>, StoreError> {
        let sql = "SELECT due_at FROM occurrences WHERE schedule_id = ?1 ORDER BY due_at DESC LIMIT 1 OFFSET ?2";
        let mut statement = conn.prepare_cached(sql)?;
        let mut rows = statement.query(params![id, n])?;
        Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
    };
    let Some(beyond_least) = nth(LEDGER_ROWS_MIN)? else {
        return Ok(None);
    };
    let by_age = beyond_least.min((now - age).micros());
    Ok(Some(nth(LEDGER_ROWS)?.map_or(by_age, |by_count| by_count.max(by_age))))
}

/// Folds one batch; the number of rows.
fn fold(conn: &Connection, id: &str, until: i64) -> Result<usize, StoreError> {
    conn.prepare_cached(
        "INSERT INTO occurrence_summaries (schedule_id, first_due, last_due, run, coalesced, skipped, skipped_paused, skipped_overlap,
           skipped_deadline, skipped_catch_up, skipped_quiesced, skipped_limit)
         SELECT ?1, min(due_at), max(due_at), sum(decision = 'run'), sum(decision = 'coalesced'), sum(decision = 'skipped'),
           sum(detail IS 'paused'), sum(detail IS 'overlap'), sum(detail IS 'deadline'), sum(detail IS 'catch_up'),
           sum(detail IS 'quiesced'), sum(detail IS 'limit')
         FROM (SELECT due_at, decision, detail FROM occurrences o WHERE schedule_id = ?1 AND due_at <= ?2 AND decision <> 'planned'
           AND (run_id IS NULL OR NOT EXISTS (SELECT 1 FROM runs WHERE runs.id = o.run_id)) ORDER BY due_at, clock_epoch LIMIT ?3)
         HAVING count(*) > 0
         ON CONFLICT DO UPDATE SET first_due = min(first_due, excluded.first_due), last_due = max(last_due, excluded.last_due),
           run = run + excluded.run, coalesced = coalesced + excluded.coalesced, skipped = skipped + excluded.skipped,
           skipped_paused = skipped_paused + excluded.skipped_paused, skipped_overlap = skipped_overlap + excluded.skipped_overlap,
           skipped_deadline = skipped_deadline + excluded.skipped_deadline,
           skipped_catch_up = skipped_catch_up + excluded.skipped_catch_up,
           skipped_quiesced = skipped_quiesced + excluded.skipped_quiesced, skipped_limit = skipped_limit + excluded.skipped_limit",
    )?
    .execute(params![id, until, BATCH_ROWS])?;
    let n = conn
        .prepare_cached(
            "DELETE FROM occurrences WHERE schedule_id = ?1 AND (due_at, clock_epoch) IN
               (SELECT due_at, clock_epoch FROM occurrences o WHERE schedule_id = ?1 AND due_at <= ?2 AND decision <> 'planned'
                AND (run_id IS NULL OR NOT EXISTS (SELECT 1 FROM runs WHERE runs.id = o.run_id)) ORDER BY due_at, clock_epoch LIMIT ?3)",
        )?
        .execute(params![id, until, BATCH_ROWS])?;
    Ok(n)
}

/// Adds the entry that allows the deletion; the last entry that may go.
fn mark_audit(apply: &mut Apply<'_>, before: Moment, now: Moment) -> Result<Option<i64>, StoreError> {
    let last = crate::apply::last_audit_before(apply.conn, before.millis())?;
    let Some((seq, hash)) = last else { return Ok(None) };
    apply.append_audit(AuditRow {
        seq: 0,
        at: now.millis(),
        user: "slothd".into(),
        uid: crate::files::effective_uid().unwrap_or(0),
        method: "daemon".into(),
        address: None,
        action: "audit:prune".into(),
        object: "audit".into(),
        object_id: seq.to_string(),
        stack: None,
        result: "ok".into(),
        reason: None,
        request_id: String::new(),
        details: serde_json::json!({ "seq": seq, "hash": hash }).to_string(),
        prev_hash: String::new(),
        hash: String::new(),
    })?;
    Ok(Some(seq))
}
