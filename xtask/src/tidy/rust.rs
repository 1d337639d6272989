//! Splits Rust source into code, comments and string literals, line by line. It is a lexer for lexical checks, after
//! the token grammar of the Rust Reference; it does not parse.

/// The three layers of a source file.
#[derive(Debug, Default)]
pub struct Source {
    /// Each line with comments and the contents of literals left out.
    pub code: Vec<String>,
    /// Text of comments, with its line, counted from 1; one entry for each line of a comment.
    pub comments: Vec<(usize, String)>,
    /// String literals without quotes, escapes as written, with the line they begin on.
    pub strings: Vec<(usize, String)>,
}

pub fn read(text: &str) -> Source {
    let mut reader = Reader { chars: text.chars().collect(), at: 0, source: Source::default(), code: String::new() };
    while reader.at < reader.chars.len() {
        reader.step();
    }
    let last = std::mem::take(&mut reader.code);
    reader.source.code.push(last);
    reader.source
}

/// Whether `word` occurs in `text` with no letter, digit or underscore beside it.
pub fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    source: Source,
    /// The code of the line being read.
    code: String,
}

impl Reader {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn line(&self) -> usize {
        self.source.code.len() + 1
    }

    /// Moves on by one character that is not code; a line ends all the same.
    fn pass(&mut self) -> Option<char> {
        let c = self.peek(0)?;
        self.at += 1;
        if c == '\n' {
            self.source.code.push(std::mem::take(&mut self.code));
        }
        Some(c)
    }

    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            (Some('/'), Some('/')) => self.line_comment(),
            (Some('/'), Some('*')) => self.block_comment(),
            (Some('"'), _) => self.string(None),
            (Some('r'), Some('"' | '#')) if self.begins_literal() => self.raw_string(),
            (Some('\''), Some(next)) => self.quote(next),
            (Some(c), _) => {
                if c != '\n' {
                    self.code.push(c);
                }
                self.pass();
            }
            (None, _) => {}
        }
    }

    /// Whether an `r` here can begin a raw string: it stands alone or after the `b` or `c` of `br"…"`, `cr"…"`.
    fn begins_literal(&self) -> bool {
        let mut before = self.code.chars().rev();
        match before.next() {
            Some('b' | 'c') => !before.next().is_some_and(is_word),
            Some(c) => !is_word(c),
            None => true,
        }
    }

    fn line_comment(&mut self) {
        let line = self.line();
        let mut text = String::new();
        while let Some(c) = self.peek(0).filter(|c| *c != '\n') {
            text.push(c);
            self.at += 1;
        }
        self.source.comments.push((line, text));
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        let mut text = String::new();
        loop {
            let line = self.line();
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                (Some('\n'), _) => {
                    self.source.comments.push((line, std::mem::take(&mut text)));
                    self.pass();
                    continue;
                }
                (Some(c), _) => {
                    text.push(c);
                    self.at += 1;
                    continue;
                }
                (None, _) => {}
            }
            self.at += 2;
            if depth == 0 || self.at >= self.chars.len() {
                self.source.comments.push((line, text));
                self.code.push(' ');
                return;
            }
        }
    }

    /// Reads a string literal; `hashes` is the number of `#` of a raw one.
    fn string(&mut self, hashes: Option<usize>) {
        let line = self.line();
        let mut text = String::new();
        self.code.push_str("\"\"");
        self.at += 1;
        while let Some(c) = self.pass() {
            match (c, hashes) {
                ('\\', None) => {
                    text.push(c);
                    text.extend(self.pass());
                }
                ('"', None) => break,
                ('"', Some(hashes)) if (0..hashes).all(|ahead| self.peek(ahead) == Some('#')) => {
                    self.at += hashes;
                    break;
                }
                _ => text.push(c),
            }
        }
        self.source.strings.push((line, text));
    }

    fn raw_string(&mut self) {
        let hashes = (1..).take_while(|ahead| self.peek(*ahead) == Some('#')).count();
        if self.peek(hashes + 1) == Some('"') {
            self.at += hashes + 1;
            self.string(Some(hashes));
        } else {
            // A raw identifier such as `r#type`.
            self.code.push('r');
            self.at += 1;
        }
    }

    /// A quote begins a character literal or a lifetime.
    fn quote(&mut self, next: char) {
        let literal = next == '\\' || self.peek(2) == Some('\'');
        self.code.push_str(if literal { "''" } else { "'" });
        self.at += 1;
        if !literal {
            return;
        }
        while let Some(c) = self.pass() {
            match c {
                '\\' => drop(self.pass()),
                '\'' => return,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_told_apart() {
        let source = read(concat!(
            "let a = \"x // \\\" y\"; // why\n",
            "/* one /* two */\n still */ let b = r#\"raw \" text\"#;\n",
            "let c: &'a str = b\"z\"; let d = '\"'; let e = '\\''; let r#type = 1;",
        ));
        let code = [
            "let a = \"\"; ",
            "",
            "  let b = \"\";",
            "let c: &'a str = b\"\"; let d = ''; let e = ''; let r#type = 1;",
        ];
        assert_eq!(source.code, code);
        let strings: Vec<_> = source.strings.iter().map(|(line, text)| (*line, text.as_str())).collect();
        assert_eq!(strings, [(1, "x // \\\" y"), (3, "raw \" text"), (4, "z")]);
        assert_eq!(source.comments[0], (1, "// why".to_owned()));
        assert_eq!(source.comments.last().map(|(line, _)| *line), Some(3));
    }

    #[test]
    fn a_string_over_lines_keeps_the_count() {
        let source = read("let a = \"one\ntwo\";\nlet b = 1;");
        assert_eq!(source.code, ["let a = \"\"", ";", "let b = 1;"]);
        assert_eq!(source.strings, [(1, "one\ntwo".to_owned())]);
    }

    #[test]
    fn broken_source_ends_too() {
        for text in ["\"open", "/* open", "r##\"open\"#", "'", "'\\", "b'"] {
            assert!(!read(text).code.is_empty(), "{text}");
        }
    }

    #[test]
    fn words_have_borders() {
        assert!(has_word("an unsafe {", "unsafe"));
        assert!(!has_word("deny(unsafe_code)", "unsafe"));
    }
}
