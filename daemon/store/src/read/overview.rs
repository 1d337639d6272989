//! What the daemon's own views ask: open runs per schedule, what comes next, and single runs that somebody deletes.

use std::collections::HashMap;

use rusqlite::params;
use sloth_core::machine::Loaded;
use sloth_core::{Moment, RunId, ScheduleId};

use super::schedules::{SELECT as SCHEDULE, loaded};
use super::{first, parsed, rows};
use crate::apply::Key;
use crate::files::beside;
use crate::{Store, StoreError};

impl Store {
    /// Runs that have not ended, per schedule: those going and those queued. Of all schedules, or of one.
    pub fn open_runs(&self, of: Option<ScheduleId>) -> Result<HashMap<ScheduleId, (u32, u32)>, StoreError> {
        let all =
            "SELECT schedule_id, count(*) FILTER (WHERE status <> 'queued'), count(*) FILTER (WHERE status = 'queued')
                   FROM runs WHERE status NOT IN ('completed', 'failed', 'cancelled') AND (?1 IS NULL OR schedule_id = ?1)
                   GROUP BY schedule_id";
        let of = of.map(|id| id.to_string());
        self.read(|conn| {
            let counts = rows(conn, all, params![of], |row| Ok((parsed(row, 0)?, (row.get(1)?, row.get(2)?))))?;
            Ok(counts.into_iter().collect())
        })
    }

    /// The schedule whose next instant without a row is nearest after `now`. Claimed instants of the next seconds do not count.
    pub fn next_due_hint(&self, now: Moment) -> Result<Option<Loaded>, StoreError> {
        let sql =
            format!("{SCHEDULE} WHERE next_due > ?1 AND deleted_at IS NULL AND enabled = 1 ORDER BY next_due LIMIT 1");
        self.read(|conn| first(conn, &sql, [now.micros()], |row| loaded(row, &*self.inner.zones)))
    }

    /// Size of the database file, without its log.
    pub fn database_bytes(&self) -> u64 {
        std::fs::metadata(beside(&self.inner.place.path, "")).map_or(0, |meta| meta.len())
    }

    /// Runs of a schedule in a range of instants whose row in the ledger is missing or names another run, with a sentence each.
    pub fn ledger_against_runs(
        &self,
        schedule: ScheduleId,
        since: Moment,
        until: Moment,
    ) -> Result<Vec<(Moment, String)>, StoreError> {
        let sql = "SELECT r.due_at, r.id, o.run_id FROM runs r LEFT JOIN occurrences o
                     ON o.schedule_id = r.schedule_id AND o.due_at = r.due_at AND o.clock_epoch = r.clock_epoch
                   WHERE r.schedule_id = ?1 AND r.due_at > ?2 AND r.due_at <= ?3
                     AND (o.run_id IS NOT r.id OR o.decision IS NOT 'run') LIMIT 1000";
        self.read(|conn| {
            rows(conn, sql, params![Key::new(schedule.uuid()), since.micros(), until.micros()], |row| {
                let (due, run): (i64, String) = (row.get(0)?, row.get(1)?);
                let message = match row.get::<_, Option<String>>(2)? {
                    None => format!("run {run} has no row in the ledger"),
                    Some(other) => format!("run {run} was made, but the ledger says run {other}"),
                };
                Ok((Moment::from_micros(due), message))
            })
        })
    }

    /// Deletes the record of a run that has ended.
    pub fn delete_run(&self, run: RunId) -> Result<(), StoreError> {
        self.inner.writer.inside(move |apply| {
            let n = apply
                .conn
                .prepare_cached("DELETE FROM runs WHERE id = ?1 AND status IN ('completed', 'failed', 'cancelled')")?
                .execute([Key::new(run.uuid())])?;
            if n == 1 { Ok(()) } else { Err(StoreError::not_found(format!("run {run} that has ended"))) }
        })
    }
}
