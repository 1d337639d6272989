//! Evaluation. Missing paths are nil; a comparison of different types is false; `&&` and `||` stop early and yield
//! booleans; only false and nil are false, as in the rest of the language.

use std::borrow::Cow;

use serde_json::Value;

use super::ast::{DataRoot, Expr, Node, Operator, Path, Root, Step};
use super::functions::{Function, StatusFunction};
use crate::workflow::{StageId, TaskId};

/// What a run knows.
pub trait World {
    /// A field of a task, one of [`FIELDS`](super::FIELDS) or `agent`; null when it has none (yet).
    fn task(&self, task: TaskId, field: &str) -> Cow<'_, Value>;
    /// A field of a stage; its `output` maps task name to output.
    fn stage(&self, stage: StageId, field: &str) -> Cow<'_, Value>;
    /// Data of the run.
    fn data(&self, root: DataRoot) -> Cow<'_, Value>;
    /// Status of everything before.
    fn status(&self, function: StatusFunction) -> bool;
    /// Whether a file exists, relative to the work directory.
    fn exists(&self, path: &str) -> bool;
    /// A variable of the task's environment.
    fn env(&self, name: &str) -> Option<String>;
    /// Whether an agent is connected.
    fn agent_online(&self, name: &str) -> bool;
    /// Whether a regular expression is found in a text.
    fn matches(&self, text: &str, pattern: &str) -> Result<bool, String>;
}

type Evaluated<'w> = Result<Cow<'w, Value>, String>;

impl Expr {
    /// Its value; the error is one sentence.
    pub fn eval(&self, world: &dyn World) -> Result<Value, String> {
        eval(&self.root, world).map(Cow::into_owned)
    }

    /// Whether it holds.
    pub fn holds(&self, world: &dyn World) -> Result<bool, String> {
        eval(&self.root, world).map(|value| truth(&value))
    }
}

fn truth(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
}

fn owned<'w>(value: impl Into<Value>) -> Evaluated<'w> {
    Ok(Cow::Owned(value.into()))
}

fn eval<'w>(node: &'w Node, world: &'w dyn World) -> Evaluated<'w> {
    match node {
        Node::Literal(value) => Ok(Cow::Borrowed(value)),
        Node::Path(path) => Ok(follow(path, world)),
        Node::Not(inner) => owned(!truth(eval(inner, world)?.as_ref())),
        Node::Negative(inner) => match eval(inner, world)?.as_f64() {
            Some(number) => owned(-number),
            None => Err("- needs a number".to_owned()),
        },
        Node::And(a, b) => owned(truth(eval(a, world)?.as_ref()) && truth(eval(b, world)?.as_ref())),
        Node::Or(a, b) => owned(truth(eval(a, world)?.as_ref()) || truth(eval(b, world)?.as_ref())),
        Node::Binary(operator, a, b) => {
            let (a, b) = (eval(a, world)?, eval(b, world)?);
            binary(*operator, &a, &b).map(Cow::Owned)
        }
        Node::Call(function, args) => call(*function, args, world),
    }
}

fn follow<'w>(path: &'w Path, world: &'w dyn World) -> Cow<'w, Value> {
    let first = |steps: &'w [Step]| match steps.split_first() {
        Some((Step::Key(field), rest)) => (field.as_str(), rest),
        Some((Step::Index(_), _)) => ("", steps),
        None => ("status", steps),
    };
    let (value, rest) = match &path.root {
        Root::Data(root) => (world.data(*root), path.steps.as_slice()),
        Root::Task(task) => {
            let (field, rest) = first(&path.steps);
            (world.task(*task, field), rest)
        }
        Root::Stage(stage) => {
            let (field, rest) = first(&path.steps);
            (world.stage(*stage, field), rest)
        }
        // An expression that was never bound knows no tasks.
        Root::Name(..) => (Cow::Owned(Value::Null), path.steps.as_slice()),
    };
    match value {
        Cow::Borrowed(value) => Cow::Borrowed(step_into(value, rest)),
        Cow::Owned(value) => Cow::Owned(step_into(&value, rest).clone()),
    }
}

/// Follows steps into a value; null where the path ends.
pub(crate) fn step_into<'v>(value: &'v Value, steps: &[Step]) -> &'v Value {
    steps.iter().fold(value, |value, step| {
        let found = match (step, value) {
            (Step::Key(key), Value::Object(map)) => map.get(key),
            (Step::Index(index), Value::Array(items)) => {
                usize::try_from(*index).ok().and_then(|index| items.get(index.checked_sub(1)?))
            }
            _ => None,
        };
        found.unwrap_or(&Value::Null)
    })
}

fn binary(operator: Operator, a: &Value, b: &Value) -> Result<Value, String> {
    use Operator as O;
    Ok(Value::Bool(match operator {
        O::Equal => equal(a, b),
        O::NotEqual => !equal(a, b),
        O::Less => order(a, b).is_some_and(|order| order.is_lt()),
        O::LessEqual => order(a, b).is_some_and(|order| order.is_le()),
        O::Greater => order(a, b).is_some_and(|order| order.is_gt()),
        O::GreaterEqual => order(a, b).is_some_and(|order| order.is_ge()),
        O::In => contains(b, a),
        O::Add | O::Subtract | O::Multiply | O::Divide | O::Remainder => return arithmetic(operator, a, b),
    }))
}

fn arithmetic(operator: Operator, a: &Value, b: &Value) -> Result<Value, String> {
    if let (Operator::Add, Value::String(a), Value::String(b)) = (operator, a, b) {
        return Ok(Value::String(format!("{a}{b}")));
    }
    let (Some(a), Some(b)) = (a.as_f64(), b.as_f64()) else {
        return Err(format!("cannot calculate with {} and {}", type_name(a), type_name(b)));
    };
    let result = match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => a / b,
        // The sign of the divisor, as in Lua.
        _ => a - (a / b).floor() * b,
    };
    if result.is_finite() { Ok(Value::from(result)) } else { Err("division by zero, or a number out of range".into()) }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

fn order(a: &Value, b: &Value) -> Option<std::cmp::Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Array(items), part) => items.iter().any(|item| equal(item, part)),
        (Value::Object(map), Value::String(key)) => map.contains_key(key),
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        _ => false,
    }
}

fn call<'w>(function: Function, args: &'w [Node], world: &'w dyn World) -> Evaluated<'w> {
    let arg = |at: usize| args.get(at).map_or(Ok(Cow::Owned(Value::Null)), |node| eval(node, world));
    let text = |at: usize| -> Result<String, String> {
        match arg(at)?.as_ref() {
            Value::String(text) => Ok(text.clone()),
            Value::Null => Ok(String::new()),
            Value::Number(number) => Ok(number_text(number)),
            other => Err(format!("a string was expected, not {}", type_name(other))),
        }
    };
    match function {
        Function::Status(status) => owned(world.status(status)),
        Function::Defined => owned(!arg(0)?.is_null()),
        Function::Contains => owned(contains(arg(0)?.as_ref(), arg(1)?.as_ref())),
        Function::StartsWith => owned(text(0)?.starts_with(&text(1)?)),
        Function::EndsWith => owned(text(0)?.ends_with(&text(1)?)),
        Function::Matches => owned(world.matches(&text(0)?, &text(1)?)?),
        Function::Len => owned(len(arg(0)?.as_ref())?),
        Function::Lower => owned(text(0)?.to_lowercase()),
        Function::Upper => owned(text(0)?.to_uppercase()),
        Function::Exists => owned(world.exists(&text(0)?)),
        Function::AgentOnline => owned(world.agent_online(&text(0)?)),
        Function::Env => match world.env(&text(0)?) {
            Some(value) => owned(value),
            None => arg(1),
        },
    }
}

fn len(value: &Value) -> Result<usize, String> {
    match value {
        Value::Null => Ok(0),
        Value::String(text) => Ok(text.chars().count()),
        Value::Array(items) => Ok(items.len()),
        Value::Object(map) => Ok(map.len()),
        other => Err(format!("len() of {}", type_name(other))),
    }
}

/// A number as the language prints it: without a fraction where there is none.
pub(crate) fn number_text(number: &serde_json::Number) -> String {
    match number.as_f64() {
        #[allow(clippy::cast_possible_truncation)] // whole and below 2^53
        Some(float) if float.fract() == 0.0 && float.abs() < 9e15 => (float as i64).to_string(),
        _ => number.to_string(),
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}
