//! anacrontab(5): jobs of every so many days that are made up when the machine was off. A calendar trigger with
//! `catch_up = latest` keeps that promise, at a fixed hour instead of whenever anacron is started.

use std::collections::BTreeMap;

use sloth_api::{ImportSource, Quantity, ScheduleSpec};

use super::crontab::{assignment, quoted};
use super::sink::{At, Sink};
use super::text::{self, BLANKS, split_word};
use super::words::is_variable;

/// Hour of the jobs when there is no START_HOURS_RANGE: anacron of Debian is started from 07:30 on.
const HOUR: u32 = 7;
/// Most minutes of the delay column.
const DELAY_MAX: u32 = 23 * 60;
const ENV_BYTES_MAX: usize = 8 << 10;

/// What the lines above a job say.
struct Settings {
    env: BTreeMap<String, String>,
    jitter_minutes: u32,
    hour: u32,
}

pub(super) fn import(source: &ImportSource, sink: &mut Sink) {
    let mark = sink.mark();
    let mut settings = Settings { env: BTreeMap::new(), jitter_minutes: 0, hour: HOUR };
    for line in text::lines(&source.text) {
        let useful = line.text.trim_matches(BLANKS);
        if useful.is_empty() || useful.starts_with('#') {
            continue;
        }
        let at = At { source: &source.name, line: line.number, text: line.text };
        if let Some(reason) = text::control_character(line.text) {
            sink.refuse(at.source, at.line, at.text, reason);
        } else if let Some(assignment) = assignment(useful) {
            match settings.take(&assignment.name, &assignment.value) {
                Ok(note) => sink.ignore(at.source, at.line, at.text, vec![note]),
                Err(reason) => sink.refuse(at.source, at.line, at.text, reason),
            }
        } else {
            match settings.job(useful) {
                Ok((name, spec)) => {
                    let mut notes = Vec::new();
                    if useful.contains("run-parts") {
                        notes.push(
                            "one run for the whole directory; do not import its scripts as well, they would run twice"
                                .to_owned(),
                        );
                    }
                    sink.make(at, &name, spec, notes);
                }
                Err(reason) => sink.refuse(at.source, at.line, at.text, reason),
            }
        }
    }
    if sink.made_since(mark) {
        let notes = vec![
            format!("anacron goes on running these jobs until they are removed from {}", text::shorten(&source.name)),
            "due at a fixed hour (the first of START_HOURS_RANGE, else 7, plus the delay); a missed one is made up".to_owned(),
            "anacron does not start jobs on battery, slothd does; it runs jobs one after the other (-s), slothd side by side".to_owned(),
        ];
        sink.remark(mark, &source.name, notes);
    }
}

impl Settings {
    fn take(&mut self, name: &str, value: &str) -> Result<String, String> {
        match name {
            "LOGNAME" | "USER" => Ok(format!("{name} is that of the user a job runs as; the line changes nothing")),
            "RANDOM_DELAY" => match value.parse() {
                Ok(minutes @ 0..=1440) => {
                    self.jitter_minutes = minutes;
                    Ok("becomes the jitter of the jobs below".to_owned())
                }
                _ => Err("is not a number of minutes from 0 to 1440; the jobs below have no jitter".to_owned()),
            },
            "START_HOURS_RANGE" => match value.split('-').next().and_then(|hour| hour.trim().parse().ok()) {
                Some(hour @ 0..=23) => {
                    self.hour = hour;
                    Ok("its first hour becomes that of the jobs below; the last is not kept: what is made up may start later".to_owned())
                }
                _ => {
                    Err(format!("is not a range of hours such as 3-22; the jobs below are due from {HOUR} o'clock on"))
                }
            },
            "HOME" | "SHELL" if !value.starts_with('/') => {
                Err("is not an absolute path; the jobs below run without it".to_owned())
            }
            name if !is_variable(name) => Err(format!("{} is not a name for a variable", quoted(name))),
            _ => {
                let bytes: usize = self.env.iter().map(|(name, value)| name.len() + value.len()).sum();
                if self.env.len() >= 256 || bytes + name.len() + value.len() > ENV_BYTES_MAX {
                    return Err("makes the variables too long together; the jobs below run without it".to_owned());
                }
                self.env.insert(name.to_owned(), value.to_owned());
                let mail = matches!(name, "MAILTO" | "MAILFROM")
                    .then_some("mail is not sent yet, output is kept with each run; ");
                Ok(format!("{}is a variable of the jobs below", mail.unwrap_or_default()))
            }
        }
    }

    /// `period delay job-identifier command`.
    fn job(&self, line: &str) -> Result<(String, ScheduleSpec), String> {
        let (period, rest) = split_word(line);
        let (delay, rest) = split_word(rest);
        let (id, command) = split_word(rest);
        if command.is_empty() {
            return Err(
                "is not a line of an anacrontab: period in days, delay in minutes, name and command are needed"
                    .to_owned(),
            );
        }
        let delay: u32 =
            delay.parse().map_err(|_| format!("the delay {} is not a number of minutes", quoted(delay)))?;
        if delay > DELAY_MAX {
            return Err(format!("the delay {delay} is above {DELAY_MAX} minutes: write less"));
        }
        let minutes = (self.hour * 60 + delay) % 1440;
        let time = format!("{} {}", minutes % 60, minutes / 60);
        let (trigger, days) = match period {
            "1" | "@daily" => (format!("{time} * * *"), 1),
            "7" | "@weekly" => (format!("{time} * * 0"), 7),
            "@monthly" => (format!("{time} 1 * *"), 31),
            "@yearly" | "@annually" => (format!("{time} 1 1 *"), 366),
            other => match other.parse::<u32>() {
                Ok(days @ 1..=36_500) => (format!("@every {days}d"), days),
                _ => {
                    return Err(format!(
                        "the period {} is not a number of days, @daily, @weekly, @monthly or @yearly",
                        quoted(other)
                    ));
                }
            },
        };
        let mut env = self.env.clone();
        env.entry("PATH".to_owned()).or_insert_with(|| "/usr/bin:/bin".to_owned());
        let (shell, command) = match env.get("SHELL").map_or("/bin/sh", String::as_str) {
            "/bin/sh" | "/usr/bin/sh" => (Some(command.to_owned()), None),
            other => (None, Some(vec![other.to_owned(), "-c".to_owned(), command.to_owned()])),
        };
        let spec = ScheduleSpec {
            trigger: Some(trigger),
            shell,
            command,
            user: Some("root".to_owned()),
            cwd: Some("/".to_owned()),
            env: Some(env),
            catch_up: Some("latest".to_owned()),
            catch_up_window: Some(Quantity::Text(format!("{days}d"))),
            jitter: (self.jitter_minutes > 0).then(|| Quantity::Text(format!("{}m", self.jitter_minutes))),
            ..ScheduleSpec::default()
        };
        Ok((id.to_owned(), spec))
    }
}
