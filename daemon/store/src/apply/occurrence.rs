//! The ledger: claims and decisions of due instants.

use rusqlite::params;
use sloth_core::record::{Decision, Fold, Occurrence, Skip};
use sloth_core::{Moment, ScheduleId};

use super::{Apply, Key, count};
use crate::{StoreError, words};

impl Apply<'_> {
    /// Claiming twice is harmless; claiming what is decided is not, because it would be decided again.
    pub(super) fn planned(&self, o: &Occurrence) -> Result<(), StoreError> {
        let key = Key::new(o.schedule.uuid());
        let n = self
            .execute(
                "INSERT INTO occurrences (schedule_id, due_at, clock_epoch, decision) VALUES (?1, ?2, ?3, 'planned')
                 ON CONFLICT DO NOTHING",
                params![key, o.due_at.micros(), o.epoch],
            )
            .map_err(|e| of_schedule(e, o.schedule))?;
        if n == 1 {
            return Ok(());
        }
        let decision: String = self
            .conn
            .prepare_cached(
                "SELECT decision FROM occurrences WHERE schedule_id = ?1 AND due_at = ?2 AND clock_epoch = ?3",
            )?
            .query_row(params![key, o.due_at.micros(), o.epoch], |row| row.get(0))?;
        if decision == "planned" { Ok(()) } else { Err(already(o)) }
    }

    /// All claims are taken back, and marks return to before the first of them.
    pub(super) fn unplanned(&self) -> Result<(), StoreError> {
        self.execute(
            "UPDATE schedules SET mark = first - 1, next_due = first
             FROM (SELECT schedule_id, min(due_at) AS first FROM occurrences WHERE decision = 'planned' GROUP BY schedule_id) AS p
             WHERE id = p.schedule_id AND deleted_at IS NULL",
            [],
        )?;
        self.execute("DELETE FROM occurrences WHERE decision = 'planned'", [])?;
        Ok(())
    }

    /// Claims of one schedule after a moment are taken back; its mark is set by whoever asked.
    pub(super) fn unplanned_after(&self, schedule: ScheduleId, after: Moment) -> Result<(), StoreError> {
        self.execute(
            "DELETE FROM occurrences WHERE schedule_id = ?1 AND due_at > ?2 AND decision = 'planned'",
            params![Key::new(schedule.uuid()), after.micros()],
        )?;
        Ok(())
    }

    pub(super) fn decided(&self, o: &Occurrence, decision: &Decision) -> Result<(), StoreError> {
        let (word, detail, run, trigger) = match decision {
            Decision::Run { run, trigger } => ("run", None, Some(*run), Some(words::trigger(*trigger))),
            Decision::Skipped(skip) => {
                let by = if let Skip::Overlap { by } = skip { Some(*by) } else { None };
                ("skipped", Some(words::skip(skip)), by, None)
            }
            Decision::Coalesced { run } => ("coalesced", None, Some(*run), None),
        };
        let n = self
            .execute(
                "INSERT INTO occurrences (schedule_id, due_at, clock_epoch, decision, detail, run_id, trigger, decided_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT DO UPDATE SET decision = excluded.decision, detail = excluded.detail, run_id = excluded.run_id,
                   trigger = excluded.trigger, decided_at = excluded.decided_at WHERE decision = 'planned'",
                params![
                    Key::new(o.schedule.uuid()),
                    o.due_at.micros(),
                    o.epoch,
                    word,
                    detail,
                    run.map(|r| Key::new(r.uuid())),
                    trigger,
                    self.now.micros()
                ],
            )
            .map_err(|e| of_schedule(e, o.schedule))?;
        if n == 1 { Ok(()) } else { Err(already(o)) }
    }

    pub(super) fn folded(&self, fold: &Fold) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO occurrence_summaries (schedule_id, first_due, last_due, skipped, skipped_catch_up)
             VALUES (?1, ?2, ?3, ?4, ?4)
             ON CONFLICT DO UPDATE SET first_due = min(first_due, excluded.first_due), last_due = max(last_due, excluded.last_due),
               skipped = skipped + excluded.skipped, skipped_catch_up = skipped_catch_up + excluded.skipped_catch_up",
            params![Key::new(fold.schedule.uuid()), fold.from.micros(), fold.to.micros(), count(fold.skipped)],
        )
        .map_err(|e| of_schedule(e, fold.schedule))?;
        Ok(())
    }
}

fn already(o: &Occurrence) -> StoreError {
    StoreError::conflict(format!(
        "instant {} of schedule {} (epoch {}) is already decided",
        o.due_at, o.schedule, o.epoch
    ))
}

/// Names the schedule in the error of a row that refers to a missing one.
pub(super) fn of_schedule(error: StoreError, schedule: ScheduleId) -> StoreError {
    match error {
        StoreError::NotFound { .. } => StoreError::not_found(format!("schedule {schedule}")),
        other => other,
    }
}
