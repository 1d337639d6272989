//! Which tasks the command line selects.

use super::super::graph::{TaskId, Workflow};
use super::layout::{downstream, upstream};

/// Flags of the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these, with what they need.
    pub tasks: Vec<String>,
    /// Without what they need.
    pub no_deps: bool,
    /// This and everything after it.
    pub from: Option<String>,
    /// Not these.
    pub skip: Vec<String>,
    /// Only those with one of these tags.
    pub tags: Vec<String>,
    /// None with one of these tags.
    pub skip_tags: Vec<String>,
    /// Only this stage.
    pub stage: Option<String>,
}

/// A name that nothing has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{flag}: the workflow \"{workflow}\" has no {what} \"{name}\"")]
#[allow(missing_docs)]
pub struct Unselectable {
    pub flag: &'static str,
    pub what: &'static str,
    pub name: String,
    pub workflow: String,
}

/// By task, whether it is selected. What is not selected counts as satisfied for those that need it: whoever leaves a
/// task out says that its work is not needed or has been done.
pub fn select(workflow: &Workflow, flags: &Selection) -> Result<Vec<bool>, Unselectable> {
    let mut chosen = vec![true; workflow.tasks.len()];
    let mut keep = |those: &[bool]| {
        for (chosen, kept) in chosen.iter_mut().zip(those) {
            *chosen &= *kept;
        }
    };
    if !flags.tasks.is_empty() {
        let named = flags.tasks.iter().map(|name| find(workflow, "--task", name)).collect::<Result<Vec<_>, _>>()?;
        if flags.no_deps {
            keep(&workflow_mask(workflow, |at| named.iter().any(|task| task.0 as usize == at)));
        } else {
            keep(&upstream(workflow, &named));
        }
    }
    if let Some(from) = &flags.from {
        keep(&downstream(workflow, find(workflow, "--from", from)?));
    }
    if let Some(name) = &flags.stage {
        let missing =
            || Unselectable { flag: "--stage", what: "stage", name: name.clone(), workflow: workflow.name.clone() };
        let stage = workflow.stages.iter().position(|stage| stage.name == *name).ok_or_else(missing)?;
        keep(&workflow_mask(workflow, |at| workflow.tasks[at].stage.0 as usize == stage));
    }
    let tagged = |at: usize, tags: &[String]| workflow.tasks[at].tags.iter().any(|tag| tags.contains(tag));
    if !flags.tags.is_empty() {
        keep(&workflow_mask(workflow, |at| tagged(at, &flags.tags)));
    }
    keep(&workflow_mask(workflow, |at| !tagged(at, &flags.skip_tags)));
    for name in &flags.skip {
        let task = find(workflow, "--skip", name)?;
        keep(&workflow_mask(workflow, |at| at != task.0 as usize));
    }
    Ok(chosen)
}

fn workflow_mask(workflow: &Workflow, keeps: impl Fn(usize) -> bool) -> Vec<bool> {
    (0..workflow.tasks.len()).map(keeps).collect()
}

fn find(workflow: &Workflow, flag: &'static str, name: &str) -> Result<TaskId, Unselectable> {
    let at = workflow.tasks.iter().position(|task| task.name == name);
    let at = at.or_else(|| workflow.tasks.iter().position(|task| task.declared == name));
    let missing = || Unselectable { flag, what: "task", name: name.to_owned(), workflow: workflow.name.clone() };
    at.map(super::task_id).ok_or_else(missing)
}
