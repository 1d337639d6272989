//! From tokens to the tree. From loose to tight: or, and, comparisons and `in`, sums, products, `!` and `-`.

use serde_json::Value;

use super::ast::{DataRoot, Expr, ExprError, May, Node, Operator, Path, Problem, Root, Step};
use super::functions::Function;
use super::lex::{Placed, Token, syntax, tokens};
use super::{DEPTH_MAX, LENGTH_MAX, TOKENS_MAX};
use crate::workflow::suggest;

impl Expr {
    /// Reads it. Names are not looked up yet: see [`Expr::bind`].
    pub fn parse(text: &str) -> Result<Expr, ExprError> {
        if text.len() > LENGTH_MAX {
            return Err(syntax(format!("an expression has at most {LENGTH_MAX} bytes"), 1));
        }
        let end = u32::try_from(text.chars().count() + 1).unwrap_or(u32::MAX);
        let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0, end };
        if parser.tokens.len() > TOKENS_MAX {
            return Err(syntax(format!("an expression has at most {TOKENS_MAX} words and signs"), 1));
        }
        if parser.tokens.is_empty() {
            return Err(syntax("the expression is empty", 1));
        }
        let root = parser.or()?;
        match parser.tokens.get(parser.at) {
            None => Ok(Expr { root }),
            Some((token, column)) => Err(syntax(format!("unexpected {}", said(token)), *column)),
        }
    }
}

struct Parser {
    tokens: Vec<Placed>,
    at: usize,
    depth: usize,
    end: u32,
}

type Parsed = Result<Node, ExprError>;

impl Parser {
    fn or(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(syntax(format!("nested deeper than {DEPTH_MAX}"), self.column()));
        }
        let mut left = self.and()?;
        while self.takes(&["||"], &["or"]).is_some() {
            left = Node::Or(Box::new(left), Box::new(self.and()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn and(&mut self) -> Parsed {
        let mut left = self.comparison()?;
        while self.takes(&["&&"], &["and"]).is_some() {
            left = Node::And(Box::new(left), Box::new(self.comparison()?));
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Parsed {
        let mut left = self.sum()?;
        while let Some(sign) = self.takes(&["==", "!=", "~=", "<=", "<", ">=", ">"], &["in"]) {
            let operator = match sign {
                "==" => Operator::Equal,
                "!=" | "~=" => Operator::NotEqual,
                "<=" => Operator::LessEqual,
                "<" => Operator::Less,
                ">=" => Operator::GreaterEqual,
                ">" => Operator::Greater,
                _ => Operator::In,
            };
            left = Node::Binary(operator, Box::new(left), Box::new(self.sum()?));
        }
        Ok(left)
    }

    fn sum(&mut self) -> Parsed {
        let mut left = self.product()?;
        while let Some(sign) = self.takes(&["+", "-"], &[]) {
            let operator = if sign == "+" { Operator::Add } else { Operator::Subtract };
            left = Node::Binary(operator, Box::new(left), Box::new(self.product()?));
        }
        Ok(left)
    }

    fn product(&mut self) -> Parsed {
        let mut left = self.unary()?;
        while let Some(sign) = self.takes(&["*", "/", "%"], &[]) {
            let operator = match sign {
                "*" => Operator::Multiply,
                "/" => Operator::Divide,
                _ => Operator::Remainder,
            };
            left = Node::Binary(operator, Box::new(left), Box::new(self.unary()?));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed {
        let mut signs = Vec::new();
        while let Some(sign) = self.takes(&["!", "-"], &["not"]) {
            signs.push(sign);
            if signs.len() > DEPTH_MAX {
                return Err(syntax(format!("nested deeper than {DEPTH_MAX}"), self.column()));
            }
        }
        let inner = self.primary()?;
        Ok(signs.into_iter().rev().fold(inner, |inner, sign| match sign {
            "-" => Node::Negative(Box::new(inner)),
            _ => Node::Not(Box::new(inner)),
        }))
    }

    fn primary(&mut self) -> Parsed {
        let column = self.column();
        match self.next() {
            Some(Token::Number(number)) => Ok(Node::Literal(Value::from(number))),
            Some(Token::Text(text)) => Ok(Node::Literal(Value::from(text))),
            Some(Token::Sign("(")) => {
                let inner = self.or()?;
                self.expect(")")?;
                Ok(inner)
            }
            Some(Token::Name(name)) => self.named(name, column),
            Some(other) => Err(syntax(format!("unexpected {}", said(&other)), column)),
            None => Err(syntax("the expression ends too early", column)),
        }
    }

    fn named(&mut self, name: String, column: u32) -> Parsed {
        match name.as_str() {
            "true" => return Ok(Node::Literal(Value::Bool(true))),
            "false" => return Ok(Node::Literal(Value::Bool(false))),
            "nil" | "null" => return Ok(Node::Literal(Value::Null)),
            "and" | "or" | "not" | "in" => return Err(syntax(format!("unexpected {name}"), column)),
            _ => {}
        }
        if self.takes(&["("], &[]).is_some() {
            return self.call(&name, column);
        }
        let mut steps = self.steps()?;
        let may = match name.as_str() {
            "tasks" => May::BeTask,
            "stages" => May::BeStage,
            _ => May::Be,
        };
        let root = match (DataRoot::from_name(&name), may, steps.first()) {
            (Some(data), ..) => Root::Data(data),
            (None, May::BeTask | May::BeStage, Some(Step::Key(_))) => match steps.remove(0) {
                Step::Key(name) => Root::Name(name, may),
                Step::Index(_) => return Err(syntax("a name is a string", column)),
            },
            _ => Root::Name(name, May::Be),
        };
        Ok(Node::Path(Path { root, steps, column }))
    }

    fn steps(&mut self) -> Result<Vec<Step>, ExprError> {
        let mut steps = Vec::new();
        while let Some(sign) = self.takes(&[".", "["], &[]) {
            let column = self.column();
            let step = match (sign, self.next()) {
                (".", Some(Token::Name(name))) | ("[", Some(Token::Text(name))) => Step::Key(name),
                ("[", Some(Token::Number(number))) => Step::Index(index(number, column)?),
                (".", _) => return Err(syntax("a name is expected after the dot", column)),
                _ => return Err(syntax("a string or a number is expected in the brackets", column)),
            };
            if sign == "[" {
                self.expect("]")?;
            }
            steps.push(step);
        }
        Ok(steps)
    }

    fn call(&mut self, name: &str, column: u32) -> Parsed {
        let mut args = Vec::new();
        if self.takes(&[")"], &[]).is_none() {
            loop {
                args.push(self.or()?);
                if self.takes(&[","], &[]).is_none() {
                    break;
                }
            }
            self.expect(")")?;
        }
        let error = |message: String, suggestion: Option<&str>| ExprError {
            problem: Problem::Function,
            message,
            column,
            suggestion: suggestion.map(str::to_owned),
        };
        let Some((function, least, most)) = Function::find(name) else {
            return Err(error(format!("unknown function {name:?}"), suggest(name, Function::names())));
        };
        if (least..=most).contains(&args.len()) {
            return Ok(Node::Call(function, args));
        }
        let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
        Err(error(format!("{name}() takes {wanted} arguments, not {}", args.len()), None))
    }

    fn takes(&mut self, signs: &[&'static str], words: &[&'static str]) -> Option<&'static str> {
        let taken = match &self.tokens.get(self.at)?.0 {
            Token::Sign(sign) => signs.iter().find(|wanted| *wanted == sign),
            Token::Name(name) => words.iter().find(|wanted| *wanted == name),
            _ => None,
        };
        self.at += usize::from(taken.is_some());
        taken.copied()
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), ExprError> {
        let column = self.column();
        self.takes(&[sign], &[]).map(drop).ok_or_else(|| syntax(format!("{sign:?} is missing"), column))
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).map(|(token, _)| token.clone());
        self.at += 1;
        token
    }

    fn column(&self) -> u32 {
        self.tokens.get(self.at).map_or(self.end, |(_, column)| *column)
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole and between 1 and 10^9
fn index(number: f64, column: u32) -> Result<u64, ExprError> {
    if number.fract() == 0.0 && (1.0..=1e9).contains(&number) {
        Ok(number as u64)
    } else {
        Err(syntax("an index is a whole number from 1", column))
    }
}

fn said(token: &Token) -> String {
    match token {
        Token::Number(number) => number.to_string(),
        Token::Text(text) => format!("{text:?}"),
        Token::Name(name) => name.clone(),
        Token::Sign(sign) => format!("{sign:?}"),
    }
}
