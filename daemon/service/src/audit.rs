//! The ledger against the rules: recomputes every due instant and compares rows and runs.

use std::time::Duration;

use sloth_api::{AuditDifference, AuditReport};
use sloth_core::Moment;
use sloth_core::audit::{DifferenceKind, Folded, Row, RowKind, Scope, audit};
use sloth_core::machine::Loaded;
use sloth_store::{OccurrenceFilter, ScheduleFilter, Store};

use crate::database::blocking;
use crate::fields::zone;
use crate::time_text::{Span, parse_time};
use crate::{Caller, Service, ServiceError};

/// Instants so near may still be on their way to the disk.
const SETTLED: Duration = Duration::from_secs(3);
/// A claimed instant is decided at its time; after so long something is wrong.
const UNDECIDED: Duration = Duration::from_secs(60);
/// Rows read at once.
const PAGE: u32 = 5000;
/// Differences that are described.
const DIFFERENCES_MAX: usize = 1000;

impl Service {
    /// Audits one schedule, or all: of everybody for administrators, else the caller's own.
    pub async fn audit(
        &self,
        caller: &Caller,
        name: Option<&str>,
        since: Option<&str>,
    ) -> Result<AuditReport, ServiceError> {
        let local = zone(&*self.host, None)?;
        let now = self.host.now();
        let since = since.map_or(Ok(Moment::MIN), |text| parse_time("since", text, &local, now, Span::Ago))?;
        let one = match name {
            Some(name) => Some(self.find(caller, name, "schedule:read").await?),
            None => None,
        };
        let owner = (!caller.admin).then_some(caller.uid);
        let store = self.store.clone();
        let upto = now - SETTLED;
        // What an inhibitor holds back is decided when it ends.
        let held_back = self.inhibitors.since().map_or(Duration::ZERO, |since| now.since(since));
        blocking(move || {
            let mut report = empty();
            match one {
                Some(loaded) => audit_one(&store, &loaded, (since, upto, held_back), &mut report)?,
                None => {
                    let mut filter = ScheduleFilter { owner, ..ScheduleFilter::default() };
                    loop {
                        let list = store.schedules(&filter, 1000)?;
                        for loaded in &list.items {
                            audit_one(&store, loaded, (since, upto, held_back), &mut report)?;
                        }
                        for broken in list.broken {
                            differ(&mut report, "?", Moment::MIN, "unreadable", broken.to_string());
                        }
                        match list.next {
                            Some(next) => filter.after = Some(next),
                            None => break,
                        }
                    }
                }
            }
            report.clean = report.differences.is_empty();
            Ok(report)
        })
        .await?
    }
}

fn empty() -> AuditReport {
    AuditReport { clean: true, schedules: 0, instants: 0, rows: 0, folded: 0, differences: Vec::new() }
}

fn differ(report: &mut AuditReport, schedule: &str, due_at: Moment, kind: &str, message: String) {
    if report.differences.len() < DIFFERENCES_MAX {
        report.differences.push(AuditDifference {
            schedule: schedule.to_owned(),
            due_at: due_at.rfc3339(),
            kind: kind.to_owned(),
            message,
        });
    }
}

fn audit_one(
    store: &Store,
    loaded: &Loaded,
    (since, upto, held_back): (Moment, Moment, Duration),
    report: &mut AuditReport,
) -> Result<(), ServiceError> {
    let schedule = &loaded.schedule;
    let name = format!("{}/{}", schedule.owner_name, schedule.name);
    let history = store.periods(schedule.id)?;
    let epochs = store.clock_epochs()?;
    let folded = store.summary(schedule.id)?.map(|summary| Folded {
        from: summary.first_due,
        to: summary.last_due,
        count: summary.run + summary.coalesced + summary.skipped,
    });
    let scope = Scope { since, upto, undecided: schedule.jitter + UNDECIDED + held_back };
    let mut trouble = None;
    let rows =
        Rows { store, schedule, scope, page: Vec::new().into_iter(), after: None, over: false, trouble: &mut trouble };
    let found = audit(&history, &epochs, folded, rows, scope);
    if let Some(error) = trouble {
        return Err(error);
    }
    report.schedules += 1;
    report.instants += found.instants;
    report.rows += found.rows;
    report.folded += found.folded;
    for difference in found.differences {
        let kind = match difference.kind {
            DifferenceKind::MissingRow => "missing_row",
            DifferenceKind::UnexpectedRow => "unexpected_row",
            DifferenceKind::Undecided => "undecided",
            DifferenceKind::Repeated => "repeated_row",
        };
        differ(report, &name, difference.due_at, kind, difference.message);
    }
    for (due_at, message) in store.ledger_against_runs(schedule.id, since, upto)? {
        differ(report, &name, due_at, "run_without_row", message);
    }
    Ok(())
}

/// All rows of a schedule in order, page by page.
struct Rows<'a> {
    store: &'a Store,
    schedule: &'a sloth_core::Schedule,
    scope: Scope,
    page: std::vec::IntoIter<sloth_store::OccurrenceRow>,
    after: Option<(Moment, u32)>,
    over: bool,
    trouble: &'a mut Option<ServiceError>,
}

impl Iterator for Rows<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        loop {
            if let Some(row) = self.page.next() {
                self.after = Some((row.occurrence.due_at, row.occurrence.epoch));
                let kind = RowKind::of(row.decision.as_ref());
                return Some(Row { due_at: row.occurrence.due_at, epoch: row.occurrence.epoch, kind });
            }
            if self.over {
                return None;
            }
            let filter = OccurrenceFilter {
                since: Some(self.scope.since),
                until: Some(self.scope.upto + Duration::from_micros(1)),
                newest_first: false,
                after: self.after,
            };
            match self.store.occurrences(self.schedule.id, &filter, PAGE) {
                Ok(rows) => {
                    self.over = rows.len() < PAGE as usize;
                    self.page = rows.into_iter();
                }
                Err(error) => {
                    *self.trouble = Some(error.into());
                    self.over = true;
                }
            }
        }
    }
}
