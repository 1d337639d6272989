//! What is done to a source text before it is compiled: forms that Luau has not are replaced by such that it has. It works
//! on tokens, never inside strings or comments, and keeps the lines.

mod jumps;
mod tokens;

use std::borrow::Cow;

use tokens::{Kind, Token, tokens};

/// What is wrong with a source text, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct SourceFault {
    /// `E101`, `E104`, `E105`.
    pub(crate) code: &'static str,
    /// One sentence, beginning with the file and line where they are known.
    pub(crate) message: String,
    /// From 1; 0: unknown.
    pub(crate) line: u32,
    /// From 1; 0: unknown.
    pub(crate) column: u32,
    /// What to do.
    pub(crate) hint: Option<&'static str>,
}

/// Largest source text.
const SIZE_MAX: usize = 4 << 20;

/// The text that is compiled.
pub(crate) fn prepass(source: &[u8]) -> Result<Cow<'_, [u8]>, SourceFault> {
    if source.len() > SIZE_MAX {
        return Err(fault("E101", source, 0, "the file has more than 4 MiB", Some("split it and import the parts")));
    }
    let text = source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(source);
    let shebang = if text.starts_with(b"#!") { text.iter().position(|b| *b == b'\n').unwrap_or(text.len()) } else { 0 };
    let text = &text[shebang..];
    let valid = std::str::from_utf8(text).is_ok();
    if valid && !(has(text, b"then") || has(text, b"else") || has(text, b"goto") || has(text, b"::")) {
        return Ok(Cow::Borrowed(text));
    }
    let list = tokens(text);
    if !valid && let Some(at) = stray_bytes(text, &list) {
        return Err(fault("E101", text, at, "invalid UTF-8 outside of a string", Some("save the file as UTF-8")));
    }
    let mut edits = method_words(text, &list);
    if has(text, b"goto") || has(text, b"::") {
        let jumps = jumps::jumps(text, &list);
        if let Some((at, name)) = jumps.refused {
            let message = format!("goto {name} is not supported");
            let hint = "only a jump to a label at the end of the same loop is, as `continue`";
            return Err(fault("E104", text, at, &message, Some(hint)));
        }
        edits.extend(jumps.continues.into_iter().map(|place| (place, &b"continue"[..])));
        edits.extend(jumps.labels.into_iter().map(|place| (place, &b""[..])));
    }
    if edits.is_empty() {
        return Ok(Cow::Borrowed(text));
    }
    edits.sort_unstable_by_key(|(place, _)| *place);
    Ok(Cow::Owned(apply(text, &edits)))
}

/// Whether a file that does not parse is written in the block form, in which fields need no separator.
pub(crate) fn looks_like_blocks(source: &[u8]) -> bool {
    let list = tokens(source);
    list.windows(3).any(|window| {
        let text = |token: &Token| &source[token.start..token.end];
        matches!(text(&window[0]), b"task" | b"group") && window[1].kind == Kind::Text && text(&window[2]) == b"{"
    })
}

fn has(text: &[u8], word: &[u8]) -> bool {
    let first = word[0];
    let mut at = 0;
    while let Some(found) = text[at..].iter().position(|byte| *byte == first) {
        if text[at + found..].starts_with(word) {
            return true;
        }
        at += found + 1;
    }
    false
}

/// A place that is replaced.
type Edit<'a> = ((usize, usize), &'a [u8]);

/// `then` and `else` as names of methods.
fn method_words(text: &[u8], list: &[Token]) -> Vec<Edit<'static>> {
    let mut edits: Vec<Edit<'static>> = Vec::new();
    for pair in list.windows(2) {
        let (before, word) = (&text[pair[0].start..pair[0].end], &text[pair[1].start..pair[1].end]);
        if !matches!(before, b":" | b".") || pair[0].kind != Kind::Sign {
            continue;
        }
        match word {
            b"then" => edits.push(((pair[1].start, pair[1].end), b"then_")),
            b"else" => edits.push(((pair[1].start, pair[1].end), b"else_")),
            _ => {}
        }
    }
    edits
}

/// Replaces; line breaks inside a replaced place stay.
fn apply(text: &[u8], edits: &[Edit<'_>]) -> Vec<u8> {
    let mut result = Vec::with_capacity(text.len() + edits.len() * 4);
    let mut at = 0;
    for ((start, end), by) in edits {
        result.extend_from_slice(&text[at..*start]);
        result.extend_from_slice(by);
        result.extend(text[*start..*end].iter().filter(|byte| **byte == b'\n'));
        at = *end;
    }
    result.extend_from_slice(&text[at..]);
    result
}

/// The first byte that is no UTF-8 and in no string.
fn stray_bytes(text: &[u8], list: &[Token]) -> Option<usize> {
    let mut at = 0;
    let strings = list.iter().filter(|token| token.kind == Kind::Text);
    let ends = strings.map(|token| (token.start, token.end)).chain(std::iter::once((text.len(), text.len())));
    for (start, end) in ends {
        if let Err(error) = std::str::from_utf8(&text[at..start]) {
            return Some(at + error.valid_up_to());
        }
        at = end;
    }
    None
}

fn fault(code: &'static str, text: &[u8], at: usize, message: &str, hint: Option<&'static str>) -> SourceFault {
    let before = &text[..at.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = at - before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1) + 1;
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    SourceFault { code, message: message.to_owned(), line: number(line), column: number(column), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str) -> String {
        String::from_utf8(prepass(source.as_bytes()).unwrap().into_owned()).unwrap()
    }

    #[test]
    fn then_and_else_are_methods_after_a_colon_or_a_dot() {
        assert_eq!(text("when(c):then(a)\n : else ( b )"), "when(c):then_(a)\n : else_ ( b )");
        assert_eq!(text("w.then(a).\nelse(b)"), "w.then_(a).\nelse_(b)");
        let untouched =
            "if a then b() else c() end -- x:then(\nlocal s = 'y:then(' .. [[z:else(]] .. `:then( {a} :else(`";
        assert_eq!(text(untouched), untouched, "never inside strings or comments");
        assert_eq!(text("x = `{w:then(1)}`"), "x = `{w:then_(1)}`");
        assert_eq!(text("local s = a..then_"), "local s = a..then_");
    }

    #[test]
    fn goto_to_the_end_of_the_loop_is_continue() {
        let source = "for i = 1, 3 do\n  if i == 2 then goto next end\n  f(i)\n  ::next::\nend";
        assert_eq!(text(source), "for i = 1, 3 do\n  if i == 2 then continue end\n  f(i)\n  \nend");
        let nested = "while x do for k in y do goto c ::c:: end goto c ::c:: ; end";
        assert_eq!(text(nested), "while x do for k in y do continue  end continue  ; end");
        assert_eq!(text("repeat goto c ::c:: until x"), "repeat continue  until x");
        let choice = "for i = 1, 2 do local v = if i then 1 else 2 goto c ::c:: end";
        assert_eq!(text(choice), "for i = 1, 2 do local v = if i then 1 else 2 continue  end");
        assert_eq!(text("goto = 1 print(goto) x.goto = y"), "goto = 1 print(goto) x.goto = y");
        assert_eq!(text("local n = x :: number"), "local n = x :: number");
    }

    #[test]
    fn any_other_goto_is_e104_with_its_place() {
        for source in [
            "goto out\n::out::",
            "for i = 1, 2 do for j = 1, 2 do goto outer end ::outer:: end",
            "for i = 1, 2 do local f = function() goto c end ::c:: end",
            "::top:: f() goto top",
            "while x do ::top:: f() goto top end",
        ] {
            let fault = prepass(source.as_bytes()).unwrap_err();
            assert_eq!(fault.code, "E104", "{source}");
        }
        let fault = prepass(b"local a = 1\n  goto out").unwrap_err();
        assert_eq!((fault.line, fault.column), (2, 3));
    }

    #[test]
    fn first_line_byte_order_mark_and_encoding() {
        assert_eq!(text("\u{feff}#!/usr/bin/slothctl\nreturn 1"), "\nreturn 1");
        assert_eq!(prepass(b"return '\xff'").unwrap().as_ref(), b"return '\xff'");
        let fault = prepass(b"local a = 1\nlocal \xff = 2").unwrap_err();
        assert_eq!((fault.code, fault.line, fault.column), ("E101", 2, 7));
        assert!(prepass(b"return 1 -- \xff").is_err());
        assert!(prepass(&vec![b' '; SIZE_MAX + 1]).is_err());
    }

    #[test]
    fn block_form_is_recognised() {
        assert!(looks_like_blocks(b"task \"x\" {\n a = 1\n b = 2 }"));
        assert!(!looks_like_blocks(b"local t = 'task \"x\" {'"));
    }

    #[test]
    fn any_bytes_are_a_text_or_a_fault() {
        for source in
            ["`", "`{", "`{{`", "'", "[[", "[==[", "--[[", "--", "::", "::a", "goto", "goto x", "if", "}", "`{a}", "\\"]
        {
            let _ = prepass(format!("{source} then goto").as_bytes());
            let _ = prepass(source.as_bytes());
        }
    }
}
