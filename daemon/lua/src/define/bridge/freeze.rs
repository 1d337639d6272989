//! After the definition phase nobody changes what all tasks share.

use mlua::{Table, Value};

/// Makes a table and everything below it read-only.
pub(super) fn freeze(table: &Table, depth: usize) {
    if table.is_readonly() || depth > 100 {
        return;
    }
    table.set_readonly(true);
    // A table that cannot be walked is not shared with anybody either.
    let _ = table.for_each(|_: Value, value: Value| {
        if let Value::Table(inner) = value {
            freeze(&inner, depth + 1);
        }
        Ok(())
    });
}
