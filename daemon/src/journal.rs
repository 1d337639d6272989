//! The event feed in the log: what deserves somebody's attention, with the fields by which `journalctl` finds it.

use sloth_core::record::Severity;
use sloth_store::{EventFilter, EventRow, Store};
use tokio::sync::watch;

/// Events read at once.
const PAGE: u32 = 200;

/// Logs each event of at least warning severity, once, until the store is closed.
pub async fn follow(store: Store, mut news: watch::Receiver<i64>) {
    let filter = EventFilter { severity: Some(Severity::Warning), ..EventFilter::default() };
    let mut after = store.last_event_seq();
    while news.changed().await.is_ok() {
        loop {
            let page = match store.events(after, &filter, PAGE) {
                Ok(page) => page,
                Err(error) => {
                    tracing::debug!(%error, "the feed cannot be read");
                    break;
                }
            };
            let full = page.items.len() >= PAGE as usize;
            page.items.iter().for_each(log);
            after = page.next.max(after);
            if !full {
                break;
            }
        }
    }
}

fn log(event: &EventRow) {
    // The run's own event says the same.
    if matches!(event.kind.as_str(), "task.failed" | "task.cancelled") {
        return;
    }
    let data: serde_json::Value = serde_json::from_str(&event.data).unwrap_or_default();
    // What an event does not have is left out: an empty field would be found by `journalctl SLOTH_RUN=`.
    let schedule = data["schedule"].as_str().or(data["schedule_name"].as_str());
    let run = event.run.map(|run| run.to_string());
    let run = run.as_deref();
    let task = event.task.as_deref();
    let kind = event.kind.as_str();
    // Text of users: no control character of theirs may reach a terminal.
    let message: String = event.message.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    match event.severity {
        Severity::Info | Severity::Warning => {
            tracing::warn!(
                SLOTH_SCHEDULE = schedule,
                SLOTH_RUN = run,
                SLOTH_TASK = task,
                SLOTH_EVENT = kind,
                "{message}"
            );
        }
        Severity::Error | Severity::Critical => {
            tracing::error!(
                SLOTH_SCHEDULE = schedule,
                SLOTH_RUN = run,
                SLOTH_TASK = task,
                SLOTH_EVENT = kind,
                "{message}"
            );
        }
    }
}
