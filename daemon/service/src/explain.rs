//! Says in words why an instant did or did not run.

use std::time::Duration;

use jiff::tz::TimeZone;
use sloth_api::Explanation;
use sloth_core::machine::Loaded;
use sloth_core::record::{Decision, Skip};
use sloth_core::run::{Reason, Run, RunStatus, RunTrigger};
use sloth_core::trigger::remark;
use sloth_core::{Enabled, Moment, Schedule, units};
use sloth_store::{OccurrenceFilter, OccurrenceRow};

use crate::time_text::{Span, local, parse_time};
use crate::{Caller, Service, ServiceError};

/// How far from the time that was asked for a row may lie to be the one that is meant.
const NEAR: Duration = Duration::from_secs(60);

impl Service {
    /// Explains the instant at (or within a minute of) `at`; without it the last one that was decided.
    pub async fn explain(&self, caller: &Caller, name: &str, at: Option<&str>) -> Result<Explanation, ServiceError> {
        let loaded = self.find(caller, name, "schedule:read").await?;
        let schedule = loaded.schedule.clone();
        let zone = &schedule.zone;
        let now = self.host.now();
        let mut says = vec![self.what_it_is(&loaded)];
        if let Enabled::Paused { reason, until } = &schedule.enabled {
            let until = until.map_or("somebody enables it".to_owned(), |until| local(until, zone));
            says.push(format!("It is paused until {until}: {reason}."));
        }
        let at = at.map(|text| parse_time("at", text, zone, now, Span::Ago)).transpose()?;
        let row = match at {
            Some(at) => self.row_near(&schedule, at)?,
            None => self.last_row(&schedule, now)?,
        };
        match (&row, at) {
            (Some(row), _) => self.say_row(&schedule, row, &mut says)?,
            (None, Some(at)) => self.say_nothing_due(&loaded, at, now, &mut says)?,
            (None, None) => says.push("No instant of it has come yet.".to_owned()),
        }
        let next = self.present_trigger(&schedule)?.next_after(zone, now);
        says.push(match next {
            Some(next) => {
                let wait = Duration::from_secs(next.since(now).as_secs());
                format!("Next: {} (in {}).", local(next, zone), units::format_duration(wait))
            }
            None => "There is no next instant.".to_owned(),
        });
        let occurrence = row.as_ref().map(|row| self.occurrence_view(&loaded, row)).transpose()?;
        let at = row.as_ref().map(|row| row.occurrence.due_at).or(at).map(Moment::rfc3339);
        Ok(Explanation { schedule: schedule.name.clone(), at, sentences: says, occurrence })
    }

    fn what_it_is(&self, loaded: &Loaded) -> String {
        let s = &loaded.schedule;
        let zone = s.timezone.clone().unwrap_or_else(|| "the zone of the system".to_owned());
        format!("{} of {} runs {} ({}, {zone}).", s.name, s.owner_name, s.trigger.describe(), s.trigger_text)
    }

    fn row_near(&self, schedule: &Schedule, at: Moment) -> Result<Option<OccurrenceRow>, ServiceError> {
        let filter = OccurrenceFilter { since: Some(at - NEAR), until: Some(at + NEAR), ..OccurrenceFilter::default() };
        let rows = self.store.occurrences(schedule.id, &filter, 1000)?;
        Ok(rows.into_iter().min_by_key(|row| (row.occurrence.due_at.micros() - at.micros()).abs()))
    }

    fn last_row(&self, schedule: &Schedule, now: Moment) -> Result<Option<OccurrenceRow>, ServiceError> {
        let filter = OccurrenceFilter { until: Some(now), newest_first: true, ..OccurrenceFilter::default() };
        Ok(self.store.occurrences(schedule.id, &filter, 1)?.into_iter().next())
    }

    fn say_row(&self, schedule: &Schedule, row: &OccurrenceRow, says: &mut Vec<String>) -> Result<(), ServiceError> {
        let due = row.occurrence.due_at;
        let when = local(due, &schedule.zone);
        let asked = matches!(
            row.decision,
            Some(Decision::Run {
                trigger: RunTrigger::Manual | RunTrigger::Api | RunTrigger::After | RunTrigger::Boot,
                ..
            })
        );
        says.push(if asked { format!("A run was asked for at {when}.") } else { format!("It was due at {when}.") });
        if let Some(note) = remark(&schedule.trigger, &schedule.zone, due).filter(|_| !asked) {
            says.push(format!("About that time: {note}."));
        }
        match &row.decision {
            None => says.push("It is claimed and has not been decided yet.".to_owned()),
            Some(Decision::Run { run, trigger }) => {
                says.push(match trigger {
                    RunTrigger::CatchUp => format!("It was missed and made up by run {run}."),
                    RunTrigger::Boot => format!("The host had booted: run {run} was made."),
                    _ => format!("Run {run} was made."),
                });
                match self.store.run(*run)? {
                    Some(run) => says.push(say_run(&run, &schedule.zone)),
                    None => says.push("The record of that run has been deleted (keep).".to_owned()),
                }
            }
            Some(Decision::Coalesced { run }) => {
                says.push(format!("It was missed, and run {run} of a later instant answers it (catch_up = latest)."));
            }
            Some(Decision::Skipped(skip)) => says.push(say_skip(schedule, skip)),
        }
        Ok(())
    }

    fn say_nothing_due(
        &self,
        loaded: &Loaded,
        at: Moment,
        now: Moment,
        says: &mut Vec<String>,
    ) -> Result<(), ServiceError> {
        let s = &loaded.schedule;
        let when = local(at, &s.zone);
        if at < s.created_at {
            says.push(format!("At {when} it did not exist: it was added at {}.", local(s.created_at, &s.zone)));
            return Ok(());
        }
        let summary = self.store.summary(s.id)?;
        if let Some(summary) = summary.filter(|summary| (summary.first_due..=summary.last_due).contains(&at)) {
            let (run, skipped, coalesced) = (summary.run, summary.skipped, summary.coalesced);
            says.push(format!(
                "The rows of that time are folded into a summary: {run} run, {skipped} skipped, {coalesced} coalesced."
            ));
            return Ok(());
        }
        if at < s.trigger_since {
            says.push(format!(
                "At {when} it had another trigger; it has the present one since {}.",
                local(s.trigger_since, &s.zone)
            ));
        }
        let trigger = self.present_trigger(s)?;
        let next = trigger.next_after(&s.zone, at);
        let last = trigger.last_until(&s.zone, at);
        says.push(format!("It was not due at {when}."));
        if let Some(last) = last.filter(|last| *last >= s.trigger_since) {
            says.push(format!("Its last instant before that was {}.", local(last, &s.zone)));
        }
        if let Some(next) = next.filter(|next| *next <= now) {
            says.push(format!("Its next instant after that was {}.", local(next, &s.zone)));
        }
        Ok(())
    }
}

fn say_run(run: &Run, zone: &TimeZone) -> String {
    let late =
        run.started_at.map(|start| Duration::from_micros((start.micros() - run.due_at.micros()).max(0).unsigned_abs()));
    let started = late.map_or(String::new(), |late| format!("started {} after its time, ", short(late)));
    let took = run.started_at.zip(run.ended_at).map(|(start, end)| short(end.since(start)));
    let attempts = if run.attempts > 1 { format!(" after {} attempts", run.attempts) } else { String::new() };
    match run.status {
        RunStatus::Queued if run.retry_at.is_some() => {
            "It waits for its own time, so that not everything starts at once.".to_owned()
        }
        RunStatus::Queued => "It waits for a place or for an earlier run.".to_owned(),
        RunStatus::Starting => "It is being started.".to_owned(),
        RunStatus::Running if run.retry_at.is_some() => {
            let why = run.message.clone().unwrap_or_default();
            format!(
                "Attempt {} failed ({why}); the next one begins at {}.",
                run.attempts,
                local(run.retry_at.unwrap_or_default(), zone)
            )
        }
        RunStatus::Running => format!("It {started}and runs as process {}.", run.process.as_ref().map_or(0, |p| p.pid)),
        RunStatus::Paused => "It is paused: nothing new starts until it is unpaused.".to_owned(),
        RunStatus::Compensating => format!("It {started}failed or was cancelled, and undoes what it has done."),
        RunStatus::Interrupted => {
            format!("Its worker was lost ({}); it goes on in a new one.", run.message.clone().unwrap_or_default())
        }
        RunStatus::Completed => format!("It {started}succeeded in {}{attempts}.", took.unwrap_or_default()),
        RunStatus::Failed => {
            let why = run.message.clone().or(run.reason.map(|r| r.as_str().to_owned())).unwrap_or_default();
            format!("It {started}failed in {}{attempts}: {why}.", took.unwrap_or_else(|| "no time".to_owned()))
        }
        RunStatus::Cancelled => {
            let why = match run.reason {
                Some(Reason::Superseded) => "a newer run took its place (overlap = replace)".to_owned(),
                _ => run.message.clone().or(run.reason.map(|r| r.as_str().to_owned())).unwrap_or_default(),
            };
            format!("It was cancelled: {why}.")
        }
    }
}

fn short(length: Duration) -> String {
    match length.as_secs_f64() {
        s if s < 1.0 => format!("{:.1} ms", s * 1000.0),
        s if s < 60.0 => format!("{s:.1} s"),
        _ => units::format_duration(Duration::from_secs(length.as_secs())),
    }
}

fn say_skip(schedule: &Schedule, skip: &Skip) -> String {
    match skip {
        Skip::Paused => {
            "It was skipped because the schedule was paused; slothctl scheduler enable lets it fire again.".to_owned()
        }
        Skip::Overlap { by } => format!(
            "It was skipped because run {by} had not ended (overlap); set overlap to queue, replace or allow if both shall run."
        ),
        Skip::Deadline => {
            let limit = schedule.start_deadline.map_or(String::new(), units::format_duration);
            format!("It was skipped because it could not start within start_deadline ({limit}).")
        }
        Skip::CatchUp => format!(
            "It was missed, and not made up: catch_up is {}, catch_up_window {}.",
            match schedule.catch_up() {
                sloth_core::CatchUp::None => "none",
                sloth_core::CatchUp::Latest => "latest",
                sloth_core::CatchUp::All => "all",
            },
            units::format_duration(schedule.catch_up_window)
        ),
        Skip::Quiesced => "It was skipped because slothd was in maintenance (pause-all), or an inhibitor was held when its schedule was changed.".to_owned(),
        Skip::Limit => {
            format!("It was skipped because {} runs were waiting already (queue_limit).", schedule.queue_limit)
        }
    }
}
