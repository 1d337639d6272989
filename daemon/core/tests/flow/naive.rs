//! What must come out under `continue`, where time does not matter: each task looks at those before it.

use std::collections::BTreeMap;

use sloth_core::workflow::{EdgeKind, TaskId, Workflow};

/// Words as in [`crate::sim::Sim::word`]. `fails`: whether the last attempt of a task fails.
pub fn ends(workflow: &Workflow, fails: &dyn Fn(TaskId) -> bool) -> BTreeMap<TaskId, String> {
    let mut ends: BTreeMap<TaskId, String> = BTreeMap::new();
    let mut stage_failed = false;
    for stage in &workflow.stages {
        // Edges lead from smaller to larger numbers.
        for task in &stage.tasks {
            let needs: Vec<&String> = workflow
                .edges
                .iter()
                .filter(|edge| edge.to == *task && edge.kind == EdgeKind::Needs)
                .map(|edge| &ends[&edge.from])
                .collect();
            let bad = needs.iter().find(|word| !matches!(word.as_str(), "completed" | "ignored"));
            let declared = &workflow.tasks[task.0 as usize];
            let word = match bad.map(|word| word.as_str()) {
                Some("failed") => "skipped:dependency_failed",
                Some(_) => "skipped:dependency_skipped",
                None if stage_failed => "skipped:dependency_failed",
                None if !fails(*task) => "completed",
                None if declared.ignore_errors => "ignored",
                None => "failed",
            };
            ends.insert(*task, word.to_owned());
        }
        stage_failed |= stage.tasks.iter().any(|task| ends[task] == "failed");
    }
    ends
}
