//! Routes of workflow runs and of saved workflows.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use sloth_api::event::Event;
use sloth_api::{
    ArtifactView, BundleView, CheckpointView, GraphView, JournalRecordView, Page, PauseReply, ResumeRequest,
    RunRequest, RunSummary, RunView, SaveWorkflow, SavedWorkflowView, TaskDetail, ValuesView,
};
use sloth_service::EventQuery;

use super::Door;
use super::answer::{Answer, Refused, ok};
use super::request::{Body, Path, Query, Who};
use super::schedule_routes::idempotency_key;

type Made<T> = Result<(StatusCode, Json<T>), Refused>;

pub(crate) async fn run(
    State(door): State<Door>,
    Who(who): Who,
    headers: HeaderMap,
    Body(request): Body<RunRequest>,
) -> Made<RunView> {
    let key = idempotency_key(&headers)?;
    let view = door.service.run_workflow(&who, &request, key).await?;
    Ok((StatusCode::CREATED, Json(view)))
}

pub(crate) async fn rerun(
    State(door): State<Door>,
    Who(who): Who,
    Path(id): Path,
    headers: HeaderMap,
) -> Made<RunView> {
    let key = idempotency_key(&headers)?;
    Ok((StatusCode::CREATED, Json(door.service.rerun(&who, &id, key).await?)))
}

pub(crate) async fn resume(
    State(door): State<Door>,
    Who(who): Who,
    Path(id): Path,
    Body(request): Body<ResumeRequest>,
) -> Made<RunView> {
    Ok((StatusCode::ACCEPTED, Json(door.service.resume(&who, &id, &request).await?)))
}

pub(crate) async fn compensate(State(door): State<Door>, Who(who): Who, Path(id): Path) -> Made<RunView> {
    Ok((StatusCode::ACCEPTED, Json(door.service.compensate(&who, &id).await?)))
}

pub(crate) async fn pause(State(door): State<Door>, Who(who): Who, Path(id): Path) -> Answer<PauseReply> {
    ok(door.service.pause_run(&who, &id, true).await)
}

pub(crate) async fn unpause(State(door): State<Door>, Who(who): Who, Path(id): Path) -> Answer<PauseReply> {
    ok(door.service.pause_run(&who, &id, false).await)
}

pub(crate) async fn tasks(State(door): State<Door>, Who(who): Who, Path(id): Path) -> Answer<Page<TaskDetail>> {
    ok(door.service.run_tasks(&who, &id).await)
}

pub(crate) async fn graph(State(door): State<Door>, Who(who): Who, Path(id): Path) -> Answer<GraphView> {
    ok(door.service.run_graph(&who, &id).await)
}

pub(crate) async fn outputs(State(door): State<Door>, Who(who): Who, Path(id): Path) -> Answer<Value> {
    ok(door.service.run_outputs(&who, &id).await)
}

pub(crate) async fn checkpoints(
    State(door): State<Door>,
    Who(who): Who,
    Path(id): Path,
) -> Answer<Page<CheckpointView>> {
    ok(door.service.run_checkpoints(&who, &id).await)
}

pub(crate) async fn artifacts(State(door): State<Door>, Who(who): Who, Path(id): Path) -> Answer<Page<ArtifactView>> {
    ok(door.service.run_artifacts(&who, &id).await)
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct After {
    after: u64,
    limit: Option<u32>,
}

pub(crate) async fn journal(
    State(door): State<Door>,
    Who(who): Who,
    Path(id): Path,
    Query(q): Query<After>,
) -> Answer<Page<JournalRecordView>> {
    ok(door.service.run_journal(&who, &id, q.after, q.limit.unwrap_or(1000)).await)
}

pub(crate) async fn bundle(State(door): State<Door>, Who(who): Who, Path(id): Path) -> Answer<BundleView> {
    ok(door.service.run_bundle(&who, &id).await)
}

pub(crate) async fn values(State(door): State<Door>, Who(who): Who, Path(id): Path) -> Answer<ValuesView> {
    ok(door.service.run_values(&who, &id).await)
}

pub(crate) async fn summary(State(door): State<Door>, Who(who): Who, Path(id): Path) -> Answer<RunSummary> {
    ok(door.service.run_summary(&who, &id).await)
}

pub(crate) async fn events(
    State(door): State<Door>,
    Who(who): Who,
    Path(id): Path,
    Query(q): Query<After>,
) -> Answer<Page<Event>> {
    let query = EventQuery {
        run: Some(id),
        after: Some(i64::try_from(q.after).unwrap_or(i64::MAX)),
        limit: q.limit.unwrap_or(1000),
        ..EventQuery::default()
    };
    ok(door.service.events(&who, &query).await)
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Saved {
    all_users: bool,
}

pub(crate) async fn saved(
    State(door): State<Door>,
    Who(who): Who,
    Query(q): Query<Saved>,
) -> Answer<Page<SavedWorkflowView>> {
    ok(door.service.saved_workflows(&who, q.all_users).await)
}

pub(crate) async fn show_saved(State(door): State<Door>, Who(who): Who, Path(name): Path) -> Answer<SavedWorkflowView> {
    ok(door.service.saved_workflow(&who, &name).await)
}

pub(crate) async fn save(
    State(door): State<Door>,
    Who(who): Who,
    Path(name): Path,
    Body(request): Body<SaveWorkflow>,
) -> Answer<SavedWorkflowView> {
    ok(door.service.save_workflow(&who, &name, &request).await)
}

pub(crate) async fn remove_saved(
    State(door): State<Door>,
    Who(who): Who,
    Path(name): Path,
) -> Answer<SavedWorkflowView> {
    ok(door.service.remove_workflow(&who, &name).await)
}
