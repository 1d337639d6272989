//! What the demo puts on the screen: headings, words, commands with their output, lines of what happens. At most 100 columns wide,
//! colours only on a terminal.

use std::io::IsTerminal;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::instance::Instance;

const WIDTH: usize = 98;

/// Ink of a line or a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    Plain,
    Bold,
    Faint,
    Good,
    Busy,
    Bad,
}

/// See the module.
#[derive(Clone, Copy)]
pub struct Screen {
    pub is_coloured: bool,
}

impl Screen {
    /// Of the standard output.
    pub fn new() -> Screen {
        let is_coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Screen { is_coloured }
    }

    pub fn paint(self, text: &str, ink: Ink) -> String {
        let code = match ink {
            Ink::Plain => return text.to_owned(),
            Ink::Bold => "1",
            Ink::Faint => "2",
            Ink::Good => "32",
            Ink::Busy => "33",
            Ink::Bad => "31",
        };
        if self.is_coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub fn heading(self, text: &str) {
        println!("{}\n", self.paint(text, Ink::Bold));
    }

    /// A paragraph.
    pub fn say(self, text: &str) {
        for line in wrapped(text, WIDTH) {
            println!("{line}");
        }
    }

    pub fn gap(self) {
        println!();
    }

    /// One thing that happened; `at` in seconds from the beginning.
    pub fn event(self, at: f64, name: &str, text: &str, ink: Ink) {
        let time = self.paint(&format!("{at:>6.1} s"), Ink::Faint);
        println!("{time}  {:<9}  {}", name, self.paint(text, ink));
    }

    /// Prints a command as a newcomer would type it.
    pub fn command(self, words: &str) {
        self.command_of(&[words.to_owned()]);
    }

    fn command_of(self, pieces: &[String]) {
        let lines = joined(pieces, WIDTH - 8);
        for (n, line) in lines.iter().enumerate() {
            let start = if n == 0 { "  $ " } else { "      " };
            let end = if n + 1 < lines.len() { " \\" } else { "" };
            println!("{start}{}", self.paint(&format!("{line}{end}"), Ink::Bold));
        }
    }

    /// Runs slothctl, shows the command and what it says.
    pub fn run(self, instance: &Instance, arguments: &[&str]) -> Result<()> {
        self.command_of(&pieces(arguments));
        let mut command = instance.ctl();
        if self.is_coloured {
            command.args(["--color", "always"]);
        }
        let output = self.output(command.args(arguments))?;
        for line in output.lines() {
            for (n, part) in wrapped(line, WIDTH - 6).iter().enumerate() {
                println!("    {}{part}", if n == 0 { "" } else { "  " });
            }
        }
        self.gap();
        Ok(())
    }

    fn output(self, command: &mut Command) -> Result<String> {
        let output = command.output().context("cannot run slothctl")?;
        if !output.status.success() {
            bail!("slothctl ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// A word as a shell wants it.
pub fn quoted(word: &str) -> String {
    let safe = |c: char| c.is_alphanumeric() || "-_./=:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(safe) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The words of a command, an option together with its value.
fn pieces(arguments: &[&str]) -> Vec<String> {
    let mut pieces = vec!["slothctl".to_owned()];
    let mut has_option = false;
    for word in arguments {
        let is_option = word.starts_with('-') && word.len() > 1;
        let last = pieces.len() - 1;
        if has_option && !is_option {
            pieces[last] = format!("{} {}", pieces[last], quoted(word));
        } else {
            pieces.push(quoted(word));
        }
        has_option = is_option;
    }
    pieces
}

/// Lines of at most `width` columns; what is longer in itself stays whole.
fn joined(pieces: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for piece in pieces {
        match lines.last_mut() {
            Some(line) if columns(line) + 1 + columns(piece) <= width => {
                line.push(' ');
                line.push_str(piece);
            }
            _ => lines.push(piece.clone()),
        }
    }
    lines
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    if columns(text) <= width {
        return vec![text.to_owned()];
    }
    joined(&text.split(' ').map(str::to_owned).collect::<Vec<_>>(), width)
}

/// Characters that take a place, colours do not.
fn columns(text: &str) -> usize {
    let mut is_code = false;
    let seen = |c: &char| {
        let was_code = is_code;
        is_code = (is_code && *c != 'm') || *c == '\x1b';
        !was_code && !is_code
    };
    text.chars().filter(seen).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("", 7), [""]);
    }

    #[test]
    fn colours_take_no_place() {
        assert_eq!(columns("a\x1b[31mbc\x1b[0md"), 4);
    }

    #[test]
    fn options_keep_their_values() {
        let pieces = pieces(&["scheduler", "add", "--every", "2 s", "--", "date"]);
        assert_eq!(pieces, ["slothctl", "scheduler", "add", "--every '2 s'", "-- date"]);
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("--every"), "--every");
        assert_eq!(quoted("30 2 * * *"), "'30 2 * * *'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
