//! Workflows as actions of schedules: their program is stored before the schedule refers to it.

use std::borrow::Cow;

use sloth_api::ScheduleSpec;
use sloth_core::record::Record;

use super::sources::source;
use crate::{Caller, Service, ServiceError};

impl Service {
    /// The same fields, with the program of a workflow stored and named by its sum.
    pub(crate) async fn with_source<'a>(
        &self,
        caller: &Caller,
        spec: &'a ScheduleSpec,
    ) -> Result<Cow<'a, ScheduleSpec>, ServiceError> {
        let Some(workflow) = &spec.workflow else { return Ok(Cow::Borrowed(spec)) };
        let mut known = workflow.clone();
        match (known.bundle.take(), &workflow.saved, &workflow.sha256) {
            (Some(bundle), None, None) => {
                let stored = source("workflow.bundle", &bundle)?;
                known.sha256 = Some(stored.sha256.clone());
                known.file = Some(bundle.main.clone());
                self.engine.commit(vec![Record::BundleStored(stored)]).await?;
            }
            (None, Some(name), None) => {
                let saved = self.find_saved(caller, name, "run:create").await?;
                known.sha256 = Some(saved.bundle);
                known.file = Some(saved.main);
            }
            (None, _, Some(sha256)) => {
                if self.store.bundle(sha256)?.is_none() {
                    return Err(ServiceError::field("workflow.sha256", format!("slothd has no program {sha256:?}"))
                        .hint("send it: workflow.bundle, or slothctl scheduler add --file"));
                }
            }
            (None, None, None) => {
                return Err(ServiceError::field("workflow", "its program is missing")
                    .hint("slothctl scheduler add --file sends it; or save it and give workflow.saved"));
            }
            (Some(_), _, _) => {
                return Err(ServiceError::field(
                    "workflow.bundle",
                    "goes without saved and sha256: there is one program",
                ));
            }
        }
        Ok(Cow::Owned(ScheduleSpec { workflow: Some(known), ..spec.clone() }))
    }
}
