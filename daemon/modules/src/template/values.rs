//! What stands in the holes: names, literals, comparisons, filters.

use sloth_lua::Data;

use super::lexer::Mistake;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A literal.
    Literal(Data),
    /// `[a, b]`.
    List(Vec<Expr>),
    /// `.`, the item of the loop around, or the variables.
    Dot,
    /// `$`: the variables, also within a loop.
    Top,
    /// A name.
    Name(String),
    /// `x.field`.
    Field(Box<Expr>, String),
    /// `x[key]`.
    Index(Box<Expr>, Box<Expr>),
    /// `x | name(args)`, `name x args`.
    Filter(Box<Expr>, String, Vec<Expr>),
    /// `not x`.
    Not(Box<Expr>),
    /// Two operands.
    Binary(&'static str, Box<Expr>, Box<Expr>),
}

/// Operators by how strongly they bind.
const BINARY: &[(&str, &str, u8)] = &[
    ("or", "or", 1),
    ("||", "or", 1),
    ("and", "and", 2),
    ("&&", "and", 2),
    ("==", "==", 3),
    ("!=", "!=", 3),
    ("~=", "!=", 3),
    ("<=", "<=", 3),
    (">=", ">=", 3),
    ("<", "<", 3),
    (">", ">", 3),
    ("in", "in", 3),
    ("..", "..", 4),
    ("~", "..", 4),
    ("+", "+", 5),
    ("-", "-", 5),
    ("*", "*", 6),
    ("/", "/", 6),
    ("%", "%", 6),
];

/// Functions before their arguments, as Go's templates have them: `eq a b`.
const PREFIX: &[(&str, &str)] =
    &[("eq", "=="), ("ne", "!="), ("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">="), ("and", "and"), ("or", "or")];

/// Deepest nesting.
const DEPTH_MAX: usize = 64;

/// Parses an expression.
pub fn parse(text: &str, line: usize) -> Result<Expr, Mistake> {
    let tokens = tokens(text, line)?;
    let mut parser = Parser { tokens, at: 0, line, depth: 0 };
    let expr = parser.piped()?;
    match parser.peek() {
        None => Ok(expr),
        Some(token) => Err(Mistake::new(line, format!("unexpected {} in {text:?}", token.shown()))),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    /// `.field` without space before the dot's name.
    Field(String, bool),
    Text(String),
    Number(f64),
    Sign(&'static str),
}

impl Token {
    fn shown(&self) -> String {
        match self {
            Token::Word(text) => format!("{text:?}"),
            Token::Field(text, _) => format!("\".{text}\""),
            Token::Text(text) => format!("text {text:?}"),
            Token::Number(number) => number.to_string(),
            Token::Sign(sign) => format!("{sign:?}"),
        }
    }
}

const SIGNS: &[&str] = &[
    "==", "!=", "~=", "<=", ">=", "&&", "||", "..", "<", ">", "|", "(", ")", "[", "]", ",", "+", "-", "*", "/", "%",
    "!", "~", "$",
];

fn tokens(text: &str, line: usize) -> Result<Vec<Token>, Mistake> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut spaced = true;
    while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            rest = rest.trim_start();
            spaced = true;
            continue;
        }
        let (token, length) = one_token(rest, first, spaced, line)?;
        found.push(token);
        rest = &rest[length..];
        spaced = false;
    }
    Ok(found)
}

fn one_token(rest: &str, first: char, spaced: bool, line: usize) -> Result<(Token, usize), Mistake> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    if first.is_alphabetic() || first == '_' {
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        return Ok((Token::Word(rest[..length].to_owned()), length));
    }
    if first.is_ascii_digit() {
        let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number =
            rest[..length].parse().map_err(|_| Mistake::new(line, format!("{:?} is not a number", &rest[..length])))?;
        return Ok((Token::Number(number), length));
    }
    if matches!(first, '"' | '\'' | '`') {
        return quoted(rest, first, line);
    }
    if first == '.' && !rest.starts_with("..") {
        let length = rest[1..].find(|c| !is_word(c)).unwrap_or(rest.len() - 1);
        return Ok((Token::Field(rest[1..=length].to_owned(), spaced), length + 1));
    }
    match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        Some(sign) => Ok((Token::Sign(sign), sign.len())),
        None => Err(Mistake::new(line, format!("unexpected {first:?}"))),
    }
}

fn quoted(rest: &str, quote: char, line: usize) -> Result<(Token, usize), Mistake> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((Token::Text(text), at + 1)),
            '\\' if quote != '`' => match chars.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, 'r')) => text.push('\r'),
                Some((_, other)) => text.push(other),
                None => break,
            },
            c => text.push(c),
        }
    }
    Err(Mistake::new(line, "a quote is not closed"))
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    line: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn sign(&mut self, sign: &str) -> bool {
        let is_it = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        self.at += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, sign: &str) -> Result<(), Mistake> {
        if self.sign(sign) { Ok(()) } else { Err(self.wrong(&format!("{sign:?} expected"))) }
    }

    fn wrong(&self, what: &str) -> Mistake {
        let got = self.peek().map_or("the end".to_owned(), Token::shown);
        Mistake::new(self.line, format!("{what}, got {got}"))
    }

    fn piped(&mut self) -> Result<Expr, Mistake> {
        let mut expr = self.binary(0)?;
        while self.sign("|") {
            expr = self.filter(expr)?;
        }
        Ok(expr)
    }

    fn filter(&mut self, subject: Expr) -> Result<Expr, Mistake> {
        let Some(Token::Word(name)) = self.peek().cloned() else { return Err(self.wrong("name of a filter expected")) };
        self.at += 1;
        let mut args = Vec::new();
        if self.sign("(") {
            while !self.sign(")") {
                args.push(self.piped()?);
                if !self.sign(",") {
                    self.expect(")")?;
                    break;
                }
            }
        } else {
            // `default "x"`: arguments by their side.
            while self.starts_operand() {
                args.push(self.operand()?);
            }
        }
        Ok(Expr::Filter(Box::new(subject), name, args))
    }

    fn starts_operand(&self) -> bool {
        self.operand_at(self.at)
    }

    fn operand_at(&self, at: usize) -> bool {
        match self.tokens.get(at) {
            Some(Token::Text(_) | Token::Number(_)) => true,
            Some(Token::Field(_, spaced)) => *spaced,
            Some(Token::Word(word)) => !BINARY.iter().any(|(sign, ..)| sign == word),
            Some(Token::Sign(sign)) => matches!(*sign, "$" | "("),
            None => false,
        }
    }

    fn binary(&mut self, least: u8) -> Result<Expr, Mistake> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Mistake::new(self.line, "the expression is nested too deep"));
        }
        let mut left = self.unary()?;
        while let Some((sign, power)) = self.operator() {
            if power <= least {
                break;
            }
            self.at += 1;
            let right = self.binary(power)?;
            left = Expr::Binary(sign, Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operator(&self) -> Option<(&'static str, u8)> {
        let text = match self.peek()? {
            Token::Word(word) => word.as_str(),
            Token::Sign(sign) => sign,
            _ => return None,
        };
        BINARY.iter().find(|(sign, ..)| *sign == text).map(|(_, meaning, power)| (*meaning, *power))
    }

    fn unary(&mut self) -> Result<Expr, Mistake> {
        if self.sign("!") {
            return Ok(Expr::Not(Box::new(self.binary(6)?)));
        }
        if self.sign("-") {
            let zero = Box::new(Expr::Literal(0.0.into()));
            return Ok(Expr::Binary("-", zero, Box::new(self.binary(6)?)));
        }
        let word = match self.peek() {
            Some(Token::Word(word)) => word.clone(),
            _ => return self.operand(),
        };
        if word == "not" {
            self.at += 1;
            return Ok(Expr::Not(Box::new(self.binary(2)?)));
        }
        let is_call = |parser: &Parser| {
            let next = parser.at + 1;
            parser.operand_at(next) && !matches!(parser.tokens.get(next), Some(Token::Sign("(")))
        };
        if let Some((_, sign)) = PREFIX.iter().find(|(name, _)| *name == word).filter(|_| is_call(self)) {
            self.at += 1;
            let left = self.operand()?;
            let right = self.operand()?;
            return Ok(Expr::Binary(sign, Box::new(left), Box::new(right)));
        }
        if matches!(word.as_str(), "len" | "length") && is_call(self) {
            self.at += 1;
            return Ok(Expr::Filter(Box::new(self.operand()?), word, Vec::new()));
        }
        self.operand()
    }

    fn operand(&mut self) -> Result<Expr, Mistake> {
        let token = self.peek().cloned().ok_or_else(|| self.wrong("a value expected"))?;
        self.at += 1;
        let mut expr = match token {
            Token::Text(text) => Expr::Literal(text.into()),
            Token::Number(number) => Expr::Literal(number.into()),
            Token::Word(word) => match word.as_str() {
                "true" => Expr::Literal(true.into()),
                "false" => Expr::Literal(false.into()),
                "nil" | "null" | "none" => Expr::Literal(Data::Nil),
                _ => Expr::Name(word),
            },
            Token::Field(name, _) if name.is_empty() => Expr::Dot,
            Token::Field(name, _) => Expr::Field(Box::new(Expr::Dot), name),
            Token::Sign("$") => match self.peek().cloned() {
                Some(Token::Word(name)) => {
                    self.at += 1;
                    Expr::Name(name)
                }
                _ => Expr::Top,
            },
            Token::Sign("(") => {
                let inner = self.piped()?;
                self.expect(")")?;
                inner
            }
            Token::Sign("[") => self.list()?,
            _ => {
                self.at -= 1;
                return Err(self.wrong("a value expected"));
            }
        };
        loop {
            match self.peek().cloned() {
                Some(Token::Field(name, false)) if !name.is_empty() => {
                    self.at += 1;
                    expr = Expr::Field(Box::new(expr), name);
                }
                Some(Token::Sign("[")) => {
                    self.at += 1;
                    let key = self.piped()?;
                    self.expect("]")?;
                    expr = Expr::Index(Box::new(expr), Box::new(key));
                }
                _ => return Ok(expr),
            }
        }
    }

    fn list(&mut self) -> Result<Expr, Mistake> {
        let mut items = Vec::new();
        while !self.sign("]") {
            items.push(self.piped()?);
            if !self.sign(",") {
                self.expect("]")?;
                break;
            }
        }
        Ok(Expr::List(items))
    }
}
