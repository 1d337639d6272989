//! Finds the files that a program names: `import("…")` and `require("…")` with a literal. Comments and strings are skipped as Luau reads
//! them; what is computed cannot be seen from here.

/// A name in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Import(String),
    Require(String),
}

/// All of them, in their order.
pub(crate) fn named_files(text: &[u8]) -> Vec<Named> {
    let mut scanner = Scanner { text, at: 0 };
    let mut found = Vec::new();
    let mut before = 0u8; // the last byte that was no blank: `x.import(…)` and `x:require(…)` are calls of something else
    while let Some(&byte) = text.get(scanner.at) {
        match byte {
            b'-' if scanner.sees(b"--") => scanner.skip_comment(),
            b'"' | b'\'' | b'`' => {
                scanner.quoted(byte);
                before = byte;
            }
            b'[' if scanner.long_open().is_some() => {
                scanner.long_bracket();
                before = b']';
            }
            b if b.is_ascii_alphabetic() || b == b'_' => {
                let word = scanner.word();
                let own = !matches!(before, b'.' | b':');
                before = b'a';
                if own && (word == b"import" || word == b"require") {
                    let literal = scanner.argument();
                    let make = if word == b"import" { Named::Import } else { Named::Require };
                    found.extend(literal.map(make));
                }
            }
            b => {
                if !b.is_ascii_whitespace() {
                    before = b;
                }
                scanner.at += 1;
            }
        }
    }
    found
}

struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Scanner<'t> {
    fn sees(&self, what: &[u8]) -> bool {
        self.text[self.at..].starts_with(what)
    }

    fn skip_comment(&mut self) {
        self.at += 2;
        if self.text.get(self.at) == Some(&b'[') && self.long_open().is_some() {
            self.long_bracket();
            return;
        }
        self.at = self.text[self.at..].iter().position(|&b| b == b'\n').map_or(self.text.len(), |end| self.at + end);
    }

    fn word(&mut self) -> &'t [u8] {
        let start = self.at;
        let is_part = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        self.at += self.text[start..].iter().take_while(|b| is_part(b)).count();
        &self.text[start..self.at]
    }

    /// A string from its opening quote on, when it holds no interpolation.
    fn quoted(&mut self, quote: u8) -> Option<String> {
        self.at += 1;
        let mut content = Vec::new();
        while let Some(&byte) = self.text.get(self.at) {
            self.at += 1;
            match byte {
                b if b == quote => return String::from_utf8(content).ok(),
                b'\n' if quote != b'`' => return None, // not closed: the compiler will say so
                b'\\' => {
                    content.extend(self.text.get(self.at));
                    self.at += 1;
                }
                b => content.push(b),
            }
        }
        None
    }

    /// How many equals signs a long bracket here has.
    fn long_open(&self) -> Option<usize> {
        let rest = self.text.get(self.at + 1..)?;
        let level = rest.iter().take_while(|&&b| b == b'=').count();
        (rest.get(level) == Some(&b'[')).then_some(level)
    }

    fn long_bracket(&mut self) -> Option<String> {
        let level = self.long_open()?;
        let start = self.at + level + 2;
        let close: Vec<u8> = [b"]".as_slice(), &b"=".repeat(level), b"]"].concat();
        let length = self.text[start..].windows(close.len()).position(|part| part == close);
        let end = length.map_or(self.text.len(), |length| start + length);
        self.at = (end + close.len()).min(self.text.len());
        let content = self.text[start..end].strip_prefix(b"\n").unwrap_or(&self.text[start..end]);
        String::from_utf8(content.to_vec()).ok()
    }

    /// The literal behind `import`, with or without parentheses. Anything else is left for the caller.
    fn argument(&mut self) -> Option<String> {
        let start = self.at;
        self.blanks();
        if self.text.get(self.at) == Some(&b'(') {
            self.at += 1;
            self.blanks();
        }
        let literal = match self.text.get(self.at) {
            Some(&quote @ (b'"' | b'\'')) => self.quoted(quote),
            Some(b'[') if self.long_open().is_some() => self.long_bracket(),
            _ => None,
        };
        if literal.is_none() {
            self.at = start;
        }
        literal
    }

    fn blanks(&mut self) {
        self.at += self.text[self.at..].iter().take_while(|b| b.is_ascii_whitespace()).count();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_found_and_nothing_else() {
        let text = br#"#!/usr/bin/env sloth
local a = import("lib/a.lua") local b = require 'b.c'
local c = import [[c.lua]] local d = require([==[d]==])
-- import("comment.lua")
--[[ require("long comment") ]] --[=[ import("x") ]] ]=]
local s = "import('in a string')" .. 'require("x")' .. [[import("y")]] .. `import("z")`
x.import("method") x:require("method") myimport("no") import_("no")
import(name) require("esc\"aped") import ( "blanks.lua" )
import("cut
"#;
        let import = |name: &str| Named::Import(name.to_owned());
        let require = |name: &str| Named::Require(name.to_owned());
        let expected = [
            import("lib/a.lua"),
            require("b.c"),
            import("c.lua"),
            require("d"),
            require("esc\"aped"),
            import("blanks.lua"),
        ];
        assert_eq!(named_files(text), expected);
    }

    #[test]
    fn any_bytes_come_to_an_end() {
        for text in
            [&b"--"[..], b"[", b"[=", b"[==[", b"\"", b"'\\", b"import", b"import(", b"--[[", b"\xff\xfe`", b"[["]
        {
            named_files(text);
        }
    }
}
