//! Whether the text of a condition is an expression or a shell command.

use super::ast::{Expr, ExprError, Problem};
use crate::workflow::names::Scope;

/// How a text was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// An expression, bound.
    Expression(Expr),
    /// A command for a shell.
    Shell(String),
}

/// Reads a condition. A text that parses as an expression whose roots are all known is one; any other text is a shell
/// command. The prefixes `expr:` and `sh:` force the reading. A text that reads data of the run or calls a function is
/// no shell command whatever else is wrong with it, so its mistake is told instead of being given to a shell.
pub fn read_condition(text: &str, scope: &Scope<'_>) -> Result<Reading, ExprError> {
    if let Some(command) = text.strip_prefix("sh:") {
        return Ok(Reading::Shell(command.trim_start().to_owned()));
    }
    if let Some(expression) = text.strip_prefix("expr:") {
        let mut expr = Expr::parse(expression)?;
        expr.bind(scope)?;
        return Ok(Reading::Expression(expr));
    }
    let shell = || Ok(Reading::Shell(text.to_owned()));
    let mut expr = match Expr::parse(text) {
        Ok(expr) => expr,
        Err(error) if error.problem == Problem::Function => return Err(error),
        Err(_) => return shell(),
    };
    match expr.bind(scope) {
        Ok(()) => Ok(Reading::Expression(expr)),
        Err(error) if expr.is_unmistakable() => Err(error),
        Err(_) => shell(),
    }
}
