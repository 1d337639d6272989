//! Routes of runs.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use sloth_api::{CancelReply, CancelRequest, LogPage, Page, RunView};
use sloth_service::{LogWish, RunQuery};

use super::Door;
use super::answer::{Answer, Refused, ok};
use super::request::{Body, Path, Query, Who, duration};
use super::streams;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct List {
    schedule: Option<String>,
    status: Option<String>,
    owner: Option<String>,
    trigger: Option<String>,
    stack: Option<String>,
    workflow: Option<String>,
    user: Option<String>,
    label: Option<String>,
    since: Option<String>,
    until: Option<String>,
    limit: u32,
    cursor: Option<String>,
}

impl Default for List {
    fn default() -> Self {
        List {
            schedule: None,
            status: None,
            owner: None,
            trigger: None,
            stack: None,
            workflow: None,
            user: None,
            label: None,
            since: None,
            until: None,
            limit: 100,
            cursor: None,
        }
    }
}

pub(crate) async fn list(State(door): State<Door>, Who(who): Who, Query(q): Query<List>) -> Answer<Page<RunView>> {
    let query = RunQuery {
        schedule: q.schedule,
        status: q.status.iter().flat_map(|words| words.split(',')).map(str::to_owned).collect(),
        owner: q.owner,
        trigger: q.trigger,
        stack: q.stack,
        workflow: q.workflow,
        user: q.user,
        label: q.label,
        since: q.since,
        until: q.until,
        limit: q.limit,
        cursor: q.cursor,
    };
    ok(door.service.runs(&who, &query).await)
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Show {
    wait: Option<String>,
}

pub(crate) async fn show(
    State(door): State<Door>,
    Who(who): Who,
    Path(id): Path,
    Query(q): Query<Show>,
) -> Answer<RunView> {
    let wait = duration("wait", q.wait.as_deref())?;
    ok(door.service.run(&who, &id, wait).await)
}

pub(crate) async fn delete(State(door): State<Door>, Who(who): Who, Path(id): Path) -> Answer<RunView> {
    ok(door.service.delete_run(&who, &id).await)
}

pub(crate) async fn cancel(
    State(door): State<Door>,
    Who(who): Who,
    Path(id): Path,
    Body(request): Body<CancelRequest>,
) -> Answer<CancelReply> {
    ok(door.service.cancel(&who, &id, &request).await)
}

/// Text in one answer at most, bytes.
const LOG_BYTES: usize = 1 << 20;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Logs {
    offset: u64,
    limit_bytes: Option<usize>,
    stream: Option<String>,
    tail: Option<usize>,
}

impl Logs {
    fn wish(self) -> LogWish {
        let bytes_max = self.limit_bytes.unwrap_or(LOG_BYTES).clamp(1, 8 * LOG_BYTES);
        LogWish { offset: self.offset, bytes_max, stream: self.stream, tail: self.tail }
    }
}

pub(crate) async fn logs(
    State(door): State<Door>,
    Who(who): Who,
    Path(id): Path,
    Query(q): Query<Logs>,
) -> Answer<LogPage> {
    ok(door.service.logs(&who, &id, &q.wish()).await)
}

pub(crate) async fn log_stream(
    State(door): State<Door>,
    Who(who): Who,
    Path(id): Path,
    headers: axum::http::HeaderMap,
    Query(mut q): Query<Logs>,
) -> Response {
    if let Some(last) = streams::last_event_id(&headers) {
        q.offset = u64::try_from(last).unwrap_or(0);
        q.tail = None;
    }
    match door.service.run_record(&who, &id).await {
        Ok(run) => streams::logs(door, who, run, q.wish()).into_response(),
        Err(error) => Refused(error).into_response(),
    }
}
