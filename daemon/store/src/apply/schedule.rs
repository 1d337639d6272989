//! Schedules: revisions, the history of their triggers, marks and counters.

use rusqlite::{OptionalExtension, params};
use sloth_core::record::{Rebase, Stats};
use sloth_core::{Enabled, Moment, Schedule, ScheduleId};

use super::{Apply, Key, count};
use crate::{StoreError, definition, words};

impl Apply<'_> {
    pub(super) fn schedule_created(&self, s: &Schedule) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO schedules (id, owner, name, revision, enabled, definition, mark, next_due, trigger_class)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                Key::new(s.id.uuid()),
                s.owner.0,
                s.name,
                s.revision,
                s.enabled == Enabled::Yes,
                definition::write(s)?,
                s.trigger_since.micros(),
                s.first_due().map(Moment::micros),
                definition::trigger_class(&s.trigger)
            ],
        )
        .map_err(|e| name_taken(e, s))?;
        self.open_trigger(s)
    }

    pub(super) fn schedule_changed(&self, s: &Schedule) -> Result<(), StoreError> {
        let key = Key::new(s.id.uuid());
        let (stored, since): (u32, (u32, i64)) = self
            .conn
            .prepare_cached(
                "SELECT revision, COALESCE(definition ->> '$.trigger_epoch', 0), definition ->> '$.trigger_since_us'
                 FROM schedules WHERE id = ?1 AND deleted_at IS NULL",
            )?
            .query_row([key], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))
            .optional()?
            .ok_or_else(|| StoreError::not_found(format!("schedule {} ({})", s.name, s.id)))?;
        if s.revision.checked_sub(1) != Some(stored) {
            let text = format!("schedule {} is at revision {stored}, revision {} cannot follow it", s.name, s.revision);
            return Err(StoreError::conflict(text));
        }
        self.execute(
            "INSERT INTO schedule_versions (schedule_id, revision, definition, replaced_at)
             SELECT id, revision, definition, ?2 FROM schedules WHERE id = ?1",
            params![key, self.now.millis()],
        )?;
        self.execute(
            "UPDATE schedules SET owner = ?2, name = ?3, revision = ?4, enabled = ?5, definition = ?6, trigger_class = ?7
             WHERE id = ?1",
            params![
                key,
                s.owner.0,
                s.name,
                s.revision,
                s.enabled == Enabled::Yes,
                definition::write(s)?,
                definition::trigger_class(&s.trigger)
            ],
        )
        .map_err(|e| name_taken(e, s))?;
        // Later also means: in a later epoch, where the clock may show less.
        if (s.trigger_epoch, s.trigger_since.micros()) <= since {
            return Ok(());
        }
        self.close_trigger(key, s.trigger_since, s.trigger_epoch)?;
        self.open_trigger(s)?;
        self.unplanned_after(s.id, s.trigger_since)?;
        self.execute(
            "UPDATE schedules SET mark = ?2, next_due = ?3 WHERE id = ?1",
            params![key, s.trigger_since.micros(), s.first_due().map(Moment::micros)],
        )?;
        Ok(())
    }

    /// Instants up to `at` keep their rows, planned ones too: they were due, and whoever claimed them decides them.
    pub(super) fn schedule_deleted(&self, schedule: ScheduleId, at: Moment, epoch: u32) -> Result<(), StoreError> {
        let key = Key::new(schedule.uuid());
        let n = self.execute(
            "UPDATE schedules SET deleted_at = ?2, next_due = NULL WHERE id = ?1 AND deleted_at IS NULL",
            params![key, at.millis()],
        )?;
        if n == 0 {
            return Err(StoreError::not_found(format!("schedule {schedule}")));
        }
        self.close_trigger(key, at, epoch)?;
        self.unplanned_after(schedule, at)
    }

    pub(super) fn marked(&self, schedule: ScheduleId, mark: Moment, next: Option<Moment>) -> Result<(), StoreError> {
        let n = self.execute(
            "UPDATE schedules SET mark = ?2, next_due = ?3 WHERE id = ?1",
            params![Key::new(schedule.uuid()), mark.micros(), next.map(Moment::micros)],
        )?;
        if n == 0 { Err(StoreError::not_found(format!("schedule {schedule}"))) } else { Ok(()) }
    }

    /// The clock was set. A schedule without a next instant has nothing to find there.
    pub(super) fn reread(&self) -> Result<(), StoreError> {
        let sql = "UPDATE schedules SET next_due = mark WHERE next_due > mark AND deleted_at IS NULL";
        self.execute(sql, []).map(|_| ())
    }

    pub(super) fn rebased(&self, fixed: Rebase, interval: Rebase, every: Rebase) -> Result<(), StoreError> {
        for (class, rebase) in [("fixed", fixed), ("interval", interval), ("every", every)] {
            let (to, condition) = match rebase {
                Rebase::To(to) => (to, "mark <> ?2 OR next_due <> ?2"),
                Rebase::AtMost(to) => (to, "mark > ?2"),
            };
            let sql = format!(
                "UPDATE schedules SET mark = ?2, next_due = ?2
                 WHERE trigger_class = ?1 AND next_due IS NOT NULL AND deleted_at IS NULL AND ({condition})"
            );
            self.execute(&sql, params![class, to.micros()])?;
        }
        Ok(())
    }

    pub(super) fn schedule_stats(&self, schedule: ScheduleId, s: &Stats) -> Result<(), StoreError> {
        let n = self.execute(
            "UPDATE schedules SET runs = ?2, failures_in_a_row = ?3, last_success_at = ?4, last_run = ?5, last_status = ?6,
               last_reason = ?7, last_ended_at = ?8, last_duration_us = ?9, fired_boot = ?10 WHERE id = ?1",
            params![
                Key::new(schedule.uuid()),
                count(s.runs),
                s.failures_in_a_row,
                s.last_success_at.map(Moment::micros),
                s.last_run.map(|run| Key::new(run.uuid())),
                s.last_status.map(words::status),
                s.last_reason.map(words::reason),
                s.last_ended_at.map(Moment::micros),
                s.last_duration_us,
                s.fired_boot
            ],
        )?;
        if n == 0 { Err(StoreError::not_found(format!("schedule {schedule}"))) } else { Ok(()) }
    }

    fn open_trigger(&self, s: &Schedule) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO schedule_triggers (schedule_id, from_epoch, valid_from, trigger, timezone, kind, anchor, revision)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                Key::new(s.id.uuid()),
                s.trigger_epoch,
                s.trigger_since.micros(),
                s.trigger_text,
                s.timezone,
                words::trigger_kind(s.trigger.kind()),
                definition::anchor(&s.trigger).map(Moment::micros),
                s.revision
            ],
        )?;
        Ok(())
    }

    fn close_trigger(&self, key: Key, at: Moment, epoch: u32) -> Result<(), StoreError> {
        self.execute(
            "UPDATE schedule_triggers SET valid_to = ?2, to_epoch = ?3 WHERE schedule_id = ?1 AND valid_to IS NULL",
            params![key, at.micros(), epoch],
        )?;
        Ok(())
    }
}

fn name_taken(error: StoreError, s: &Schedule) -> StoreError {
    match error {
        StoreError::Conflict { what } if what.contains("schedules.name") => {
            StoreError::conflict(format!("user {} already has a schedule named {}", s.owner_name, s.name))
        }
        StoreError::Conflict { .. } => StoreError::conflict(format!("schedule {} exists", s.id)),
        other => other,
    }
}
