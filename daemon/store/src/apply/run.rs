//! Runs with their task, and attempts.

use rusqlite::{OptionalExtension, params};
use sloth_core::run::{Attempt, AttemptEnd, Outcome, Run, RunTrigger};
use sloth_core::{AttemptKey, Moment};

use super::occurrence::of_schedule;
use super::{Apply, Key, count, micros};
use crate::{StoreError, words};

impl Apply<'_> {
    pub(super) fn run_created(&self, r: &Run) -> Result<(), StoreError> {
        let key = Key::new(r.id.uuid());
        let process = r.process.as_ref();
        self.execute(
            "INSERT INTO runs (id, schedule_id, schedule, revision, kind, owner, user, trigger, catch_up, due_at, clock_epoch,
               asked_by, status, reason, message, queued_at, started_at, ended_at, attempts, retry_at, exit_code, signal, cpu_us,
               memory_peak_bytes, io_read_bytes, io_write_bytes, output_bytes, stderr_tail, host, pid, start_ticks, boot_id,
               ip_ingress_bytes, ip_egress_bytes)
             VALUES (?1, ?2, ?3, ?4, ?34, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
               ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33)",
            params![
                key,
                Key::new(r.schedule.uuid()),
                r.schedule_name,
                r.revision,
                r.owner.0,
                r.user,
                words::run_trigger(r.trigger),
                r.trigger == RunTrigger::CatchUp,
                r.due_at.micros(),
                r.epoch,
                r.asked_by,
                words::status(r.status),
                r.reason.map(words::reason),
                r.message,
                r.queued_at.micros(),
                r.started_at.map(Moment::micros),
                r.ended_at.map(Moment::micros),
                r.attempts,
                r.retry_at.map(Moment::micros),
                r.exit_code,
                r.signal,
                micros(r.usage.cpu),
                r.usage.memory_peak_bytes.map(count),
                r.usage.io_read_bytes.map(count),
                r.usage.io_write_bytes.map(count),
                count(r.output_bytes),
                r.stderr_tail,
                self.host,
                process.map(|p| p.pid),
                process.map(|p| count(p.start_ticks)),
                process.map(|p| &p.boot_id),
                r.usage.ip_ingress_bytes.map(count),
                r.usage.ip_egress_bytes.map(count),
                if r.workflow.is_some() { "workflow" } else { "command" },
            ],
        )
        .map_err(|e| match of_schedule(e, r.schedule) {
            StoreError::Conflict { .. } => StoreError::conflict(format!("run {} exists", r.id)),
            other => other,
        })?;
        if let Some(workflow) = &r.workflow {
            return self.workflow_created(r, workflow);
        }
        self.execute(
            "INSERT INTO tasks (run_id, name, status, started_at, ended_at, attempts) VALUES (?1, 'command', ?2, ?3, ?4, ?5)",
            params![
                key,
                words::task_status(r),
                r.started_at.map(Moment::micros),
                r.ended_at.map(Moment::micros),
                r.attempts
            ],
        )?;
        Ok(())
    }

    /// Sets all that can change. What identifies the run (schedule, revision, owner, instant, trigger) never does.
    pub(super) fn run_changed(&self, r: &Run) -> Result<(), StoreError> {
        self.run_set(r)
    }

    /// A run that had ended has not any more.
    pub(super) fn run_reopened(&self, r: &Run) -> Result<(), StoreError> {
        let n = self.execute(
            "UPDATE runs SET status = 'queued' WHERE id = ?1 AND status IN ('completed', 'failed', 'cancelled')",
            [Key::new(r.id.uuid())],
        )?;
        if n == 0 {
            return Err(StoreError::conflict(format!("run {} has not ended, or is gone", r.id)));
        }
        self.run_set(r)
    }

    fn run_set(&self, r: &Run) -> Result<(), StoreError> {
        let key = Key::new(r.id.uuid());
        let process = r.process.as_ref();
        let n = self.execute(
            "UPDATE runs SET status = ?2, reason = ?3, message = ?4, started_at = ?5, ended_at = ?6, attempts = ?7, retry_at = ?8,
               exit_code = ?9, signal = ?10, cpu_us = ?11, memory_peak_bytes = ?12, io_read_bytes = ?13, io_write_bytes = ?14,
               output_bytes = ?15, stderr_tail = ?16, pid = ?17, start_ticks = ?18, boot_id = ?19, user = ?20, asked_by = ?21,
               ip_ingress_bytes = ?22, ip_egress_bytes = ?23
             WHERE id = ?1 AND (status NOT IN ('completed', 'failed', 'cancelled') OR status = ?2)",
            params![
                key,
                words::status(r.status),
                r.reason.map(words::reason),
                r.message,
                r.started_at.map(Moment::micros),
                r.ended_at.map(Moment::micros),
                r.attempts,
                r.retry_at.map(Moment::micros),
                r.exit_code,
                r.signal,
                micros(r.usage.cpu),
                r.usage.memory_peak_bytes.map(count),
                r.usage.io_read_bytes.map(count),
                r.usage.io_write_bytes.map(count),
                count(r.output_bytes),
                r.stderr_tail,
                process.map(|p| p.pid),
                process.map(|p| count(p.start_ticks)),
                process.map(|p| &p.boot_id),
                r.user,
                r.asked_by,
                r.usage.ip_ingress_bytes.map(count),
                r.usage.ip_egress_bytes.map(count),
            ],
        )?;
        if n == 0 {
            let stored: Option<String> = self
                .conn
                .prepare_cached("SELECT status FROM runs WHERE id = ?1")?
                .query_row([key], |row| row.get(0))
                .optional()?;
            return Err(match stored {
                Some(status) => StoreError::conflict(format!("run {} has ended ({status})", r.id)),
                None => StoreError::not_found(format!("run {}", r.id)),
            });
        }
        if let Some(workflow) = &r.workflow {
            return self.workflow_changed(r, workflow);
        }
        self.execute(
            "UPDATE tasks SET status = ?2, started_at = ?3, ended_at = ?4, attempts = ?5 WHERE run_id = ?1 AND workflow = '' AND name = 'command'",
            params![
                key,
                words::task_status(r),
                r.started_at.map(Moment::micros),
                r.ended_at.map(Moment::micros),
                r.attempts
            ],
        )?;
        Ok(())
    }

    /// Recorded again when the daemon died between record and release: the later process counts.
    pub(super) fn attempt_started(&self, a: &Attempt) -> Result<(), StoreError> {
        let process = a.process.as_ref();
        let n = self
            .execute(
                "INSERT INTO attempts (run_id, attempt, started_at, pid, start_ticks, boot_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET started_at = excluded.started_at, pid = excluded.pid,
                   start_ticks = excluded.start_ticks, boot_id = excluded.boot_id WHERE ended_at IS NULL",
                params![
                    Key::new(a.key.run.uuid()),
                    a.key.attempt,
                    a.started_at.micros(),
                    process.map(|p| p.pid),
                    process.map(|p| count(p.start_ticks)),
                    process.map(|p| &p.boot_id)
                ],
            )
            .map_err(|e| of_run(e, a.key))?;
        if n == 0 {
            return Err(StoreError::conflict(format!("attempt {} has ended", a.key)));
        }
        match &a.end {
            Some(end) => self.attempt_ended(a.key, end),
            None => Ok(()),
        }
    }

    /// An attempt that could not be started has no row before. The same end twice is harmless, another end is a conflict.
    pub(super) fn attempt_ended(&self, key: AttemptKey, end: &AttemptEnd) -> Result<(), StoreError> {
        let (exit_code, signal, failure, message) = match &end.outcome {
            Outcome::Exited(code) => (Some(*code), None, None, None),
            Outcome::Signaled(signal) => (None, Some(*signal), None, None),
            Outcome::NotStarted(f) => (None, None, Some(words::start_failure(f.kind)), Some(f.message.as_str())),
            Outcome::Lost(text) => (None, None, None, Some(text.as_str())),
            Outcome::TimedOut | Outcome::Killed | Outcome::Oom => (None, None, None, None),
        };
        let n = self
            .execute(
                "INSERT INTO attempts (run_id, attempt, started_at, ended_at, outcome, exit_code, signal, failure, message, cpu_us,
                   memory_peak_bytes, io_read_bytes, io_write_bytes, output_bytes, dropped_bytes, stderr_tail, ip_ingress_bytes,
                   ip_egress_bytes)
                 VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
                 ON CONFLICT DO UPDATE SET ended_at = excluded.ended_at, outcome = excluded.outcome, exit_code = excluded.exit_code,
                   signal = excluded.signal, failure = excluded.failure, message = excluded.message, cpu_us = excluded.cpu_us,
                   memory_peak_bytes = excluded.memory_peak_bytes, io_read_bytes = excluded.io_read_bytes,
                   io_write_bytes = excluded.io_write_bytes, output_bytes = excluded.output_bytes,
                   dropped_bytes = excluded.dropped_bytes, stderr_tail = excluded.stderr_tail,
                   ip_ingress_bytes = excluded.ip_ingress_bytes, ip_egress_bytes = excluded.ip_egress_bytes
                 WHERE ended_at IS NULL OR (ended_at = excluded.ended_at AND outcome = excluded.outcome)",
                params![
                    Key::new(key.run.uuid()),
                    key.attempt,
                    end.ended_at.micros(),
                    words::outcome(&end.outcome),
                    exit_code,
                    signal,
                    failure,
                    message,
                    micros(end.usage.cpu),
                    end.usage.memory_peak_bytes.map(count),
                    end.usage.io_read_bytes.map(count),
                    end.usage.io_write_bytes.map(count),
                    count(end.output_bytes),
                    count(end.dropped_bytes),
                    end.stderr_tail,
                    end.usage.ip_ingress_bytes.map(count),
                    end.usage.ip_egress_bytes.map(count),
                ],
            )
            .map_err(|e| of_run(e, key))?;
        if n == 0 { Err(StoreError::conflict(format!("attempt {key} has ended otherwise"))) } else { Ok(()) }
    }
}

fn of_run(error: StoreError, key: AttemptKey) -> StoreError {
    match error {
        StoreError::NotFound { .. } => StoreError::not_found(format!("run {}", key.run)),
        other => other,
    }
}
