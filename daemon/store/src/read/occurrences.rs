//! The ledger: rows of due instants, claims without a decision, summaries, clock epochs.

use rusqlite::types::Value;
use rusqlite::{Row, params};
use sloth_core::record::{ClockEpoch, Decision, Occurrence, Skip};
use sloth_core::{Moment, RunId, ScheduleId};

use super::{Conditions, first, moment, moment_opt, parsed, parsed_opt, rows, word_opt};
use crate::apply::Key;
use crate::{Store, StoreError, words};

const SELECT: &str =
    "SELECT schedule_id, due_at, clock_epoch, decision, detail, run_id, trigger, decided_at FROM occurrences";

pub(super) const PLANNED: &str = "WHERE decision = 'planned' AND (due_at, schedule_id, clock_epoch) > (?1, ?2, ?3)
  ORDER BY due_at, schedule_id, clock_epoch LIMIT ?4";

/// One row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OccurrenceRow {
    /// Which instant.
    pub occurrence: Occurrence,
    /// What became of it; `None`: planned.
    pub decision: Option<Decision>,
    /// When that was stored.
    pub decided_at: Option<Moment>,
}

/// Which rows of a schedule to list.
#[derive(Clone, Debug, Default)]
pub struct OccurrenceFilter {
    /// Due at or after.
    pub since: Option<Moment>,
    /// Due before.
    pub until: Option<Moment>,
    /// From the newest to the oldest.
    pub newest_first: bool,
    /// Only those after this row, in the order of the list.
    pub after: Option<(Moment, u32)>,
}

/// Where a page of planned occurrences ended.
pub type PlannedKey = Occurrence;

/// Instants of a schedule that are kept as numbers only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// First instant.
    pub first_due: Moment,
    /// Last instant.
    pub last_due: Moment,
    /// With a run.
    pub run: u64,
    /// Answered by the run of a later instant.
    pub coalesced: u64,
    /// Skipped.
    pub skipped: u64,
    /// Skipped, by reason.
    pub skipped_by: Vec<(&'static str, u64)>,
}

impl Store {
    /// Claims without a decision, of all schedules, in the order of their instants.
    pub fn planned_occurrences(&self, limit: u32, after: Option<PlannedKey>) -> Result<Vec<Occurrence>, StoreError> {
        let (due, id, epoch) =
            after.map_or((i64::MIN, String::new(), 0), |o| (o.due_at.micros(), o.schedule.to_string(), o.epoch));
        self.read(|conn| {
            rows(conn, &format!("{SELECT} {PLANNED}"), params![due, id, epoch, limit], |row| Ok(identity(row)?))
        })
    }

    /// One row of the ledger.
    pub fn occurrence(&self, o: &Occurrence) -> Result<Option<OccurrenceRow>, StoreError> {
        let sql = format!("{SELECT} WHERE schedule_id = ?1 AND due_at = ?2 AND clock_epoch = ?3");
        self.read(|conn| {
            first(conn, &sql, params![Key::new(o.schedule.uuid()), o.due_at.micros(), o.epoch], occurrence_row)
        })
    }

    /// Rows of one schedule.
    pub fn occurrences(
        &self,
        schedule: ScheduleId,
        filter: &OccurrenceFilter,
        limit: u32,
    ) -> Result<Vec<OccurrenceRow>, StoreError> {
        let (sql, values) = list_sql(schedule, filter, limit);
        self.read(|conn| rows(conn, &sql, rusqlite::params_from_iter(values), occurrence_row))
    }

    /// Numbers of the instants without a row.
    pub fn summary(&self, schedule: ScheduleId) -> Result<Option<Summary>, StoreError> {
        let sql = "SELECT first_due, last_due, run, coalesced, skipped, skipped_paused, skipped_overlap, skipped_deadline,
                     skipped_catch_up, skipped_quiesced, skipped_limit FROM occurrence_summaries WHERE schedule_id = ?1";
        self.read(|conn| {
            first(conn, sql, [Key::new(schedule.uuid())], |row| {
                let count = |column| Ok::<_, StoreError>(row.get::<_, i64>(column)?.unsigned_abs());
                let words = ["paused", "overlap", "deadline", "catch_up", "quiesced", "limit"];
                let skipped_by = words.into_iter().zip(5..).map(|(word, column)| Ok((word, count(column)?)));
                Ok(Summary {
                    first_due: moment(row, 0)?,
                    last_due: moment(row, 1)?,
                    run: count(2)?,
                    coalesced: count(3)?,
                    skipped: count(4)?,
                    skipped_by: skipped_by.collect::<Result<_, StoreError>>()?,
                })
            })
        })
    }

    /// All clock epochs, oldest first.
    pub fn clock_epochs(&self) -> Result<Vec<ClockEpoch>, StoreError> {
        let sql = "SELECT epoch, before_us, after_us, shift_us, cause FROM clock_epochs ORDER BY epoch";
        self.read(|conn| {
            rows(conn, sql, [], |row| {
                let cause = match row.get_ref(4)?.as_str() {
                    Ok("start") => "start",
                    Ok("clock_step") => "clock_step",
                    _ => "unknown",
                };
                Ok(ClockEpoch {
                    epoch: row.get(0)?,
                    before: moment(row, 1)?,
                    after: moment(row, 2)?,
                    shift_us: row.get(3)?,
                    cause,
                })
            })
        })
    }
}

pub(super) fn list_sql(schedule: ScheduleId, filter: &OccurrenceFilter, limit: u32) -> (String, Vec<Value>) {
    let mut conditions = Conditions::default();
    conditions.add("schedule_id = ?", schedule.to_string());
    if let Some(since) = filter.since {
        conditions.add("due_at >= ?", since.micros());
    }
    if let Some(until) = filter.until {
        conditions.add("due_at < ?", until.micros());
    }
    if let Some((due_at, epoch)) = filter.after {
        let sign = if filter.newest_first { '<' } else { '>' };
        conditions.add_pair("due_at, clock_epoch", sign, due_at.micros(), i64::from(epoch));
    }
    let order = if filter.newest_first { "due_at DESC, clock_epoch DESC" } else { "due_at, clock_epoch" };
    (conditions.sql(SELECT, order, limit), conditions.values)
}

fn identity(row: &Row<'_>) -> rusqlite::Result<Occurrence> {
    Ok(Occurrence { schedule: parsed(row, 0)?, due_at: moment(row, 1)?, epoch: row.get(2)? })
}

fn occurrence_row(row: &Row<'_>) -> Result<OccurrenceRow, StoreError> {
    let occurrence = identity(row)?;
    let bad = |why: &str| {
        StoreError::unreadable(format!("instant {} of schedule {}", occurrence.due_at, occurrence.schedule), why)
    };
    let run: Option<RunId> = parsed_opt(row, 5)?;
    let with_run = || run.ok_or_else(|| bad("it names no run"));
    let word: String = row.get(3)?;
    let decision = match word.as_str() {
        "planned" => None,
        "run" => Some(Decision::Run {
            run: with_run()?,
            trigger: word_opt(row, 6, words::read_trigger)?.ok_or_else(|| bad("it names no trigger"))?,
        }),
        "coalesced" => Some(Decision::Coalesced { run: with_run()? }),
        "skipped" => {
            let detail: Option<String> = row.get(4)?;
            Some(Decision::Skipped(match detail.as_deref() {
                Some("paused") => Skip::Paused,
                Some("overlap") => Skip::Overlap { by: with_run()? },
                Some("deadline") => Skip::Deadline,
                Some("catch_up") => Skip::CatchUp,
                Some("quiesced") => Skip::Quiesced,
                Some("limit") => Skip::Limit,
                _ => return Err(bad("it does not say why it was skipped")),
            }))
        }
        other => return Err(bad(&format!("unknown decision {other:?}"))),
    };
    Ok(OccurrenceRow { occurrence, decision, decided_at: moment_opt(row, 7)? })
}
