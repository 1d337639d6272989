//! From text to tokens.

use super::ast::{ExprError, Problem};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Text(String),
    Name(String),
    /// An operator or bracket.
    Sign(&'static str),
}

/// A token and its column, from 1.
pub(super) type Placed = (Token, u32);

/// Longest first, because the first that fits is taken.
const SIGNS: [&str; 22] = [
    "||", "&&", "==", "!=", "~=", "<=", ">=", "<", ">", "!", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", ".", "=",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, ExprError> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let column = column_of(text, rest);
        let Some(first) = rest.chars().next() else { return Ok(found) };
        let (token, after) = if first.is_ascii_digit() {
            number(rest, column)?
        } else if first == '\'' || first == '"' {
            quoted(rest, first, column)?
        } else if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            (Token::Name(rest[..end].to_owned()), &rest[end..])
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            (Token::Sign(sign), &rest[sign.len()..])
        } else {
            return Err(syntax(format!("unexpected {first:?}"), column));
        };
        found.push((token, column));
        rest = after;
    }
}

pub(super) fn syntax(message: impl Into<String>, column: u32) -> ExprError {
    ExprError { problem: Problem::Syntax, message: message.into(), column, suggestion: None }
}

pub(super) fn column_of(text: &str, rest: &str) -> u32 {
    let before = &text[..text.len() - rest.len()];
    u32::try_from(before.chars().count() + 1).unwrap_or(u32::MAX)
}

fn number(rest: &str, column: u32) -> Result<(Token, &str), ExprError> {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let mut end = digits(rest);
    if rest[end..].starts_with('.') {
        let fraction = digits(&rest[end + 1..]);
        if fraction > 0 {
            end += 1 + fraction;
        }
    }
    if rest[end..].starts_with(['e', 'E']) {
        let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
        let power = digits(&rest[end + 1 + sign..]);
        if power > 0 {
            end += 1 + sign + power;
        }
    }
    if rest[end..].starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        return Err(syntax("a number is followed by letters", column));
    }
    match rest[..end].parse::<f64>() {
        Ok(value) if value.is_finite() => Ok((Token::Number(value), &rest[end..])),
        _ => Err(syntax("number out of range", column)),
    }
}

fn quoted(rest: &str, quote: char, column: u32) -> Result<(Token, &str), ExprError> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((Token::Text(text), &rest[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, c @ ('\\' | '\'' | '"'))) => text.push(c),
                Some((_, c)) => text.extend(['\\', c]),
                None => break,
            },
            c => text.push(c),
        }
    }
    Err(syntax(format!("{quote} is not closed"), column))
}
