//! Parts of text files: lines, blocks, patterns.

use std::fs;

use regex::{Regex, RegexBuilder};
use sloth_lua::{Call, Failure, Reply};

use super::done;
use crate::files::atomic::{How, replace as write};
use crate::files::change::{Change, simulated};
use crate::files::failed;
use crate::fs::path;

/// Changes the text of a file. `None`: there is no file.
fn edit(call: &Call, change: impl FnOnce(Option<&str>) -> Result<(Option<String>, u64), Failure>) -> Reply {
    let path = path(call, "path")?;
    let old = match fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(&path, error)),
    };
    let (new, count) = change(old.as_deref())
        .map_err(|failure| Failure { message: format!("{}: {}", path.display(), failure.message), ..failure })?;
    let how = How::from(&call.args)?;
    let mut differences = Vec::new();
    match &new {
        Some(new) if old.as_ref() != Some(new) => {
            if !simulated(call) {
                write(&path, &mut new.as_bytes(), &how, &call.ctx)?;
            }
            differences.push(format!("{}: {}", path.display(), if old.is_none() { "created" } else { "edited" }));
        }
        _ => differences.extend(how.attributes.ensure(&path, simulated(call))?),
    }
    let change = if differences.is_empty() {
        Change::none(format!("{} is as wanted", path.display()))
    } else {
        Change::made(format!("{} changed", path.display())).because(differences)
    };
    done(call, change.with("path", path.to_string_lossy().into_owned()).with("count", count))
}

fn pattern(call: &Call, name: &'static str) -> Result<Option<Regex>, Failure> {
    let text = call.args.opt_text(name);
    text.map(|text| RegexBuilder::new(&text).multi_line(true).build().map_err(|error| Failure::argument(name, error)))
        .transpose()
}

fn is_present(call: &Call) -> Result<bool, Failure> {
    match call.args.opt_text("state").as_deref() {
        None | Some("present") => Ok(true),
        Some("absent") => Ok(false),
        Some(other) => {
            Err(Failure::argument("state", format_args!("\"present\" or \"absent\" expected, got {other:?}")))
        }
    }
}

/// The text to edit; without a file only when it may be made.
fn text_or_new<'a>(call: &Call, old: Option<&'a str>) -> Result<&'a str, Failure> {
    match old {
        Some(text) => Ok(text),
        None if call.args.flag("create") => Ok(""),
        None => Err(Failure::new("No such file (create=true makes it)")),
    }
}

fn joined(lines: &[String]) -> String {
    if lines.is_empty() { String::new() } else { lines.join("\n") + "\n" }
}

/// `lineinfile`.
pub fn lineinfile(call: Call) -> Reply {
    let line = call.args.opt_text("line").unwrap_or_default();
    let regexp = pattern(&call, "regexp")?;
    let is_present = is_present(&call)?;
    if line.contains('\n') {
        return Err(Failure::argument("line", "one line expected; blockinfile takes more"));
    }
    if call.args.get("line").is_none() && (is_present || regexp.is_none()) {
        return Err(Failure::argument("line", "string expected, got nil"));
    }
    let places = Places::from(&call)?;
    edit(&call, |old| {
        if !is_present {
            let Some(old) = old else { return Ok((None, 0)) };
            let is_it = |l: &&str| regexp.as_ref().map_or(*l == line, |regexp| regexp.is_match(l));
            let count = old.lines().filter(is_it).count() as u64;
            let kept: Vec<String> = old.lines().filter(|l| !is_it(l)).map(str::to_owned).collect();
            return Ok((if count == 0 { None } else { Some(joined(&kept)) }, count));
        }
        let old = text_or_new(&call, old)?;
        let mut lines: Vec<String> = old.lines().map(str::to_owned).collect();
        let found = regexp.as_ref().and_then(|regexp| lines.iter().rposition(|l| regexp.is_match(l)));
        match (found, &regexp) {
            (Some(at), Some(regexp)) => {
                let new = if call.args.flag("backrefs") { expand(regexp, &lines[at], &line) } else { line.clone() };
                if lines[at] == new {
                    return Ok((None, 0));
                }
                lines[at] = new;
            }
            (None, Some(_)) if call.args.flag("backrefs") => return Ok((None, 0)),
            _ if lines.contains(&line) => return Ok((None, 0)),
            _ => {
                let at = places.position(&lines);
                lines.insert(at, line.clone());
            }
        }
        Ok((Some(joined(&lines)), 1))
    })
}

/// `$1` and `\1` in the new line are groups of the old one.
fn expand(regexp: &Regex, old: &str, line: &str) -> String {
    let template = Regex::new(r"\\(\d)")
        .map_or_else(|_| line.to_owned(), |slashes| slashes.replace_all(line, "$${$1}").into_owned());
    let mut new = String::new();
    if let Some(groups) = regexp.captures(old) {
        groups.expand(&template, &mut new);
    }
    new
}

/// Where a new line goes.
struct Places {
    after: Option<Place>,
    before: Option<Place>,
}

enum Place {
    Edge,
    Pattern(Regex),
}

impl Places {
    fn from(call: &Call) -> Result<Places, Failure> {
        let place = |name: &'static str, edge: &str| -> Result<Option<Place>, Failure> {
            if call.args.opt_text(name).as_deref() == Some(edge) {
                return Ok(Some(Place::Edge));
            }
            Ok(pattern(call, name)?.map(Place::Pattern))
        };
        Ok(Places { after: place("insertafter", "EOF")?, before: place("insertbefore", "BOF")? })
    }

    /// Beside the last line that matches, else at the end.
    fn position(&self, lines: &[String]) -> usize {
        let last = |regex: &Regex| lines.iter().rposition(|line| regex.is_match(line));
        match (&self.after, &self.before) {
            (_, Some(Place::Edge)) => 0,
            (Some(Place::Pattern(regex)), _) => last(regex).map_or(lines.len(), |at| at + 1),
            (_, Some(Place::Pattern(regex))) => last(regex).unwrap_or(lines.len()),
            _ => lines.len(),
        }
    }
}

/// `blockinfile`.
pub fn blockinfile(call: Call) -> Reply {
    let block = call.args.opt_text("block").unwrap_or_default();
    let begin = call.args.opt_text("marker_begin").unwrap_or_else(|| "# BEGIN SLOTH MANAGED BLOCK".to_owned());
    let end = call.args.opt_text("marker_end").unwrap_or_else(|| "# END SLOTH MANAGED BLOCK".to_owned());
    if begin == end || begin.is_empty() || end.is_empty() || begin.contains('\n') || end.contains('\n') {
        return Err(Failure::argument("marker_begin", "two different lines expected as markers"));
    }
    let is_present = is_present(&call)? && !block.is_empty();
    let places = Places::from(&call)?;
    edit(&call, |old| {
        if !is_present && old.is_none() {
            return Ok((None, 0));
        }
        let old = text_or_new(&call, old)?;
        let mut lines: Vec<String> = old.lines().map(str::to_owned).collect();
        let start = lines.iter().position(|line| *line == begin);
        let stop = start.and_then(|start| lines[start..].iter().position(|line| *line == end).map(|at| start + at));
        let new: Vec<String> = if is_present {
            [begin.as_str()].into_iter().chain(block.lines()).chain([end.as_str()]).map(str::to_owned).collect()
        } else {
            Vec::new()
        };
        match (start, stop) {
            (Some(_), None) => return Err(Failure::new(format!("{begin:?} is there, but not {end:?} after it"))),
            (Some(start), Some(stop)) => drop(lines.splice(start..=stop, new)),
            _ if new.is_empty() => return Ok((None, 0)),
            _ => {
                let at = places.position(&lines);
                drop(lines.splice(at..at, new));
            }
        }
        let text = joined(&lines);
        Ok(if text == old { (None, 0) } else { (Some(text), 1) })
    })
}

/// `replace`.
pub fn replace(call: Call) -> Reply {
    let Some(pattern) = pattern(&call, "pattern")? else {
        return Err(Failure::argument("pattern", "string expected, got nil"));
    };
    let replacement = call.args.opt_text("replacement").unwrap_or_default();
    edit(&call, |old| {
        let old = old.ok_or_else(|| Failure::new("No such file"))?;
        let count = pattern.find_iter(old).count() as u64;
        Ok((Some(pattern.replace_all(old, replacement.as_str()).into_owned()), count))
    })
}
