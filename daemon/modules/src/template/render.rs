//! From a tree and values to text.

use std::collections::BTreeMap;

use sloth_lua::Data;

use super::filters;
use super::lexer::Mistake;
use super::parser::Node;
use super::values::Expr;

/// Longest result, bytes.
const OUTPUT_MAX: usize = 64 << 20;
/// Most turns of all loops.
const TURNS_MAX: usize = 10_000_000;

/// What names mean.
pub struct Names<'a> {
    /// `vars`.
    pub vars: Data,
    /// `values`, `facts` and `env`, asked for when needed.
    pub root: &'a dyn Fn(&str) -> Option<Data>,
    /// Whether an unknown name is nothing instead of an error.
    pub empty: bool,
}

/// Renders a tree.
pub fn render(nodes: &[Node], names: &Names<'_>) -> Result<String, Mistake> {
    let mut renderer = Renderer {
        names,
        out: String::new(),
        locals: Vec::new(),
        dots: vec![names.vars.clone()],
        turns: 0,
        roots: BTreeMap::new(),
    };
    renderer.nodes(nodes)?;
    Ok(renderer.out)
}

/// As a template prints it.
pub fn shown(value: &Data) -> String {
    match value {
        Data::Nil => String::new(),
        Data::Bool(value) => value.to_string(),
        Data::List(_) | Data::Map(_) => value.to_json().to_string(),
        other => other.to_text().unwrap_or_default(),
    }
}

/// Whether a condition holds: false, nothing, 0, an empty text and an empty table do not.
pub fn is_true(value: &Data) -> bool {
    match value {
        Data::Nil => false,
        Data::Bool(value) => *value,
        Data::Num(number) => *number != 0.0,
        Data::Str(bytes) => !bytes.is_empty(),
        Data::List(items) => !items.is_empty(),
        Data::Map(entries) => !entries.is_empty(),
        #[allow(unreachable_patterns)]
        _ => false,
    }
}

struct Renderer<'a, 'b> {
    names: &'a Names<'b>,
    out: String,
    locals: Vec<(String, Data)>,
    dots: Vec<Data>,
    turns: usize,
    roots: BTreeMap<String, Option<Data>>,
}

/// Why a value is not there.
enum Absent {
    /// An unknown name: an error, but not for `default`.
    Unknown(String),
    /// A mistake in any case.
    Wrong(String),
}

impl Renderer<'_, '_> {
    fn nodes(&mut self, nodes: &[Node]) -> Result<(), Mistake> {
        let scope = self.locals.len();
        for node in nodes {
            self.node(node)?;
        }
        self.locals.truncate(scope);
        Ok(())
    }

    fn node(&mut self, node: &Node) -> Result<(), Mistake> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Value(line, expr) => {
                let value = self.value(*line, expr)?;
                self.out.push_str(&shown(&value));
            }
            Node::If(branches) => {
                for (guard, body) in branches {
                    let holds = match guard {
                        Some((line, condition)) => is_true(&self.value(*line, condition)?),
                        None => true,
                    };
                    if holds {
                        return self.nodes(body);
                    }
                }
            }
            Node::For { line, key, item, list, body, otherwise } => {
                let list = self.value(*line, list)?;
                self.walk(*line, (key.as_deref(), item.as_deref()), list, body, otherwise)?;
            }
            Node::With(line, expr, body, otherwise) => {
                let value = self.value(*line, expr)?;
                if !is_true(&value) {
                    return self.nodes(otherwise);
                }
                self.dots.push(value);
                self.nodes(body)?;
                self.dots.pop();
            }
            Node::Set(line, name, expr) => {
                let value = self.value(*line, expr)?;
                self.locals.push((name.clone(), value));
            }
        }
        if self.out.len() > OUTPUT_MAX {
            return Err(Mistake::new(0, format!("the result is longer than {OUTPUT_MAX} bytes")));
        }
        Ok(())
    }

    fn walk(
        &mut self,
        line: usize,
        (key, item): (Option<&str>, Option<&str>),
        list: Data,
        body: &[Node],
        otherwise: &[Node],
    ) -> Result<(), Mistake> {
        #[allow(clippy::cast_precision_loss)] // an index
        let entries: Vec<(Data, Data)> = match list {
            Data::List(items) => items.into_iter().enumerate().map(|(at, item)| (Data::Num(at as f64), item)).collect(),
            Data::Map(entries) => entries.into_iter().map(|(key, value)| (key.into(), value)).collect(),
            Data::Nil => Vec::new(),
            other => return Err(Mistake::new(line, format!("list expected, got {}", other.type_name()))),
        };
        if entries.is_empty() {
            return self.nodes(otherwise);
        }
        for (index, value) in entries {
            self.turns += 1;
            if self.turns > TURNS_MAX {
                return Err(Mistake::new(line, format!("more than {TURNS_MAX} turns of loops")));
            }
            let scope = self.locals.len();
            if let Some(key) = key {
                self.locals.push((key.to_owned(), index));
            }
            if let Some(item) = item {
                self.locals.push((item.to_owned(), value.clone()));
            }
            self.dots.push(value);
            self.nodes(body)?;
            self.dots.pop();
            self.locals.truncate(scope);
        }
        Ok(())
    }

    fn value(&mut self, line: usize, expr: &Expr) -> Result<Data, Mistake> {
        match self.eval(expr) {
            Ok(value) => Ok(value),
            Err(Absent::Unknown(_)) if self.names.empty => Ok(Data::Nil),
            Err(Absent::Unknown(name)) => Err(Mistake::new(line, format!("unknown name {name:?}"))),
            Err(Absent::Wrong(message)) => Err(Mistake::new(line, message)),
        }
    }

    fn eval(&mut self, expr: &Expr) -> Result<Data, Absent> {
        match expr {
            Expr::Literal(value) => Ok(value.clone()),
            Expr::List(items) => items.iter().map(|item| self.eval(item)).collect::<Result<_, _>>().map(Data::List),
            Expr::Dot => Ok(self.dots.last().cloned().unwrap_or_default()),
            Expr::Top => Ok(self.names.vars.clone()),
            Expr::Name(name) => self.name(name),
            // At the top the dot is the variables, and what is not there may be in another root.
            Expr::Field(subject, name) if **subject == Expr::Dot && self.dots.len() == 1 => self.name(name),
            Expr::Field(subject, name) => {
                let value = self.eval(subject)?;
                member(&value, name).ok_or_else(|| Absent::Unknown(name_of(expr)))
            }
            Expr::Index(subject, key) => {
                let value = self.eval(subject)?;
                let key = self.eval(key)?;
                index(&value, &key).ok_or_else(|| Absent::Unknown(name_of(expr)))
            }
            Expr::Filter(subject, name, args) => {
                let value = match self.eval(subject) {
                    Err(Absent::Unknown(_)) if matches!(name.as_str(), "default" | "required") => Data::Nil,
                    Err(Absent::Unknown(_)) if name == "defined" => return Ok(false.into()),
                    other => other?,
                };
                if name == "defined" {
                    return Ok((value != Data::Nil).into());
                }
                let args = args.iter().map(|arg| self.eval(arg)).collect::<Result<Vec<_>, _>>()?;
                filters::apply(name, value, &args).map_err(Absent::Wrong)
            }
            Expr::Not(inner) => Ok((!is_true(&self.eval(inner)?)).into()),
            Expr::Binary(sign, left, right) => self.binary(sign, left, right),
        }
    }

    /// `vars`, then `values`, `facts`, `env`; the roots also by their own names.
    fn name(&mut self, name: &str) -> Result<Data, Absent> {
        if let Some((_, value)) = self.locals.iter().rev().find(|(known, _)| known == name) {
            return Ok(value.clone());
        }
        if let Some(value) = self.names.vars.get(name).filter(|value| **value != Data::Nil) {
            return Ok(value.clone());
        }
        if name == "vars" {
            return Ok(self.names.vars.clone());
        }
        if matches!(name, "values" | "facts" | "env") {
            return self.root(name).ok_or_else(|| Absent::Unknown(name.to_owned()));
        }
        for root in ["values", "facts", "env"] {
            if let Some(value) = self.root(root).as_ref().and_then(|root| member(root, name)) {
                return Ok(value);
            }
        }
        Err(Absent::Unknown(name.to_owned()))
    }

    fn root(&mut self, name: &str) -> Option<Data> {
        let names = self.names;
        self.roots.entry(name.to_owned()).or_insert_with(|| (names.root)(name)).clone()
    }

    fn binary(&mut self, sign: &str, left: &Expr, right: &Expr) -> Result<Data, Absent> {
        let left = self.eval(left)?;
        match sign {
            "and" if !is_true(&left) => return Ok(left),
            "or" if is_true(&left) => return Ok(left),
            "and" | "or" => return self.eval(right),
            _ => {}
        }
        let right = self.eval(right)?;
        let ordering = || filters::order(&left, &right);
        let number = |value: &Data| {
            let number = value.to_text().and_then(|text| text.trim().parse::<f64>().ok());
            number.ok_or_else(|| Absent::Wrong(format!("{sign:?} needs numbers, got {}", value.type_name())))
        };
        Ok(match sign {
            "==" => (left == right || shown(&left) == shown(&right) && left != Data::Nil && right != Data::Nil).into(),
            "!=" => (left != right && shown(&left) != shown(&right)).into(),
            "<" => ordering().is_lt().into(),
            "<=" => ordering().is_le().into(),
            ">" => ordering().is_gt().into(),
            ">=" => ordering().is_ge().into(),
            ".." => format!("{}{}", shown(&left), shown(&right)).into(),
            "in" => match &right {
                Data::List(items) => items.contains(&left).into(),
                Data::Map(_) => right.get(&shown(&left)).is_some().into(),
                other => shown(other).contains(&shown(&left)).into(),
            },
            "+" => (number(&left)? + number(&right)?).into(),
            "-" => (number(&left)? - number(&right)?).into(),
            "*" => (number(&left)? * number(&right)?).into(),
            "/" => (number(&left)? / number(&right)?).into(),
            _ => (number(&left)? % number(&right)?).into(),
        })
    }
}

fn member(value: &Data, name: &str) -> Option<Data> {
    match value {
        Data::Map(_) => value.get(name).filter(|value| **value != Data::Nil).cloned(),
        Data::List(_) => index(value, &name.into()),
        _ => None,
    }
}

/// Lists count from 0, as the syntax `a.b[0]` of templates has it.
fn index(value: &Data, key: &Data) -> Option<Data> {
    match value {
        Data::List(items) => {
            let at: usize = key.to_text()?.parse().ok()?;
            items.get(at).cloned()
        }
        Data::Map(_) => value.get(&key.to_text()?).cloned(),
        _ => None,
    }
}

fn name_of(expr: &Expr) -> String {
    match expr {
        Expr::Name(name) => name.clone(),
        Expr::Dot | Expr::Top => String::new(),
        Expr::Field(subject, name) => {
            let before = name_of(subject);
            if before.is_empty() { name.clone() } else { format!("{before}.{name}") }
        }
        Expr::Index(subject, key) => match &**key {
            Expr::Literal(key) => format!("{}[{}]", name_of(subject), shown(key)),
            _ => format!("{}[…]", name_of(subject)),
        },
        _ => "…".to_owned(),
    }
}
