//! Live names for completion scripts: one a line, nothing when the daemon is away.

use std::time::Duration;

use sloth_api::client::Target;

use super::Done;
use crate::output::print;
use crate::output::text::clean;
use crate::session::Session;

/// Completion must never make the shell wait longer.
const LIMIT: Duration = Duration::from_millis(500);

/// More names help nobody.
const NAMES_MAX: u64 = 1000;

pub(crate) async fn candidates(session: &Session, what: &str) -> Done {
    let (path, key) = match what {
        "schedules" => ("/schedules", "name"),
        "runs" => ("/runs", "id"),
        "workflows" => ("/workflows", "name"),
        "backups" => ("/backup", "id"),
        _ => return Ok(0),
    };
    let target = Target::new(path);
    let asked = session.rows(&target, Some(NAMES_MAX));
    if let Ok(Ok(rows)) = tokio::time::timeout(LIMIT, asked).await {
        for row in &rows.items {
            if let Some(name) = row[key].as_str() {
                print(&format!("{}\n", clean(name)))?;
            }
        }
    }
    Ok(0)
}
