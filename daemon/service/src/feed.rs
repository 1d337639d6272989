//! The event feed and the audit trail, for reading.

use sloth_api::event::{Event, TYPES};
use sloth_api::{AuditEntry, ErrorCode, Page};
use sloth_core::record::Severity;
use sloth_core::{Moment, RunId, Uid};
use sloth_store::{AuditFilter, EventFilter, EventRow};

use crate::access::Action;
use crate::fields::zone;
use crate::time_text::{Span, parse_time};
use crate::{Caller, Service, ServiceError};

/// Which events.
#[derive(Clone, Debug, Default)]
pub struct EventQuery {
    /// Exact types and globs; empty: all.
    pub types: Vec<String>,
    /// At least this severe.
    pub severity: Option<String>,
    /// Of this run.
    pub run: Option<String>,
    /// Since.
    pub since: Option<String>,
    /// Before.
    pub until: Option<String>,
    /// After this sequence number, oldest first.
    pub after: Option<i64>,
    /// At most so many.
    pub limit: u32,
    /// Where the last page ended (newest first).
    pub cursor: Option<String>,
}

/// An event as it goes over the wire.
pub fn event_view(row: EventRow) -> Event {
    Event {
        seq: row.seq,
        id: row.id.to_string(),
        kind: row.kind,
        severity: severity_word(row.severity).to_owned(),
        source: row.source,
        message: row.message,
        timestamp: row.at.rfc3339(),
        stack: row.stack,
        agent: row.agent,
        run_id: row.run.map(|run| run.to_string()),
        task: row.task,
        user: row.user,
        data: serde_json::from_str(&row.data).unwrap_or_default(),
        trace_id: row.trace_id,
    }
}

fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
        Severity::Critical => "critical",
    }
}

impl Service {
    /// The filter of a query, for lists and streams. Users see the events of their own runs and schedules, administrators all.
    pub async fn event_filter(&self, caller: &Caller, query: &EventQuery) -> Result<EventFilter, ServiceError> {
        let now = self.host.now();
        let local = zone(&*self.host, None)?;
        let time = |field, text: &Option<String>| {
            text.as_deref().map(|text| parse_time(field, text, &local, now, Span::Ago)).transpose()
        };
        let run: Option<RunId> = match &query.run {
            Some(id) => Some(self.find_run(caller, id, "event:read").await?.id),
            None => None,
        };
        for kind in &query.types {
            let good = kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._*?[]".contains(&b));
            if !good || kind.is_empty() || kind.len() > 100 {
                return Err(ServiceError::field("type", format!("{kind:?} is no event type or glob"))
                    .hint(format!("types are for example {}; globs run.*, *.failed", TYPES[..3].join(", "))));
            }
        }
        Ok(EventFilter {
            types: query.types.clone(),
            severity: query.severity.as_deref().map(read_severity).transpose()?,
            run,
            since: time("since", &query.since)?,
            until: time("until", &query.until)?,
            owner: (!caller.admin).then_some(caller.uid),
            newest_first: query.after.is_none(),
        })
    }

    /// A page of events: newest first, or oldest first after a sequence number.
    pub async fn events(&self, caller: &Caller, query: &EventQuery) -> Result<Page<Event>, ServiceError> {
        let filter = self.event_filter(caller, query).await?;
        let from = match (&query.cursor, query.after) {
            (Some(cursor), _) => {
                cursor.parse().map_err(|_| ServiceError::field("cursor", "is not one that slothd gave out"))?
            }
            (None, after) => after.unwrap_or(0),
        };
        let page = self.store.events(from, &filter, query.limit.clamp(1, 1000))?;
        let full = page.items.len() >= query.limit.clamp(1, 1000) as usize;
        let items = page.items.into_iter().map(event_view).collect();
        Ok(Page { items, next_cursor: (full && page.next != 0).then(|| page.next.to_string()) })
    }

    /// One event, by id or sequence number.
    pub async fn event_by_id(&self, caller: &Caller, id: &str) -> Result<Event, ServiceError> {
        let missing = || ServiceError::new(ErrorCode::NotFound, format!("there is no event {id:?}"));
        let row = match (id.parse(), id.parse::<i64>()) {
            (Ok(id), _) => self.store.event(id)?.ok_or_else(missing)?,
            (_, Ok(seq)) => {
                let page = self.store.events(seq.saturating_sub(1), &EventFilter::default(), 1)?;
                page.items.into_iter().find(|row| row.seq == seq).ok_or_else(missing)?
            }
            _ => return Err(missing().hint("an id (UUID) or a sequence number")),
        };
        if !caller.admin {
            let mut query = EventQuery { after: Some(row.seq.saturating_sub(1)), limit: 1, ..EventQuery::default() };
            query.types = vec![row.kind.clone()];
            let visible = self.events(caller, &query).await?.items;
            if visible.first().is_none_or(|event| event.seq != row.seq) {
                return Err(missing());
            }
        }
        Ok(event_view(row))
    }

    /// A page of the audit trail, newest first.
    pub async fn audit_list(
        &self,
        caller: &Caller,
        user: Option<&str>,
        (action, result): (Option<String>, Option<String>),
        since: Option<&str>,
        (limit, cursor): (u32, Option<&str>),
    ) -> Result<Page<AuditEntry>, ServiceError> {
        self.require_admin(caller, Action::new("audit:read", "audit", "*")).await?;
        let local = zone(&*self.host, None)?;
        let now = self.host.now();
        let uid = |name: &str| -> Result<Uid, ServiceError> {
            self.host.user_id(name).ok_or_else(|| ServiceError::field("user", format!("there is no user {name:?}")))
        };
        let filter = AuditFilter {
            before: match cursor {
                Some(text) => {
                    Some(text.parse().map_err(|_| ServiceError::field("cursor", "is not one that slothd gave out"))?)
                }
                None => None,
            },
            uid: user.map(uid).transpose()?,
            action,
            object_id: None,
            result: match result.as_deref() {
                None | Some("ok" | "denied" | "error") => result,
                Some(other) => {
                    return Err(ServiceError::field("result", format!("{other:?} is not one of ok, denied, error")));
                }
            },
            since: since.map(|text| parse_time("since", text, &local, now, Span::Ago)).transpose()?,
        };
        let page = self.store.audit(&filter, limit.clamp(1, 1000))?;
        let items = page.items.into_iter().map(|row| AuditEntry {
            seq: row.seq,
            at: Moment::from_micros(row.at * 1000).rfc3339(),
            user: row.user,
            uid: row.uid,
            method: row.method,
            action: row.action,
            object: row.object,
            object_id: row.object_id,
            result: row.result,
            reason: row.reason,
            request_id: row.request_id,
            details: serde_json::from_str(&row.details).unwrap_or(serde_json::Value::Null),
        });
        Ok(Page { items: items.collect(), next_cursor: page.next.map(|seq| seq.to_string()) })
    }
}

fn read_severity(word: &str) -> Result<Severity, ServiceError> {
    match word {
        "info" => Ok(Severity::Info),
        "warning" => Ok(Severity::Warning),
        "error" => Ok(Severity::Error),
        "critical" => Ok(Severity::Critical),
        other => {
            Err(ServiceError::field("severity", format!("{other:?} is not one of info, warning, error, critical")))
        }
    }
}
