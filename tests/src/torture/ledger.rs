//! The ledger recomputed without the project's help: equally spaced instants, so a missing or an extra row shows as a wrong gap.

use std::collections::BTreeMap;

use super::tables::{all, number, text};
use super::verdict::Verdict;
use crate::Instance;

/// Checks each schedule's rows; returns the decisions and the runs that they name, by run.
pub(super) fn check(instance: &Instance, verdict: &mut Verdict) -> BTreeMap<String, (String, i64)> {
    let periods = periods(instance);
    let rows = all(
        instance,
        "SELECT schedule_id || '/' || printf('%020d', due_at) || '/' || clock_epoch AS key, schedule_id, due_at, decision, detail, run_id,
         \"trigger\" FROM occurrences WHERE schedule_id || '/' || printf('%020d', due_at) || '/' || clock_epoch > '{after}' ORDER BY key",
    );
    let mut by_run = BTreeMap::new();
    let mut last: Option<(String, i64)> = None;
    for row in &rows {
        let (schedule, due, decision) = (text(&row[1]), number(&row[2]), text(&row[3]));
        let how = text(&row[6]);
        let detail = text(&row[4]);
        let word = if detail.is_empty() { decision.clone() } else { format!("{decision}: {detail}") };
        *verdict.decisions.entry(word).or_default() += 1;
        if decision == "run" && by_run.insert(text(&row[5]), (schedule.clone(), due)).is_some() {
            verdict.finding(format!("run {} answers two instants", text(&row[5])));
        }
        if !matches!(how.as_str(), "manual" | "api" | "after" | "boot")
            && let Some((name, period)) = periods.get(&schedule)
        {
            if let Some((same, before)) = &last
                && *same == schedule
                && due - before != *period
            {
                let gap = due - before;
                verdict.finding(format!("{name}: {gap} µs between two rows, not {period}, before {due}"));
            }
            last = Some((schedule, due));
        }
    }
    verdict.ledger_rows = rows.len();
    by_run
}

/// Name and period in µs of each schedule with a clock.
fn periods(instance: &Instance) -> BTreeMap<String, (String, i64)> {
    let rows = all(instance, "SELECT id, name, \"trigger\" FROM schedules WHERE id > '{after}' ORDER BY id");
    let of = |trigger: &str| -> Option<i64> {
        if trigger == "* * * * * *" {
            return Some(1);
        }
        if let Some(every) = trigger.strip_prefix("@every ") {
            return every.trim_end_matches('s').parse().ok();
        }
        trigger.split_once('/')?.1.split(' ').next()?.parse().ok()
    };
    rows.iter().filter_map(|row| Some((text(&row[0]), (text(&row[1]), of(&text(&row[2]))? * 1_000_000)))).collect()
}
