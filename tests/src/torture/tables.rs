//! Reads whole tables through the API, page by page, because one answer holds 10,000 rows.

use serde_json::Value;

use crate::Instance;

const PAGE: usize = 5000;

/// All rows of a statement with `{after}` where the key of the last row stands and an order by that key, its first column.
pub(super) fn all(instance: &Instance, sql: &str) -> Vec<Vec<Value>> {
    let mut rows: Vec<Vec<Value>> = Vec::new();
    let mut after = String::new();
    loop {
        let page = instance.rows(&format!("{} LIMIT {PAGE}", sql.replace("{after}", &after)));
        let full = page.len() == PAGE;
        rows.extend(page);
        match rows.last() {
            Some(row) if full => after = text(&row[0]),
            _ => return rows,
        }
    }
}

/// A value as text.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A value as number.
pub(super) fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(-1)
}
