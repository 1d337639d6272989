//! The versions of the database and the steps between them. A released step is never edited.

use rusqlite::Connection;

/// `application_id` of our databases: the letters `SLTH`.
pub const APPLICATION_ID: i64 = 0x534c_5448;

/// Newest version that this program knows.
pub const VERSION: i64 = MIGRATIONS.len() as i64;

/// Step `n` makes version `n + 1`.
const MIGRATIONS: &[&str] = &[include_str!("v1.sql"), include_str!("v2.sql"), include_str!("v3.sql")];

/// Number of steps that were taken on this database.
pub(crate) fn version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Takes the steps from version `from` on, each in a transaction of its own.
pub(crate) fn migrate(conn: &mut Connection, from: i64) -> rusqlite::Result<()> {
    take(conn, from, MIGRATIONS)
}

fn take(conn: &mut Connection, from: i64, steps: &[&str]) -> rusqlite::Result<()> {
    for (n, step) in steps.iter().enumerate().skip(usize::try_from(from).unwrap_or(0)) {
        let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        tx.execute_batch(step)?;
        tx.pragma_update(None, "user_version", n as i64 + 1)?;
        tx.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_fails_leaves_the_version_before_it() {
        let mut conn = Connection::open_in_memory().unwrap();
        let steps = ["CREATE TABLE a (x)", "CREATE TABLE b (x); INSERT INTO nowhere VALUES (1)"];
        take(&mut conn, 0, &steps).unwrap_err();
        assert_eq!(version(&conn).unwrap(), 1);
        let tables: Vec<String> = conn
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
            .unwrap()
            .query_map([], |r| r.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(tables, ["a"]);
        take(&mut conn, 1, &["CREATE TABLE a (x)", "CREATE TABLE b (x)"]).unwrap();
        assert_eq!(version(&conn).unwrap(), 2);
    }
}
