//! Carries out records: what each of them means for the tables. Runs inside a transaction that the writer began.

mod feed;
mod occurrence;
mod run;
mod schedule;
mod workflow;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, params};
use sloth_core::Moment;
use sloth_core::record::{Answered, ClockEpoch, Record};
use uuid::Uuid;

use crate::StoreError;

pub use feed::AuditRow;
pub(crate) use feed::{audit_hash, genesis, last_audit_before};

/// What applying needs to know besides the record.
pub(crate) struct Apply<'a> {
    pub conn: &'a Connection,
    /// Time of the transaction, for the columns that say when something was written.
    pub now: Moment,
    /// Name of this host.
    pub host: &'a str,
    /// Sequence number of the last event inserted so far, 0 for none.
    pub last_event: i64,
}

impl Apply<'_> {
    /// Carries out one record. After an error the caller rolls back to the state before the request.
    pub(crate) fn record(&mut self, record: &Record) -> Result<(), StoreError> {
        match record {
            Record::Planned(o) => self.planned(o),
            Record::Unplanned => self.unplanned(),
            Record::Rebased { fixed, interval, every } => self.rebased(*fixed, *interval, *every),
            Record::Reread => self.reread(),
            Record::Decided(o, decision) => self.decided(o, decision),
            Record::Folded(fold) => self.folded(fold),
            Record::Marked { schedule, mark, next_due } => self.marked(*schedule, *mark, *next_due),
            Record::ScheduleCreated(s) => self.schedule_created(s),
            Record::ScheduleChanged(s) => self.schedule_changed(s),
            Record::ScheduleDeleted { schedule, at, epoch } => self.schedule_deleted(*schedule, *at, *epoch),
            Record::ScheduleStats { schedule, stats } => self.schedule_stats(*schedule, stats),
            Record::RunCreated(run) => self.run_created(run),
            Record::RunChanged(run) => self.run_changed(run),
            Record::RunReopened(run) => self.run_reopened(run),
            Record::Unlisted(definition) => self.unlisted(definition),
            Record::BundleStored(bundle) => self.bundle_stored(bundle),
            Record::Circuit(circuit) => self.circuit(circuit),
            Record::WorkflowSaved(saved) => self.workflow_saved(saved),
            Record::WorkflowRemoved { owner, name } => self.workflow_removed(*owner, name),
            Record::Journal(journal) => self.journal(journal),
            Record::AttemptStarted(attempt) => self.attempt_started(attempt),
            Record::AttemptEnded(key, end) => self.attempt_ended(*key, end),
            Record::RunNoted(note) => self.event(&note.event()),
            Record::Event(event) => self.event(event),
            Record::Published(published) => self.published(published),
            Record::Audit(audit) => self.audit(audit),
            Record::Answered(answered) => self.answered(answered),
            Record::Epoch(epoch) => self.epoch(epoch),
            Record::Meta(key, value) => self.meta(key, value.as_deref()),
        }
    }

    /// Runs a cached statement; the number of rows changed.
    fn execute(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize, StoreError> {
        Ok(self.conn.prepare_cached(sql)?.execute(params)?)
    }

    fn epoch(&self, e: &ClockEpoch) -> Result<(), StoreError> {
        let n = self.execute(
            "INSERT INTO clock_epochs (epoch, before_us, after_us, shift_us, cause) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
            params![e.epoch, e.before.micros(), e.after.micros(), e.shift_us, e.cause],
        )?;
        if n == 0 { Err(StoreError::conflict(format!("clock epoch {} exists", e.epoch))) } else { Ok(()) }
    }

    fn answered(&self, answered: &Answered) -> Result<(), StoreError> {
        let Answered { key, uid, body_hash, response } = answered;
        let rows = self.execute(
            "INSERT INTO idempotency (key, uid, body_hash, response, created) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
            params![key, uid.0, body_hash, response, self.now.millis()],
        )?;
        if rows == 0 {
            return Err(StoreError::conflict(format!("there is an answer for the key {key:?}")));
        }
        Ok(())
    }

    pub(crate) fn meta(&self, key: &str, value: Option<&str>) -> Result<(), StoreError> {
        match value {
            Some(value) => self.execute(
                "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value",
                params![key, value],
            )?,
            None => self.execute("DELETE FROM meta WHERE key = ?1", [key])?,
        };
        Ok(())
    }
}

/// An id as the tables hold it, without an allocation.
#[derive(Clone, Copy)]
pub(crate) struct Key([u8; 36]);

impl Key {
    pub(crate) fn new(id: Uuid) -> Self {
        let mut text = [0; 36];
        id.hyphenated().encode_lower(&mut text);
        Key(text)
    }
}

impl ToSql for Key {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(&self.0)))
    }
}

/// A count for a column; what is beyond the largest integer of SQLite is stored as that.
fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A duration for a column, microseconds.
fn micros(d: std::time::Duration) -> i64 {
    i64::try_from(d.as_micros()).unwrap_or(i64::MAX)
}
