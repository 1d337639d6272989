//! crontab(5), user's and system's, as Vixie cron (Debian) and cronie read it. Lines are read in order, because a
//! variable holds for the lines below it.
//!
//! Kept as under cron: `PATH` is `/usr/bin:/bin` and `SHELL` is `/bin/sh` unless the crontab says otherwise, runs may
//! overlap, nothing missed is made up. The treatment of clock changes is the same but for one case, which is noted.

mod job;
mod percent;
mod variables;
mod when;

use sloth_api::ImportSource;

use super::names::{self, file_name};
use super::sink::{At, Sink};
use super::text::{self, BLANKS, Line, split_word};
use super::words::is_login;
use variables::Variables;
pub(super) use variables::assignment;
pub(crate) use when::crontab_accepts;
pub(super) use when::quoted;

/// Whether lines have a user column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A user's crontab: no user column.
    User,
    /// `/etc/crontab` and `/etc/cron.d/*`: the sixth field is who it runs as.
    System,
}

/// What is to be said about a crontab once.
#[derive(Default)]
struct Remarks {
    anchored: bool,
    fixed_or_interval: bool,
}

pub(super) fn import(source: &ImportSource, kind: Kind, sink: &mut Sink) {
    let mark = sink.mark();
    let mut variables = Variables::default();
    let mut remarks = Remarks::default();
    for line in text::lines(&source.text) {
        let useful = line.text.trim_start_matches(BLANKS);
        if useful.is_empty() || useful.starts_with('#') {
            continue;
        }
        if let Some(reason) = text::control_character(line.text) {
            sink.refuse(&source.name, line.number, line.text, reason);
        } else if let Some(assignment) = assignment(useful) {
            variables.read(&assignment, At { source: &source.name, line: line.number, text: line.text }, sink);
        } else {
            entry(source, kind, line, useful, &variables, &mut remarks, sink);
        }
    }
    if sink.made_since(mark) {
        let removal = match kind {
            Kind::User => format!("`crontab -u {} -e`", sink.owner()),
            Kind::System => text::shorten(&source.name),
        };
        let notes = remarks.notes(&removal, &variables, sink.zone_text());
        sink.remark(mark, &source.name, notes);
    }
}

/// A line that is a job.
fn entry(
    source: &ImportSource,
    kind: Kind,
    line: Line<'_>,
    useful: &str,
    variables: &Variables,
    remarks: &mut Remarks,
    sink: &mut Sink,
) {
    let at = At { source: &source.name, line: line.number, text: line.text };
    if sink.refused_as_full(at) {
        return;
    }
    let mut notes = Vec::new();
    let planned = when::read(useful, &mut notes).and_then(|(when, rest)| {
        let (user, command) = match kind {
            Kind::User => (None, rest),
            Kind::System => {
                let (user, command) = split_word(rest);
                check_user(user, command)?;
                (Some(user), command)
            }
        };
        if command.is_empty() {
            return Err("has no command after the time: add one, or remove the line".to_owned());
        }
        if kind == Kind::User && split_word(command).0 == "root" {
            notes.push(
                "the command begins with `root`: if that is a user column, import the text as system_crontab"
                    .to_owned(),
            );
        }
        let spec = job::spec(&when, user, command, variables, &mut notes)?;
        Ok((when, spec, names::of_command(command)))
    });
    match planned {
        Ok((when, spec, of_command)) => {
            if when.trigger != "@reboot" {
                remarks.anchored |= when.anchored;
                remarks.fixed_or_interval = true;
            }
            let base = match kind {
                Kind::User => of_command,
                Kind::System => format!("{}-{of_command}", file_name(&source.name)),
            };
            sink.make(at, &base, spec, notes);
        }
        Err(reason) => sink.refuse(&source.name, line.number, line.text, reason),
    }
}

fn check_user(user: &str, command: &str) -> Result<(), String> {
    if user.is_empty() {
        return Err("ends after the time: a system crontab has a user and a command there".to_owned());
    }
    if user.starts_with('*') {
        return Err("has a sixth time field, which cron does not know: remove one of them".to_owned());
    }
    if user.contains([':', '/']) && user.split(':').all(|part| is_login(part.split('/').next().unwrap_or_default())) {
        let login = user.split([':', '/']).next().unwrap_or_default();
        return Err(format!(
            "has the user column {user:?} of a BSD: write only {login:?} and set the group of the schedule afterwards"
        ));
    }
    if !is_login(user) {
        let hint = "a system crontab names a user before the command; for a user's own crontab use the format crontab";
        return Err(format!("has no user: {:?} is not a login name; {hint}", text::shorten(user)));
    }
    if command.is_empty() {
        let hint = format!("either the command or the user is missing after {user:?}");
        return Err(format!("{hint}; for a user's own crontab use the format crontab"));
    }
    Ok(())
}

impl Remarks {
    fn notes(&self, removal: &str, variables: &Variables, zone: &str) -> Vec<String> {
        let mut notes = vec![format!("cron goes on running these lines until they are removed: {removal}")];
        let mut kept = "as under cron, runs may overlap (overlap = allow)".to_owned();
        if self.fixed_or_interval {
            kept.push_str(" and nothing missed is made up (catch_up = none)");
            if !variables.has_zone() {
                notes.push(format!("times without CRON_TZ are in the system's zone ({zone})"));
            }
        }
        notes.push(format!("{kept}; `slothctl scheduler edit` changes that"));
        if !variables.seen_mailto() {
            let read = "it is kept with each run: `slothctl scheduler history NAME`, `slothctl run logs ID`";
            notes.push(format!("output is not mailed: {read}"));
        }
        if self.anchored {
            let gap = "when the clock is put forward over them, cron drops times such as `*/10 2 * * *`";
            notes.push(format!("{gap}; here they are made up by one run after the gap"));
        }
        notes
    }
}
