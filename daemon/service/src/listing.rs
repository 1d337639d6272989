//! Schedules for reading: list, show, the next instants, what an expression means, export.

use sloth_api::{NextInstant, Page, ScheduleView, ValidateReply, ValidateRequest};
use sloth_core::machine::Loaded;
use sloth_core::trigger::{Trigger, TriggerKind};
use sloth_core::{Schedule, Uid};
use sloth_store::ScheduleFilter;

use crate::access::Action;
use crate::fields::zone;
use crate::show::{minimal_spec, next_instants, schedule_view};
use crate::time_text::{Span, parse_time};
use crate::{Caller, Service, ServiceError};

/// Which schedules.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// Of everybody (administrators) instead of the caller.
    pub all_users: bool,
    /// With this tag.
    pub tag: Option<String>,
    /// Whose last run failed.
    pub failed: bool,
    /// At most so many.
    pub limit: u32,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

impl Service {
    /// The trigger with the anchor of the present clock epoch.
    pub(crate) fn present_trigger(&self, schedule: &Schedule) -> Result<Trigger, ServiceError> {
        if !matches!(schedule.trigger, Trigger::Every { .. }) {
            return Ok(schedule.trigger.clone());
        }
        let epochs = self.store.clock_epochs()?;
        let epoch = epochs.last().map_or(0, |epoch| epoch.epoch);
        Ok(sloth_core::ledger::trigger_in_epoch(&schedule.trigger, schedule.trigger_epoch, epoch, &epochs))
    }

    pub(crate) fn view(&self, loaded: &Loaded) -> Result<ScheduleView, ServiceError> {
        let s = &loaded.schedule;
        let next = self.present_trigger(s)?.next_after(&s.zone, self.host.now());
        let open = self.store.open_runs(Some(s.id))?.remove(&s.id).unwrap_or_default();
        Ok(schedule_view(&*self.host, loaded, open, next))
    }

    /// One schedule.
    pub async fn show(&self, caller: &Caller, name: &str) -> Result<ScheduleView, ServiceError> {
        let loaded = self.find(caller, name, "schedule:read").await?;
        self.view(&loaded)
    }

    /// A page of schedules.
    pub async fn list(&self, caller: &Caller, query: &ListQuery) -> Result<Page<ScheduleView>, ServiceError> {
        if query.all_users {
            self.require_admin(caller, Action::new("schedule:list", "schedule", "*")).await?;
        }
        let after = query.cursor.as_deref().map(read_cursor).transpose()?;
        let filter = ScheduleFilter {
            owner: (!query.all_users).then_some(caller.uid),
            tag: query.tag.clone(),
            failed: query.failed,
            enabled: None,
            after,
        };
        let list = self.store.schedules(&filter, query.limit.clamp(1, 1000))?;
        for broken in &list.broken {
            tracing::error!(%broken, "a schedule cannot be read");
        }
        let items: Result<_, _> = list.items.iter().map(|loaded| self.view(loaded)).collect();
        Ok(Page { items: items?, next_cursor: list.next.map(|(uid, name)| format!("{uid}/{name}")) })
    }

    /// The next instants of a schedule.
    pub async fn next(
        &self,
        caller: &Caller,
        name: &str,
        n: usize,
        from: Option<&str>,
    ) -> Result<Vec<NextInstant>, ServiceError> {
        let loaded = self.find(caller, name, "schedule:read").await?;
        let s = &loaded.schedule;
        let now = self.host.now();
        let from = from.map_or(Ok(now), |text| parse_time("from", text, &s.zone, now, Span::Ahead))?;
        Ok(next_instants(&self.present_trigger(s)?, &s.zone, from, check_count(n)?))
    }

    /// The next instants of an expression.
    pub fn next_of(
        &self,
        expr: &str,
        timezone: Option<&str>,
        n: usize,
        from: Option<&str>,
    ) -> Result<Vec<NextInstant>, ServiceError> {
        let zone = zone(&*self.host, timezone)?;
        let now = self.host.now();
        let trigger = Trigger::parse(expr, &zone).map_err(|error| ServiceError::trigger("expr", &error))?;
        let from = from.map_or(Ok(now), |text| parse_time("from", text, &zone, now, Span::Ahead))?;
        let trigger = trigger.with_anchor(from);
        Ok(next_instants(&trigger, &zone, from, check_count(n)?))
    }

    /// What an expression means.
    pub fn validate(&self, request: &ValidateRequest) -> Result<ValidateReply, ServiceError> {
        let zone = zone(&*self.host, request.timezone.as_deref())?;
        let trigger = Trigger::parse(&request.expr, &zone).map_err(|error| ServiceError::trigger("expr", &error))?;
        let now = self.host.now();
        let trigger = trigger.with_anchor(now);
        let (kind, remarks) = match trigger.kind() {
            TriggerKind::Fixed => (
                "fixed",
                vec![
                    "when the clock goes forward over an instant, it is made up right after the gap; when it goes back, only the first pass counts",
                    "missed instants: the latest is made up (catch_up = latest)",
                ],
            ),
            TriggerKind::Interval => (
                "interval",
                vec![
                    "keeps its real cadence over clock changes: what falls into a gap does not exist, both passes of a repeated hour count",
                    "missed instants are not made up (catch_up = none)",
                ],
            ),
            TriggerKind::Anchored => (
                "anchored",
                vec![
                    "what falls into a gap of the clock is made up once right after it; both passes of a repeated hour count",
                    "missed instants are not made up (catch_up = none)",
                ],
            ),
            TriggerKind::Single => ("single", vec!["has no instants of its own to compute"]),
        };
        Ok(ValidateReply {
            description: trigger.describe(),
            kind: kind.to_owned(),
            remarks: remarks.into_iter().map(str::to_owned).collect(),
            next: next_instants(&trigger, &zone, now, 5),
        })
    }

    /// All schedules of the caller (or, for administrators, of everybody) in a form to write to a file.
    pub async fn export(&self, caller: &Caller, format: &str, all_users: bool) -> Result<String, ServiceError> {
        let mut query = ListQuery { all_users, limit: 1000, ..ListQuery::default() };
        let mut specs = Vec::new();
        if all_users {
            self.require_admin(caller, Action::new("schedule:list", "schedule", "*")).await?;
        }
        loop {
            let filter = ScheduleFilter {
                owner: (!all_users).then_some(caller.uid),
                after: query.cursor.as_deref().map(read_cursor).transpose()?,
                ..ScheduleFilter::default()
            };
            let list = self.store.schedules(&filter, 1000)?;
            for loaded in &list.items {
                specs.push((loaded.schedule.name.clone(), minimal_spec(&*self.host, &loaded.schedule)?));
            }
            match list.next {
                Some((uid, name)) => query.cursor = Some(format!("{uid}/{name}")),
                None => break,
            }
        }
        match format {
            "toml" => Ok(crate::export::to_toml(&specs)),
            "crontab" => Ok(crate::export::to_crontab(&specs)),
            other => Err(ServiceError::field("format", format!("{other:?} is not one of toml, crontab"))),
        }
    }
}

fn check_count(n: usize) -> Result<usize, ServiceError> {
    match (1..=1000).contains(&n) {
        true => Ok(n),
        false => Err(ServiceError::field("n", format!("{n} is not between 1 and 1000"))),
    }
}

fn read_cursor(text: &str) -> Result<(Uid, String), ServiceError> {
    let parts = text.split_once('/').and_then(|(uid, name)| Some((Uid(uid.parse().ok()?), name.to_owned())));
    parts.ok_or_else(|| ServiceError::field("cursor", "is not one that slothd gave out"))
}
