//! What is stored of workflows: the part of a run that only they have, tasks, journal, checkpoints, artifacts, sources, circuits.

use std::sync::Arc;

use rusqlite::{Row, params};
use sloth_core::run::{CancelWish, Compensation, WorkflowAction, WorkflowEnd, WorkflowRun};
use sloth_core::{Moment, RunId, Uid};

use super::{first, moment_opt, rows, word, word_opt};
use crate::apply::Key;
use crate::{Store, StoreError, words};

/// A task of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// Workflow; empty for that of a command.
    pub workflow: String,
    /// Name; that of a command is `command`.
    pub name: String,
    /// Stage.
    pub stage: Option<String>,
    /// `pending`, `running`, `waiting`, `completed`, `failed`, `skipped`, `cancelled`.
    pub status: String,
    /// Kind of a failure.
    pub kind: Option<String>,
    /// For people.
    pub message: String,
    /// Failure with traceback.
    pub error: Option<String>,
    /// Why it was skipped.
    pub skip_reason: Option<String>,
    /// Whether something was changed.
    pub changed: bool,
    /// From the result cache.
    pub cached: bool,
    /// A failure that counts as satisfied.
    pub ignored: bool,
    /// Attempts begun.
    pub attempts: u32,
    /// First start.
    pub started_at: Option<Moment>,
    /// End.
    pub ended_at: Option<Moment>,
    /// Exit code.
    pub exit_code: Option<i32>,
    /// JSON.
    pub output: Option<String>,
}

/// A record of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Number.
    pub seq: u64,
    /// When.
    pub at: Moment,
    /// JSON, with its kind.
    pub body: String,
}

/// One page of a journal.
#[derive(Clone, Debug, Default)]
pub struct JournalPage {
    /// Records, in order.
    pub items: Vec<StoredRecord>,
    /// Number after which the next page begins; `None`: this was the last.
    pub next: Option<u64>,
}

/// The source of workflows, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBundle {
    /// Compressed with zstd.
    pub content: Vec<u8>,
    /// Bytes before that.
    pub size: u64,
}

/// What is known of a workflow run beside its record. Texts are JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// The graph.
    pub graph: Option<String>,
    /// Findings of the definition.
    pub diagnostics: Option<String>,
    /// Collected outputs.
    pub outputs: Option<String>,
    /// Number of the last record.
    pub last_seq: u64,
}

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Identity.
    pub id: String,
    /// Name.
    pub name: String,
    /// Workflow.
    pub workflow: String,
    /// Task.
    pub task: String,
    /// JSON.
    pub state: String,
    /// When.
    pub created_at: Moment,
}

/// A stored artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Workflow.
    pub workflow: String,
    /// Task.
    pub task: String,
    /// Name.
    pub name: String,
    /// Path relative to the work directory.
    pub path: String,
    /// Of the content.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// When.
    pub created_at: Moment,
}

/// A saved workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedWorkflow {
    /// Whose.
    pub owner: Uid,
    /// Name.
    pub name: String,
    /// For people.
    pub description: String,
    /// SHA-256 of its source.
    pub bundle: String,
    /// Path of the main file.
    pub main: String,
    /// Counts changes of the source, from 1.
    pub version: u32,
    /// Whether it may be run.
    pub active: bool,
    /// When it was first saved.
    pub created_at: Moment,
    /// When it was last changed.
    pub updated_at: Moment,
}

/// A circuit breaker after its last transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircuitRow {
    /// Name with its scope.
    pub name: String,
    /// `closed`, `open`, `half_open`.
    pub state: String,
    /// Failures in a row.
    pub failures: u32,
    /// When it opened.
    pub opened_at: Option<Moment>,
    /// When it lets trials through.
    pub retry_at: Option<Moment>,
    /// Its limits, JSON.
    pub settings: String,
}

/// The part of a run that only workflows have, from column `at` on.
pub(super) fn part(row: &Row<'_>, at: usize) -> Result<Option<WorkflowRun>, StoreError> {
    let Some(name) = row.get::<_, Option<String>>(at)? else { return Ok(None) };
    let cancel = row.get::<_, Option<String>>(at + 14)?;
    let compensate = row.get::<_, Option<bool>>(at + 15)?.unwrap_or(true);
    let end = match word_opt(row, at + 19, words::read_status)? {
        None => None,
        Some(status) => Some(WorkflowEnd {
            status,
            reason: word_opt(row, at + 20, words::read_reason)?,
            message: row.get(at + 21)?,
        }),
    };
    Ok(Some(WorkflowRun {
        action: Arc::new(WorkflowAction {
            name,
            stack: row.get(at + 1)?,
            workflow: row.get(at + 2)?,
            bundle: row.get(at + 3)?,
            main: row.get(at + 4)?,
            saved: row.get(at + 5)?,
            values: row.get(at + 6)?,
            params: row.get(at + 7)?,
            options: row.get(at + 8)?,
            mode: row.get(at + 9)?,
            invocation_dir: row.get(at + 10)?,
            priority: row.get(at + 11)?,
            labels: row.get(at + 12)?,
        }),
        paused: row.get(at + 13)?,
        cancel: cancel.map(|reason| CancelWish { reason, compensate }),
        compensation: word(row, at + 16, Compensation::parse)?,
        handled: row.get(at + 17)?,
        lost: row.get(at + 18)?,
        end,
        resume_from: row.get(at + 22)?,
        compensate_only: row.get(at + 23)?,
    }))
}

fn ms(row: &Row<'_>, column: usize) -> rusqlite::Result<Moment> {
    Ok(Moment::from_micros(row.get::<_, i64>(column)?.saturating_mul(1000)))
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.unsigned_abs())
}

impl Store {
    /// The tasks of a run, in the order of the definition.
    pub fn tasks(&self, run: RunId) -> Result<Vec<Task>, StoreError> {
        let sql = "SELECT workflow, name, stage, status, kind, message, error, skip_reason, changed, cached, ignored, attempts,
                     started_at, ended_at, exit_code, output
                   FROM tasks WHERE run_id = ?1 ORDER BY ordinal, workflow, name";
        self.read(|conn| {
            rows(conn, sql, [Key::new(run.uuid())], |row| {
                Ok(Task {
                    workflow: row.get(0)?,
                    name: row.get(1)?,
                    stage: row.get(2)?,
                    status: row.get(3)?,
                    kind: row.get(4)?,
                    message: row.get(5)?,
                    error: row.get(6)?,
                    skip_reason: row.get(7)?,
                    changed: row.get(8)?,
                    cached: row.get(9)?,
                    ignored: row.get(10)?,
                    attempts: row.get(11)?,
                    started_at: moment_opt(row, 12)?,
                    ended_at: moment_opt(row, 13)?,
                    exit_code: row.get(14)?,
                    output: row.get(15)?,
                })
            })
        })
    }

    /// Records of a run after this number, at most so many and about so many bytes.
    pub fn journal(&self, run: RunId, after: u64, limit: u32, bytes_max: usize) -> Result<JournalPage, StoreError> {
        let sql =
            "SELECT seq, at, body FROM journal WHERE run = (SELECT n FROM workflow_runs WHERE run_id = ?1) AND seq > ?2
                   ORDER BY seq LIMIT ?3";
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        self.read(|conn| {
            let mut statement = conn.prepare_cached(sql)?;
            let mut found = statement.query(params![Key::new(run.uuid()), after, limit])?;
            let (mut page, mut bytes) = (JournalPage::default(), 0);
            while let Some(row) = found.next()? {
                let record = StoredRecord { seq: number(row, 0)?, at: ms(row, 1)?, body: row.get(2)? };
                bytes += record.body.len();
                page.next = Some(record.seq);
                page.items.push(record);
                if bytes >= bytes_max {
                    return Ok(page);
                }
            }
            if page.items.len() < limit as usize {
                page.next = None;
            }
            Ok(page)
        })
    }

    /// Number of the last record of a run, and the bytes of all; `None`: it is not one of a workflow.
    pub fn journal_end(&self, run: RunId) -> Result<Option<(u64, u64)>, StoreError> {
        let sql = "SELECT last_seq, journal_bytes FROM workflow_runs WHERE run_id = ?1";
        self.read(|conn| first(conn, sql, [Key::new(run.uuid())], |row| Ok((number(row, 0)?, number(row, 1)?))))
    }

    /// What else is known of a workflow run.
    pub fn workflow_detail(&self, run: RunId) -> Result<Option<Detail>, StoreError> {
        let sql = "SELECT graph, diagnostics, outputs, last_seq FROM workflow_runs WHERE run_id = ?1";
        self.read(|conn| {
            first(conn, sql, [Key::new(run.uuid())], |row| {
                Ok(Detail {
                    graph: row.get(0)?,
                    diagnostics: row.get(1)?,
                    outputs: row.get(2)?,
                    last_seq: number(row, 3)?,
                })
            })
        })
    }

    /// A source.
    pub fn bundle(&self, sha256: &str) -> Result<Option<StoredBundle>, StoreError> {
        let sql = "SELECT content, size FROM bundles WHERE sha256 = ?1";
        self.read(|conn| {
            first(conn, sql, [sha256], |row| Ok(StoredBundle { content: row.get(0)?, size: number(row, 1)? }))
        })
    }

    /// The checkpoints of a run, oldest first.
    pub fn checkpoints(&self, run: RunId) -> Result<Vec<Checkpoint>, StoreError> {
        let sql = "SELECT id, name, workflow, task, state, created_at FROM checkpoints WHERE run_id = ?1 ORDER BY seq";
        self.read(|conn| {
            rows(conn, sql, [Key::new(run.uuid())], |row| {
                Ok(Checkpoint {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    workflow: row.get(2)?,
                    task: row.get(3)?,
                    state: row.get(4)?,
                    created_at: ms(row, 5)?,
                })
            })
        })
    }

    /// The artifacts of a run, oldest first.
    pub fn artifacts(&self, run: RunId) -> Result<Vec<Artifact>, StoreError> {
        let sql = "SELECT workflow, task, name, path, sha256, size, mode, created_at FROM artifacts WHERE run_id = ?1 ORDER BY seq";
        self.read(|conn| {
            rows(conn, sql, [Key::new(run.uuid())], |row| {
                Ok(Artifact {
                    workflow: row.get(0)?,
                    task: row.get(1)?,
                    name: row.get(2)?,
                    path: row.get(3)?,
                    sha256: row.get(4)?,
                    size: number(row, 5)?,
                    mode: row.get(6)?,
                    created_at: ms(row, 7)?,
                })
            })
        })
    }

    /// Saved workflows, of one owner or of all, in the order of owner and name.
    pub fn saved_workflows(&self, owner: Option<Uid>) -> Result<Vec<SavedWorkflow>, StoreError> {
        let sql =
            "SELECT owner, name, description, bundle, main, version, active, created_at, updated_at FROM workflows
                   WHERE ?1 IS NULL OR owner = ?1 ORDER BY owner, name LIMIT 10000";
        self.read(|conn| rows(conn, sql, params![owner.map(|owner| owner.0)], saved))
    }

    /// One saved workflow.
    pub fn saved_workflow(&self, owner: Uid, name: &str) -> Result<Option<SavedWorkflow>, StoreError> {
        let sql =
            "SELECT owner, name, description, bundle, main, version, active, created_at, updated_at FROM workflows
                   WHERE owner = ?1 AND name = ?2";
        self.read(|conn| first(conn, sql, params![owner.0, name], saved))
    }

    /// All circuits.
    pub fn circuits(&self) -> Result<Vec<CircuitRow>, StoreError> {
        let sql = "SELECT name, state, failures, opened_at, retry_at, settings FROM circuits ORDER BY name";
        self.read(|conn| {
            rows(conn, sql, [], |row| {
                let time = |column| -> rusqlite::Result<Option<Moment>> {
                    Ok(row.get::<_, Option<i64>>(column)?.map(|ms| Moment::from_micros(ms.saturating_mul(1000))))
                };
                Ok(CircuitRow {
                    name: row.get(0)?,
                    state: row.get(1)?,
                    failures: row.get(2)?,
                    opened_at: time(3)?,
                    retry_at: time(4)?,
                    settings: row.get(5)?,
                })
            })
        })
    }
}

fn saved(row: &Row<'_>) -> Result<SavedWorkflow, StoreError> {
    Ok(SavedWorkflow {
        owner: Uid(row.get(0)?),
        name: row.get(1)?,
        description: row.get(2)?,
        bundle: row.get(3)?,
        main: row.get(4)?,
        version: row.get(5)?,
        active: row.get(6)?,
        created_at: ms(row, 7)?,
        updated_at: ms(row, 8)?,
    })
}
