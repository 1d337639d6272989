//! The ledger for reading: rows of a schedule, newest first.

use sloth_api::{OccurrenceView, Page, RunBrief};
use sloth_core::Moment;
use sloth_core::machine::Loaded;
use sloth_core::record::{Decision, Skip};
use sloth_core::run::Run;
use sloth_store::{OccurrenceFilter, OccurrenceRow};

use crate::show::{status_word, trigger_word};
use crate::time_text::{Span, local, parse_time};
use crate::{Caller, Service, ServiceError};

/// Which rows.
#[derive(Clone, Debug, Default)]
pub struct OccurrenceQuery {
    /// Due since.
    pub from: Option<String>,
    /// Due before.
    pub to: Option<String>,
    /// At most so many.
    pub limit: u32,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

impl Service {
    /// A page of the ledger of a schedule.
    pub async fn occurrences(
        &self,
        caller: &Caller,
        name: &str,
        query: &OccurrenceQuery,
    ) -> Result<Page<OccurrenceView>, ServiceError> {
        let loaded = self.find(caller, name, "schedule:read").await?;
        let zone = &loaded.schedule.zone;
        let now = self.host.now();
        let time = |field, text: &Option<String>| {
            text.as_deref().map(|text| parse_time(field, text, zone, now, Span::Ago)).transpose()
        };
        let filter = OccurrenceFilter {
            since: time("from", &query.from)?,
            until: time("to", &query.to)?,
            newest_first: true,
            after: query.cursor.as_deref().map(read_cursor).transpose()?,
        };
        let limit = query.limit.clamp(1, 1000);
        let rows = self.store.occurrences(loaded.schedule.id, &filter, limit)?;
        let next_cursor = rows
            .last()
            .filter(|_| rows.len() >= limit as usize)
            .map(|row| format!("{}/{}", row.occurrence.due_at.micros(), row.occurrence.epoch));
        let items: Result<_, _> = rows.iter().map(|row| self.occurrence_view(&loaded, row)).collect();
        Ok(Page { items: items?, next_cursor })
    }

    pub(crate) fn occurrence_view(&self, loaded: &Loaded, row: &OccurrenceRow) -> Result<OccurrenceView, ServiceError> {
        let (decision, detail, run, trigger) = match &row.decision {
            None => ("planned", None, None, None),
            Some(Decision::Run { run, trigger }) => ("run", None, Some(*run), Some(trigger_word(*trigger))),
            Some(Decision::Coalesced { run }) => ("coalesced", None, Some(*run), None),
            Some(Decision::Skipped(skip)) => {
                let by = match skip {
                    Skip::Overlap { by } => Some(*by),
                    _ => None,
                };
                ("skipped", Some(skip.as_str()), by, None)
            }
        };
        // A run that was in the way is named, but its times are not those of this instant.
        let record = match (run, decision) {
            (Some(run), "run" | "coalesced") => self.store.run(run)?,
            _ => None,
        };
        Ok(OccurrenceView {
            due_at: row.occurrence.due_at.rfc3339(),
            local: local(row.occurrence.due_at, &loaded.schedule.zone),
            clock_epoch: row.occurrence.epoch,
            decision: decision.to_owned(),
            detail: detail.map(str::to_owned),
            run_id: run.map(|run| run.to_string()),
            trigger: trigger.map(str::to_owned),
            decided_at: row.decided_at.map(Moment::rfc3339),
            run: record.map(|run| brief(&run, self.host.now())),
        })
    }
}

fn brief(run: &Run, now: Moment) -> RunBrief {
    RunBrief {
        status: status_word(run.status).to_owned(),
        reason: run.reason.map(|reason| reason.as_str().to_owned()),
        started_at: run.started_at.map(Moment::rfc3339),
        duration_ms: run.started_at.map(|start| (run.ended_at.unwrap_or(now).micros() - start.micros()).max(0) / 1000),
        late_ms: run.started_at.map(|start| (start.micros() - run.due_at.micros()) as f64 / 1000.0),
        exit_code: run.exit_code,
        attempts: run.attempts,
    }
}

fn read_cursor(text: &str) -> Result<(Moment, u32), ServiceError> {
    let parts =
        text.split_once('/').and_then(|(us, epoch)| Some((Moment::from_micros(us.parse().ok()?), epoch.parse().ok()?)));
    parts.ok_or_else(|| ServiceError::field("cursor", "is not one that slothd gave out"))
}
