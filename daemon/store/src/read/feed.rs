//! The event feed and the audit trail.

use rusqlite::types::Value;
use rusqlite::{Connection, Row};
use sloth_core::record::Severity;
use sloth_core::{EventId, Moment, RunId, Uid};

use super::{Conditions, LIST_MAX, first, parsed, parsed_opt, rows, word};
use crate::apply::{AuditRow, audit_hash, genesis};
use crate::{Store, StoreError, words};

const SELECT: &str = "SELECT seq, id, type, severity, source, message, stack, agent, run_id, task, user, data, timestamp, trace_id FROM events";

const AUDIT: &str =
    "SELECT seq, at, user, uid, method, address, action, object, object_id, stack, result, reason, request_id, details,
  prev_hash, hash FROM audit";

/// One event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// Position in the feed.
    pub seq: i64,
    /// Identity.
    pub id: EventId,
    /// Type, `run.completed`.
    pub kind: String,
    /// Severity.
    pub severity: Severity,
    /// `daemon` …
    pub source: String,
    /// One line for people.
    pub message: String,
    /// Stack.
    pub stack: Option<String>,
    /// Agent.
    pub agent: Option<String>,
    /// Run.
    pub run: Option<RunId>,
    /// Task.
    pub task: Option<String>,
    /// Who caused it.
    pub user: Option<String>,
    /// JSON object.
    pub data: String,
    /// When it happened (milliseconds precision).
    pub at: Moment,
    /// Trace.
    pub trace_id: Option<String>,
}

/// Which events to list.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Exact types and globs (`run.*`, `*.failed`, `*`); empty: all.
    pub types: Vec<String>,
    /// At least this severe.
    pub severity: Option<Severity>,
    /// Only of this run.
    pub run: Option<RunId>,
    /// Happened at or after.
    pub since: Option<Moment>,
    /// Happened before.
    pub until: Option<Moment>,
    /// Only about schedules (and runs of schedules) of this user.
    pub owner: Option<Uid>,
    /// From the newest to the oldest.
    pub newest_first: bool,
}

/// One page of events.
#[derive(Clone, Debug, Default)]
pub struct EventPage {
    /// The events.
    pub items: Vec<EventRow>,
    /// All events up to here (oldest first) were looked at: where a stream goes on, also when nothing matched.
    /// Newest first: where the next page begins, 0 when this was the last.
    pub next: i64,
}

/// Which entries of the audit trail to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Only before this one.
    pub before: Option<i64>,
    /// Only by this user.
    pub uid: Option<Uid>,
    /// Exact action or glob.
    pub action: Option<String>,
    /// Only about this thing.
    pub object_id: Option<String>,
    /// `ok`, `denied`, `error`.
    pub result: Option<String>,
    /// At or after.
    pub since: Option<Moment>,
}

/// One page of the audit trail.
#[derive(Clone, Debug, Default)]
pub struct AuditPage {
    /// Newest first.
    pub items: Vec<AuditRow>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<i64>,
}

/// Where the chain of the audit trail is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditBroken {
    /// First entry that does not fit.
    pub seq: i64,
    /// Why.
    pub why: String,
}

impl Store {
    /// Events after (or, newest first, before) this sequence number; 0 begins at the end the order begins with.
    pub fn events(&self, after: i64, filter: &EventFilter, limit: u32) -> Result<EventPage, StoreError> {
        let (sql, values) = list_sql(after, filter, limit);
        self.inner.readers.snapshot(|conn| {
            let items = rows(conn, &sql, rusqlite::params_from_iter(values), event)?;
            let last = items.last().map(|event| event.seq);
            let full = items.len() >= limit.clamp(1, LIST_MAX) as usize;
            let next = match (full, filter.newest_first) {
                (true, _) => last.unwrap_or(after),
                (false, true) => 0,
                (false, false) => last_seq(conn)?.max(after),
            };
            Ok(EventPage { items, next })
        })
    }

    /// The event with this id.
    pub fn event(&self, id: EventId) -> Result<Option<EventRow>, StoreError> {
        self.read(|conn| first(conn, &format!("{SELECT} WHERE id = ?1"), [id.to_string()], event))
    }

    /// Sequence number of the oldest event that is still stored; a stream that asks for an older one has a gap.
    pub fn first_event_seq(&self) -> Result<Option<i64>, StoreError> {
        self.read(|conn| first(conn, "SELECT seq FROM events ORDER BY seq LIMIT 1", [], |row| Ok(row.get(0)?)))
    }

    /// One page of the audit trail.
    pub fn audit(&self, filter: &AuditFilter, limit: u32) -> Result<AuditPage, StoreError> {
        let mut conditions = Conditions::default();
        if let Some(seq) = filter.before {
            conditions.add("seq < ?", seq);
        }
        if let Some(uid) = filter.uid {
            conditions.add("uid = ?", i64::from(uid.0));
        }
        if let Some(action) = &filter.action {
            conditions.add("action GLOB ?", glob(action));
        }
        if let Some(result) = &filter.result {
            conditions.add("result = ?", result.clone());
        }
        if let Some(id) = &filter.object_id {
            conditions.add("object_id = ?", id.clone());
        }
        if let Some(since) = filter.since {
            conditions.add("at >= ?", since.millis());
        }
        let sql = conditions.sql(AUDIT, "seq DESC", limit);
        let items = self.read(|conn| rows(conn, &sql, rusqlite::params_from_iter(conditions.values), audit))?;
        let full = items.len() >= limit.clamp(1, LIST_MAX) as usize;
        let next = items.last().filter(|_| full).map(|row| row.seq);
        Ok(AuditPage { items, next })
    }

    /// Recomputes the chain of the audit trail. The number of entries when it is whole, else the first broken one.
    pub fn audit_verify(&self) -> Result<Result<u64, AuditBroken>, StoreError> {
        self.inner.readers.snapshot(|conn| {
            let mut seen = 0;
            let mut before: Option<(i64, String)> = None;
            let mut statement = conn.prepare_cached(&format!("{AUDIT} ORDER BY seq"))?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let row = audit(row)?;
                let broken = |why: &str| Ok(Err(AuditBroken { seq: row.seq, why: why.into() }));
                match &before {
                    Some((seq, _)) if row.seq != seq + 1 => return broken("an entry before it is missing"),
                    Some((_, hash)) if row.prev_hash != *hash => return broken("it does not follow the entry before"),
                    None if !is_start(conn, &row)? => return broken("the entries before it are missing"),
                    _ => {}
                }
                if audit_hash(&row) != row.hash {
                    return broken("it was changed");
                }
                before = Some((row.seq, row.hash));
                seen += 1;
            }
            Ok(Ok(seen))
        })
    }
}

/// Whether a chain may begin with this entry: the very first, or the one after a recorded pruning.
fn is_start(conn: &Connection, row: &AuditRow) -> Result<bool, StoreError> {
    if row.seq == 1 {
        return Ok(row.prev_hash == genesis());
    }
    let sql = "SELECT details ->> '$.hash' FROM audit WHERE action = 'audit:prune' AND object_id = ?1";
    let hash: Option<Option<String>> = first(conn, sql, [(row.seq - 1).to_string()], |r| Ok(r.get(0)?))?;
    Ok(hash.flatten().as_ref() == Some(&row.prev_hash))
}

pub(super) fn list_sql(after: i64, filter: &EventFilter, limit: u32) -> (String, Vec<Value>) {
    let mut conditions = Conditions::default();
    match (filter.newest_first, after) {
        (false, _) => conditions.add("seq > ?", after),
        (true, 0) => {}
        (true, _) => conditions.add("seq < ?", after),
    }
    if let Some(run) = filter.run {
        conditions.add("run_id = ?", run.to_string());
    }
    if let Some(owner) = filter.owner {
        let own = "json_extract(data, '$.schedule_id') IN (SELECT id FROM schedules WHERE owner = ?)";
        conditions.add(own, i64::from(owner.0));
    }
    match filter.types.as_slice() {
        [] => {}
        [one] if !one.contains('*') => conditions.add("type = ?", one.clone()),
        many => {
            let mut any = Vec::new();
            for one in many {
                conditions.values.push(glob(one).into());
                any.push(format!("type GLOB ?{}", conditions.values.len()));
            }
            conditions.fixed(format!("({})", any.join(" OR ")));
        }
    }
    if let Some(least) = filter.severity {
        let all = [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical];
        let words: Vec<_> =
            all.into_iter().filter(|s| *s >= least).map(|s| format!("'{}'", words::severity(s))).collect();
        conditions.fixed(format!("severity IN ({})", words.join(", ")));
    }
    if let Some(since) = filter.since {
        conditions.add("timestamp >= ?", since.millis());
    }
    if let Some(until) = filter.until {
        conditions.add("timestamp < ?", until.millis());
    }
    (conditions.sql(SELECT, if filter.newest_first { "seq DESC" } else { "seq" }, limit), conditions.values)
}

fn last_seq(conn: &Connection) -> Result<i64, StoreError> {
    Ok(first(conn, "SELECT seq FROM events ORDER BY seq DESC LIMIT 1", [], |row| Ok(row.get(0)?))?.unwrap_or(0))
}

/// Only `*` is special.
fn glob(pattern: &str) -> String {
    pattern.replace('[', "[[]").replace('?', "[?]")
}

fn event(row: &Row<'_>) -> Result<EventRow, StoreError> {
    Ok(EventRow {
        seq: row.get(0)?,
        id: parsed(row, 1)?,
        kind: row.get(2)?,
        severity: word(row, 3, words::read_severity)?,
        source: row.get(4)?,
        message: row.get(5)?,
        stack: row.get(6)?,
        agent: row.get(7)?,
        run: parsed_opt(row, 8)?,
        task: row.get(9)?,
        user: row.get(10)?,
        data: row.get(11)?,
        at: Moment::from_micros(row.get::<_, i64>(12)?.saturating_mul(1000)),
        trace_id: row.get(13)?,
    })
}

fn audit(row: &Row<'_>) -> Result<AuditRow, StoreError> {
    Ok(AuditRow {
        seq: row.get(0)?,
        at: row.get(1)?,
        user: row.get(2)?,
        uid: row.get(3)?,
        method: row.get(4)?,
        address: row.get(5)?,
        action: row.get(6)?,
        object: row.get(7)?,
        object_id: row.get(8)?,
        stack: row.get(9)?,
        result: row.get(10)?,
        reason: row.get(11)?,
        request_id: row.get(12)?,
        details: row.get(13)?,
        prev_hash: row.get(14)?,
        hash: row.get(15)?,
    })
}
