//! A JSON array of any length, read item by item: only one item is in memory.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use sloth_lua::Data;

use super::batches::ITEM_MAX;
use crate::documents::json;

/// A JSON array that is read item by item.
pub(super) struct Array {
    file: BufReader<File>,
    at: u64,
    state: State,
}

#[derive(PartialEq)]
enum State {
    First,
    Between,
    Over,
}

impl Array {
    fn byte(&mut self) -> Result<Option<u8>, String> {
        let mut byte = [0];
        match self.file.read(&mut byte).map_err(|error| error.to_string())? {
            0 => Ok(None),
            _ => {
                self.at += 1;
                Ok(Some(byte[0]))
            }
        }
    }

    fn after_blanks(&mut self) -> Result<Option<u8>, String> {
        loop {
            match self.byte()? {
                Some(b' ' | b'\t' | b'\n' | b'\r') => {}
                other => return Ok(other),
            }
        }
    }

    fn complain<T>(&self, what: &str) -> Result<T, String> {
        Err(format!("{what} at byte {}", self.at))
    }

    /// Reads up to the first item.
    pub(super) fn begin(file: BufReader<File>) -> Result<Array, String> {
        let mut array = Array { file, at: 0, state: State::First };
        match array.after_blanks()? {
            Some(b'[') => Ok(array),
            _ => array.complain("a JSON array expected (for one value per line: format = \"jsonl\")"),
        }
    }

    /// The text of the next item; `None` after the last.
    fn item(&mut self) -> Result<Option<Vec<u8>>, String> {
        let mut byte = self.after_blanks()?;
        match (&self.state, byte) {
            (State::First | State::Between, Some(b']')) => {
                self.state = State::Over;
                return match self.after_blanks()? {
                    None => Ok(None),
                    Some(_) => self.complain("something follows the array"),
                };
            }
            (_, None) => return self.complain("the array has no end"),
            (State::Between, Some(b',')) => byte = self.after_blanks()?,
            (State::Between, _) => return self.complain("`,` or `]` expected"),
            _ => {}
        }
        self.state = State::Between;
        let mut text = Vec::new();
        let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
        loop {
            let Some(current) = byte else { return self.complain("the array has no end") };
            text.push(current);
            if text.len() > ITEM_MAX {
                return self.complain(&format!("an item is longer than {ITEM_MAX} bytes"));
            }
            match current {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ if quoted => {}
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            // An item ends before the next comma or the end of the array at its own level.
            if depth == 0 && !quoted {
                let next = self.file.fill_buf().map_err(|error| error.to_string())?.first().copied();
                if matches!(next, Some(b',' | b']') | None) {
                    return Ok(Some(text));
                }
            }
            byte = self.byte()?;
        }
    }
}

impl Iterator for Array {
    type Item = Result<Data, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Over {
            return None;
        }
        let begin = self.at;
        let item = self.item().and_then(|text| {
            text.map(|text| json::decode(&text, false).map_err(|error| format!("item after byte {begin}: {error}")))
                .transpose()
        });
        if item.is_err() {
            self.state = State::Over;
        }
        item.transpose()
    }
}
