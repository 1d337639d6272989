//! From a text to pieces: plain text, `{{ … }}`, `{% … %}`; comments and trimmed white space are gone.

/// A piece with the line on which it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece<'a> {
    /// From 1.
    pub line: usize,
    /// What.
    pub kind: PieceKind<'a>,
}

/// Kinds of pieces.
#[derive(Clone, Debug, PartialEq)]
pub enum PieceKind<'a> {
    /// As it is.
    Text(&'a str),
    /// Inside of `{{ }}`.
    Braces(&'a str),
    /// Inside of `{% %}`.
    Percent(&'a str),
}

/// A mistake in a template.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistake {
    /// From 1.
    pub line: usize,
    /// One sentence.
    pub message: String,
}

impl Mistake {
    /// On this line.
    pub fn new(line: usize, message: impl Into<String>) -> Mistake {
        Mistake { line, message: message.into() }
    }
}

/// Splits a text.
pub fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Mistake> {
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    let mut trim_next = false;
    while at < text.len() {
        let rest = &text[at..];
        let Some((offset, close)) = opening(rest) else {
            push_text(&mut found, line, rest, trim_next, false);
            break;
        };
        let inner_start = offset + 2;
        let line_here = line + count(&rest[..offset]);
        let length = end_of(&rest[inner_start..], close)
            .ok_or_else(|| Mistake::new(line_here, format!("{:?} is not closed", &rest[offset..offset + 2])))?;
        let mut inner = &rest[inner_start..inner_start + length];
        let dash_before =
            inner.starts_with('-') && inner[1..].starts_with([' ', '\t', '\n', '\r', '/', '#']) || inner == "-";
        push_text(&mut found, line, &rest[..offset], trim_next, dash_before);
        if dash_before {
            inner = &inner[1..];
        }
        trim_next = inner.ends_with('-');
        if trim_next {
            inner = &inner[..inner.len() - 1];
        }
        let comment = close == "#}" || inner.trim_start().starts_with("/*");
        if !comment {
            let kind = if close == "}}" { PieceKind::Braces(inner.trim()) } else { PieceKind::Percent(inner.trim()) };
            found.push(Piece { line: line_here, kind });
        }
        let end = inner_start + length + 2;
        line += count(&rest[..end]);
        at += end;
    }
    Ok(found)
}

/// The next opening and how it closes.
fn opening(text: &str) -> Option<(usize, &'static str)> {
    let bytes = text.as_bytes();
    (0..bytes.len().saturating_sub(1)).find_map(|at| {
        let close = match (bytes[at], bytes[at + 1]) {
            (b'{', b'{') => "}}",
            (b'{', b'%') => "%}",
            (b'{', b'#') => "#}",
            _ => return None,
        };
        Some((at, close))
    })
}

/// Where the closing begins: not within quotes, except in comments.
fn end_of(text: &str, close: &str) -> Option<usize> {
    if close == "#}" {
        return text.find(close);
    }
    if text.trim_start_matches('-').trim_start().starts_with("/*") {
        let end = text.find("*/")?;
        return text[end..].find(close).map(|offset| end + offset);
    }
    let bytes = text.as_bytes();
    let mut quote = None;
    let mut at = 0;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(b'"' | b'\''), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (None, byte @ (b'"' | b'\'' | b'`')) => quote = Some(byte),
            (None, _) if text.as_bytes()[at..].starts_with(close.as_bytes()) => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

fn push_text<'a>(found: &mut Vec<Piece<'a>>, line: usize, text: &'a str, trim_start: bool, trim_end: bool) {
    let text = if trim_start { text.trim_start() } else { text };
    let text = if trim_end { text.trim_end() } else { text };
    if !text.is_empty() {
        found.push(Piece { line, kind: PieceKind::Text(text) });
    }
}

fn count(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}
