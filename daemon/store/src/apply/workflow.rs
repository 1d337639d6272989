//! Runs of workflows: their source, what only they have, and the journal of their workers.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, params};
use sloth_core::record::{Circuit, Journal, JournalEffect, JournalEvent, JournalRow, Saved, SourceBundle, TaskRow};
use sloth_core::run::{Run, WorkflowRun};
use sloth_core::{Moment, Schedule, Uid};

use super::{Apply, Key, count};
use crate::{StoreError, definition, words};

/// Checkpoints of one name that a run keeps.
const CHECKPOINTS_MAX: i64 = 1_000;

impl Apply<'_> {
    /// A definition without triggers, ledger and list.
    pub(super) fn unlisted(&self, s: &Schedule) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO schedules (id, owner, name, revision, enabled, definition, mark, trigger_class, deleted_at, unlisted)
             VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, 'none', ?7, 1)",
            params![
                Key::new(s.id.uuid()),
                s.owner.0,
                s.name,
                s.revision,
                definition::write(s)?,
                s.trigger_since.micros(),
                self.now.millis()
            ],
        )?;
        Ok(())
    }

    pub(super) fn bundle_stored(&self, bundle: &SourceBundle) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO bundles (sha256, content, size, created_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET created_at = excluded.created_at",
            params![bundle.sha256, bundle.content, count(bundle.size), self.now.millis()],
        )?;
        Ok(())
    }

    pub(super) fn workflow_created(&self, run: &Run, workflow: &WorkflowRun) -> Result<(), StoreError> {
        let action = &*workflow.action;
        self.execute(
            "INSERT INTO workflow_runs (run_id, workflow, stack, chosen, bundle, main, saved, \"values\", params, options, mode,
               invocation_dir, priority, labels, paused, compensation, handled, workers_lost, compensate_only)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, 0, 'none', 0, 0, 0)",
            params![
                Key::new(run.id.uuid()),
                action.name,
                action.stack,
                action.workflow,
                action.bundle,
                action.main,
                action.saved,
                action.values,
                action.params,
                action.options,
                action.mode,
                action.invocation_dir,
                action.priority,
                action.labels
            ],
        )?;
        Ok(())
    }

    pub(super) fn workflow_changed(&self, run: &Run, workflow: &WorkflowRun) -> Result<(), StoreError> {
        let cancel = workflow.cancel.as_ref();
        let end = workflow.end.as_ref();
        self.execute(
            "UPDATE workflow_runs SET paused = ?2, cancel_reason = ?3, cancel_compensate = ?4, compensation = ?5, handled = ?6,
               workers_lost = ?7, end_status = ?8, end_reason = ?9, end_message = ?10, resume_from = ?11, compensate_only = ?12
             WHERE run_id = ?1",
            params![
                Key::new(run.id.uuid()),
                workflow.paused,
                cancel.map(|wish| &wish.reason),
                cancel.map(|wish| wish.compensate),
                workflow.compensation.as_str(),
                workflow.handled,
                workflow.lost,
                end.map(|end| words::status(end.status)),
                end.and_then(|end| end.reason).map(words::reason),
                end.and_then(|end| end.message.as_ref()),
                workflow.resume_from,
                workflow.compensate_only
            ],
        )?;
        Ok(())
    }

    /// Adds what is not there yet. A gap in the numbers is a contradiction.
    pub(crate) fn journal(&mut self, journal: &Journal) -> Result<(), StoreError> {
        let key = Key::new(journal.run.uuid());
        let found: Option<(i64, i64, String)> = self
            .conn
            .prepare_cached("SELECT n, last_seq, user FROM workflow_runs JOIN runs ON id = run_id WHERE run_id = ?1")?
            .query_row([key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let (n, mut last, user) =
            found.ok_or_else(|| StoreError::not_found(format!("workflow run {}", journal.run)))?;
        let (before, mut bytes) = (last, 0);
        // Of a task that changes several times in a batch only the last state has to be written.
        let mut latest: HashMap<(&str, &str), usize> = HashMap::new();
        for (i, row) in journal.rows.iter().enumerate() {
            if let JournalEffect::Task(task) = &row.effect {
                latest.insert((&task.workflow, &task.name), i);
            }
        }
        for (i, row) in journal.rows.iter().enumerate() {
            let seq = count(row.seq);
            if seq <= last {
                continue;
            }
            if seq != last + 1 {
                return Err(StoreError::conflict(format!(
                    "record {seq} of run {} cannot follow record {last}",
                    journal.run
                )));
            }
            last = seq;
            bytes += row.body.len();
            self.journal_row(n, row)?;
            let written = match &row.effect {
                JournalEffect::Task(task) => latest.get(&(task.workflow.as_str(), task.name.as_str())) == Some(&i),
                _ => true,
            };
            if written {
                self.journal_effect(key, row)?;
            }
            for event in &row.events {
                self.journal_event(key, &user, row.at, event)?;
            }
        }
        if last > before {
            self.execute(
                "UPDATE workflow_runs SET last_seq = ?2, journal_bytes = journal_bytes + ?3 WHERE n = ?1",
                params![n, last, bytes as i64],
            )?;
        }
        Ok(())
    }

    pub(super) fn circuit(&self, c: &Circuit) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO circuits (name, state, failures, opened_at, retry_at, settings, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT DO UPDATE SET state = excluded.state, failures = excluded.failures, opened_at = excluded.opened_at,
               retry_at = excluded.retry_at, settings = excluded.settings, updated_at = excluded.updated_at",
            params![
                c.name,
                c.state,
                c.failures,
                c.opened_at.map(Moment::millis),
                c.retry_at.map(Moment::millis),
                c.settings,
                self.now.millis()
            ],
        )?;
        Ok(())
    }

    pub(super) fn workflow_saved(&self, s: &Saved) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO workflows (owner, name, description, bundle, main, version, active, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, ?7)
             ON CONFLICT DO UPDATE SET description = excluded.description, main = excluded.main, active = excluded.active,
               version = version + (bundle <> excluded.bundle), bundle = excluded.bundle, updated_at = excluded.updated_at",
            params![s.owner.0, s.name, s.description, s.bundle, s.main, s.active, self.now.millis()],
        )?;
        Ok(())
    }

    pub(super) fn workflow_removed(&self, owner: Uid, name: &str) -> Result<(), StoreError> {
        let n = self.execute("DELETE FROM workflows WHERE owner = ?1 AND name = ?2", params![owner.0, name])?;
        if n == 0 { Err(StoreError::not_found(format!("saved workflow {name:?}"))) } else { Ok(()) }
    }

    fn journal_row(&self, run: i64, row: &JournalRow) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO journal (run, seq, at, kind, body) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![run, count(row.seq), row.at.millis(), row.kind, row.body],
        )?;
        Ok(())
    }

    fn journal_effect(&self, key: Key, row: &JournalRow) -> Result<(), StoreError> {
        match &row.effect {
            JournalEffect::None => Ok(()),
            JournalEffect::Task(task) => self.task(key, task),
            JournalEffect::Graph { workflows, tasks, graph, diagnostics } => {
                // Until now the run was named after its file; with several workflows it stays so.
                let only = if let [(name, _)] = workflows.as_slice() { Some(name) } else { None };
                self.execute(
                    "UPDATE workflow_runs SET graph = ?2, diagnostics = ?3, workflow = COALESCE(?4, workflow) WHERE run_id = ?1",
                    params![key, graph, diagnostics, only],
                )?;
                for (name, version) in workflows {
                    self.execute(
                        "INSERT INTO workflow_executions (run_id, name, version, status, started_at) VALUES (?1, ?2, ?3, 'running', ?4)
                         ON CONFLICT DO UPDATE SET version = excluded.version, status = 'running', completed_at = NULL, error_msg = NULL",
                        params![key, name, version, row.at.millis()],
                    )?;
                }
                for (ordinal, (workflow, name, stage)) in tasks.iter().enumerate() {
                    self.execute(
                        "INSERT INTO tasks (run_id, workflow, name, stage, status, attempts, ordinal) VALUES (?1, ?2, ?3, ?4, 'pending', 0, ?5)
                         ON CONFLICT DO UPDATE SET stage = excluded.stage, ordinal = excluded.ordinal",
                        params![key, workflow, name, stage, ordinal as i64],
                    )?;
                }
                Ok(())
            }
            JournalEffect::Checkpoint { id, name, workflow, task, state } => {
                self.execute(
                    "INSERT INTO checkpoints (run_id, name, seq, id, workflow, task, state, created_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                    params![key, name, count(row.seq), id, workflow, task, state, row.at.millis()],
                )?;
                self.execute(
                    "DELETE FROM checkpoints WHERE run_id = ?1 AND name = ?2 AND seq <=
                       (SELECT seq FROM checkpoints WHERE run_id = ?1 AND name = ?2 ORDER BY seq DESC LIMIT 1 OFFSET ?3)",
                    params![key, name, CHECKPOINTS_MAX],
                )?;
                Ok(())
            }
            JournalEffect::Artifact { workflow, task, name, path, sha256, size, mode } => {
                self.execute(
                    "INSERT INTO artifacts (run_id, seq, workflow, task, name, path, sha256, size, mode, created_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                    params![
                        key,
                        count(row.seq),
                        workflow,
                        task,
                        name,
                        path,
                        sha256,
                        count(*size),
                        mode,
                        row.at.millis()
                    ],
                )?;
                Ok(())
            }
            JournalEffect::Finished { status, message, outputs, diagnostics } => {
                self.execute(
                    "UPDATE workflow_runs SET outputs = ?2, diagnostics = COALESCE(?3, diagnostics) WHERE run_id = ?1",
                    params![key, outputs, diagnostics],
                )?;
                self.execute(
                    "UPDATE workflow_executions SET status = ?2, completed_at = ?3, error_msg = ?4 WHERE run_id = ?1",
                    params![key, status, row.at.millis(), message],
                )?;
                Ok(())
            }
        }
    }

    fn task(&self, key: Key, task: &TaskRow) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO tasks (run_id, workflow, name, stage, status, kind, message, error, skip_reason, changed, cached, ignored,
               attempts, started_at, ended_at, exit_code, output)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
             ON CONFLICT DO UPDATE SET stage = COALESCE(excluded.stage, stage), status = excluded.status, kind = excluded.kind,
               message = excluded.message, error = excluded.error, skip_reason = excluded.skip_reason, changed = excluded.changed,
               cached = excluded.cached, ignored = excluded.ignored, attempts = max(attempts, excluded.attempts),
               started_at = COALESCE(started_at, excluded.started_at), ended_at = excluded.ended_at,
               exit_code = excluded.exit_code, output = excluded.output",
            params![
                key,
                task.workflow,
                task.name,
                task.stage,
                task.status,
                task.kind,
                task.message,
                task.error,
                task.skip_reason,
                task.changed,
                task.cached,
                task.ignored,
                task.attempts,
                task.started_at.map(Moment::micros),
                task.ended_at.map(Moment::micros),
                task.exit_code,
                task.output
            ],
        )?;
        Ok(())
    }

    fn journal_event(&mut self, key: Key, user: &str, at: Moment, event: &JournalEvent) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO events (id, type, severity, source, message, run_id, task, user, data, timestamp, created_at, processed_at,
               status, correlation_id)
             VALUES (?1, ?2, ?3, 'worker', ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, 'completed', ?5)",
            params![
                Key::new(event.id.uuid()),
                event.kind,
                words::severity(event.severity),
                event.message,
                key,
                event.task,
                user,
                event.data,
                at.millis(),
                self.now.millis()
            ],
        )?;
        self.last_event = self.conn.last_insert_rowid();
        Ok(())
    }
}
