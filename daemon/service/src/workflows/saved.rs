//! Saved workflows: a program under a name, of its owner.

use sloth_api::{ErrorCode, Page, SaveWorkflow, SavedWorkflowView};
use sloth_core::Uid;
use sloth_core::record::{Record, Saved, Value};
use sloth_store::{RunFilter, SavedWorkflow};

use super::sources::source;
use crate::access::Action;
use crate::fields::check_name;
use crate::values::plain;
use crate::{Caller, Service, ServiceError};

impl Service {
    /// The owner and the bare name behind `name` or `user/name`.
    async fn saved_owner(
        &self,
        caller: &Caller,
        name: &str,
        action: &'static str,
    ) -> Result<(Uid, String), ServiceError> {
        let (owner, bare) = match name.split_once('/') {
            None => (Some(caller.uid), name),
            Some((user, bare)) => (self.host.user_id(user), bare),
        };
        check_name(bare)?;
        let about = Action::new(action, "workflow", name);
        self.require_owner(caller, owner.unwrap_or(Uid(u32::MAX)), about).await?;
        let owner = owner.ok_or_else(|| ServiceError::not_found(format_args!("the user of {name:?}")))?;
        Ok((owner, bare.to_owned()))
    }

    /// The saved workflow of this name, when the caller may do this with it.
    pub(crate) async fn find_saved(
        &self,
        caller: &Caller,
        name: &str,
        action: &'static str,
    ) -> Result<SavedWorkflow, ServiceError> {
        let (owner, bare) = self.saved_owner(caller, name, action).await?;
        self.store.saved_workflow(owner, &bare)?.ok_or_else(|| {
            ServiceError::new(ErrorCode::NotFound, format!("there is no saved workflow {name:?}"))
                .hint("slothctl workflow list shows yours; another user's is user/name")
        })
    }

    /// Those of the caller; of everybody for administrators who ask for that.
    pub async fn saved_workflows(
        &self,
        caller: &Caller,
        all_users: bool,
    ) -> Result<Page<SavedWorkflowView>, ServiceError> {
        if all_users {
            self.require_admin(caller, Action::new("workflow:list", "workflow", "*")).await?;
        }
        let owner = (!all_users).then_some(caller.uid);
        let items = self.store.saved_workflows(owner)?;
        let items = items.iter().map(|saved| self.saved_view(saved)).collect::<Result<_, _>>()?;
        Ok(Page { items, next_cursor: None })
    }

    /// One, with its program.
    pub async fn saved_workflow(&self, caller: &Caller, name: &str) -> Result<SavedWorkflowView, ServiceError> {
        let saved = self.find_saved(caller, name, "workflow:read").await?;
        let mut view = self.saved_view(&saved)?;
        view.bundle = Some(self.bundle(&saved.bundle)?);
        Ok(view)
    }

    /// Saves a program under a name; what was there is replaced.
    pub async fn save_workflow(
        &self,
        caller: &Caller,
        name: &str,
        request: &SaveWorkflow,
    ) -> Result<SavedWorkflowView, ServiceError> {
        let (owner, bare) = self.saved_owner(caller, name, "workflow:update").await?;
        let source = source("bundle", &request.bundle)?;
        let before = self.store.saved_workflow(owner, &bare)?;
        let description = match (&request.description, &before) {
            (Some(text), _) => plain("description", text.clone(), 1024)?,
            (None, Some(before)) => before.description.clone(),
            (None, None) => String::new(),
        };
        let active = request.active.unwrap_or(before.is_none_or(|before| before.active));
        let details = vec![("bundle", Value::Text(source.sha256.clone())), ("active", Value::Bool(active))];
        let audit = self.audit_ok(caller, &Action::new("workflow:update", "workflow", name), details);
        let (bundle, main) = (source.sha256.clone(), request.bundle.main.clone());
        let saved = Saved { owner, name: bare.clone(), description, bundle, main, active };
        let records = vec![Record::BundleStored(source), Record::WorkflowSaved(Box::new(saved)), audit];
        self.engine.commit(records).await?;
        let saved = self.store.saved_workflow(owner, &bare)?;
        let saved = saved.ok_or_else(|| ServiceError::not_found(format_args!("saved workflow {name:?}")))?;
        self.saved_view(&saved)
    }

    /// Away with it; its runs stay.
    pub async fn remove_workflow(&self, caller: &Caller, name: &str) -> Result<SavedWorkflowView, ServiceError> {
        let saved = self.find_saved(caller, name, "workflow:delete").await?;
        let view = self.saved_view(&saved)?;
        let audit = self.audit_ok(caller, &Action::new("workflow:delete", "workflow", name), Vec::new());
        let away = Record::WorkflowRemoved { owner: saved.owner, name: saved.name };
        self.engine.commit(vec![away, audit]).await?;
        Ok(view)
    }

    fn saved_view(&self, saved: &SavedWorkflow) -> Result<SavedWorkflowView, ServiceError> {
        let filter = RunFilter { saved: Some((saved.owner, saved.name.clone())), ..RunFilter::default() };
        let last = self.store.runs(&filter, 1)?.items.into_iter().next();
        let tasks = last.as_ref().map(|run| self.task_counts(run)).transpose()?;
        Ok(SavedWorkflowView {
            name: saved.name.clone(),
            owner: self.host.user_name(saved.owner).unwrap_or_else(|| format!("uid {}", saved.owner)),
            description: saved.description.clone(),
            source: saved.main.clone(),
            sha256: saved.bundle.clone(),
            version: saved.version,
            active: saved.active,
            created_at: saved.created_at.rfc3339(),
            updated_at: saved.updated_at.rfc3339(),
            tasks: tasks.map(|counts| counts.total).filter(|total| *total > 0),
            last_run: last.as_ref().map(|run| run.id.to_string()),
            last_at: last.as_ref().map(|run| run.queued_at.rfc3339()),
            status: last.as_ref().map(|run| run.status.as_str().to_owned()),
            bundle: None,
        })
    }
}
