//! How answers are printed: the format, the terminal, and the rules that hold for every command.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::{Command, Stdio};

use serde::Serialize;
use serde_json::Value;

use crate::args::globals::Globals;
use crate::failure::Failure;

pub(crate) mod details;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod time;

use details::Details;
use table::Table;
use time::Clock;

/// Rows of a list when nothing else is said.
const LIMIT: u64 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Table,
    Wide,
    Json,
    Yaml,
    Csv,
    Name,
}

/// Where and how to print.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    pub(crate) format: Format,
    /// Standard output is a terminal.
    pub(crate) terminal: bool,
    pub(crate) color: bool,
    /// Columns of the terminal.
    pub(crate) width: Option<usize>,
    pub(crate) headers: bool,
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) sort: Option<String>,
    /// `None`: all.
    pub(crate) limit: Option<u64>,
    pub(crate) pager: bool,
    pub(crate) clock: Clock,
}

impl Format {
    pub(crate) fn parse(text: &str) -> Option<Format> {
        Some(match text {
            "table" => Format::Table,
            "wide" => Format::Wide,
            "json" => Format::Json,
            "yaml" => Format::Yaml,
            "csv" => Format::Csv,
            "name" => Format::Name,
            _ => return None,
        })
    }

    pub(crate) fn is_json(self) -> bool {
        self == Format::Json
    }
}

impl Screen {
    pub(crate) fn new(globals: &Globals, env: &dyn Fn(&str) -> Option<OsString>) -> Result<Screen, Failure> {
        let set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
        let named = globals.output.clone().or_else(|| env("SLOTHCTL_OUTPUT").and_then(|name| name.into_string().ok()));
        let format = match named.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => Format::parse(name)
                .ok_or_else(|| Failure::usage(format!("SLOTHCTL_OUTPUT: there is no format \"{name}\"")))?,
            None => Format::Table,
        };
        let terminal = std::io::stdout().is_terminal();
        let dumb = env("TERM").is_some_and(|term| term == "dumb");
        let color = match globals.color.as_deref() {
            Some("always") => true,
            Some("never") => false,
            _ => terminal && !dumb && !globals.no_color && !set("NO_COLOR"),
        };
        let limit = match globals.limit.as_deref() {
            Some(text) => text.parse().map_err(|_| Failure::usage(format!("--limit {text}: expected a number")))?,
            None => LIMIT,
        };
        let columns =
            globals.columns.as_ref().map(|names| names.split(',').map(|name| name.trim().to_owned()).collect());
        Ok(Screen {
            format,
            terminal,
            color,
            width: if terminal { terminal_size::terminal_size().map(|(width, _)| width.0.into()) } else { None },
            headers: !globals.no_headers,
            columns,
            sort: globals.sort.clone(),
            limit: (limit > 0).then_some(limit),
            pager: terminal && !globals.no_pager && !set("SLOTHCTL_NO_PAGER"),
            clock: Clock::of_the_host(globals.utc),
        })
    }

    /// A list; `raw` holds the same rows as they came.
    pub(crate) fn list(&self, table: Table, raw: Vec<Value>) -> Result<(), Failure> {
        let text = self.list_text(table, raw)?;
        if self.pager && matches!(self.format, Format::Table | Format::Wide) { self.page(&text) } else { print(&text) }
    }

    pub(crate) fn list_text(&self, mut table: Table, mut raw: Vec<Value>) -> Result<String, Failure> {
        if let Some(column) = &self.sort {
            let order = table.order(column)?;
            if raw.len() == order.len() {
                raw = order.iter().map(|&at| raw[at].clone()).collect();
            }
            table.rows = order.iter().map(|&at| table.rows[at].clone()).collect();
        }
        Ok(match self.format {
            Format::Json | Format::Yaml => self.data_text(&Value::Array(raw))?,
            Format::Name => table.rows.iter().map(|row| text::clean(&row.name).into_owned() + "\n").collect(),
            Format::Csv => {
                let csv = table.select(self.columns.as_deref(), true)?.csv(self.headers);
                if self.terminal { text::clean_lines(&csv) } else { csv }
            }
            Format::Table | Format::Wide => {
                let table = table.select(self.columns.as_deref(), self.format == Format::Wide)?;
                table.render(self.headers, self.color, self.width)
            }
        })
    }

    /// One object: as data, or for people.
    pub(crate) fn document(&self, raw: &Value, human: impl FnOnce(&mut Details)) -> Result<(), Failure> {
        print(&self.document_text(raw, human)?)
    }

    pub(crate) fn document_text(&self, raw: &Value, human: impl FnOnce(&mut Details)) -> Result<String, Failure> {
        if self.is_data() {
            return self.data_text(raw);
        }
        let mut details = Details::default();
        human(&mut details);
        Ok(details.render(self.color))
    }

    /// One object of a stream: a line of JSON, or a line for people.
    pub(crate) fn stream(&self, raw: &Value, human: impl FnOnce() -> String) -> Result<(), Failure> {
        match self.format {
            Format::Json => print(&(text::clean_json(&raw.to_string()).into_owned() + "\n")),
            Format::Yaml => print(&format!("---\n{}", self.data_text(raw)?)),
            _ => print(&human()),
        }
    }

    /// Whether data is wanted, not text for people.
    pub(crate) fn is_data(&self) -> bool {
        matches!(self.format, Format::Json | Format::Yaml)
    }

    fn data_text(&self, raw: &Value) -> Result<String, Failure> {
        if self.format == Format::Yaml {
            let yaml = serde_norway::to_string(raw).map_err(|error| Failure::usage(error.to_string()))?;
            return Ok(if self.terminal { text::clean_lines(&yaml) } else { yaml });
        }
        Ok(json_text(raw, self.terminal))
    }

    fn page(&self, text: &str) -> Result<(), Failure> {
        let height = terminal_size::terminal_size().map_or(usize::MAX, |(_, height)| height.0.into());
        let pager = std::env::var("PAGER").unwrap_or_else(|_| "less".to_owned());
        if text.lines().count() < height || pager.is_empty() || pager == "cat" {
            return print(text);
        }
        let started = Command::new("/bin/sh").args(["-c", &pager]).env("LESS", "FRSX").stdin(Stdio::piped()).spawn();
        let Ok(mut child) = started else {
            return print(text);
        };
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(text.as_bytes()); // a pager that was left early reads no more
        }
        child.wait()?;
        Ok(())
    }
}

/// A JSON document: indented for a terminal, in one line for a program.
pub(crate) fn json_text<T: Serialize>(value: &T, indent: bool) -> String {
    let text = if indent { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    text::clean_json(&text.unwrap_or_default()).into_owned() + "\n"
}

/// Writes to standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Writes to standard output.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}
