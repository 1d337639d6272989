//! Statements of administrators: one, reading, with limits. SQLite's authorizer decides while the statement is compiled,
//! so nothing depends on how its text looks.

use std::time::{Duration, Instant};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use serde_json::Value;

use crate::{Store, StoreError, hex, pool};

/// `PRAGMA`s that only tell something.
const PRAGMAS: [&str; 17] = [
    "application_id",
    "compile_options",
    "database_list",
    "encoding",
    "foreign_key_list",
    "freelist_count",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "journal_mode",
    "page_count",
    "page_size",
    "table_info",
    "table_list",
    "table_xinfo",
    "user_version",
];

/// Those of the above whose argument names what to tell about; an argument of the others would be a new value.
const WITH_ARGUMENT: [&str; 7] =
    ["foreign_key_list", "index_info", "index_list", "index_xinfo", "table_info", "table_list", "table_xinfo"];

/// Functions that reach outside of the database.
const FUNCTIONS_DENIED: [&str; 2] = ["load_extension", "fts3_tokenizer"];

/// Instructions of SQLite between two looks at the clock.
const INSTRUCTIONS: i32 = 1000;

/// What a statement may cost.
#[derive(Clone, Copy, Debug)]
pub struct QueryLimits {
    /// Rows returned.
    pub rows: usize,
    /// Bytes returned.
    pub bytes: usize,
    /// Time.
    pub time: Duration,
}

impl Default for QueryLimits {
    fn default() -> Self {
        QueryLimits { rows: 10_000, bytes: 8 << 20, time: Duration::from_secs(10) }
    }
}

/// Rows of a statement.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryResult {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Values; a blob is its hexadecimal text.
    pub rows: Vec<Vec<Value>>,
    /// There were more rows than the limits allow.
    pub truncated: bool,
}

impl Store {
    /// Runs one `SELECT`, `EXPLAIN` or informing `PRAGMA` on a connection of its own.
    pub fn query(&self, sql: &str, limits: QueryLimits) -> Result<QueryResult, StoreError> {
        let mut conn = pool::reader(&self.inner.place.path)?;
        conn.set_limit(Limit::SQLITE_LIMIT_LENGTH, 16 << 20)?;
        conn.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, 1 << 16)?;
        let end = Instant::now() + limits.time;
        conn.progress_handler(INSTRUCTIONS, Some(move || Instant::now() > end))?;
        conn.authorizer(Some(authorize))?;
        let refused = |e| refusal(e, limits.time);
        let mut statement = conn.prepare(sql).map_err(refused)?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut result = QueryResult { columns, rows: Vec::new(), truncated: false };
        let mut bytes = 0;
        let mut rows = statement.query([]).map_err(refused)?;
        while let Some(row) = rows.next().map_err(refused)? {
            let mut values = Vec::with_capacity(result.columns.len());
            for column in 0..result.columns.len() {
                let value = row.get_ref(column).map_err(refused)?;
                bytes += size(value);
                values.push(json(value));
            }
            if result.rows.len() >= limits.rows || bytes > limits.bytes {
                result.truncated = true;
                break;
            }
            result.rows.push(values);
        }
        Ok(result)
    }
}

fn authorize(context: AuthContext<'_>) -> Authorization {
    let allowed = match context.action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => true,
        AuthAction::Function { function_name } => !FUNCTIONS_DENIED.contains(&function_name),
        AuthAction::Pragma { pragma_name, pragma_value } => {
            PRAGMAS.contains(&pragma_name) && (pragma_value.is_none() || WITH_ARGUMENT.contains(&pragma_name))
        }
        _ => false,
    };
    if allowed { Authorization::Allow } else { Authorization::Deny }
}

fn refusal(error: rusqlite::Error, time: Duration) -> StoreError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::AuthorizationForStatementDenied) => {
            StoreError::Query("only SELECT, EXPLAIN and informing PRAGMA statements are allowed".into())
        }
        Some(rusqlite::ErrorCode::OperationInterrupted) => {
            StoreError::Query(format!("the statement took longer than {} s", time.as_secs_f64()))
        }
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::SystemIoFailure) => error.into(),
        _ => StoreError::Query(error.to_string()),
    }
}

fn json(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => n.into(),
        ValueRef::Real(x) => x.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
        ValueRef::Blob(bytes) => hex(bytes).into(),
    }
}

fn size(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Text(bytes) => bytes.len(),
        ValueRef::Blob(bytes) => 2 * bytes.len(),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => 8,
    }
}
