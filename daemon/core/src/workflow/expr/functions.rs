//! The functions that expressions may call.

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Function {
    Status(StatusFunction),
    Defined,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    Len,
    Lower,
    Upper,
    Exists,
    Env,
    AgentOnline,
}

/// A question about everything before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusFunction {
    /// Every earlier stage or dependency is satisfied.
    Success,
    /// One of them failed.
    Failure,
    /// True.
    Always,
    /// One of them, or the run, is cancelled.
    Cancelled,
}

/// Name, function, least and most arguments.
type Row = (&'static str, Function, usize, usize);

const ROWS: [Row; 15] = [
    ("success", Function::Status(StatusFunction::Success), 0, 0),
    ("failure", Function::Status(StatusFunction::Failure), 0, 0),
    ("always", Function::Status(StatusFunction::Always), 0, 0),
    ("cancelled", Function::Status(StatusFunction::Cancelled), 0, 0),
    ("defined", Function::Defined, 1, 1),
    ("contains", Function::Contains, 2, 2),
    ("starts_with", Function::StartsWith, 2, 2),
    ("ends_with", Function::EndsWith, 2, 2),
    ("matches", Function::Matches, 2, 2),
    ("len", Function::Len, 1, 1),
    ("lower", Function::Lower, 1, 1),
    ("upper", Function::Upper, 1, 1),
    ("exists", Function::Exists, 1, 1),
    ("env", Function::Env, 1, 2),
    ("agent_online", Function::AgentOnline, 1, 1),
];

impl Function {
    /// By its name, with the least and most number of its arguments.
    pub(super) fn find(name: &str) -> Option<(Function, usize, usize)> {
        ROWS.iter().find(|row| row.0 == name).map(|row| (row.1, row.2, row.3))
    }

    /// Names of all.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ROWS.iter().map(|row| row.0)
    }
}
