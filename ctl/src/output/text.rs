//! Text that came from elsewhere, made harmless for a terminal: names, descriptions, messages and job output may hold anything.

use std::borrow::Cow;
use std::fmt::Write;

/// One line for a table or a sentence: every control character is escaped, line ends and tabs too.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| !is_harmful(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        escape(&mut out, c);
    }
    Cow::Owned(out)
}

/// Several lines: line ends and tabs stay, every other control character is escaped.
pub(crate) fn clean_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c => escape(&mut out, c),
        }
    }
    out
}

/// Output of a job for a terminal: as [`clean_lines`], bytes that are no UTF-8 as `\xNN`.
pub(crate) fn clean_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(&clean_lines(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}"); // a String takes everything
        }
    }
    out
}

/// JSON whose strings hold no raw character that a terminal could obey. The meaning stays the same.
pub(crate) fn clean_json(json: &str) -> Cow<'_, str> {
    if json.chars().all(|c| !is_harmful(c) || c == '\n') {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_harmful(c) && c != '\n' {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn escape(out: &mut String, c: char) {
    let written = match c {
        '\n' => write!(out, "\\n"),
        '\r' => write!(out, "\\r"),
        '\t' => write!(out, "\\t"),
        c if c.is_ascii_control() => write!(out, "\\x{:02x}", c as u32),
        c if is_harmful(c) => write!(out, "\\u{{{:x}}}", c as u32),
        c => write!(out, "{c}"),
    };
    let _ = written; // a String takes everything
}

/// Control characters, and those that hide or reorder what stands beside them.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        assert_eq!(clean("plain – ü 漢"), "plain – ü 漢");
        assert_eq!(
            clean("\x1b[2J\x07a\nb\tc\rd\u{9b}31m\u{202e}e\x7f"),
            "\\x1b[2J\\x07a\\nb\\tc\\rd\\u{9b}31m\\u{202e}e\\x7f"
        );
        assert_eq!(clean_bytes(b"ok\n\t\x1b]0;x\x07\xff\r\n"), "ok\n\t\\x1b]0;x\\x07\\xff\\r\n");
        assert_eq!(clean_json("{\"a\":\"\u{9b}\u{e0041}\"}\n"), "{\"a\":\"\\u009b\\udb40\\udc41\"}\n");
    }
}
