//! One object for people: a list of `Name: value`, sections, sentences. Everything that goes in is escaped here.

use unicode_width::UnicodeWidthStr;

use super::table::{Style, Table, paint};
use super::text::{clean, clean_lines};

/// Text that grows from top to bottom.
#[derive(Debug, Default)]
pub(crate) struct Details {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Field { name: String, value: String, style: Style },
    Line { text: String, style: Style },
    Block(String),
    Table(Table),
}

impl Details {
    pub(crate) fn field(&mut self, name: &str, value: impl AsRef<str>) {
        self.styled(name, value, Style::Plain);
    }

    pub(crate) fn styled(&mut self, name: &str, value: impl AsRef<str>, style: Style) {
        self.parts.push(Part::Field {
            name: clean(name).into_owned(),
            value: clean(value.as_ref()).into_owned(),
            style,
        });
    }

    /// Nothing is printed when there is no value.
    pub(crate) fn some(&mut self, name: &str, value: Option<impl AsRef<str>>) {
        if let Some(value) = value {
            self.field(name, value);
        }
    }

    pub(crate) fn line(&mut self, text: impl AsRef<str>) {
        self.parts.push(Part::Line { text: clean(text.as_ref()).into_owned(), style: Style::Plain });
    }

    pub(crate) fn title(&mut self, text: &str) {
        self.parts.push(Part::Line { text: String::new(), style: Style::Plain });
        self.parts.push(Part::Line { text: clean(text).into_owned(), style: Style::Title });
    }

    /// Several lines, indented.
    pub(crate) fn block(&mut self, text: &str) {
        self.parts.push(Part::Block(clean_lines(text)));
    }

    pub(crate) fn table(&mut self, table: Table) {
        self.parts.push(Part::Table(table));
    }

    pub(crate) fn render(&self, color: bool) -> String {
        let names = self.parts.iter().filter_map(|part| match part {
            Part::Field { name, .. } => Some(name.width()),
            _ => None,
        });
        let width = names.max().unwrap_or(0) + 2;
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Field { name, value, style } => {
                    let gap = " ".repeat(width - name.width() - 1);
                    let line = format!("{}:{gap}{}", paint(name, Style::Title, color), paint(value, *style, color));
                    out.push_str(line.trim_end());
                    out.push('\n');
                }
                Part::Line { text, style } => out.push_str(&(paint(text, *style, color) + "\n")),
                Part::Block(text) => text.lines().for_each(|line| out.push_str(&format!("  {line}\n"))),
                Part::Table(table) => {
                    let table = table.render(true, color, None);
                    table.lines().for_each(|line| out.push_str(&format!("  {line}\n")));
                }
            }
        }
        out
    }
}
