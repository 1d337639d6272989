//! Expressions of conditions: `smoke.success && values.env == 'prod'`. Read once into a tree whose names are bound to
//! tasks and stages; evaluated against what the run knows.

mod ast;
mod bind;
mod eval;
mod functions;
mod lex;
mod parse;
mod reading;
#[cfg(test)]
mod tests;

pub use ast::{DataRoot, Expr, ExprError, Problem, Step};
pub use eval::World;
pub(crate) use eval::{number_text, step_into};
pub use functions::{Function, StatusFunction};
pub use reading::{Reading, read_condition};

/// Longest expression, bytes.
pub const LENGTH_MAX: usize = 16 << 10;

/// Most words and signs: bounds the depth of the tree, whatever its shape.
pub const TOKENS_MAX: usize = 2000;

/// Deepest nesting of brackets.
pub const DEPTH_MAX: usize = 64;

/// Fields of a task or stage that an expression can read.
pub const FIELDS: [&str; 14] = [
    "success",
    "failed",
    "skipped",
    "cancelled",
    "changed",
    "ignored",
    "status",
    "output",
    "error",
    "message",
    "duration",
    "duration_ms",
    "attempts",
    "exit_code",
];

/// Those that replace the implicit `success()`: whoever asks for a status has thought about failures.
pub const STATUS_FIELDS: [&str; 6] = ["success", "failed", "skipped", "cancelled", "status", "changed"];

/// Also a field, of where the task ran.
pub const AGENT_FIELD: &str = "agent";

/// Whether a path's first step after a task or stage is one of its fields.
pub fn is_field(name: &str) -> bool {
    name == AGENT_FIELD || FIELDS.contains(&name)
}
