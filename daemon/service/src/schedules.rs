//! Schedules: edit, delete, pause, run.

use serde_json::{Map, Value as Json};
use sloth_api::{DisableRequest, ErrorCode, ScheduleChange, ScheduleSpec, TriggerReply, TriggerRequest};
use sloth_core::machine::{Answer, Loaded};
use sloth_core::record::{Record, Severity, Value};
use sloth_core::run::RunTrigger;
use sloth_core::trigger::Trigger;
use sloth_core::{Enabled, Origin, RunId, Schedule, ScheduleId};
use sloth_engine::{EditKind, EditRequest};

use crate::access::Action;
use crate::fields::{Whose, build, zone};
use crate::runs::Claim;
use crate::show::{full_spec, minimal_spec, next_instants, to_map};
use crate::time_text::{Span, parse_time};
use crate::{Caller, Service, ServiceError};

impl Service {
    /// Changes some fields: a JSON merge patch (RFC 7396) of [`ScheduleSpec`].
    pub async fn patch(
        &self,
        caller: &Caller,
        name: &str,
        patch: Map<String, Json>,
    ) -> Result<ScheduleChange, ServiceError> {
        let was = self.find(caller, name, "schedule:update").await?;
        self.not_of_a_file(&was)?;
        let mut fields = to_map(&minimal_spec(&*self.host, &was.schedule)?);
        if patch.get("trigger").is_some_and(|trigger| !trigger.is_null()) && !patch.contains_key("anchor") {
            fields.remove("anchor");
        }
        let actions = ["command", "shell", "workflow"];
        for new in actions.into_iter().filter(|new| patch.get(*new).is_some_and(|value| !value.is_null())) {
            for old in actions.into_iter().filter(|old| *old != new && !patch.contains_key(*old)) {
                fields.remove(old);
            }
        }
        // Another program is not the one that is known.
        if let Some(Json::Object(new)) = patch.get("workflow")
            && (new.contains_key("bundle") || new.contains_key("saved"))
            && let Some(Json::Object(old)) = fields.get_mut("workflow")
        {
            old.remove("sha256");
            old.remove("file");
            old.remove("saved");
        }
        let states_enabled = patch.contains_key("enabled");
        merge(&mut fields, patch);
        let spec: ScheduleSpec = serde_json::from_value(Json::Object(fields))
            .map_err(|error| ServiceError::new(ErrorCode::InvalidArgument, error.to_string()))?;
        let spec = self.with_source(caller, &spec).await?;
        let schedule = build(&*self.host, whose(&was.schedule), &spec)?;
        self.change(caller, was, schedule, !states_enabled, true).await
    }

    pub(crate) fn new_id(&self) -> ScheduleId {
        ScheduleId::v7(self.host.now(), self.host.random())
    }

    pub(crate) fn not_of_a_file(&self, loaded: &Loaded) -> Result<(), ServiceError> {
        match &loaded.schedule.origin {
            Origin::Api => Ok(()),
            Origin::File(path) => Err(ServiceError::new(
                ErrorCode::Conflict,
                format!("{} comes from the file {}", loaded.schedule.name, path.display()),
            )
            .hint("edit that file, then reload slothd: slothctl daemon reload")),
        }
    }

    pub(crate) async fn change(
        &self,
        caller: &Caller,
        was: Loaded,
        mut new: Schedule,
        keep_state: bool,
        if_changed: bool,
    ) -> Result<ScheduleChange, ServiceError> {
        let old = &was.schedule;
        new.id = old.id;
        new.revision = old.revision + 1;
        new.created_at = old.created_at;
        if keep_state {
            new.enabled = old.enabled.clone();
        }
        let same_line = match (&old.trigger, &mut new.trigger) {
            (Trigger::Every { period: a, anchor: counted }, Trigger::Every { period: b, anchor })
                if a == b && anchor.is_none() =>
            {
                *anchor = *counted;
                true
            }
            (a, b) => a == b,
        };
        let new_trigger = !same_line || old.timezone != new.timezone;
        if !new_trigger {
            new.trigger_since = old.trigger_since;
            new.trigger_epoch = old.trigger_epoch;
        }
        self.require_owner(caller, old.owner, Action::new("schedule:update", "schedule", &old.name)).await?;
        self.may_run_as(caller, old, "schedule:update").await?;
        self.may_run_as(caller, &new, "schedule:update").await?;
        self.check_chain(caller, &new).await?;
        if if_changed && full_spec(old) == full_spec(&new) && old.enabled == new.enabled && old.origin == new.origin {
            return self.change_of(old.id, "unchanged");
        }
        let id = old.id;
        let notes = self.notes(caller, &new, "schedule:update", "schedule.updated", "changed");
        let was = Box::new(was);
        self.engine
            .edit(EditRequest { kind: EditKind::Change { schedule: Box::new(new), new_trigger, was }, notes })
            .await?;
        self.change_of(id, "updated")
    }

    /// Deletes a schedule; its history stays, what runs goes on.
    pub async fn delete(&self, caller: &Caller, name: &str) -> Result<ScheduleChange, ServiceError> {
        let loaded = self.find(caller, name, "schedule:delete").await?;
        self.not_of_a_file(&loaded)?;
        self.delete_loaded(caller, loaded).await
    }

    pub(crate) async fn delete_loaded(&self, caller: &Caller, loaded: Loaded) -> Result<ScheduleChange, ServiceError> {
        let view = self.view(&loaded)?;
        let notes = self.notes(caller, &loaded.schedule, "schedule:delete", "schedule.deleted", "deleted");
        self.engine.edit(EditRequest { kind: EditKind::Delete(loaded.schedule.id), notes }).await?;
        Ok(ScheduleChange { change: "deleted".to_owned(), schedule: view, next: Vec::new() })
    }

    /// Lets a schedule fire again.
    pub async fn enable(&self, caller: &Caller, name: &str) -> Result<ScheduleChange, ServiceError> {
        self.switch(caller, name, Enabled::Yes, ("schedule:enable", "schedule.enabled", "enabled")).await
    }

    /// Pauses a schedule: its instants are recorded as skipped.
    pub async fn disable(
        &self,
        caller: &Caller,
        name: &str,
        request: DisableRequest,
    ) -> Result<ScheduleChange, ServiceError> {
        let now = self.host.now();
        let system = zone(&*self.host, None)?;
        let until = request.until.map(|text| parse_time("until", &text, &system, now, Span::Ahead)).transpose()?;
        if until.is_some_and(|until| until <= now) {
            return Err(
                ServiceError::field("until", "has passed").hint("give a time in the future, or a duration such as 2h")
            );
        }
        let reason = request.reason.unwrap_or_else(|| format!("disabled by {}", caller.name));
        let words = ("schedule:disable", "schedule.disabled", "disabled");
        self.switch(caller, name, Enabled::Paused { reason, until }, words).await
    }

    async fn switch(
        &self,
        caller: &Caller,
        name: &str,
        enabled: Enabled,
        (action, event, word): (&'static str, &'static str, &'static str),
    ) -> Result<ScheduleChange, ServiceError> {
        let was = self.find(caller, name, action).await?;
        if was.schedule.enabled == enabled {
            return self.change_of(was.schedule.id, "unchanged");
        }
        let mut new = Schedule::clone(&was.schedule);
        new.revision += 1;
        new.enabled = enabled;
        let id = new.id;
        let notes = self.notes(caller, &new, action, event, word);
        let was = Box::new(was);
        let kind = EditKind::Change { schedule: Box::new(new), new_trigger: false, was };
        self.engine.edit(EditRequest { kind, notes }).await?;
        self.change_of(id, word)
    }

    /// Makes a run now. With a key, the same request never makes two.
    pub async fn trigger(
        &self,
        caller: &Caller,
        name: &str,
        request: &TriggerRequest,
        key: Option<&str>,
    ) -> Result<TriggerReply, ServiceError> {
        let (trigger, word) = match request.by.as_deref() {
            Some("manual") => (RunTrigger::Manual, "manual"),
            None | Some("api") => (RunTrigger::Api, "api"),
            Some(other) => {
                return Err(ServiceError::field("by", format!("{other:?} is not one of manual, api")));
            }
        };
        let body = format!("trigger {name} {word}");
        self.once(caller, key, &body, async |claim: Option<Claim>| {
            for _ in 0..20 {
                let loaded = self.find(caller, name, "run:create").await?;
                let s = &loaded.schedule;
                let as_its_owner = s.group.is_none() && self.host.user_id(&s.user) == Some(s.owner);
                // Whoever may run others' schedules at all may run them as they are.
                if s.owner == caller.uid || !as_its_owner {
                    self.may_run_as(caller, s, "run:create").await?;
                }
                let details = vec![("trigger", Value::Text(word.to_owned()))];
                let audit = self.audit_ok(caller, &Action::new("run:create", "schedule", name), details);
                let claim = claim.clone();
                let notes = move |run: RunId, queued: bool| {
                    let text = serde_json::to_string(&trigger_reply(run, queued)).unwrap_or_default();
                    std::iter::once(audit).chain(claim.map(|claim| claim.answered(text))).collect()
                };
                let answer = self.engine.run_now(loaded, trigger, caller.in_words(), notes).await;
                match answer.map_err(ServiceError::from) {
                    Ok(Answer::Run { run, queued }) => return Ok(trigger_reply(run, queued)),
                    Ok(_) => break,
                    // The schedule was changed between reading and asking; that is soon over.
                    Err(error) if error.code == ErrorCode::StaleVersion => {
                        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                    }
                    Err(error) => {
                        return Err(self.refuse(caller, &Action::new("run:create", "schedule", name), error).await);
                    }
                }
            }
            Err(ServiceError::new(ErrorCode::StaleVersion, format!("{name} is being changed all the time")))
        })
        .await
    }

    pub(crate) fn notes(
        &self,
        caller: &Caller,
        schedule: &Schedule,
        action: &'static str,
        event: &'static str,
        verb: &str,
    ) -> Vec<Record> {
        let now = self.host.now();
        let data = vec![
            ("schedule_name", Value::Text(schedule.name.clone())),
            ("schedule_id", Value::Text(schedule.id.to_string())),
            ("cron_expr", Value::Text(schedule.trigger_text.clone())),
            ("by", Value::Text(caller.name.clone())),
        ];
        let details = vec![
            ("trigger", Value::Text(schedule.trigger_text.clone())),
            ("user", Value::Text(schedule.user.clone())),
            ("revision", Value::Int(i64::from(schedule.revision))),
        ];
        let message = format!("{} {verb} by {}", schedule.name, caller.name);
        let full = format!("{}/{}", schedule.owner_name, schedule.name);
        vec![
            self.event(now, event, Severity::Info, message, caller, data),
            self.audit_ok(caller, &Action::new(action, "schedule", full), details),
        ]
    }

    pub(crate) fn change_of(&self, id: ScheduleId, change: &str) -> Result<ScheduleChange, ServiceError> {
        let loaded = self.store.schedule(id)?.ok_or_else(|| ServiceError::not_found(format_args!("schedule {id}")))?;
        let schedule = self.view(&loaded)?;
        let s = &loaded.schedule;
        let trigger = self.present_trigger(s)?;
        let next = match schedule.paused {
            None => next_instants(&trigger, &s.zone, self.host.now(), 3),
            Some(_) => Vec::new(),
        };
        Ok(ScheduleChange { change: change.to_owned(), schedule, next })
    }
}

fn trigger_reply(run: RunId, queued: bool) -> TriggerReply {
    let status = if queued { "queued" } else { "starting" };
    TriggerReply { run_id: run.to_string(), status: status.to_owned() }
}

pub(crate) fn whose(schedule: &Schedule) -> Whose {
    Whose {
        id: schedule.id,
        owner: schedule.owner,
        owner_name: schedule.owner_name.clone(),
        name: schedule.name.clone(),
        origin: schedule.origin.clone(),
    }
}

/// JSON merge patch, RFC 7396.
fn merge(target: &mut Map<String, Json>, patch: Map<String, Json>) {
    for (key, value) in patch {
        match value {
            Json::Null => {
                target.remove(&key);
            }
            Json::Object(inner) => match target.get_mut(&key) {
                Some(Json::Object(present)) => merge(present, inner),
                _ => {
                    let mut fresh = Map::new();
                    merge(&mut fresh, inner);
                    target.insert(key, Json::Object(fresh));
                }
            },
            other => {
                target.insert(key, other);
            }
        }
    }
}
