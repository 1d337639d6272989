//! The tree.

use serde_json::Value;

use super::functions::Function;
use crate::workflow::{StageId, TaskId};

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    pub(super) root: Node,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Literal(Value),
    Path(Path),
    Not(Box<Node>),
    Negative(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
}

impl Node {
    /// Calls `visit` for every path and every call in it.
    pub(super) fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Node)) {
        match self {
            Node::Literal(_) => {}
            Node::Path(_) => visit(self),
            Node::Not(inner) | Node::Negative(inner) => inner.walk(visit),
            Node::And(a, b) | Node::Or(a, b) | Node::Binary(_, a, b) => {
                a.walk(visit);
                b.walk(visit);
            }
            Node::Call(_, args) => {
                visit(self);
                args.iter().for_each(|arg| arg.walk(visit));
            }
        }
    }

    /// Calls `change` for every path in it, until one fails.
    pub(super) fn paths_mut(
        &mut self,
        change: &mut dyn FnMut(&mut Path) -> Result<(), ExprError>,
    ) -> Result<(), ExprError> {
        match self {
            Node::Literal(_) => Ok(()),
            Node::Path(path) => change(path),
            Node::Not(inner) | Node::Negative(inner) => inner.paths_mut(change),
            Node::And(a, b) | Node::Or(a, b) | Node::Binary(_, a, b) => {
                a.paths_mut(change)?;
                b.paths_mut(change)
            }
            Node::Call(_, args) => args.iter_mut().try_for_each(|arg| arg.paths_mut(change)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    In,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Path {
    pub(super) root: Root,
    pub(super) steps: Vec<Step>,
    /// From 1, for messages.
    pub(super) column: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Root {
    /// Not bound yet: a name, and what it may mean.
    Name(String, May),
    Task(TaskId),
    Stage(StageId),
    Data(DataRoot),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum May {
    Be,
    BeTask,
    BeStage,
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Member of a map.
    Key(String),
    /// Item of a list, from 1.
    Index(u64),
}

/// Data of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum DataRoot {
    Values,
    Params,
    Env,
    Stack,
    Run,
    Outputs,
}

impl DataRoot {
    /// All, with their names.
    pub const ALL: [(&'static str, DataRoot); 6] = [
        ("values", DataRoot::Values),
        ("params", DataRoot::Params),
        ("env", DataRoot::Env),
        ("stack", DataRoot::Stack),
        ("run", DataRoot::Run),
        ("outputs", DataRoot::Outputs),
    ];

    /// By its name.
    pub fn from_name(name: &str) -> Option<DataRoot> {
        DataRoot::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, root)| root)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        DataRoot::ALL.into_iter().find(|(_, root)| *root == self).map_or("", |(name, _)| name)
    }
}

/// Why a text is not an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExprError {
    /// Which kind of problem.
    pub problem: Problem,
    /// One sentence.
    pub message: String,
    /// Column in the expression, from 1.
    pub column: u32,
    /// A near word that would have been right.
    pub suggestion: Option<String>,
}

/// Kinds of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The text does not follow the grammar.
    Syntax,
    /// A name that is neither a task, a stage nor data of the run.
    Root,
    /// A function that does not exist, or wrong arguments of one that does.
    Function,
}
