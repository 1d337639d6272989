//! Collects the plan: checks each schedule a last time, gives it its name, and bounds the whole.

use jiff::tz::TimeZone;
use sloth_api::{ImportLine, ScheduleSpec};
use sloth_core::trigger::Trigger;

use super::names::Names;
use super::{ImportContext, Made, Planned, text};

/// Most bytes that the schedules of one import take together: long environments times many lines.
const SPEC_BYTES_MAX: usize = 128 << 20;
/// Longest command or script text: a single argument of execve(2) ends at 128 KiB.
const ACTION_BYTES_MAX: usize = 64 << 10;

/// Where the readers of each format put what they found.
pub(super) struct Sink {
    owner: Option<String>,
    default_user: String,
    local_zone: Option<String>,
    names: Names,
    bytes: usize,
    planned: Vec<Planned>,
}

/// A place in the texts.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) source: &'a str,
    /// From 1; 0: the whole text.
    pub(super) line: u32,
    pub(super) text: &'a str,
}

impl Sink {
    pub(super) fn new(owner: Option<String>, context: &ImportContext) -> Self {
        let (default_user, local_zone) = (context.default_user.clone(), context.local_zone.clone());
        Sink { owner, default_user, local_zone, names: Names::default(), bytes: 0, planned: Vec::new() }
    }

    /// Login name of the account that will own what is made.
    pub(super) fn owner(&self) -> &str {
        self.owner.as_deref().unwrap_or(&self.default_user)
    }

    /// The system's zone in words.
    pub(super) fn zone_text(&self) -> &str {
        self.local_zone.as_deref().unwrap_or("that of the system")
    }

    /// Plans a schedule, or refuses the line when the schedule would not stand. True when it is planned.
    pub(super) fn make(&mut self, at: At<'_>, base: &str, spec: ScheduleSpec, notes: Vec<String>) -> bool {
        if let Err(reason) = check(&spec) {
            self.refuse(at.source, at.line, at.text, reason);
            return false;
        }
        self.bytes += size_of_spec(&spec);
        if self.refused_as_full(at) {
            return false;
        }
        let name = self.names.claim(base);
        let line = line(at.source, at.line, at.text, "made", Some(name.clone()), notes);
        self.planned.push(Planned { line, made: Some(Made { name, user: self.owner.clone(), spec }) });
        true
    }

    /// Refuses a line when there is no room for a further schedule; asked before one is built.
    pub(super) fn refused_as_full(&mut self, at: At<'_>) -> bool {
        let full = self.bytes > SPEC_BYTES_MAX;
        if full {
            let reason = format!(
                "the schedules of this import take more than {} MiB: import the rest apart",
                SPEC_BYTES_MAX >> 20
            );
            self.refuse(at.source, at.line, at.text, reason);
        }
        full
    }

    /// Reports a line that cannot be imported, and why.
    pub(super) fn refuse(&mut self, source: &str, number: u32, text: &str, reason: impl Into<String>) {
        let line = line(source, number, text, "refused", None, vec![reason.into()]);
        self.planned.push(Planned { line, made: None });
    }

    /// Reports a line that makes nothing by itself.
    pub(super) fn ignore(&mut self, source: &str, number: u32, text: &str, notes: Vec<String>) {
        let line = line(source, number, text, "ignored", None, notes);
        self.planned.push(Planned { line, made: None });
    }

    /// How much has been planned, for [`Sink::remark`].
    pub(super) fn mark(&self) -> usize {
        self.planned.len()
    }

    /// Whether anything planned since `mark` makes a schedule.
    pub(super) fn made_since(&self, mark: usize) -> bool {
        self.made_count_since(mark) > 0
    }

    pub(super) fn made_count_since(&self, mark: usize) -> usize {
        self.planned[mark.min(self.planned.len())..].iter().filter(|planned| planned.made.is_some()).count()
    }

    /// Puts remarks about a whole text before what was planned since `mark`.
    pub(super) fn remark(&mut self, mark: usize, source: &str, notes: Vec<String>) {
        if !notes.is_empty() {
            let line = line(source, 0, "", "ignored", None, notes);
            self.planned.insert(mark.min(self.planned.len()), Planned { line, made: None });
        }
    }

    pub(super) fn finish(self) -> Vec<Planned> {
        self.planned
    }
}

fn line(
    source: &str,
    number: u32,
    text: &str,
    outcome: &str,
    schedule: Option<String>,
    notes: Vec<String>,
) -> ImportLine {
    ImportLine {
        source: text::shorten(source),
        line: number,
        text: text::shorten(text),
        outcome: outcome.to_owned(),
        schedule,
        notes,
        spec: None,
    }
}

/// The rules of every format: the trigger is understood, the texts can be handed to a process.
fn check(spec: &ScheduleSpec) -> Result<(), String> {
    if let Some(trigger) = &spec.trigger {
        Trigger::parse(trigger, &TimeZone::UTC)
            .map_err(|error| format!("the time {trigger:?} is not accepted: {error}"))?;
    }
    let action = spec.shell.iter().chain(spec.command.iter().flatten());
    let texts = || action.clone().chain(&spec.stdin).chain(spec.env.iter().flatten().map(|(_, value)| value));
    if texts().any(|text| text.contains('\0')) {
        return Err("contains a NUL character, which no process can be given: remove it".to_owned());
    }
    if action.clone().map(String::len).sum::<usize>() > ACTION_BYTES_MAX {
        return Err(format!(
            "the command is longer than {} KiB: put it into a script and schedule that",
            ACTION_BYTES_MAX >> 10
        ));
    }
    Ok(())
}

fn size_of_spec(spec: &ScheduleSpec) -> usize {
    let env: usize = spec.env.iter().flatten().map(|(name, value)| name.len() + value.len() + 64).sum();
    let action: usize =
        spec.shell.iter().chain(spec.command.iter().flatten()).chain(&spec.stdin).map(|s| s.len() + 32).sum();
    512 + env + action
}
