//! `org.slothd.Slothd1.Manager`.

use sloth_api::{CancelRequest, ErrorCode, ScheduleSpec, TriggerRequest};
use sloth_service::{Permission, ServiceError, Verdict};

use super::call::{Answer, Known, Refused};
use super::object::{run_path, schedule_path};
use super::values::{Options, dictionary, fields, request, take_text, with_times};
use super::{pipes, values};

/// Schedules in one list at most.
const SCHEDULES_MAX: usize = 50_000;

pub(super) async fn answer(known: &Known<'_>, member: &str) -> Answer {
    let call = known.call;
    match member {
        "AddSchedule" => add(known).await,
        "RemoveSchedule" => {
            let name: String = call.arguments()?;
            call.service().delete(&known.who, &name).await?;
            call.done()
        }
        "GetSchedule" => {
            let name: String = call.arguments()?;
            let view = call.service().show(&known.who, &name).await?;
            call.reply(&schedule_path(&view.id))
        }
        "ListSchedules" => list(known).await,
        "RunSchedule" => {
            let (name, options): (String, Options) = call.arguments()?;
            run_now(known, &name, &options).await
        }
        "GetRun" => get_run(known).await,
        "CancelRun" => {
            let (id, options): (String, Options) = call.arguments()?;
            cancel(known, &id, &options).await
        }
        "EmitEvent" => {
            let (kind, data): (String, Options) = call.arguments()?;
            let seq = call.service().publish(&known.who, &kind, values::fields(&data)?).await?;
            call.reply(&u64::try_from(seq).unwrap_or(0))
        }
        "Inhibit" => pipes::inhibit(known).await,
        "Reload" => reload(known).await,
        "CanRead" => can(known, Permission::Read).await,
        "CanRun" => can(known, Permission::Run).await,
        "CanCancel" => can(known, Permission::Cancel).await,
        "CanManageOwn" => can(known, Permission::ManageOwn).await,
        "CanManageAll" => can(known, Permission::ManageAll).await,
        "CanManageDaemon" => can(known, Permission::ManageDaemon).await,
        other => Err(Refused::Standard("org.freedesktop.DBus.Error.UnknownMethod", format!("no method {other}"))),
    }
}

async fn add(known: &Known<'_>) -> Answer {
    let options: Options = known.call.arguments()?;
    let mut fields = fields(&options)?;
    let key = take_text(&mut fields, "idempotency_key")?;
    let name = take_text(&mut fields, "name")?.ok_or_else(|| ServiceError::field("name", "is missing"))?;
    let spec: ScheduleSpec = request(fields)?;
    let change = known.call.service().add(&known.who, &name, &spec, key.as_deref()).await?;
    known.call.reply(&schedule_path(&change.schedule.id))
}

async fn list(known: &Known<'_>) -> Answer {
    let briefs = known.call.service().schedules_in_brief(&known.who, SCHEDULES_MAX).await?;
    let rows: Vec<_> = briefs
        .into_iter()
        .map(|brief| {
            let next = brief.next_due_us.and_then(|us| u64::try_from(us).ok()).unwrap_or(0);
            (brief.name, brief.owner, brief.enabled, next, schedule_path(&brief.id))
        })
        .collect();
    known.call.reply(&rows)
}

/// Starts a schedule; the run is on disk when this answers.
pub(super) async fn run_now(known: &Known<'_>, name: &str, options: &Options) -> Answer {
    let mut fields = fields(options)?;
    let key = take_text(&mut fields, "idempotency_key")?;
    let wish: TriggerRequest = request(fields)?;
    let reply = known.call.service().trigger(&known.who, name, &wish, key.as_deref()).await?;
    known.call.reply(&run_path(&reply.run_id))
}

async fn get_run(known: &Known<'_>) -> Answer {
    let id: String = known.call.arguments()?;
    let view = known.call.service().run(&known.who, &id, None).await?;
    match serde_json::to_value(&view) {
        Ok(serde_json::Value::Object(object)) => known.call.reply(&dictionary(with_times(object))),
        other => {
            let message = format!("a run that is no object: {other:?}");
            Err(ServiceError::new(ErrorCode::Internal, message).into())
        }
    }
}

/// Ends a run.
pub(super) async fn cancel(known: &Known<'_>, id: &str, options: &Options) -> Answer {
    let wish: CancelRequest = request(fields(options)?)?;
    known.call.service().cancel(&known.who, id, &wish).await?;
    known.call.done()
}

async fn reload(known: &Known<'_>) -> Answer {
    let reply = known.call.service().reload(&known.who).await?;
    match reply.problems.as_slice() {
        [] => known.call.done(),
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(", and {} more", rest.len()) };
            let message = format!("{first}{more}; what is bad keeps its old state");
            Err(ServiceError::new(ErrorCode::DefinitionError, message).hint("slothd check-config prints all").into())
        }
    }
}

/// `yes`, `no`, `challenge` (after authentication) or `na` (there is no such schedule), as the methods of systemd-logind.
async fn can(known: &Known<'_>, permission: Permission) -> Answer {
    let schedule: String = known.call.arguments()?;
    let verdict = known.call.service().may(&known.who, permission, &schedule).await?;
    known.call.reply(&match verdict {
        Some(Verdict::Yes) => "yes",
        Some(Verdict::Challenge) => "challenge",
        Some(Verdict::No | Verdict::Absent) => "no",
        None => "na",
    })
}
