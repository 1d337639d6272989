//! Unit files as systemd.syntax(7) describes them: sections, repeated keys, continuation lines, drop-ins.

use std::collections::HashSet;

use crate::import::text;

/// One assignment of a unit file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) section: String,
    pub(super) key: String,
    pub(super) value: String,
    /// The text it stands in.
    pub(super) source: String,
    /// Where it begins, from 1.
    pub(super) line: u32,
}

/// A line that systemd itself would not take, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) source: String,
    pub(super) line: u32,
    pub(super) text: String,
    pub(super) reason: String,
    /// Something that no editor writes: the rest of the unit is not to be trusted either.
    pub(super) is_hostile: bool,
}

/// A unit: its file and then its drop-ins.
#[derive(Clone, Debug, Default)]
pub(super) struct Unit {
    /// Name with suffix, such as `fstrim.timer`.
    pub(super) name: String,
    /// Name of the text that holds the unit itself.
    pub(super) source: String,
    pub(super) entries: Vec<Entry>,
    pub(super) faults: Vec<Fault>,
}

impl Unit {
    /// Adds the assignments of a text after those already known.
    pub(super) fn read(&mut self, source: &str, content: &str) {
        let mut section = String::new();
        let mut joined: Option<(u32, String)> = None;
        for line in text::lines(content) {
            let body = line.text.trim_ascii();
            if body.starts_with(['#', ';']) || (body.is_empty() && joined.is_none()) {
                continue;
            }
            let (number, mut whole) = joined.take().unwrap_or((line.number, String::new()));
            match body.strip_suffix('\\') {
                Some(begun) => {
                    whole.push_str(begun);
                    whole.push(' ');
                    joined = Some((number, whole));
                }
                None => {
                    whole.push_str(body);
                    self.line(source, number, whole.trim_ascii(), &mut section);
                }
            }
        }
        if let Some((number, whole)) = joined {
            self.line(source, number, whole.trim_ascii(), &mut section);
        }
    }

    fn line(&mut self, source: &str, line: u32, text: &str, section: &mut String) {
        let fault = |reason: String, is_hostile: bool| Fault {
            source: source.to_owned(),
            line,
            text: text.to_owned(),
            reason,
            is_hostile,
        };
        if let Some(reason) = text::control_character(text) {
            self.faults.push(fault(reason, true));
        } else if let Some(name) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(section);
        } else if let Some((key, value)) = text.split_once('=') {
            let (section, key, value) = (section.clone(), key.trim_ascii().to_owned(), value.trim_ascii().to_owned());
            self.entries.push(Entry { section, key, value, source: source.to_owned(), line });
        } else {
            self.faults
                .push(fault("is not a line of a unit: [Section], Key=value, or a comment (#)".to_owned(), false));
        }
    }

    /// The assignments of a key that collects values; an empty one forgets those before it.
    pub(super) fn all(&self, section: &str, key: &str) -> Vec<&Entry> {
        let mut found = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.section == section && entry.key == key) {
            if entry.value.is_empty() { found.clear() } else { found.push(entry) }
        }
        found
    }

    /// The assignment of a key that holds one value: the last one, unless it is empty.
    pub(super) fn last(&self, section: &str, key: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .rfind(|entry| entry.section == section && entry.key == key)
            .filter(|entry| !entry.value.is_empty())
    }

    /// The keys of a section that are set, each once, in order.
    pub(super) fn keys<'a>(&'a self, section: &str) -> Vec<&'a Entry> {
        let mut seen = HashSet::new();
        self.entries
            .iter()
            .filter(|entry| entry.section == section && !entry.value.is_empty() && seen.insert(entry.key.as_str()))
            .collect()
    }
}

/// A boolean of systemd.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}
