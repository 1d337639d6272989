//! Lists as tables: for people aligned and, on a terminal, coloured and cut to its width; for programs CSV, whole and exact.

use unicode_width::UnicodeWidthStr;

use super::text::clean;
use crate::failure::Failure;

/// A list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) title: String,
    /// Only with `-o wide`, or when it is asked for by name.
    pub(crate) wide: bool,
    /// Numbers stand on the right.
    pub(crate) right: bool,
    /// Ids are never cut: half of one is of no use.
    pub(crate) whole: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What `-o name` prints.
    pub(crate) name: String,
    pub(crate) cells: Vec<Cell>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    /// For people.
    pub(crate) text: String,
    /// For programs and for sorting.
    pub(crate) value: String,
    pub(crate) style: Style,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Style {
    #[default]
    Plain,
    Good,
    Bad,
    Busy,
    Faint,
    Title,
}

/// Narrowest that a column is cut to.
const CUT_WIDTH_MIN: usize = 12;

impl Table {
    /// Columns by title; in front `*`: only in wide tables, `>`: on the right, `!`: never cut.
    pub(crate) fn new(titles: &[&str]) -> Table {
        let columns = titles.iter().map(|title| Column {
            title: title.trim_start_matches(['*', '>', '!']).to_owned(),
            wide: title.starts_with('*'),
            right: title.contains('>'),
            whole: title.starts_with('!'),
        });
        Table { columns: columns.collect(), rows: Vec::new() }
    }

    pub(crate) fn push(&mut self, name: impl Into<String>, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(Row { name: name.into(), cells });
    }

    /// The order of rows by a column (`-COL`: downwards), numbers as numbers.
    pub(crate) fn order(&self, by: &str) -> Result<Vec<usize>, Failure> {
        let (name, down) = by.strip_prefix('-').map_or((by, false), |name| (name, true));
        let column = self.find(name)?;
        let value = |row: usize| self.rows[row].cells.get(column).map_or("", |cell| cell.value.as_str());
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by(|&a, &b| {
            let (a, b) = (value(a), value(b));
            let ordering = match (a.parse::<f64>(), b.parse::<f64>()) {
                (Ok(a), Ok(b)) => a.total_cmp(&b),
                _ => a.is_empty().cmp(&b.is_empty()).then_with(|| a.cmp(b)),
            };
            if down { ordering.reverse() } else { ordering }
        });
        Ok(order)
    }

    /// Only these columns, in this order; or those of the normal or wide form.
    pub(crate) fn select(self, names: Option<&[String]>, wide: bool) -> Result<Table, Failure> {
        let kept: Vec<usize> = match names {
            Some(names) => names.iter().map(|name| self.find(name)).collect::<Result<_, _>>()?,
            None => (0..self.columns.len()).filter(|&at| wide || !self.columns[at].wide).collect(),
        };
        let columns = kept.iter().map(|&at| self.columns[at].clone()).collect();
        let pick = |row: Row| Row { cells: kept.iter().map(|&at| row.cells[at].clone()).collect(), ..row };
        Ok(Table { columns, rows: self.rows.into_iter().map(pick).collect() })
    }

    fn find(&self, name: &str) -> Result<usize, Failure> {
        let plain = |text: &str| text.to_lowercase().replace(['_', '-'], " ");
        self.columns.iter().position(|column| plain(&column.title) == plain(name)).ok_or_else(|| {
            let known: Vec<String> = self.columns.iter().map(|column| column.title.to_lowercase()).collect();
            Failure::usage(format!("there is no column \"{name}\"")).hint(format!("columns: {}", known.join(", ")))
        })
    }

    /// For people. `width`: of the terminal; without it nothing is cut.
    pub(crate) fn render(&self, headers: bool, color: bool, width: Option<usize>) -> String {
        let mut widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let title = if headers { column.title.width() } else { 0 };
                self.rows.iter().map(|row| row.cells[at].text.width()).max().unwrap_or(0).max(title)
            })
            .collect();
        if let Some(limit) = width {
            self.shrink(&mut widths, limit);
        }
        let mut out = String::new();
        if headers {
            let titles: Vec<Cell> = self.columns.iter().map(|column| Cell::title(&column.title)).collect();
            self.line(&mut out, &titles, &widths, color);
        }
        for row in &self.rows {
            self.line(&mut out, &row.cells, &widths, color);
        }
        out
    }

    /// Takes from the widest column until the line fits.
    fn shrink(&self, widths: &mut [usize], limit: usize) {
        let gaps = 2 * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > limit {
            let cuttable = widths.iter_mut().zip(&self.columns).filter(|(_, column)| !column.whole);
            match cuttable.map(|(width, _)| width).max() {
                Some(widest) if *widest > CUT_WIDTH_MIN => *widest -= 1,
                _ => return,
            }
        }
    }

    fn line(&self, out: &mut String, cells: &[Cell], widths: &[usize], color: bool) {
        let last = cells.len().saturating_sub(1);
        let start = out.len();
        for (at, cell) in cells.iter().enumerate() {
            let text = cut(&cell.text, widths[at]);
            let padding = " ".repeat(widths[at].saturating_sub(text.width()));
            let text = paint(&text, cell.style, color);
            match (self.columns[at].right, at == last) {
                (true, _) => out.extend([padding.as_str(), &text]),
                (false, true) => out.push_str(&text),
                (false, false) => out.extend([text.as_str(), &padding]),
            }
            if at != last {
                out.push_str("  ");
            }
        }
        out.truncate(start + out[start..].trim_end().len());
        out.push('\n');
    }

    /// RFC 4180 (with the line ends of Unix), with the values for programs.
    pub(crate) fn csv(&self, headers: bool) -> String {
        let mut out = String::new();
        if headers {
            let titles: Vec<String> = self.columns.iter().map(|column| column.title.to_lowercase()).collect();
            csv_line(&mut out, titles.iter().map(String::as_str));
        }
        for row in &self.rows {
            csv_line(&mut out, row.cells.iter().map(|cell| cell.value.as_str()));
        }
        out
    }
}

impl Cell {
    /// The same text for people and programs; control characters are escaped for people.
    pub(crate) fn new(value: impl Into<String>) -> Cell {
        let value = value.into();
        Cell { text: clean(&value).into_owned(), value, style: Style::Plain }
    }

    /// A text for people and another value for programs.
    pub(crate) fn pair(text: impl AsRef<str>, value: impl Into<String>) -> Cell {
        Cell { text: clean(text.as_ref()).into_owned(), value: value.into(), style: Style::Plain }
    }

    /// `-` when there is nothing.
    pub(crate) fn some(value: Option<impl Into<String>>) -> Cell {
        value.map_or_else(Cell::none, Cell::new)
    }

    pub(crate) fn none() -> Cell {
        Cell { text: "-".to_owned(), value: String::new(), style: Style::Faint }
    }

    pub(crate) fn styled(mut self, style: Style) -> Cell {
        self.style = style;
        self
    }

    fn title(title: &str) -> Cell {
        Cell::new(title).styled(Style::Title)
    }
}

impl Style {
    /// Of a status word.
    pub(crate) fn of(status: &str) -> Style {
        match status {
            "completed" | "ok" | "run" | "made" | "success" | "ready" => Style::Good,
            "failed" | "critical" | "error" | "refused" | "denied" | "lost" => Style::Bad,
            "running" | "starting" | "queued" | "warn" | "warning" | "cancelled" | "paused" | "updated" => Style::Busy,
            "skipped" | "coalesced" | "planned" | "ignored" | "unchanged" | "unknown" => Style::Faint,
            _ => Style::Plain,
        }
    }
}

/// A text with the colour codes of its style.
pub(crate) fn paint(text: &str, style: Style, color: bool) -> String {
    let code = match style {
        Style::Good => "32",
        Style::Bad => "31",
        Style::Busy => "33",
        Style::Faint => "2",
        Style::Title => "1",
        Style::Plain => return text.to_owned(),
    };
    if color && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if kept.width() > width.saturating_sub(1) {
            kept.pop();
            break;
        }
    }
    kept + "…"
}

fn csv_line<'a>(out: &mut String, values: impl Iterator<Item = &'a str>) {
    for (at, value) in values.enumerate() {
        if at > 0 {
            out.push(',');
        }
        if value.contains([',', '"', '\n', '\r']) {
            out.extend(["\"", &value.replace('"', "\"\""), "\""]);
        } else {
            out.push_str(value);
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(&["NAME", ">RUNS", "*TEXT"]);
        table.push("b", vec![Cell::new("b"), Cell::new("10"), Cell::new("x, \"y\"\n")]);
        table.push("a", vec![Cell::new("a\x1b[31m"), Cell::new("9"), Cell::none()]);
        table
    }

    #[test]
    fn tables_align_and_escape() {
        let normal = sample().select(None, false).expect("columns");
        assert_eq!(normal.render(true, false, None), "NAME       RUNS\nb            10\na\\x1b[31m     9\n");
        assert_eq!(sample().render(false, false, None).lines().next(), Some("b          10  x, \"y\"\\n"));
        let narrow = sample().render(true, false, Some(30));
        assert!(narrow.lines().all(|line| line.width() <= 30), "{narrow}");
    }

    #[test]
    fn columns_and_order_are_chosen_by_name() {
        assert_eq!(sample().order("runs").expect("a column"), [1, 0]);
        assert_eq!(sample().order("-runs").expect("a column"), [0, 1]);
        assert!(sample().order("nope").is_err());
        let chosen = sample().select(Some(&["text".to_owned(), "name".to_owned()]), false).expect("columns");
        assert_eq!(chosen.csv(true), "text,name\n\"x, \"\"y\"\"\n\",b\n,a\x1b[31m\n");
    }
}
