//! Lines of foreign text, with what makes a line unreadable: encodings, line ends, control characters.

/// Most characters of a line that a report repeats.
const SHOWN_MAX: usize = 200;

/// One line without its line end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// From 1.
    pub(super) number: u32,
    pub(super) text: &'a str,
}

/// The lines of a text, without a byte order mark, and with CRLF read as LF. A missing last line end is forgiven.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    (1u32..).zip(text.lines()).map(|(number, text)| Line { number, text })
}

/// A control character that has no place in a line, with its column counted from 1.
pub(super) fn control_character(line: &str) -> Option<String> {
    let (at, found) = line.char_indices().find(|(_, c)| c.is_control() && *c != '\t')?;
    let column = line[..at].chars().count() + 1;
    Some(format!("contains the control character U+{:04X} in column {column}: remove it", found as u32))
}

/// A line as a report shows it: shortened, and without anything that a terminal would act upon.
pub(super) fn shorten(text: &str) -> String {
    let mut shown = String::new();
    let mut characters = text.chars();
    for c in characters.by_ref().take(SHOWN_MAX) {
        if c.is_control() && c != '\t' { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// The first word of a text and the rest after blanks.
pub(super) fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches(BLANKS);
    match text.find(BLANKS) {
        Some(end) => (&text[..end], text[end..].trim_start_matches(BLANKS)),
        None => (text, ""),
    }
}

/// What separates fields of crontabs.
pub(super) const BLANKS: [char; 2] = [' ', '\t'];
