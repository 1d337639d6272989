//! Routes of events, streams and the audit trail.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use sloth_api::event::{Event, TYPES};
use sloth_api::{AuditEntry, Page};
use sloth_service::{EventQuery, ServiceError};

use super::Door;
use super::answer::{Answer, Refused, ok};
use super::request::{Path, Query, Who};
use super::streams;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Events {
    r#type: Option<String>,
    severity: Option<String>,
    run: Option<String>,
    since: Option<String>,
    until: Option<String>,
    after: Option<i64>,
    limit: u32,
    cursor: Option<String>,
}

impl Default for Events {
    fn default() -> Self {
        Events {
            r#type: None,
            severity: None,
            run: None,
            since: None,
            until: None,
            after: None,
            limit: 100,
            cursor: None,
        }
    }
}

pub(crate) async fn list(State(door): State<Door>, Who(who): Who, Query(q): Query<Events>) -> Answer<Page<Event>> {
    let query = EventQuery {
        types: q.r#type.iter().flat_map(|types| types.split(',')).map(str::to_owned).collect(),
        severity: q.severity,
        run: q.run,
        since: q.since,
        until: q.until,
        after: q.after,
        limit: q.limit,
        cursor: q.cursor,
    };
    ok(door.service.events(&who, &query).await)
}

pub(crate) async fn show(State(door): State<Door>, Who(who): Who, Path(id): Path) -> Answer<Event> {
    ok(door.service.event_by_id(&who, &id).await)
}

pub(crate) async fn types(Who(_): Who) -> Answer<Vec<&'static str>> {
    ok(Ok(TYPES.to_vec()))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Stream {
    topics: Option<String>,
    after: Option<i64>,
}

pub(crate) async fn stream(
    State(door): State<Door>,
    Who(who): Who,
    headers: axum::http::HeaderMap,
    Query(q): Query<Stream>,
) -> Response {
    let Some(topics) = q.topics else {
        return Refused(
            ServiceError::field("topics", "is missing").hint("events, events:run.*, runs, runs/ID, schedules"),
        )
        .into_response();
    };
    let after = streams::last_event_id(&headers).or(q.after);
    match streams::events(door, who, &topics, after).await {
        Ok(stream) => stream.into_response(),
        Err(error) => Refused(error).into_response(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Audit {
    user: Option<String>,
    action: Option<String>,
    result: Option<String>,
    since: Option<String>,
    limit: u32,
    cursor: Option<String>,
}

impl Default for Audit {
    fn default() -> Self {
        Audit { user: None, action: None, result: None, since: None, limit: 100, cursor: None }
    }
}

pub(crate) async fn audit(State(door): State<Door>, Who(who): Who, Query(q): Query<Audit>) -> Answer<Page<AuditEntry>> {
    let page = (q.limit, q.cursor.as_deref());
    ok(door.service.audit_list(&who, q.user.as_deref(), (q.action, q.result), q.since.as_deref(), page).await)
}
