//! Names become tasks and stages; and what an expression says about itself before it is evaluated.

use super::ast::{DataRoot, Expr, ExprError, May, Node, Path, Problem, Root, Step};
use super::functions::Function;
use super::{STATUS_FIELDS, is_field};
use crate::workflow::names::{Named, Scope};
use crate::workflow::{StageId, TaskId, suggest};

impl Expr {
    /// Looks all names up. `<stage>.<task>` is the task of that stage.
    pub fn bind(&mut self, scope: &Scope<'_>) -> Result<(), ExprError> {
        self.root.paths_mut(&mut |path| bind_path(path, scope))
    }

    /// Names that are not bound: before [`Expr::bind`] all that are not data of the run.
    pub fn names(&self) -> Vec<&str> {
        let mut found = Vec::new();
        self.root.walk(&mut |node| {
            if let Node::Path(Path { root: Root::Name(name, may), .. }) = node
                && *may != May::BeStage
            {
                found.push(name.as_str());
            }
        });
        found
    }

    /// Tasks whose end it waits for.
    pub fn tasks(&self) -> Vec<TaskId> {
        let mut found = Vec::new();
        self.root.walk(&mut |node| {
            if let Node::Path(Path { root: Root::Task(task), .. }) = node
                && !found.contains(task)
            {
                found.push(*task);
            }
        });
        found
    }

    /// Stages whose end it waits for.
    pub fn stages(&self) -> Vec<StageId> {
        let mut found = Vec::new();
        self.root.walk(&mut |node| {
            if let Node::Path(Path { root: Root::Stage(stage), .. }) = node
                && !found.contains(stage)
            {
                found.push(*stage);
            }
        });
        found
    }

    /// Whether it names a status of a task or stage, or calls `success() failure() always() cancelled()`: then it
    /// replaces the implicit `success()`.
    pub fn mentions_status(&self) -> bool {
        let mut found = false;
        self.root.walk(&mut |node| {
            found |= match node {
                Node::Call(Function::Status(_), _) => true,
                Node::Path(Path { root: Root::Data(_), .. }) => false,
                Node::Path(Path { steps, .. }) => {
                    matches!(steps.first(), Some(Step::Key(field)) if STATUS_FIELDS.contains(&field.as_str()))
                }
                _ => false,
            }
        });
        found
    }

    /// Whether it mentions failures: such a condition is evaluated even when the run is failing.
    pub fn mentions_failure(&self) -> bool {
        use super::functions::StatusFunction::{Always, Cancelled, Failure};
        let mut found = false;
        self.root.walk(&mut |node| {
            found |= match node {
                Node::Call(Function::Status(status), _) => matches!(status, Failure | Always | Cancelled),
                Node::Path(Path { root: Root::Data(_), .. }) => false,
                Node::Path(Path { steps, .. }) => matches!(
                    steps.first(),
                    Some(Step::Key(field)) if matches!(field.as_str(), "failed" | "cancelled" | "skipped" | "status")
                ),
                _ => false,
            }
        });
        found
    }

    /// Whether it reads data of the run or calls a function: no shell command looks like that.
    pub(super) fn is_unmistakable(&self) -> bool {
        let mut found = false;
        self.root.walk(&mut |node| {
            found |= match node {
                Node::Call(..) => true,
                Node::Path(Path { root: Root::Data(_), steps, .. }) => !steps.is_empty(),
                _ => false,
            }
        });
        found
    }
}

fn bind_path(path: &mut Path, scope: &Scope<'_>) -> Result<(), ExprError> {
    let Root::Name(name, may) = &path.root else { return Ok(()) };
    let found = match may {
        May::Be => scope.find(name),
        May::BeTask => scope.names.task(name, scope.stage).map(Named::Task),
        May::BeStage => scope.names.stage(name).map(Named::Stage),
    };
    // `<stage>.<task>`: also when a task has the name of that stage.
    let stage = match (found, may) {
        (Some(Named::Stage(stage)), _) => Some(stage),
        (Some(Named::Task(_)), May::Be) => scope.names.stage(name),
        _ => None,
    };
    let member = match (stage, path.steps.first()) {
        (Some(stage), Some(Step::Key(key))) if !is_field(key) => scope.names.task_in(stage, key),
        _ => None,
    };
    if let Some(task) = member {
        path.root = Root::Task(task);
        path.steps.remove(0);
        return Ok(());
    }
    path.root = match found {
        Some(Named::Task(task)) => Root::Task(task),
        Some(Named::Stage(stage)) => Root::Stage(stage),
        None => return Err(unknown(name, path.column, scope)),
    };
    Ok(())
}

fn unknown(name: &str, column: u32, scope: &Scope<'_>) -> ExprError {
    let mut words: Vec<&str> = DataRoot::ALL.iter().map(|(name, _)| *name).collect();
    words.extend(scope.names.all());
    Function::names().for_each(|name| words.push(name));
    let suggestion = suggest(name, words).map(str::to_owned);
    ExprError { problem: Problem::Root, message: format!("unknown name {name:?}"), column, suggestion }
}
