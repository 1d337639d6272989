//! What a call says that was ended from outside.

use sloth_lua::{CancelKind, Failure};

/// The failure of a call whose task has been ended.
pub(crate) fn ended(kind: &CancelKind) -> Failure {
    match kind {
        CancelKind::Timeout => Failure { kind: Some("timeout"), ..Failure::new("the time of the task is over") },
        CancelKind::Cancelled(why) => Failure { kind: Some("cancelled"), ..Failure::new(format!("cancelled: {why}")) },
    }
}
