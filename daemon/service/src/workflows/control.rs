//! Runs of workflows are paused, let go on, and have single tasks cancelled.

use sloth_api::worker::ToWorker;
use sloth_api::{CancelReply, CancelRequest, ErrorCode, PauseReply};
use sloth_core::machine::Answer;
use sloth_core::record::Value;
use sloth_core::run::Run;

use super::run::no_workflow;
use crate::access::Action;
use crate::{Caller, Service, ServiceError};

impl Service {
    /// Nothing new starts in this run; with `pause` false it goes on.
    pub async fn pause_run(&self, caller: &Caller, id: &str, pause: bool) -> Result<PauseReply, ServiceError> {
        let word = if pause { "run:pause" } else { "run:unpause" };
        let run = self.find_run(caller, id, word).await?;
        if run.workflow.is_none() {
            return Err(no_workflow(&run));
        }
        if run.status.is_terminal() {
            let message = format!("run {} has ended ({})", run.id, run.status.as_str());
            return Err(ServiceError::new(ErrorCode::Conflict, message));
        }
        let notes = vec![self.audit_ok(caller, &Action::on_run(word, &run), Vec::new())];
        let answer = self.engine.pause(run.id, pause, notes).await?;
        let status = match answer {
            Answer::Switched { changed: true } if pause => "paused",
            Answer::Switched { changed: true } => "running",
            _ => "unchanged",
        };
        Ok(PauseReply { run_id: run.id.to_string(), status: status.to_owned() })
    }

    /// Ends one task of a run. Its worker is asked; when it is not connected nobody can be.
    pub(crate) async fn cancel_task(
        &self,
        caller: &Caller,
        run: &Run,
        task: &str,
        request: &CancelRequest,
    ) -> Result<CancelReply, ServiceError> {
        if run.workflow.is_none() {
            return Err(no_workflow(run));
        }
        let known = self.store.tasks(run.id)?.into_iter().find(|known| known.name == task);
        let known = known.ok_or_else(|| {
            ServiceError::field("task", format!("run {} has no task {task:?}", run.id))
                .hint("slothctl runs tasks shows them")
        })?;
        let reply = |status: String| Ok(CancelReply { run_id: run.id.to_string(), status });
        if matches!(known.status.as_str(), "completed" | "failed" | "skipped" | "cancelled") {
            return reply(format!("already {}", known.status));
        }
        let details = vec![("task", Value::Text(task.to_owned())), ("force", Value::Bool(request.force))];
        let audit = self.audit_ok(caller, &Action::on_run("run:cancel", run), details);
        self.engine.commit(vec![audit]).await?;
        let order = ToWorker::Cancel {
            reason: request.reason.clone().unwrap_or_else(|| format!("cancelled by {}", caller.name)),
            task: Some(task.to_owned()),
            force: request.force,
            compensate: !request.no_compensate,
        };
        if !self.workers.send(run.id, order) {
            return Err(ServiceError::new(ErrorCode::NotReady, "the worker of the run is not connected now")
                .hint("try again in a moment, or cancel the whole run"));
        }
        reply("cancelling".to_owned())
    }
}
