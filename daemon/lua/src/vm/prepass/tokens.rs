//! Tokens of a source text, as far as the pre-pass needs them: words, signs, strings and comments, with their places.

/// A piece of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Name, keyword or number.
    Word,
    /// One sign; `::`, `..` and `...` are one.
    Sign,
    /// A string; of an interpolated one each part between expressions.
    Text,
}

/// All tokens; comments and blanks are left out. A string or comment without an end goes to the end of the source:
/// the compiler will say so.
pub(super) fn tokens(source: &[u8]) -> Vec<Token> {
    let mut scanner = Scanner { source, at: 0, list: Vec::with_capacity(source.len() / 4), nested: Vec::new() };
    while scanner.at < source.len() {
        scanner.step();
    }
    scanner.list
}

struct Scanner<'a> {
    source: &'a [u8],
    at: usize,
    list: Vec<Token>,
    /// Of each interpolated string that is open: braces that are open in its expression.
    nested: Vec<usize>,
}

impl Scanner<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.source.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn push(&mut self, kind: Kind, start: usize) {
        self.list.push(Token { kind, start, end: self.at });
    }

    fn step(&mut self) {
        let start = self.at;
        match self.peek(0) {
            b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c => self.at += 1,
            b'-' if self.peek(1) == b'-' => self.comment(),
            b'"' | b'\'' => self.quoted(self.peek(0)),
            b'`' => {
                self.at += 1;
                self.interpolated(start);
            }
            b'[' if self.long_level(0).is_some() => {
                self.long(self.long_level(0).unwrap_or(0));
                self.push(Kind::Text, start);
            }
            byte if is_word(byte) => {
                while is_word(self.peek(0)) {
                    self.at += 1;
                }
                self.push(Kind::Word, start);
            }
            _ => self.sign(start),
        }
    }

    fn sign(&mut self, start: usize) {
        let byte = self.peek(0);
        let length = match byte {
            b':' if self.peek(1) == b':' => 2,
            b'.' if self.peek(1) == b'.' && self.peek(2) == b'.' => 3,
            b'.' if self.peek(1) == b'.' => 2,
            _ => 1,
        };
        self.at += length;
        match (byte, self.nested.last_mut()) {
            (b'{', Some(open)) => *open += 1,
            (b'}', Some(0)) => {
                self.nested.pop();
                return self.interpolated(start);
            }
            (b'}', Some(open)) => *open -= 1,
            _ => {}
        }
        self.push(Kind::Sign, start);
    }

    fn comment(&mut self) {
        self.at += 2;
        if let Some(level) = self.long_level(0) {
            return self.long(level);
        }
        while self.at < self.source.len() && self.peek(0) != b'\n' {
            self.at += 1;
        }
    }

    /// Level of a long bracket that opens at an offset.
    fn long_level(&self, ahead: usize) -> Option<usize> {
        if self.peek(ahead) != b'[' {
            return None;
        }
        let mut level = 0;
        while self.peek(ahead + 1 + level) == b'=' {
            level += 1;
        }
        (self.peek(ahead + 1 + level) == b'[').then_some(level)
    }

    fn long(&mut self, level: usize) {
        self.at += level + 2;
        while self.at < self.source.len() {
            let closes =
                self.peek(0) == b']' && (0..level).all(|n| self.peek(1 + n) == b'=') && self.peek(1 + level) == b']';
            if closes {
                self.at += level + 2;
                return;
            }
            self.at += 1;
        }
    }

    fn quoted(&mut self, quote: u8) {
        let start = self.at;
        self.at += 1;
        while self.at < self.source.len() {
            match self.peek(0) {
                b'\\' => self.at += 2,
                b'\n' => break,
                byte => {
                    self.at += 1;
                    if byte == quote {
                        break;
                    }
                }
            }
        }
        self.at = self.at.min(self.source.len());
        self.push(Kind::Text, start);
    }

    /// The rest of a part of an interpolated string.
    fn interpolated(&mut self, start: usize) {
        while self.at < self.source.len() {
            match self.peek(0) {
                b'\\' => self.at += 2,
                b'{' => {
                    self.at += 1;
                    self.nested.push(0);
                    break;
                }
                byte => {
                    self.at += 1;
                    if byte == b'`' {
                        break;
                    }
                }
            }
        }
        self.at = self.at.min(self.source.len());
        self.push(Kind::Text, start);
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}
