//! Routes of schedules.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value};
use sloth_api::{
    AuditReport, DisableRequest, ErrorCode, Explanation, ImportReport, ImportRequest, NextInstant, OccurrenceView,
    Page, PauseAllRequest, ScheduleChange, ScheduleSpec, ScheduleView, SwitchReply, SystemJob, TriggerReply,
    TriggerRequest, ValidateReply, ValidateRequest,
};
use sloth_service::{Caller, ListQuery, Mode, OccurrenceQuery, ServiceError};

use super::Door;
use super::answer::{Answer, Refused, ok};
use super::request::{Body, Path, Query, Who};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct List {
    all_users: bool,
    tag: Option<String>,
    failed: bool,
    limit: u32,
    cursor: Option<String>,
}

impl Default for List {
    fn default() -> Self {
        List { all_users: false, tag: None, failed: false, limit: 100, cursor: None }
    }
}

pub(crate) async fn list(State(door): State<Door>, Who(who): Who, Query(q): Query<List>) -> Answer<Page<ScheduleView>> {
    let query = ListQuery { all_users: q.all_users, tag: q.tag, failed: q.failed, limit: q.limit, cursor: q.cursor };
    ok(door.service.list(&who, &query).await)
}

pub(crate) async fn add(
    State(door): State<Door>,
    Who(who): Who,
    headers: HeaderMap,
    Body(mut body): Body<Map<String, Value>>,
) -> Response {
    let result = async {
        let key = idempotency_key(&headers)?;
        let name = match body.remove("name") {
            Some(Value::String(name)) => name,
            Some(_) => return Err(ServiceError::field("name", "is no text")),
            None => return Err(ServiceError::field("name", "is missing")),
        };
        let spec = read_spec(body)?;
        door.service.add(&who, &name, &spec, key).await
    };
    match result.await {
        Ok(change) => (StatusCode::CREATED, Json(change)).into_response(),
        Err(error) => Refused(error).into_response(),
    }
}

pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, ServiceError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let wrong = |_| ServiceError::field("Idempotency-Key", "must be 1 to 200 printable characters");
    value.to_str().map(Some).map_err(wrong)
}

fn read_spec(fields: Map<String, Value>) -> Result<ScheduleSpec, ServiceError> {
    serde_json::from_value(Value::Object(fields))
        .map_err(|error| ServiceError::new(ErrorCode::InvalidArgument, format!("body: {error}")))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Put {
    if_changed: bool,
}

/// `If-Match: "7"`: only when the schedule has this revision.
async fn precondition(door: &Door, who: &Caller, name: &str, headers: &HeaderMap) -> Result<(), ServiceError> {
    let Some(value) = headers.get("if-match") else { return Ok(()) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(());
    }
    let seen = text.trim_matches('"').parse();
    let seen = seen.map_err(|_| ServiceError::field("If-Match", "is not an ETag that slothd gave out"))?;
    door.service.check_revision(who, name, seen).await
}

/// A schedule with its revision as `ETag`.
fn tagged(result: Result<ScheduleView, ServiceError>) -> Response {
    match result {
        Ok(view) => ([("etag", format!("\"{}\"", view.revision))], Json(view)).into_response(),
        Err(error) => Refused(error).into_response(),
    }
}

pub(crate) async fn put(
    State(door): State<Door>,
    Who(who): Who,
    Path(name): Path,
    headers: HeaderMap,
    Query(q): Query<Put>,
    Body(spec): Body<ScheduleSpec>,
) -> Answer<ScheduleChange> {
    precondition(&door, &who, &name, &headers).await?;
    let mode = if q.if_changed { Mode::IfChanged } else { Mode::Replace };
    ok(door.service.put(&who, &name, &spec, mode).await)
}

pub(crate) async fn patch(
    State(door): State<Door>,
    Who(who): Who,
    Path(name): Path,
    headers: HeaderMap,
    Body(fields): Body<Map<String, Value>>,
) -> Answer<ScheduleChange> {
    precondition(&door, &who, &name, &headers).await?;
    ok(door.service.patch(&who, &name, fields).await)
}

pub(crate) async fn show(State(door): State<Door>, Who(who): Who, Path(name): Path) -> Response {
    tagged(door.service.show(&who, &name).await)
}

pub(crate) async fn delete(
    State(door): State<Door>,
    Who(who): Who,
    Path(name): Path,
    headers: HeaderMap,
) -> Answer<ScheduleChange> {
    precondition(&door, &who, &name, &headers).await?;
    ok(door.service.delete(&who, &name).await)
}

pub(crate) async fn enable(State(door): State<Door>, Who(who): Who, Path(name): Path) -> Answer<ScheduleChange> {
    ok(door.service.enable(&who, &name).await)
}

pub(crate) async fn disable(
    State(door): State<Door>,
    Who(who): Who,
    Path(name): Path,
    Body(request): Body<DisableRequest>,
) -> Answer<ScheduleChange> {
    ok(door.service.disable(&who, &name, request).await)
}

pub(crate) async fn trigger(
    State(door): State<Door>,
    Who(who): Who,
    Path(name): Path,
    headers: HeaderMap,
    Body(request): Body<TriggerRequest>,
) -> Response {
    let key = match idempotency_key(&headers) {
        Ok(key) => key,
        Err(error) => return Refused(error).into_response(),
    };
    match door.service.trigger(&who, &name, &request, key).await {
        Ok(reply) => (StatusCode::ACCEPTED, Json::<TriggerReply>(reply)).into_response(),
        Err(error) => Refused(error).into_response(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Next {
    n: usize,
    from: Option<String>,
}

impl Default for Next {
    fn default() -> Self {
        Next { n: 10, from: None }
    }
}

pub(crate) async fn next(
    State(door): State<Door>,
    Who(who): Who,
    Path(name): Path,
    Query(q): Query<Next>,
) -> Answer<Vec<NextInstant>> {
    ok(door.service.next(&who, &name, q.n, q.from.as_deref()).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NextOf {
    expr: String,
    tz: Option<String>,
    from: Option<String>,
    #[serde(default = "ten")]
    n: usize,
}

fn ten() -> usize {
    10
}

pub(crate) async fn next_of(
    State(door): State<Door>,
    Who(_): Who,
    Query(q): Query<NextOf>,
) -> Answer<Vec<NextInstant>> {
    ok(door.service.next_of(&q.expr, q.tz.as_deref(), q.n, q.from.as_deref()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Occurrences {
    from: Option<String>,
    to: Option<String>,
    limit: u32,
    cursor: Option<String>,
}

impl Default for Occurrences {
    fn default() -> Self {
        Occurrences { from: None, to: None, limit: 100, cursor: None }
    }
}

pub(crate) async fn occurrences(
    State(door): State<Door>,
    Who(who): Who,
    Path(name): Path,
    Query(q): Query<Occurrences>,
) -> Answer<Page<OccurrenceView>> {
    let query = OccurrenceQuery { from: q.from, to: q.to, limit: q.limit, cursor: q.cursor };
    ok(door.service.occurrences(&who, &name, &query).await)
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Explain {
    at: Option<String>,
}

pub(crate) async fn explain(
    State(door): State<Door>,
    Who(who): Who,
    Path(name): Path,
    Query(q): Query<Explain>,
) -> Answer<Explanation> {
    ok(door.service.explain(&who, &name, q.at.as_deref()).await)
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Since {
    since: Option<String>,
}

pub(crate) async fn audit(
    State(door): State<Door>,
    Who(who): Who,
    Path(name): Path,
    Query(q): Query<Since>,
) -> Answer<AuditReport> {
    ok(door.service.audit(&who, Some(&name), q.since.as_deref()).await)
}

pub(crate) async fn audit_all(State(door): State<Door>, Who(who): Who, Query(q): Query<Since>) -> Answer<AuditReport> {
    ok(door.service.audit(&who, None, q.since.as_deref()).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Export {
    #[serde(default = "toml")]
    format: String,
    #[serde(default)]
    all_users: bool,
}

fn toml() -> String {
    "toml".to_owned()
}

pub(crate) async fn export(
    State(door): State<Door>,
    Who(who): Who,
    Query(q): Query<Export>,
) -> Result<String, Refused> {
    Ok(door.service.export(&who, &q.format, q.all_users).await?)
}

pub(crate) async fn validate(
    State(door): State<Door>,
    Who(_): Who,
    Body(request): Body<ValidateRequest>,
) -> Answer<ValidateReply> {
    ok(door.service.validate(&request))
}

pub(crate) async fn import(
    State(door): State<Door>,
    Who(who): Who,
    Body(request): Body<ImportRequest>,
) -> Answer<ImportReport> {
    ok(door.service.import(&who, &request).await)
}

pub(crate) async fn pause_all(
    State(door): State<Door>,
    Who(who): Who,
    Body(request): Body<PauseAllRequest>,
) -> Answer<SwitchReply> {
    ok(door.service.pause_all(&who, request).await)
}

pub(crate) async fn resume_all(State(door): State<Door>, Who(who): Who) -> Answer<SwitchReply> {
    ok(door.service.resume_all(&who).await)
}

pub(crate) async fn system(State(door): State<Door>, Who(_): Who) -> Answer<Vec<SystemJob>> {
    ok(Ok(door.service.system_jobs()))
}
