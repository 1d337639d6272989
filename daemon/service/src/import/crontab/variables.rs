//! The `NAME = value` lines of a crontab and what each means for the jobs below it.

use std::collections::BTreeMap;

use crate::import::sink::{At, Sink};
use crate::import::words::{is_variable, is_zone};

/// Most bytes that the variables of one crontab take together: each job holds a copy of them.
const ENV_BYTES_MAX: usize = 16 << 10;
/// What a variable costs beside its text.
const VARIABLE_BYTES: usize = 64;

/// One assignment, quotes removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::import) struct Assignment {
    pub(in crate::import) name: String,
    pub(in crate::import) value: String,
}

/// Reads `name = value` as load_env() of cron does: blanks around `=`, either part in single or double quotes, nothing
/// expanded. `None`: the line is not an assignment.
pub(in crate::import) fn assignment(line: &str) -> Option<Assignment> {
    let (name, rest) = match line.chars().next()? {
        quote @ ('"' | '\'') => {
            let (name, rest) = line[1..].split_once(quote)?;
            (name, rest.trim_ascii_start().strip_prefix('=')?)
        }
        _ => {
            let end = line.find(|c: char| c == '=' || c.is_ascii_whitespace())?;
            (&line[..end], line[end..].trim_ascii_start().strip_prefix('=')?)
        }
    };
    if name.contains('=') {
        return None;
    }
    let rest = rest.trim_ascii();
    let value = match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let (value, after) = rest[1..].split_once(quote)?;
            after.is_empty().then_some(value)?
        }
        _ => rest,
    };
    Some(Assignment { name: name.to_owned(), value: value.to_owned() })
}

/// What the lines above say.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables {
    env: BTreeMap<String, String>,
    bytes: usize,
    zone: Zone,
    delay: Delay,
    mailto: bool,
}

/// `CRON_TZ`.
#[derive(Clone, Debug, Default)]
enum Zone {
    #[default]
    System,
    Named(String),
    Refused(u32),
}

/// `RANDOM_DELAY`.
#[derive(Clone, Debug, Default)]
enum Delay {
    #[default]
    None,
    Minutes(u32),
    Refused(u32),
}

impl Variables {
    /// Takes over an assignment and reports what it is good for.
    pub(super) fn read(&mut self, assignment: &Assignment, at: At<'_>, sink: &mut Sink) {
        match self.take(assignment, at.line) {
            Ok(note) => sink.ignore(at.source, at.line, at.text, vec![note]),
            Err(reason) => sink.refuse(at.source, at.line, at.text, reason),
        }
    }

    fn take(&mut self, Assignment { name, value }: &Assignment, line: u32) -> Result<String, String> {
        let unset = value.is_empty();
        match name.as_str() {
            "LOGNAME" | "USER" => Ok(format!(
                "{name} is always that of the user a job runs as, here as under cron; the line changes nothing"
            )),
            "CRON_TZ" if unset => {
                self.zone = Zone::System;
                Ok("the jobs below have the system's time zone".to_owned())
            }
            "CRON_TZ" if is_zone(value) => {
                self.zone = Zone::Named(value.clone());
                let debian = "cronie reads it so; cron of Debian ignores it and uses the system's zone";
                Ok(format!("becomes the time zone of the jobs below; {debian}"))
            }
            "CRON_TZ" => {
                self.zone = Zone::Refused(line);
                Err(format!(
                    "{value:?} is not a time zone by name: write one like \"Europe/Lisbon\"; the jobs below are refused"
                ))
            }
            "RANDOM_DELAY" => {
                let minutes = value.parse::<u32>().ok().filter(|minutes| *minutes <= 1440);
                self.delay = minutes.map_or(Delay::Refused(line), |minutes| {
                    if minutes == 0 { Delay::None } else { Delay::Minutes(minutes) }
                });
                match minutes {
                    Some(_) => {
                        Ok("becomes the jitter of the jobs below, fixed for this host; cron of Debian ignores it"
                            .to_owned())
                    }
                    None => Err("is not a number of minutes from 0 to 1440; the jobs below are refused".to_owned()),
                }
            }
            "MAILTO" | "MAILFROM" => {
                self.mailto |= name == "MAILTO";
                self.set(name, value)?;
                let read = "output is kept with each run: `slothctl scheduler history NAME`, `slothctl run logs ID`";
                Ok(if unset && name == "MAILTO" {
                    format!("nothing is mailed, here as under cron; {read}")
                } else {
                    format!(
                        "mail is not sent yet: kept as a variable of the jobs below; {read}. A job that must mail can pipe into mail(1)"
                    )
                })
            }
            "START_HOURS_RANGE" => {
                self.set(name, value)?;
                Ok("only anacron reads it, cron does not; kept as a variable of the jobs below".to_owned())
            }
            "TZ" => {
                self.set(name, value)?;
                Ok("is the zone of what the jobs print, not of when they run, here as under cron; CRON_TZ is that of the times".to_owned())
            }
            "HOME" if !value.starts_with('/') => {
                Err("is not an absolute directory; the jobs below run in the home of their user".to_owned())
            }
            "SHELL" if !value.starts_with('/') => {
                Err("is not an absolute path; the jobs below run with /bin/sh".to_owned())
            }
            name if name.starts_with("SLOTH_") => {
                Err("names that begin with SLOTH_ are set by slothd; the jobs below run without it".to_owned())
            }
            name if !is_variable(name) => {
                Err(format!("{name:?} is not a name for a variable; the jobs below run without it"))
            }
            _ => {
                self.set(name, value)?;
                Ok(match name.as_str() {
                    "HOME" => "becomes HOME and the working directory of the jobs below".to_owned(),
                    "SHELL" => "the jobs below run with this shell".to_owned(),
                    _ if value.contains('$') => {
                        "is a variable of the jobs below, with `$` as it stands: cron expands nothing here either"
                            .to_owned()
                    }
                    _ => "is a variable of the jobs below".to_owned(),
                })
            }
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let former = self.env.get(name).map_or(0, |value| VARIABLE_BYTES + name.len() + value.len());
        let bytes = self.bytes - former + VARIABLE_BYTES + name.len() + value.len();
        if bytes > ENV_BYTES_MAX {
            return Err(format!(
                "makes the variables longer than {} KiB together; the jobs below run without it",
                ENV_BYTES_MAX >> 10
            ));
        }
        self.bytes = bytes;
        self.env.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    pub(super) fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// IANA name for the jobs below.
    pub(super) fn zone(&self) -> Result<Option<&str>, String> {
        match &self.zone {
            Zone::System => Ok(None),
            Zone::Named(name) => Ok(Some(name)),
            Zone::Refused(line) => Err(format!("its time zone, CRON_TZ in line {line}, is refused: correct that line")),
        }
    }

    /// Minutes of `RANDOM_DELAY`.
    pub(super) fn delay_minutes(&self) -> Result<Option<u32>, String> {
        match self.delay {
            Delay::None => Ok(None),
            Delay::Minutes(minutes) => Ok(Some(minutes)),
            Delay::Refused(line) => {
                Err(format!("its delay, RANDOM_DELAY in line {line}, is refused: correct that line"))
            }
        }
    }

    pub(super) fn has_zone(&self) -> bool {
        matches!(self.zone, Zone::Named(_))
    }

    pub(super) fn seen_mailto(&self) -> bool {
        self.mailto
    }
}
