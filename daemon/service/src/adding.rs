//! New schedules: added, once per key where there is one, or put over the one of the same name.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sloth_api::{ErrorCode, ScheduleChange, ScheduleSpec};
use sloth_core::{Origin, Schedule};
use sloth_engine::{EditKind, EditRequest};

use crate::fields::{Whose, build};
use crate::runs::Claim;
use crate::show::to_map;
use crate::{Caller, Service, ServiceError};

/// What to do when the schedule exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Refuse.
    Create,
    /// Make a new revision.
    Replace,
    /// Make a new revision when something differs.
    IfChanged,
}

/// What is kept of the answer of [`Service::add`]: it is written with the schedule, before its other times are known.
#[derive(Serialize, Deserialize)]
struct Added {
    schedule_id: String,
}

impl Service {
    /// Adds a schedule, or replaces the one of this name.
    pub async fn put(
        &self,
        caller: &Caller,
        name: &str,
        spec: &ScheduleSpec,
        mode: Mode,
    ) -> Result<ScheduleChange, ServiceError> {
        self.put_with(caller, name, spec, mode, None).await
    }

    async fn put_with(
        &self,
        caller: &Caller,
        name: &str,
        spec: &ScheduleSpec,
        mode: Mode,
        claim: Option<Claim>,
    ) -> Result<ScheduleChange, ServiceError> {
        let (owner, bare) = self.owner_of(caller, name, "schedule:create").await?;
        let owner_name = self.host.user_name(owner).unwrap_or_else(|| caller.name.clone());
        let spec = &*self.with_source(caller, spec).await?;
        let existing = self.store.schedule_by_name(owner, &bare)?;
        let whose = Whose {
            id: existing.as_ref().map_or_else(|| self.new_id(), |loaded| loaded.schedule.id),
            owner,
            owner_name,
            name: bare.clone(),
            origin: Origin::Api,
        };
        let schedule = build(&*self.host, whose, spec)?;
        match (existing, mode) {
            (None, _) => self.create(caller, schedule, claim).await,
            (Some(_), Mode::Create) => Err(name_taken(&bare)),
            (Some(was), mode) => {
                self.not_of_a_file(&was)?;
                let keep_state = spec.enabled.is_none();
                self.change(caller, was, schedule, keep_state, mode == Mode::IfChanged).await
            }
        }
    }

    /// Adds a schedule. With a key, the same request adds it once; its repetition is answered with the schedule as it stands.
    pub async fn add(
        &self,
        caller: &Caller,
        name: &str,
        spec: &ScheduleSpec,
        key: Option<&str>,
    ) -> Result<ScheduleChange, ServiceError> {
        let body = format!("add {name} {}", Json::Object(to_map(spec)));
        let mut change = None;
        let added: Added = self
            .once(caller, key, &body, async |claim: Option<Claim>| {
                let made = self.put_with(caller, name, spec, Mode::Create, claim).await?;
                let added = Added { schedule_id: made.schedule.id.clone() };
                change = Some(made);
                Ok(added)
            })
            .await?;
        match (change, added.schedule_id.parse()) {
            (Some(change), _) => Ok(change),
            (None, Ok(id)) => self.change_of(id, "created"),
            (None, Err(error)) => Err(ServiceError::new(ErrorCode::Internal, format!("stored answer: {error}"))),
        }
    }

    pub(crate) async fn create(
        &self,
        caller: &Caller,
        schedule: Schedule,
        claim: Option<Claim>,
    ) -> Result<ScheduleChange, ServiceError> {
        self.may_create(caller, &schedule).await?;
        let name = schedule.name.clone();
        let id = schedule.id;
        let mut notes = self.notes(caller, &schedule, "schedule:create", "schedule.created", "created");
        let added = Added { schedule_id: id.to_string() };
        notes.extend(claim.map(|claim| claim.answered(serde_json::to_string(&added).unwrap_or_default())));
        let request = EditRequest { kind: EditKind::Create(Box::new(schedule)), notes };
        if let Err(error) = self.engine.edit(request).await {
            return Err(match ServiceError::from(error) {
                conflict if conflict.code == ErrorCode::Conflict => name_taken(&name),
                other => other,
            });
        }
        self.change_of(id, "created")
    }
}

pub(crate) fn name_taken(name: &str) -> ServiceError {
    ServiceError::new(ErrorCode::AlreadyExists, format!("there is a schedule {name:?} already"))
        .hint("choose another name, use --replace, or change it with scheduler edit")
}
