//! Routes of the daemon itself: version, status, health, settings, database, backups.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use sloth_api::{
    BackupId, BackupRequest, BackupVerifyReply, BackupView, DbCheckReply, DbStatusView, HealthView, PROTOCOL, Page,
    QueryReply, QueryRequest, ReloadReply, Setting, StatusView, VersionView, WhoamiView,
};

use super::answer::{Answer, Refused, ok};
use super::request::{Body, Path, Who};
use super::{Door, metrics, openapi};

pub(crate) async fn version(Who(_): Who) -> Answer<VersionView> {
    ok(Ok(VersionView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: sloth_api::BUILD_COMMIT.to_owned(),
        build_date: sloth_api::BUILD_DATE.to_owned(),
        protocol: PROTOCOL.to_owned(),
    }))
}

pub(crate) async fn status(State(door): State<Door>, Who(who): Who) -> Answer<StatusView> {
    ok(door.service.status(Some(&who)))
}

pub(crate) async fn health(State(door): State<Door>, Who(_): Who) -> Answer<HealthView> {
    ok(door.service.health())
}

pub(crate) async fn features(State(door): State<Door>, Who(_): Who) -> Answer<Value> {
    ok(Ok(door.service.features()))
}

pub(crate) async fn whoami(State(door): State<Door>, Who(who): Who) -> Answer<WhoamiView> {
    ok(Ok(door.service.whoami(&who)))
}

pub(crate) async fn config(State(door): State<Door>, Who(who): Who) -> Answer<Vec<Setting>> {
    ok(door.service.settings(&who).await)
}

pub(crate) async fn reload(State(door): State<Door>, Who(who): Who) -> Answer<ReloadReply> {
    ok(door.service.reload(&who).await)
}

pub(crate) async fn db_status(State(door): State<Door>, Who(who): Who) -> Answer<DbStatusView> {
    ok(door.service.db_status(&who).await)
}

pub(crate) async fn db_query(
    State(door): State<Door>,
    Who(who): Who,
    Body(q): Body<QueryRequest>,
) -> Answer<QueryReply> {
    ok(door.service.db_query(&who, &q.sql).await)
}

pub(crate) async fn db_check(State(door): State<Door>, Who(who): Who) -> Answer<DbCheckReply> {
    ok(door.service.db_check(&who).await)
}

pub(crate) async fn db_vacuum(State(door): State<Door>, Who(who): Who) -> Answer<DbStatusView> {
    ok(door.service.db_vacuum(&who).await)
}

pub(crate) async fn backups(State(door): State<Door>, Who(who): Who) -> Answer<Page<BackupView>> {
    ok(door.service.backups(&who).await)
}

pub(crate) async fn backup_create(
    State(door): State<Door>,
    Who(who): Who,
    Body(request): Body<BackupRequest>,
) -> Answer<BackupView> {
    ok(door.service.backup_create(&who, request).await)
}

pub(crate) async fn backup_verify(
    State(door): State<Door>,
    Who(who): Who,
    Body(request): Body<BackupId>,
) -> Answer<BackupVerifyReply> {
    ok(door.service.backup_verify(&who, &request.id).await)
}

pub(crate) async fn backup_restore(State(door): State<Door>, Who(who): Who, Body(request): Body<BackupId>) -> Response {
    match door.service.backup_restore(&who, &request.id).await {
        Ok(()) => (StatusCode::ACCEPTED, Json(json!({"status": "restoring"}))).into_response(),
        Err(error) => Refused(error).into_response(),
    }
}

pub(crate) async fn backup_delete(State(door): State<Door>, Who(who): Who, Path(id): Path) -> Answer<Value> {
    ok(door.service.backup_delete(&who, &id).await.map(|()| json!({"deleted": id})))
}

pub(crate) async fn openapi_document(Who(_): Who) -> Answer<Value> {
    ok(Ok(openapi::document()))
}

pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

pub(crate) async fn readyz(State(door): State<Door>) -> Response {
    match door.service.status(None) {
        Ok(status) if status.state != "storage_blocked" => "ready\n".into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response(),
    }
}

pub(crate) async fn metrics_text(State(door): State<Door>, Who(_): Who) -> Result<String, Refused> {
    Ok(metrics::text(&door.service.status(None)?))
}
