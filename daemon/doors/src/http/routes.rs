//! The table of routes. Router and OpenAPI document are both made from it, so neither can know a route that the other does not.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use sloth_api as api;
use sloth_api::BODY_BYTES_MAX;

use super::answer::{identify, no_method, no_route};
use super::{Door, daemon_routes as d, feed_routes as f, run_routes as r, schedule_routes as s, workflow_routes as w};

/// One route of the API.
pub struct Route {
    /// `GET`, …
    pub method: &'static str,
    /// Below `/api/v1`.
    pub path: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Query parameters: name and meaning.
    pub query: &'static [(&'static str, &'static str)],
    /// Schema of the body.
    pub body: Option<fn(&mut SchemaGenerator) -> Schema>,
    /// Schema of the answer; `None`: a stream or text.
    pub reply: Option<fn(&mut SchemaGenerator) -> Schema>,
    /// Status of success.
    pub status: u16,
    handler: fn() -> MethodRouter<Door>,
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

macro_rules! routes {
    ($( $method:ident $path:literal $handler:path, $summary:literal
        $(, query [$($query:tt)*])? $(, body $body:ty)? $(, reply $reply:ty)? $(, status $status:literal)? ;)*) => {
        /// All routes below `/api/v1`.
        pub const ROUTES: &[Route] = &[$(Route {
            method: routes!(@name $method),
            path: $path,
            summary: $summary,
            query: routes!(@query $($($query)*)?),
            body: routes!(@schema $($body)?),
            reply: routes!(@schema $($reply)?),
            status: routes!(@status $($status)?),
            handler: || $method($handler),
        }),*];
    };
    (@name get) => { "GET" };
    (@name post) => { "POST" };
    (@name put) => { "PUT" };
    (@name patch) => { "PATCH" };
    (@name delete) => { "DELETE" };
    (@query) => { &[] };
    (@query $($name:literal $text:literal),*) => { &[$(($name, $text)),*] };
    (@schema) => { None };
    (@schema $type:ty) => { Some(schema::<$type>) };
    (@status) => { 200 };
    (@status $status:literal) => { $status };
}

routes! {
    get "/version" d::version, "Versions of slothd and of the protocol", reply api::VersionView;
    get "/status" d::status, "Everything in one look", reply api::StatusView;
    get "/health" d::health, "Health checks", reply api::HealthView;
    get "/features" d::features, "What this daemon and this machine can do", reply serde_json::Value;
    get "/whoami" d::whoami, "Who the caller is", reply api::WhoamiView;
    get "/config" d::config, "Effective settings and their origin", reply Vec<api::Setting>;
    post "/config/reload" d::reload, "Read settings and declarative schedules again", reply api::ReloadReply;
    get "/openapi.json" d::openapi_document, "This document", reply serde_json::Value;
    get "/audit" f::audit, "The audit trail, newest first",
        query ["user" "login name", "action" "exact or glob", "result" "ok, denied or error", "since" "time", "limit" "1 to 1000", "cursor" "next_cursor of the page before"],
        reply api::Page<api::AuditEntry>;

    get "/schedules" s::list, "A page of schedules",
        query ["all_users" "of everybody (administrators)", "tag" "with this tag", "failed" "whose last run failed",
               "limit" "1 to 1000", "cursor" "next_cursor of the page before"],
        reply api::Page<api::ScheduleView>;
    post "/schedules" s::add, "Add a schedule; header Idempotency-Key", body api::AddSchedule, reply api::ScheduleChange, status 201;
    get "/schedules/-/next" s::next_of, "Next instants of an expression",
        query ["expr" "trigger", "tz" "zone", "from" "time", "n" "1 to 1000, default 10"], reply Vec<api::NextInstant>;
    get "/schedules/-/audit" s::audit_all, "Compare the whole ledger with the rules", query ["since" "time"], reply api::AuditReport;
    get "/schedules/-/export" s::export, "Schedules as text",
        query ["format" "toml or crontab", "all_users" "of everybody (administrators)"];
    get "/schedules/-/system" s::system, "The daemon's own periodic jobs", reply Vec<api::SystemJob>;
    post "/schedules/-/validate" s::validate, "What an expression means", body api::ValidateRequest, reply api::ValidateReply;
    post "/schedules/-/import" s::import, "Import crontabs, timers or YAML", body api::ImportRequest, reply api::ImportReport;
    post "/schedules/-/pause-all" s::pause_all, "Begin maintenance: nothing fires", body api::PauseAllRequest, reply api::SwitchReply;
    post "/schedules/-/resume-all" s::resume_all, "End maintenance", reply api::SwitchReply;
    get "/schedules/{name}" s::show, "A schedule", reply api::ScheduleView;
    put "/schedules/{name}" s::put, "Create or replace a schedule",
        query ["if_changed" "leave it alone when nothing differs"], body api::ScheduleSpec, reply api::ScheduleChange;
    patch "/schedules/{name}" s::patch, "Change some fields (RFC 7396; null: back to the default)",
        body api::ScheduleSpec, reply api::ScheduleChange;
    delete "/schedules/{name}" s::delete, "Delete a schedule; its history stays", reply api::ScheduleChange;
    post "/schedules/{name}/enable" s::enable, "Let it fire", reply api::ScheduleChange;
    post "/schedules/{name}/disable" s::disable, "Pause it", body api::DisableRequest, reply api::ScheduleChange;
    post "/schedules/{name}/trigger" s::trigger, "Run it now; header Idempotency-Key", body api::TriggerRequest,
        reply api::TriggerReply, status 202;
    get "/schedules/{name}/next" s::next, "Its next instants", query ["n" "1 to 1000, default 10", "from" "time"],
        reply Vec<api::NextInstant>;
    get "/schedules/{name}/occurrences" s::occurrences, "Its ledger, newest first",
        query ["from" "time", "to" "time", "limit" "1 to 1000", "cursor" "next_cursor of the page before"],
        reply api::Page<api::OccurrenceView>;
    get "/schedules/{name}/explain" s::explain, "Why an instant did or did not run", query ["at" "time"], reply api::Explanation;
    get "/schedules/{name}/audit" s::audit, "Compare its ledger with the rules", query ["since" "time"], reply api::AuditReport;

    post "/runs" w::run, "Run a workflow; header Idempotency-Key", body api::RunRequest, reply api::RunView, status 201;
    get "/runs" r::list, "A page of runs, newest first",
        query ["schedule" "name", "status" "one or more, with commas", "owner" "login name or *", "trigger" "schedule manual after api boot",
               "stack" "name", "workflow" "name", "user" "as whom it runs", "label" "name, or name=value", "since" "time", "until" "time", "limit" "1 to 1000", "cursor" "next_cursor of the page before"],
        reply api::Page<api::RunView>;
    get "/runs/{id}" r::show, "A run", query ["wait" "answer when it has ended, or after this time"], reply api::RunView;
    delete "/runs/{id}" r::delete, "Delete record and output of a run that has ended", reply api::RunView;
    post "/runs/{id}/pause" w::pause, "Start nothing new in a run", reply api::PauseReply;
    post "/runs/{id}/unpause" w::unpause, "Let a paused run go on", reply api::PauseReply;
    post "/runs/{id}/resume" w::resume, "Go on with a run that failed, was cancelled or interrupted", body api::ResumeRequest,
        reply api::RunView, status 202;
    post "/runs/{id}/rerun" w::rerun, "Run the same again; header Idempotency-Key", reply api::RunView, status 201;
    post "/runs/{id}/compensate" w::compensate, "Try again what could not be compensated", reply api::RunView, status 202;
    get "/runs/{id}/tasks" w::tasks, "Its tasks", reply api::Page<api::TaskDetail>;
    get "/runs/{id}/graph" w::graph, "Its graph", reply api::GraphView;
    get "/runs/{id}/outputs" w::outputs, "What it gave", reply serde_json::Value;
    get "/runs/{id}/checkpoints" w::checkpoints, "Its checkpoints", reply api::Page<api::CheckpointView>;
    get "/runs/{id}/artifacts" w::artifacts, "Its artifacts", reply api::Page<api::ArtifactView>;
    get "/runs/{id}/journal" w::journal, "What its workers recorded (administrators)",
        query ["after" "number of a record", "limit" "1 to 10000, default 1000"], reply api::Page<api::JournalRecordView>;
    get "/runs/{id}/bundle" w::bundle, "Its program", reply api::BundleView;
    get "/runs/{id}/values" w::values, "Values, parameters and options", reply api::ValuesView;
    get "/runs/{id}/summary" w::summary, "All of it in one object", reply api::RunSummary;
    get "/runs/{id}/events" w::events, "Its events, oldest first", query ["after" "sequence number", "limit" "1 to 1000"],
        reply api::Page<api::event::Event>;
    post "/runs/{id}/cancel" r::cancel, "End a run", body api::CancelRequest, reply api::CancelReply;
    get "/runs/{id}/logs" r::logs, "Output of a run",
        query ["offset" "where to go on", "limit_bytes" "default 1 MiB", "stream" "stdout stderr note", "tail" "last lines"],
        reply api::LogPage;
    get "/runs/{id}/logs/stream" r::log_stream, "Output of a run as it is written (server-sent events)",
        query ["offset" "where to go on", "stream" "stdout stderr note", "tail" "last lines"];

    get "/workflows" w::saved, "Saved workflows", query ["all_users" "of everybody (administrators)"],
        reply api::Page<api::SavedWorkflowView>;
    get "/workflows/{name}" w::show_saved, "A saved workflow with its program", reply api::SavedWorkflowView;
    put "/workflows/{name}" w::save, "Save a workflow under a name", body api::SaveWorkflow, reply api::SavedWorkflowView;
    delete "/workflows/{name}" w::remove_saved, "Forget a saved workflow; its runs stay", reply api::SavedWorkflowView;

    get "/events" f::list, "Events, newest first; with `after` oldest first",
        query ["type" "types or globs, with commas", "severity" "at least", "run" "id", "since" "time", "until" "time",
               "after" "sequence number", "limit" "1 to 1000", "cursor" "next_cursor of the page before"],
        reply api::Page<api::event::Event>;
    get "/events/types" f::types, "Event types of this version", reply Vec<String>;
    get "/events/{id}" f::show, "An event, by id or sequence number", reply api::event::Event;
    get "/stream" f::stream, "Live events (server-sent events); resumes with Last-Event-ID",
        query ["topics" "events, events:GLOB, runs, runs/ID, schedules", "after" "sequence number"];

    get "/db/status" d::db_status, "State of the database", reply api::DbStatusView;
    post "/db/query" d::db_query, "One reading statement", body api::QueryRequest, reply api::QueryReply;
    post "/db/check" d::db_check, "Look at every page", reply api::DbCheckReply;
    post "/db/vacuum" d::db_vacuum, "Give free pages back", reply api::DbStatusView;
    get "/backup" d::backups, "Backups, newest first", reply api::Page<api::BackupView>;
    post "/backup/create" d::backup_create, "Make a backup", body api::BackupRequest, reply api::BackupView;
    post "/backup/verify" d::backup_verify, "Compare a backup with its sums", body api::BackupId, reply api::BackupVerifyReply;
    post "/backup/restore" d::backup_restore, "Stop, restore, start again", body api::BackupId, reply serde_json::Value, status 202;
    delete "/backup/{id}" d::backup_delete, "Delete a backup", reply serde_json::Value;
}

/// The router of all routes.
pub(crate) fn router(door: Door) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(&format!("{}{}", api::BASE, route.path), (route.handler)());
    }
    router
        .route("/healthz", get(d::healthz))
        .route("/readyz", get(d::readyz))
        .route("/metrics", get(d::metrics_text))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn(identify))
        .with_state(door)
}
