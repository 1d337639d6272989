//! What can be asked of the store. Answers are types of the core, or plain rows where the core has none.

mod feed;
mod occurrences;
mod overview;
mod runs;
mod schedules;
mod status;
mod workflows;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, Value, ValueRef};
use rusqlite::{Connection, Row};
use sloth_core::Moment;

use crate::StoreError;

pub use feed::{AuditBroken, AuditFilter, AuditPage, EventFilter, EventPage, EventRow};
pub use occurrences::{OccurrenceFilter, OccurrenceRow, PlannedKey, Summary};
pub use runs::{RunFilter, RunPage, Unfinished};
pub(crate) use schedules::keep_of;
pub use schedules::{Due, DueKey, ScheduleFilter, ScheduleList, TriggerSpan};
pub use status::{DatabaseStatus, StoredAnswer};
pub use workflows::{
    Artifact, Checkpoint, CircuitRow, Detail, JournalPage, SavedWorkflow, StoredBundle, StoredRecord, Task,
};

/// Rows that one list call returns at most, whatever it asks for.
pub const LIST_MAX: u32 = 10_000;

/// A microsecond column.
struct Us(Moment);

impl FromSql for Us {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(|us| Us(Moment::from_micros(us)))
    }
}

/// A column that holds a parsable text, an id for instance.
struct Parsed<T>(T);

impl<T: std::str::FromStr> FromSql for Parsed<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Parsed).map_err(FromSqlError::other)
    }
}

fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Moment> {
    row.get::<_, Us>(column).map(|us| us.0)
}

fn moment_opt(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Moment>> {
    Ok(row.get::<_, Option<Us>>(column)?.map(|us| us.0))
}

fn parsed<T: std::str::FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    row.get::<_, Parsed<T>>(column).map(|p| p.0)
}

fn parsed_opt<T: std::str::FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    Ok(row.get::<_, Option<Parsed<T>>>(column)?.map(|p| p.0))
}

/// A column that holds a word of a vocabulary.
fn word<T>(row: &Row<'_>, column: usize, read: fn(&str) -> Option<T>) -> Result<T, StoreError> {
    word_opt(row, column, read)?.ok_or_else(|| StoreError::unreadable("a row", format!("column {column} is empty")))
}

fn word_opt<T>(row: &Row<'_>, column: usize, read: fn(&str) -> Option<T>) -> Result<Option<T>, StoreError> {
    let value = row.get_ref(column)?;
    let Some(text) = value.as_str_or_null().map_err(|e| StoreError::unreadable("a row", e))? else {
        return Ok(None);
    };
    read(text).map(Some).ok_or_else(|| StoreError::unreadable("a row", format!("unknown word {text:?}")))
}

/// A query under construction: conditions and their values. Texts are constants of this crate; values are always bound.
#[derive(Default)]
struct Conditions {
    texts: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// Adds a condition with one `?`.
    fn add(&mut self, text: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        self.texts.push(text.replace('?', &format!("?{}", self.values.len())));
    }

    /// Adds a value to the condition that was added last.
    fn and_value(&mut self, value: impl Into<Value>) {
        self.values.push(value.into());
        let n = self.values.len();
        if let Some(last) = self.texts.last_mut() {
            last.push_str(&format!(" ?{n}"));
        }
    }

    /// Adds `(columns) sign (value, value)`, the condition of a page by key.
    fn add_pair(&mut self, columns: &str, sign: char, first: impl Into<Value>, second: impl Into<Value>) {
        self.values.extend([first.into(), second.into()]);
        let n = self.values.len();
        self.texts.push(format!("({columns}) {sign} (?{}, ?{n})", n - 1));
    }

    /// Adds a condition without a value.
    fn fixed(&mut self, text: impl Into<String>) {
        self.texts.push(text.into());
    }

    /// `SELECT … WHERE … ORDER BY … LIMIT …`.
    fn sql(&self, select: &str, order: &str, limit: u32) -> String {
        let all = if self.texts.is_empty() { "1".to_owned() } else { self.texts.join(" AND ") };
        format!("{select} WHERE {all} ORDER BY {order} LIMIT {}", limit.clamp(1, LIST_MAX))
    }
}

/// All rows of a statement, each made by `read`.
fn rows<T>(
    conn: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

/// The first row of a statement.
fn first<T>(
    conn: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod plan_tests;
