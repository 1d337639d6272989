//! `goto` to a label at the end of the innermost loop is `continue`; any other cannot be expressed.

use super::tokens::{Kind, Token};

/// What becomes of jumps and labels.
#[derive(Debug, Default)]
pub(super) struct Jumps {
    /// Places of `goto L` that become `continue`.
    pub(super) continues: Vec<(usize, usize)>,
    /// Places of labels that disappear.
    pub(super) labels: Vec<(usize, usize)>,
    /// The first that cannot be: its place and name.
    pub(super) refused: Option<(usize, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    /// Number of the loop.
    Loop(usize),
    Function,
    Other,
    /// `if a then b else c` as a value has no `end`.
    Choice,
}

struct Label {
    name: String,
    place: (usize, usize),
    /// The loop at whose end it stands.
    ends: Option<usize>,
}

struct Jump {
    name: String,
    place: (usize, usize),
    within: Option<usize>,
}

struct Reader<'a> {
    source: &'a [u8],
    tokens: &'a [Token],
    blocks: Vec<Block>,
    loops: usize,
    /// A `for` or `while` has begun, its `do` is to come.
    header: Vec<usize>,
    jumps: Vec<Jump>,
    labels: Vec<Label>,
}

/// Finds them.
pub(super) fn jumps(source: &[u8], tokens: &[Token]) -> Jumps {
    let mut reader = Reader {
        source,
        tokens,
        blocks: Vec::new(),
        loops: 0,
        header: Vec::new(),
        jumps: Vec::new(),
        labels: Vec::new(),
    };
    let mut index = 0;
    while index < tokens.len() {
        index = reader.read(index);
    }
    reader.resolve()
}

impl Reader<'_> {
    fn text(&self, index: usize) -> &[u8] {
        self.tokens.get(index).map_or(b"", |token| &self.source[token.start..token.end])
    }

    fn is_name(&self, index: usize) -> bool {
        let first = self.text(index).first().copied().unwrap_or(0);
        self.tokens.get(index).is_some_and(|token| token.kind == Kind::Word) && !first.is_ascii_digit()
    }

    /// Reads a token; the index of the next.
    fn read(&mut self, index: usize) -> usize {
        let token = self.tokens[index];
        if token.kind == Kind::Sign && self.text(index) == b"::" {
            return self.label(index);
        }
        let member = index > 0 && matches!(self.text(index - 1), b"." | b":");
        if token.kind != Kind::Word || member {
            return index + 1;
        }
        match self.text(index) {
            b"function" => self.blocks.push(Block::Function),
            b"for" | b"while" => self.header.push(self.blocks.len()),
            b"repeat" => self.open_loop(),
            b"do" => match self.header.last() {
                Some(depth) if *depth == self.blocks.len() => {
                    self.header.pop();
                    self.open_loop();
                }
                _ => self.blocks.push(Block::Other),
            },
            b"if" => {
                let block = if self.is_value(index) { Block::Choice } else { Block::Other };
                self.blocks.push(block);
            }
            b"else" if self.blocks.last() == Some(&Block::Choice) => {
                self.blocks.pop();
            }
            b"end" | b"until" => while self.blocks.pop() == Some(Block::Choice) {},
            b"goto" if self.is_name(index + 1) && self.same_line_or_statement(index) => return self.jump(index),
            _ => {}
        }
        index + 1
    }

    fn open_loop(&mut self) {
        self.loops += 1;
        self.blocks.push(Block::Loop(self.loops));
    }

    /// Whether the `if` at an index stands where a value is expected.
    fn is_value(&self, index: usize) -> bool {
        let Some(before) = index.checked_sub(1) else { return false };
        match (self.tokens[before].kind, self.text(before)) {
            (Kind::Sign, b")" | b"]" | b"}" | b";" | b"...") => false,
            (Kind::Sign, b"::") => false,
            (Kind::Sign, _) => true,
            (Kind::Text, _) => self.text(before).ends_with(b"{"),
            (Kind::Word, b"return" | b"and" | b"or" | b"not" | b"in") => true,
            (Kind::Word, b"then" | b"else" | b"elseif") => self.in_choice(before),
            _ => false,
        }
    }

    /// Whether the `then` or `else` before an `if` is that of a value.
    fn in_choice(&self, before: usize) -> bool {
        self.text(before) == b"then" && self.blocks.last() == Some(&Block::Choice)
    }

    /// `goto` is a name, too: `goto = 1`, `goto(x)`. Before another name it is a jump.
    fn same_line_or_statement(&self, index: usize) -> bool {
        !matches!(
            self.text(index + 1),
            b"and" | b"or" | b"then" | b"do" | b"end" | b"in" | b"else" | b"elseif" | b"until"
        )
    }

    fn jump(&mut self, index: usize) -> usize {
        let name = String::from_utf8_lossy(self.text(index + 1)).into_owned();
        let place = (self.tokens[index].start, self.tokens[index + 1].end);
        let within = self.innermost();
        self.jumps.push(Jump { name, place, within });
        index + 2
    }

    /// The loop that `continue` would continue.
    fn innermost(&self) -> Option<usize> {
        for block in self.blocks.iter().rev() {
            match block {
                Block::Loop(number) => return Some(*number),
                Block::Function => return None,
                Block::Other | Block::Choice => {}
            }
        }
        None
    }

    fn label(&mut self, index: usize) -> usize {
        if !(self.is_name(index + 1) && self.text(index + 2) == b"::") {
            return index + 1;
        }
        let mut next = index + 3;
        while self.text(next) == b";" {
            next += 1;
        }
        let closes = matches!(self.text(next), b"end" | b"until");
        let ends = match self.blocks.last() {
            Some(Block::Loop(number)) if closes => Some(*number),
            _ => None,
        };
        let name = String::from_utf8_lossy(self.text(index + 1)).into_owned();
        let place = (self.tokens[index].start, self.tokens[index + 2].end);
        self.labels.push(Label { name, place, ends });
        index + 3
    }

    fn resolve(self) -> Jumps {
        let mut found = Jumps::default();
        for jump in self.jumps {
            let target = |label: &Label| label.name == jump.name && label.ends.is_some() && label.ends == jump.within;
            if self.labels.iter().any(target) {
                found.continues.push(jump.place);
            } else {
                found.refused.get_or_insert((jump.place.0, jump.name));
            }
        }
        for label in self.labels {
            match label.ends {
                Some(_) => found.labels.push(label.place),
                None => {
                    found.refused.get_or_insert((label.place.0, label.name));
                }
            }
        }
        found
    }
}
