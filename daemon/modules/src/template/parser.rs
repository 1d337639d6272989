//! From pieces to a tree. Both spellings, `{{ if }}…{{ end }}` and `{% if %}…{% endif %}`, give the same.

use super::lexer::{Mistake, Piece, PieceKind, pieces};
use super::values::{Expr, parse};

/// Deepest nesting of blocks.
const DEPTH_MAX: usize = 64;

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// As it is.
    Text(String),
    /// A value, and its line.
    Value(usize, Expr),
    /// Conditions with what they guard; the last may have none.
    If(Vec<Branch>),
    /// A loop.
    For {
        /// Line.
        line: usize,
        /// Name of the index or key.
        key: Option<String>,
        /// Name of the item; without one it becomes the dot.
        item: Option<String>,
        /// What is walked.
        list: Expr,
        /// For each item.
        body: Vec<Node>,
        /// When there is none.
        otherwise: Vec<Node>,
    },
    /// `{{ with x }}`: x becomes the dot when it is something.
    With(usize, Expr, Vec<Node>, Vec<Node>),
    /// `{% set x = … %}`, `{{ x := … }}`.
    Set(usize, String, Expr),
}

/// A condition, with its line, and what it guards; the last branch may have none.
pub type Branch = (Option<(usize, Expr)>, Vec<Node>);

/// Parses a template.
pub fn parse_template(text: &str) -> Result<Vec<Node>, Mistake> {
    let pieces = pieces(text)?;
    let mut parser = Parser { pieces, at: 0, depth: 0 };
    let (nodes, end) = parser.block()?;
    match end {
        None => Ok(nodes),
        Some((line, word)) => Err(Mistake::new(line, format!("{word:?} without a block that it ends"))),
    }
}

struct Parser<'a> {
    pieces: Vec<Piece<'a>>,
    at: usize,
    depth: usize,
}

/// The statement that ended a block: its line and text.
type End = Option<(usize, String)>;

impl Parser<'_> {
    fn block(&mut self) -> Result<(Vec<Node>, End), Mistake> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.get(self.at).cloned() {
            self.at += 1;
            let (line, inner, is_percent) = match piece.kind {
                PieceKind::Text(text) => {
                    nodes.push(Node::Text(text.to_owned()));
                    continue;
                }
                PieceKind::Braces(inner) => (piece.line, inner, false),
                PieceKind::Percent(inner) => (piece.line, inner, true),
            };
            let word = inner.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or("");
            let rest = inner[word.len()..].trim();
            match word {
                "end" | "endif" | "endfor" | "endwith" | "endrange" | "else" | "elif" | "elseif" => {
                    return Ok((nodes, Some((line, inner.to_owned()))));
                }
                "if" => nodes.push(self.branches(line, rest)?),
                "range" if !is_percent => nodes.push(self.range(line, rest)?),
                "for" => nodes.push(self.for_in(line, rest)?),
                "with" => nodes.push(self.with(line, rest)?),
                "set" if is_percent => nodes.push(set(line, rest, "=")?),
                _ if is_percent => return Err(Mistake::new(line, format!("unknown statement {word:?}"))),
                _ if inner.split('"').next().is_some_and(|start| start.contains(":=")) => {
                    nodes.push(set(line, inner.trim_start_matches('$'), ":=")?);
                }
                _ => nodes.push(Node::Value(line, parse(inner, line)?)),
            }
        }
        Ok((nodes, None))
    }

    fn nested(&mut self, line: usize, what: &str) -> Result<(Vec<Node>, (usize, String)), Mistake> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Mistake::new(line, format!("blocks are nested more than {DEPTH_MAX} deep")));
        }
        let (nodes, end) = self.block()?;
        self.depth -= 1;
        let end = end.ok_or_else(|| Mistake::new(line, format!("{what:?} has no end")))?;
        Ok((nodes, end))
    }

    fn branches(&mut self, line: usize, condition: &str) -> Result<Node, Mistake> {
        let mut branches = Vec::new();
        let mut guard = Some((line, parse(condition, line)?));
        loop {
            let (nodes, (end_line, end)) = self.nested(line, "if")?;
            let is_last = guard.is_none();
            branches.push((guard, nodes));
            let condition = end.strip_prefix("else if").or(end.strip_prefix("elseif")).or(end.strip_prefix("elif"));
            guard = match (condition, end.as_str()) {
                (None, "end" | "endif") => return Ok(Node::If(branches)),
                (_, _) if is_last => return Err(Mistake::new(end_line, format!("{end:?} after \"else\""))),
                (Some(condition), _) => Some((end_line, parse(condition.trim(), end_line)?)),
                (None, "else") => None,
                (None, _) => return Err(Mistake::new(end_line, format!("{end:?} does not end \"if\""))),
            };
        }
    }

    fn range(&mut self, line: usize, rest: &str) -> Result<Node, Mistake> {
        let (names, list) = match rest.split_once(":=") {
            Some((names, list)) => (names.trim(), list.trim()),
            None => ("", rest),
        };
        let names: Vec<&str> = names.split(',').map(|name| name.trim().trim_start_matches('$')).collect();
        let (key, item) = match names[..] {
            [""] => (None, None),
            [item] => (None, Some(item)),
            [key, item] => (Some(key), Some(item)),
            _ => return Err(Mistake::new(line, "range takes one or two names")),
        };
        self.loop_over(line, key, item, list, "range")
    }

    fn for_in(&mut self, line: usize, rest: &str) -> Result<Node, Mistake> {
        let (names, list) =
            rest.split_once(" in ").ok_or_else(|| Mistake::new(line, "\"for name in list\" expected"))?;
        let names: Vec<&str> = names.split(',').map(str::trim).collect();
        match names[..] {
            [item] => self.loop_over(line, None, Some(item), list.trim(), "for"),
            [key, item] => self.loop_over(line, Some(key), Some(item), list.trim(), "for"),
            _ => Err(Mistake::new(line, "for takes one or two names")),
        }
    }

    fn loop_over(
        &mut self,
        line: usize,
        key: Option<&str>,
        item: Option<&str>,
        list: &str,
        what: &str,
    ) -> Result<Node, Mistake> {
        for name in [key, item].into_iter().flatten() {
            name_of(line, name)?;
        }
        let list = parse(list, line)?;
        let (body, otherwise) = self.body_and_else(line, what)?;
        Ok(Node::For { line, key: key.map(str::to_owned), item: item.map(str::to_owned), list, body, otherwise })
    }

    fn with(&mut self, line: usize, rest: &str) -> Result<Node, Mistake> {
        let value = parse(rest, line)?;
        let (body, otherwise) = self.body_and_else(line, "with")?;
        Ok(Node::With(line, value, body, otherwise))
    }

    fn body_and_else(&mut self, line: usize, what: &str) -> Result<(Vec<Node>, Vec<Node>), Mistake> {
        let (body, (end_line, end)) = self.nested(line, what)?;
        let is_end = |end: &str| end == "end" || end == format!("end{what}");
        if is_end(&end) {
            return Ok((body, Vec::new()));
        }
        if end != "else" {
            return Err(Mistake::new(end_line, format!("{end:?} does not end {what:?}")));
        }
        let (otherwise, (end_line, end)) = self.nested(line, what)?;
        if is_end(&end) {
            Ok((body, otherwise))
        } else {
            Err(Mistake::new(end_line, format!("{end:?} does not end {what:?}")))
        }
    }
}

fn set(line: usize, text: &str, sign: &str) -> Result<Node, Mistake> {
    let (name, value) = text.split_once(sign).ok_or_else(|| Mistake::new(line, "\"set name = value\" expected"))?;
    Ok(Node::Set(line, name_of(line, name.trim())?, parse(value.trim(), line)?))
}

fn name_of(line: usize, name: &str) -> Result<String, Mistake> {
    let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if is_name { Ok(name.to_owned()) } else { Err(Mistake::new(line, format!("{name:?} is not a name"))) }
}
