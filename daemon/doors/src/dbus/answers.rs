//! What objects say of themselves: their properties, from the same views that HTTP answers with.

use std::collections::BTreeMap;

use sloth_api::{ErrorCode, RunView, ScheduleView};
use sloth_service::{RunQuery, ServiceError};
use zbus::{ObjectPath, Variant};

use super::call::{Known, Refused};
use super::contract::{MANAGER, RUN, SCHEDULE};
use super::object::{BASE, run_path, schedule_path};
use super::values::{Dictionary, dictionary, micros};

/// Objects in one answer at most.
pub(super) const OBJECTS_MAX: usize = 10_000;

/// Interfaces with their properties.
pub(super) type Interfaces = BTreeMap<&'static str, Dictionary>;

fn text(value: &str) -> Variant<'static> {
    Variant::from(value.to_owned())
}

fn named<const N: usize>(list: [(&str, Variant<'static>); N]) -> Dictionary {
    list.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Properties of the manager. The figures are everybody's, as those of `GET /status` are.
pub(super) fn of_manager(service: &sloth_service::Service) -> Result<Dictionary, ServiceError> {
    let status = service.status(None)?;
    let features = match service.features() {
        serde_json::Value::Object(features) => dictionary(features),
        _ => Dictionary::new(),
    };
    Ok(named([
        ("Version", text(&status.version)),
        ("State", text(&status.state)),
        ("NSchedules", Variant::U64(status.schedules)),
        ("NRunning", Variant::U64(status.running)),
        ("NQueued", Variant::U64(status.queued)),
        ("NextElapseUSec", Variant::U64(micros(status.next_due.as_deref()))),
        ("Features", Variant::from(features)),
    ]))
}

/// Properties of a schedule.
pub(super) fn of_schedule(view: &ScheduleView) -> Dictionary {
    let field = |name: &str| view.spec.get(name).and_then(|value| value.as_str()).unwrap_or_default();
    let last = view.last.as_ref();
    let started = last.and_then(|last| {
        let length = last.duration_ms.and_then(|ms| u64::try_from(ms).ok())?;
        Some(micros(Some(&last.ended_at)).saturating_sub(length * 1000))
    });
    named([
        ("Name", text(&view.name)),
        ("Owner", text(&view.owner)),
        ("Enabled", Variant::Bool(view.paused.is_none())),
        ("Trigger", text(field("trigger"))),
        ("Timezone", text(field("timezone"))),
        ("NextElapseUSec", Variant::U64(micros(view.next_due.as_deref()))),
        ("LastResult", text(last.map_or("", |last| last.reason.as_deref().unwrap_or(&last.status)))),
        ("LastStartUSec", Variant::U64(started.unwrap_or(0))),
    ])
}

/// Properties of a run.
pub(super) fn of_run(view: &RunView) -> Dictionary {
    named([
        ("Id", text(&view.id)),
        ("Schedule", text(&view.schedule)),
        ("State", text(&view.status)),
        ("Attempt", Variant::U32(view.attempts)),
        ("StartUSec", Variant::U64(micros(view.started_at.as_deref()))),
    ])
}

/// The schedule at a path.
pub(super) async fn schedule(known: &Known<'_>, id: &str) -> Result<ScheduleView, Refused> {
    match known.call.service().show_by_id(&known.who, id).await {
        Err(error) if error.code == ErrorCode::NotFound => Err(Refused::no_object(schedule_path(id).as_str())),
        other => Ok(other?),
    }
}

/// The run at a path: one that has ended is no object any more.
pub(super) async fn open_run(known: &Known<'_>, id: &str) -> Result<RunView, Refused> {
    match known.call.service().run(&known.who, id, None).await {
        Ok(view) if is_open(&view) => Ok(view),
        Ok(_) => Err(Refused::no_object(run_path(id).as_str())),
        Err(error) if error.code == ErrorCode::NotFound => Err(Refused::no_object(run_path(id).as_str())),
        Err(error) => Err(error.into()),
    }
}

fn is_open(view: &RunView) -> bool {
    OPEN.contains(&view.status.as_str())
}

/// States of runs that are objects.
const OPEN: [&str; 3] = ["queued", "starting", "running"];

/// The first of the unfinished runs that the caller may see, so many.
pub(super) async fn open_runs(known: &Known<'_>, max: usize) -> Result<Vec<RunView>, ServiceError> {
    let mut query = RunQuery { status: OPEN.map(str::to_owned).to_vec(), limit: 1000, ..RunQuery::default() };
    let mut runs = Vec::new();
    loop {
        let page = known.call.service().runs(&known.who, &query).await?;
        runs.extend(page.items);
        query.cursor = page.next_cursor;
        if query.cursor.is_none() || runs.len() >= max {
            runs.truncate(max);
            return Ok(runs);
        }
    }
}

/// Everything below the object manager that the caller may see.
pub(super) async fn managed_objects(known: &Known<'_>) -> Result<BTreeMap<ObjectPath<'static>, Interfaces>, Refused> {
    let service = known.call.service();
    let mut objects = BTreeMap::new();
    let manager = ObjectPath::from_string_unchecked(format!("{BASE}/Manager"));
    objects.insert(manager, Interfaces::from([(MANAGER.name, of_manager(service)?)]));
    for view in service.schedule_views(&known.who, OBJECTS_MAX).await? {
        objects.insert(schedule_path(&view.id), Interfaces::from([(SCHEDULE.name, of_schedule(&view))]));
    }
    let runs = open_runs(known, OBJECTS_MAX + 1).await?;
    if runs.len() > OBJECTS_MAX {
        let message = format!("there are more than {OBJECTS_MAX} unfinished runs");
        return Err(ServiceError::new(ErrorCode::PayloadTooLarge, message)
            .hint("read them in pages: slothctl runs list, GET /api/v1/runs")
            .into());
    }
    for view in runs {
        objects.insert(run_path(&view.id), Interfaces::from([(RUN.name, of_run(&view))]));
    }
    Ok(objects)
}
