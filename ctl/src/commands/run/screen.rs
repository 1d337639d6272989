//! Where a followed run is printed: lines that stay, and on a terminal below them what runs now, drawn over itself.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::look::{Look, Shape};
use crate::failure::Failure;
use crate::output::print;
use crate::session::Session;
use crate::views::run::event::RunEvent;
use crate::views::run::json;
use crate::views::run::logline::LogLine;
use crate::views::run::summary::{self, Paper};
use crate::views::run::text::{self, TextView};

/// How often what runs now is drawn again.
const REDRAW: Duration = Duration::from_secs(1);

/// Columns of a terminal that does not say how many it has.
const WIDTH: usize = 80;

/// See the module.
pub(crate) struct RunScreen<'s> {
    session: &'s Session,
    run: String,
    look: Look,
    view: TextView,
    began: Instant,
    /// Lines of what runs now that are on the screen.
    drawn: usize,
    next_draw: Instant,
}

impl<'s> RunScreen<'s> {
    pub(crate) fn new(session: &'s Session, run: &str, look: Look) -> RunScreen<'s> {
        let screen = &session.screen;
        let lines = text::Look { symbols: screen.terminal, color: screen.color, verbose: look.verbose };
        let now = Instant::now();
        RunScreen {
            session,
            run: run.to_owned(),
            look,
            view: TextView::new(lines),
            began: now,
            drawn: 0,
            next_draw: now,
        }
    }

    /// What runs, in the first line.
    pub(crate) fn head(&mut self, title: &str) -> Result<(), Failure> {
        if !self.look.is_text() || !self.look.shows_changes() {
            return Ok(());
        }
        let title = crate::output::text::clean(title).into_owned();
        self.stay(format!("{title}, run {}\n", self.run))
    }

    pub(crate) fn event(&mut self, event: &RunEvent) -> Result<(), Failure> {
        if !self.look.shows_changes() {
            return Ok(());
        }
        if self.look.shape == Shape::Json {
            return json_line(&json::event(event, &self.run));
        }
        if event.kind == "workflow.started"
            && let Some(count) = event.field("task_count").as_u64()
        {
            self.view.running.total = Some(self.view.running.total.unwrap_or(0) + count);
        }
        let text = self.view.event(event, Instant::now());
        self.stay(text)
    }

    pub(crate) fn log(&mut self, line: &LogLine) -> Result<(), Failure> {
        if !self.look.shows_changes() {
            return Ok(());
        }
        if self.look.shape == Shape::Json {
            return json_line(&json::log(line, &self.run));
        }
        let text = self.view.log(line);
        self.stay(text)
    }

    /// What time brings: failures whose log has come, and what runs now.
    pub(crate) fn tick(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        let text = self.view.settle(Some(now));
        self.stay(text)?;
        if self.is_live() && now >= self.next_draw {
            self.draw(now)?;
        }
        Ok(())
    }

    /// When [`RunScreen::tick`] is wanted.
    pub(crate) fn next_tick(&self) -> Option<tokio::time::Instant> {
        let draw = self.is_live().then_some(self.next_draw);
        [draw, self.view.next_due()].into_iter().flatten().min().map(Into::into)
    }

    /// Takes what is drawn over itself from the screen.
    pub(crate) fn clear(&mut self) {
        if self.drawn > 0 {
            let _ = write!(std::io::stdout(), "\x1b[{}A\x1b[J", self.drawn); // the next line fails if nobody is there
            self.drawn = 0;
            self.next_draw = Instant::now();
        }
    }

    /// The summary.
    pub(crate) fn end(&mut self, summary: &Value) -> Result<(), Failure> {
        let screen = &self.session.screen;
        match self.look.shape {
            Shape::Json => json_line(&json::summary(summary)),
            Shape::Yaml => {
                let yaml =
                    serde_norway::to_string(&json::summary(summary)).map_err(|e| Failure::usage(e.to_string()))?;
                print(&if screen.terminal { crate::output::text::clean_lines(&yaml) } else { yaml })
            }
            _ => {
                let text = if self.look.shows_changes() { self.view.settle(None) } else { String::new() };
                self.stay(text)?;
                let paper = Paper { terminal: screen.terminal, color: screen.color, width: screen.width };
                let gap = if self.look.shows_changes() { "\n" } else { "" };
                print(&format!("{gap}{}", summary::text(summary, paper)))
            }
        }
    }

    /// Prints lines above what runs now.
    fn stay(&mut self, text: String) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        self.clear();
        print(&text)
    }

    fn is_live(&self) -> bool {
        self.look.is_text() && self.look.shows_changes() && self.session.screen.terminal && self.session.screen.color
    }

    fn draw(&mut self, now: Instant) -> Result<(), Failure> {
        let width = self.session.screen.width.unwrap_or(WIDTH);
        let rows = match self.look.shape {
            Shape::Live => self.view.running.table(self.began, now, width),
            _ => vec![self.view.running.line(self.began, now, width)],
        };
        self.clear();
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        print(&text)?;
        self.drawn = rows.len();
        self.next_draw = now + REDRAW;
        Ok(())
    }
}

fn json_line(value: &Value) -> Result<(), Failure> {
    print(&crate::output::json_text(value, false))
}
