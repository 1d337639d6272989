//! What a schedule needs beside valid fields: that its owner may run as that user, and that chains have an end.

use std::collections::{BTreeMap, BTreeSet};

use sloth_api::ErrorCode;
use sloth_core::trigger::Trigger;
use sloth_core::{Schedule, Uid};

use crate::access::Action;
use crate::authority::{Verdict, refusal};
use crate::{Caller, Service, ServiceError};

impl Service {
    /// What beside ownership a change needs: to run as another user takes an administrator.
    pub(crate) async fn may_run_as(
        &self,
        caller: &Caller,
        schedule: &Schedule,
        action: &'static str,
    ) -> Result<(), ServiceError> {
        let as_uid = self.host.user_id(&schedule.user);
        let own_group = schedule.group.is_none();
        if as_uid == Some(caller.uid) && own_group {
            return Ok(());
        }
        let audited = Action::new(action, "schedule", &schedule.name);
        let verdict = match self.verdict_on_daemon(caller, &audited).await {
            Ok(Verdict::Yes) => return Ok(()),
            Ok(verdict) => verdict,
            Err(error) => return Err(self.refuse(caller, &audited, error).await),
        };
        let what = match (&schedule.group, as_uid == Some(caller.uid)) {
            (Some(group), true) => format!("to run with the group {group}"),
            _ => format!("to run as {}", schedule.user),
        };
        let permission = format!("run:as/{}", schedule.user);
        let message = format!("{what} needs an administrator");
        let error = refusal(verdict, message, &permission, "leave user and group out to run as yourself");
        Err(self.refuse(caller, &audited, error).await)
    }

    /// Chains must not form a circle, and only administrators follow others' schedules.
    pub(crate) async fn check_chain(&self, caller: &Caller, schedule: &Schedule) -> Result<(), ServiceError> {
        if schedule.after.is_empty() {
            return Ok(());
        }
        let full = |owner: &str, name: &str| {
            if name.contains('/') { name.to_owned() } else { format!("{owner}/{name}") }
        };
        if let Some(other) =
            schedule.after.keys().find(|name| name.split_once('/').is_some_and(|(user, _)| user != schedule.owner_name))
        {
            let audited = Action::new("schedule:update", "schedule", other);
            let owner = other.split_once('/').and_then(|(user, _)| self.host.user_id(user));
            let verdict = match self.verdict_on(caller, owner.unwrap_or(Uid(u32::MAX)), &audited).await {
                Ok(verdict) => verdict,
                Err(error) => return Err(self.refuse(caller, &audited, error).await),
            };
            if verdict != Verdict::Yes {
                let audited = Action::new("schedule:update", "schedule", &schedule.name);
                let message = format!("after: to follow {other} needs an administrator");
                let error = refusal(verdict, message, "schedule:update", "follow your own schedules only");
                return Err(self.refuse(caller, &audited, error).await);
            }
        }
        let mut edges: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for loaded in self.store.schedules_with_after()?.items {
            let s = &loaded.schedule;
            if s.id != schedule.id {
                let ups = s.after.keys().map(|name| full(&s.owner_name, name)).collect();
                edges.insert(full(&s.owner_name, &s.name), ups);
            }
        }
        let me = full(&schedule.owner_name, &schedule.name);
        let mut open: Vec<String> = schedule.after.keys().map(|name| full(&schedule.owner_name, name)).collect();
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            if name == me {
                return Err(ServiceError::new(
                    ErrorCode::CircularDependency,
                    "after: the schedules would start each other for ever",
                )
                .with("field", "after")
                .hint("remove one link of the circle"));
            }
            if seen.insert(name.clone()) {
                open.extend(edges.get(&name).cloned().unwrap_or_default());
            }
        }
        Ok(())
    }

    /// Everything that can be against a new schedule but its name.
    pub(crate) async fn may_create(&self, caller: &Caller, schedule: &Schedule) -> Result<(), ServiceError> {
        self.may_run_as(caller, schedule, "schedule:create").await?;
        self.check_chain(caller, schedule).await?;
        match schedule.trigger {
            Trigger::At(at) if at <= self.host.now() => {
                Err(ServiceError::field("trigger", format!("{at} has passed")).hint("give a time in the future"))
            }
            _ => Ok(()),
        }
    }
}
