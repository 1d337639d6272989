//! What runs at the moment, for the last lines of a terminal: one calm line, or a table that is drawn over itself.

use std::collections::BTreeMap;
use std::time::Instant;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::event::TaskChange;
use crate::output::text::clean;
use crate::output::time::duration;

/// Rows of the live table; further tasks are counted.
const ROWS_MAX: usize = 12;

/// The tasks that run.
#[derive(Debug, Default)]
pub(crate) struct Running {
    tasks: BTreeMap<String, One>,
    done: u64,
    failed: u64,
    /// Of the whole run, once it is known.
    pub(crate) total: Option<u64>,
}

#[derive(Debug)]
struct One {
    since: Instant,
    note: String,
}

impl Running {
    /// Takes note of a change.
    pub(crate) fn change(&mut self, name: &str, change: &TaskChange, now: Instant) {
        match change {
            TaskChange::Started { attempt } => {
                let note = if *attempt > 1 { format!("attempt {attempt}") } else { String::new() };
                let one = self.tasks.entry(name.to_owned()).or_insert(One { since: now, note: String::new() });
                one.note = note;
            }
            TaskChange::Progress { percent, text } => {
                if let Some(one) = self.tasks.get_mut(name) {
                    one.note = format!("{percent:.0}% {text}").trim_end().to_owned();
                }
            }
            TaskChange::Retrying { delay_ms, .. } => {
                if let Some(one) = self.tasks.get_mut(name) {
                    one.note = format!("waits {}", duration(*delay_ms));
                }
            }
            TaskChange::Completed { .. }
            | TaskChange::Failed { .. }
            | TaskChange::Skipped { .. }
            | TaskChange::Cancelled => {
                self.tasks.remove(name);
                self.done += 1;
                self.failed += u64::from(matches!(change, TaskChange::Failed { ignored: false, .. }));
            }
        }
    }

    /// `3 running, 5 of 12 done, 12.0s: a, b, c`
    pub(crate) fn line(&self, began: Instant, now: Instant, width: usize) -> String {
        let names: Vec<&str> = self.tasks.keys().map(String::as_str).collect();
        let mut text = format!("  {} running, {}", self.tasks.len(), self.progress());
        text.push_str(&format!(", {}", since(began, now)));
        if !names.is_empty() {
            text.push_str(&format!(": {}", names.join(", ")));
        }
        fit(&clean(&text), width)
    }

    /// One row for each running task and [`Running::line`] without names.
    pub(crate) fn table(&self, began: Instant, now: Instant, width: usize) -> Vec<String> {
        let mut oldest: Vec<(&String, &One)> = self.tasks.iter().collect();
        oldest.sort_by_key(|(_, one)| one.since);
        let names = oldest.iter().take(ROWS_MAX).map(|(name, _)| clean(name).width());
        let widest = names.max().unwrap_or(0);
        let mut rows: Vec<String> = oldest
            .iter()
            .take(ROWS_MAX)
            .map(|(name, one)| {
                let name = clean(name);
                let gap = " ".repeat(widest - name.width());
                fit(&format!("  {name}{gap}  {:>7}  {}", since(one.since, now), clean(&one.note)), width)
            })
            .collect();
        if oldest.len() > ROWS_MAX {
            rows.push(fit(&format!("  and {} more", oldest.len() - ROWS_MAX), width));
        }
        rows.push(fit(&format!("  {}, {}", self.progress(), since(began, now)), width));
        rows
    }

    fn progress(&self) -> String {
        let of = self.total.map(|total| format!(" of {total}")).unwrap_or_default();
        let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        format!("{}{of} done{failed}", self.done)
    }
}

/// Whole seconds: tenths that flicker are not calm.
fn since(then: Instant, now: Instant) -> String {
    let seconds = i64::try_from(now.saturating_duration_since(then).as_secs()).unwrap_or(i64::MAX / 1000);
    if seconds < 60 { format!("{seconds}s") } else { duration(seconds * 1000) }
}

/// Cut to one line of the terminal: a line that wraps could not be drawn over.
fn fit(text: &str, width: usize) -> String {
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let more = c.width().unwrap_or(0);
        if used + more >= width {
            break;
        }
        used += more;
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    out
}
