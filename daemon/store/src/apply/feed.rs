//! The event feed and the audit trail: rows that are only ever added.

use rusqlite::{OptionalExtension, params};
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};
use sloth_core::record::{Audit, Event, Published, Value};

use super::{Apply, Key};
use crate::{StoreError, words};

/// A payload beyond this many bytes is cut to its scalar fields.
const PAYLOAD_BYTES_MAX: usize = 256 * 1024;

/// Text of a payload field that survives the cut.
const SCALAR_BYTES_MAX: usize = 4096;

impl Apply<'_> {
    /// No consumer works on events yet, so that they are stored as processed.
    pub(super) fn event(&mut self, e: &Event) -> Result<(), StoreError> {
        let run = e.run.map(|run| Key::new(run.uuid()));
        let now = self.now.millis();
        self.execute(
            "INSERT INTO events (id, type, severity, source, message, run_id, task, user, data, timestamp, created_at, processed_at,
               status, correlation_id)
             VALUES (?1, ?2, ?3, 'daemon', ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, 'completed', ?5)",
            params![
                Key::new(e.id.uuid()),
                e.kind,
                words::severity(e.severity),
                e.message,
                run,
                e.task,
                e.user,
                payload(&e.data),
                e.at.millis(),
                now
            ],
        )
        .map_err(|error| match error {
            StoreError::Conflict { .. } => StoreError::conflict(format!("event {} exists", e.id)),
            other => other,
        })?;
        self.last_event = self.conn.last_insert_rowid();
        Ok(())
    }

    pub(super) fn published(&mut self, p: &Published) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO events (id, type, severity, source, message, user, data, timestamp, created_at, processed_at, status)
             VALUES (?1, ?2, 'info', 'api', ?3, ?4, ?5, ?6, ?7, ?7, 'completed')",
            params![
                Key::new(p.id.uuid()),
                p.kind,
                format!("{} published by {}", p.kind, p.user),
                p.user,
                p.data,
                p.at.millis(),
                self.now.millis()
            ],
        )?;
        self.last_event = self.conn.last_insert_rowid();
        Ok(())
    }

    pub(crate) fn audit(&self, a: &Audit) -> Result<(), StoreError> {
        self.append_audit(AuditRow {
            seq: 0,
            at: a.at.millis(),
            user: a.user.clone(),
            uid: a.uid.0,
            method: a.method.into(),
            address: None,
            action: a.action.into(),
            object: a.object.into(),
            object_id: a.object_id.clone(),
            stack: None,
            result: a.result.into(),
            reason: a.reason.clone(),
            request_id: a.request_id.clone(),
            details: object(&a.details).to_string(),
            prev_hash: String::new(),
            hash: String::new(),
        })
    }

    /// Adds a row to the chain; its `seq` and hashes are set here.
    pub(crate) fn append_audit(&self, mut row: AuditRow) -> Result<(), StoreError> {
        let last: Option<(i64, String)> = self
            .conn
            .prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?
            .query_row([], |r| Ok((r.get(0)?, r.get(1)?)))
            .optional()?;
        let (seq, prev_hash) = last.unwrap_or_else(|| (0, genesis()));
        row.seq = seq + 1;
        row.prev_hash = prev_hash;
        row.hash = audit_hash(&row);
        self.execute(
            "INSERT INTO audit (seq, at, user, uid, method, address, action, object, object_id, stack, result, reason, request_id,
               details, prev_hash, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
            params![
                row.seq,
                row.at,
                row.user,
                row.uid,
                row.method,
                row.address,
                row.action,
                row.object,
                row.object_id,
                row.stack,
                row.result,
                row.reason,
                row.request_id,
                row.details,
                row.prev_hash,
                row.hash
            ],
        )?;
        Ok(())
    }
}

/// One entry of the audit trail as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Position, without gaps.
    pub seq: i64,
    /// When, milliseconds.
    pub at: i64,
    /// Login name of who did it.
    pub user: String,
    /// Number of who did it.
    pub uid: u32,
    /// How they were known: `socket`, `config`, `daemon`.
    pub method: String,
    /// Where they came from.
    pub address: Option<String>,
    /// What they did, `schedule:create`.
    pub action: String,
    /// Kind of thing.
    pub object: String,
    /// Which thing.
    pub object_id: String,
    /// Stack it belongs to.
    pub stack: Option<String>,
    /// `ok`, `denied`, `error`.
    pub result: String,
    /// Why not, or why.
    pub reason: Option<String>,
    /// The request.
    pub request_id: String,
    /// JSON object.
    pub details: String,
    /// Hash of the entry before, hexadecimal.
    pub prev_hash: String,
    /// Hash of this entry, hexadecimal.
    pub hash: String,
}

/// What the first entry has as `prev_hash`.
pub(crate) fn genesis() -> String {
    "0".repeat(64)
}

/// SHA-256 over the previous hash (64 hexadecimal digits) and the columns before the hashes as a JSON array without
/// spaces, in the order of the table. A JSON array keeps apart what a plain concatenation could confuse.
pub(crate) fn audit_hash(row: &AuditRow) -> String {
    let columns = json!([
        row.seq,
        row.at,
        row.user,
        row.uid,
        row.method,
        row.address,
        row.action,
        row.object,
        row.object_id,
        row.stack,
        row.result,
        row.reason,
        row.request_id,
        row.details
    ]);
    let mut hash = Sha256::new();
    hash.update(row.prev_hash.as_bytes());
    hash.update(columns.to_string().as_bytes());
    crate::hex(&hash.finalize())
}

fn payload(data: &[(&'static str, Value)]) -> String {
    let text = object(data).to_string();
    if text.len() <= PAYLOAD_BYTES_MAX {
        return text;
    }
    let mut cut = Map::new();
    cut.insert("truncated".into(), Json::Bool(true));
    cut.insert("size".into(), text.len().into());
    for (name, value) in data {
        let small = !matches!(value, Value::Text(t) if t.len() > SCALAR_BYTES_MAX);
        if small && cut.len() < 64 {
            cut.insert((*name).into(), json_value(value));
        }
    }
    Json::Object(cut).to_string()
}

fn object(data: &[(&'static str, Value)]) -> Json {
    Json::Object(data.iter().map(|(name, value)| ((*name).into(), json_value(value))).collect())
}

fn json_value(value: &Value) -> Json {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Word(word) => (*word).into(),
        Value::Id(id) => id.to_string().into(),
        Value::Time(at) => at.rfc3339().into(),
        Value::Int(n) => (*n).into(),
        Value::Float(x) => (*x).into(),
        Value::Bool(b) => (*b).into(),
        Value::Null => Json::Null,
    }
}

/// The last entry from before a moment in milliseconds, when no younger one lies before it.
pub(crate) fn last_audit_before(conn: &rusqlite::Connection, at: i64) -> Result<Option<(i64, String)>, StoreError> {
    let sql = "SELECT seq, hash FROM audit
               WHERE seq < COALESCE((SELECT min(seq) FROM audit WHERE at >= ?1), 9223372036854775807) ORDER BY seq DESC LIMIT 1";
    Ok(conn.prepare_cached(sql)?.query_row([at], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}
