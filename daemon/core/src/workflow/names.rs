//! What a name means at a place of a workflow: the rules of dependencies and of the names in expressions.

use std::collections::HashMap;

use super::graph::{StageId, TaskId, Workflow};

/// All names of one workflow.
#[derive(Clone, Debug, Default)]
pub struct NameIndex {
    declared: HashMap<String, Vec<(StageId, TaskId)>>,
    recorded: HashMap<String, TaskId>,
    stages: HashMap<String, StageId>,
}

/// What a name was found to mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// A task.
    Task(TaskId),
    /// A stage.
    Stage(StageId),
}

impl NameIndex {
    /// Of a workflow whose tasks and stages are complete.
    pub fn of(workflow: &Workflow) -> NameIndex {
        let mut index = NameIndex::default();
        for (at, stage) in (0u32..).zip(&workflow.stages) {
            index.stages.entry(stage.name.clone()).or_insert(StageId(at));
        }
        for (at, task) in (0u32..).zip(&workflow.tasks) {
            index.declared.entry(task.declared.clone()).or_default().push((task.stage, TaskId(at)));
            index.recorded.entry(task.name.clone()).or_insert(TaskId(at));
        }
        index
    }

    /// One more task, not known by a name in records yet.
    pub fn add_task(&mut self, declared: &str, stage: StageId, task: TaskId) {
        self.declared.entry(declared.to_owned()).or_default().push((stage, task));
    }

    /// One more stage.
    pub fn add_stage(&mut self, name: &str, stage: StageId) {
        self.stages.entry(name.to_owned()).or_insert(stage);
    }

    /// A task as seen from `stage`: of the same stage, else of the workflow (the first), else by its name in records.
    pub fn task(&self, name: &str, stage: Option<StageId>) -> Option<TaskId> {
        let Some(found) = self.declared.get(name) else { return self.recorded.get(name).copied() };
        let own = found.iter().find(|(of, _)| Some(*of) == stage);
        own.or_else(|| found.first()).map(|(_, task)| *task)
    }

    /// A task of one stage.
    pub fn task_in(&self, stage: StageId, name: &str) -> Option<TaskId> {
        self.declared.get(name)?.iter().find(|(of, _)| *of == stage).map(|(_, task)| *task)
    }

    /// A stage.
    pub fn stage(&self, name: &str) -> Option<StageId> {
        self.stages.get(name).copied()
    }

    /// A dependency: a task of the same stage, a task of the workflow, a stage of the workflow.
    pub fn dependency(&self, name: &str, stage: Option<StageId>) -> Option<Named> {
        self.task(name, stage).map(Named::Task).or_else(|| self.stage(name).map(Named::Stage))
    }

    /// All names, for suggestions.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.declared.keys().chain(self.stages.keys()).map(String::as_str)
    }
}

/// The place of an expression: whose names it sees first.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Names of the workflow.
    pub names: &'a NameIndex,
    /// Stage of the task that has the expression.
    pub stage: Option<StageId>,
    /// In the condition of a stage, a name that is both means the stage.
    pub stage_first: bool,
}

impl Scope<'_> {
    /// What `name` means here.
    pub fn find(&self, name: &str) -> Option<Named> {
        let task = || self.names.task(name, self.stage).map(Named::Task);
        let stage = || self.names.stage(name).map(Named::Stage);
        if self.stage_first { stage().or_else(task) } else { task().or_else(stage) }
    }
}
