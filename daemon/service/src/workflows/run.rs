//! A workflow is run now, without a schedule; and a run that ended goes on, or is made again.

use std::sync::Arc;
use std::time::Duration;

use sloth_api::worker::RunOptions;
use sloth_api::{ErrorCode, ResumeRequest, RunRequest, RunSource, RunView};
use sloth_core::machine::{Answer, OpenRun};
use sloth_core::record::{SourceBundle, Value};
use sloth_core::run::{Run, RunStatus, RunTrigger, WorkflowAction};
use sloth_core::trigger::Trigger;
use sloth_core::{
    Action as Does, Enabled, JitterMode, Keep, Limits, Origin, Overlap, Retries, RunId, Sandbox, Schedule, Uid,
};
use sloth_engine::WorkflowRequest;

use super::sources::source;
use super::{ActionWish, workflow_action};
use crate::access::Action;
use crate::fields::{check_env, zone};
use crate::runs::Claim;
use crate::values::{SANDBOXES, choice};
use crate::{Caller, Service, ServiceError};

/// Longest time that may be asked for.
const TIMEOUT_MAX: Duration = Duration::from_secs(366 * 86_400);

impl Service {
    /// Runs a workflow. With a key, the same request never makes two.
    pub async fn run_workflow(
        &self,
        caller: &Caller,
        request: &RunRequest,
        key: Option<&str>,
    ) -> Result<RunView, ServiceError> {
        let body = match key {
            Some(_) => format!("run {}", serde_json::to_string(request).unwrap_or_default()),
            None => String::new(),
        };
        let made = self
            .once(caller, key, &body, async |claim: Option<Claim>| {
                let (action, source) = self.wished(caller, request).await?;
                let user = request.user.clone().unwrap_or_else(|| caller.name.clone());
                let definition = self.definition(caller, request, user, action)?;
                self.start_workflow(caller, definition, source, claim).await
            })
            .await?;
        let run: RunId =
            made.parse().map_err(|_| ServiceError::new(ErrorCode::Internal, "a stored answer is no id"))?;
        let run = self.store.run(run)?.ok_or_else(|| ServiceError::not_found(format_args!("run {run}")))?;
        Ok(self.run_view(&run))
    }

    /// What is to be executed, and its source.
    async fn wished(
        &self,
        caller: &Caller,
        request: &RunRequest,
    ) -> Result<(WorkflowAction, Arc<SourceBundle>), ServiceError> {
        if request.resume.is_some() {
            return Err(ServiceError::field("resume", "must be null").hint("use POST /runs/{id}/resume"));
        }
        let (main, saved, source) = match &request.source {
            RunSource::Bundle(bundle) => (bundle.main.clone(), None, source("source.bundle", bundle)?),
            RunSource::Saved(name) => {
                let saved = self.find_saved(caller, name, "run:create").await?;
                if !saved.active {
                    return Err(ServiceError::new(ErrorCode::Conflict, format!("saved workflow {name:?} is inactive"))
                        .hint("slothctl saved activate NAME"));
                }
                let bundle = self.bundle(&saved.bundle)?;
                (saved.main.clone(), Some(name.clone()), source("source.saved", &bundle)?)
            }
        };
        let mut options = request.options.clone();
        if let Some(timeout) = request.timeout_ms {
            options.timeout_ms = Some(timeout);
        }
        let action = workflow_action(ActionWish {
            bundle: source.sha256.clone(),
            main,
            saved,
            stack: request.stack.as_deref(),
            workflow: request.workflow.as_deref(),
            values: &request.values,
            params: &request.params,
            options: &options,
            mode: request.mode.as_deref(),
            invocation_dir: request.invocation_dir.as_deref(),
            priority: request.priority.unwrap_or(0),
            labels: &request.labels,
        })?;
        Ok((action, source))
    }

    fn definition(
        &self,
        caller: &Caller,
        request: &RunRequest,
        user: String,
        action: WorkflowAction,
    ) -> Result<Schedule, ServiceError> {
        let sandbox = match request.sandbox.as_deref() {
            None => self.host.worker_sandbox(),
            some => choice("sandbox", some, SANDBOXES, Sandbox::None)?,
        };
        if sandbox != Sandbox::None && !self.host.has_sandbox() {
            return Err(ServiceError::not_supported(
                format_args!(
                    "the sandbox profile {:?} with this executor",
                    request.sandbox.as_deref().unwrap_or_default()
                ),
                "use sandbox = \"none\", or a slothd of the system that starts runs through systemd",
            ));
        }
        check_env(&request.env)?;
        let options: RunOptions = serde_json::from_str(&action.options).unwrap_or_default();
        let timeout = options.timeout_ms.map(Duration::from_millis);
        if timeout.is_some_and(|timeout| timeout.is_zero() || timeout > TIMEOUT_MAX) {
            return Err(ServiceError::field("timeout_ms", "must be between 1 and a year"));
        }
        let mut definition = self.bare_definition(caller.uid, caller.name.clone(), user, action)?;
        definition.env = request.env.clone();
        definition.sandbox = sandbox;
        definition.timeout = timeout;
        Ok(definition)
    }

    /// The definition of a run without a schedule, as it is when nothing else is wished.
    fn bare_definition(
        &self,
        owner: Uid,
        owner_name: String,
        user: String,
        action: WorkflowAction,
    ) -> Result<Schedule, ServiceError> {
        if self.host.user_id(&user).is_none() {
            return Err(ServiceError::field("user", format!("there is no user {user:?} on this host")));
        }
        let now = self.host.now();
        let zone = zone(&*self.host, None)?;
        let trigger = Trigger::parse("manual", &zone).map_err(|error| ServiceError::trigger("trigger", &error))?;
        let engine = self.host.workflow_settings();
        Ok(Schedule {
            id: self.new_id(),
            revision: 1,
            name: String::new(),
            owner,
            owner_name,
            trigger_text: "manual".to_owned(),
            trigger,
            timezone: None,
            zone,
            created_at: now,
            trigger_since: now,
            trigger_epoch: 0,
            action: Does::Workflow(Arc::new(action)),
            user,
            group: None,
            cwd: None,
            env: Default::default(),
            umask: 0o022,
            stdin: None,
            enabled: Enabled::Yes,
            overlap: Overlap::Allow,
            queue_limit: 1,
            catch_up: None,
            catch_up_max: 1,
            catch_up_window: Duration::from_secs(86_400),
            start_deadline: Some(engine.queue_timeout),
            jitter: Duration::ZERO,
            jitter_mode: JitterMode::Instant,
            timeout: None,
            kill_grace: engine.kill_grace,
            retries: Retries::default(),
            retry_lost: false,
            limits: Limits::default(),
            success_codes: vec![0],
            pause_after_failures: None,
            after: Default::default(),
            keep: Keep::default(),
            sandbox: Sandbox::None,
            output_limit: engine.log_max,
            journal: false,
            tags: Vec::new(),
            description: String::new(),
            origin: Origin::Api,
        })
    }

    /// The id of the new run. It is on disk then, with its source and the answer to the request.
    async fn start_workflow(
        &self,
        caller: &Caller,
        definition: Schedule,
        source: Arc<SourceBundle>,
        claim: Option<Claim>,
    ) -> Result<String, ServiceError> {
        self.may_run_as(caller, &definition, "run:create").await?;
        let Does::Workflow(action) = &definition.action else {
            return Err(ServiceError::new(ErrorCode::Internal, "the definition of a workflow run has none"));
        };
        let details = vec![
            ("workflow", Value::Text(action.name.clone())),
            ("stack", Value::Text(action.stack.clone())),
            ("user", Value::Text(definition.user.clone())),
            ("bundle", Value::Text(action.bundle.clone())),
        ];
        let about = Action::new("run:create", "workflow", &action.name);
        let audit = self.audit_ok(caller, &about, details);
        let notes = Box::new(move |run: RunId, _| {
            let answer = serde_json::Value::from(run.to_string()).to_string();
            std::iter::once(audit).chain(claim.map(|claim| claim.answered(answer))).collect()
        });
        let trigger = if caller.method == "socket" { RunTrigger::Manual } else { RunTrigger::Api };
        let asked_by = caller.in_words();
        let definition = Arc::new(definition);
        let request = WorkflowRequest { definition, trigger, asked_by, source, notes };
        match self.engine.run_workflow(request).await {
            Ok(Answer::Run { run, .. }) => Ok(run.to_string()),
            Ok(_) => Err(ServiceError::new(ErrorCode::Internal, "the engine gave another answer than a run")),
            Err(error) => Err(self.refuse(caller, &about, error.into()).await),
        }
    }

    /// The same again, as a new run: same source, values and options.
    pub async fn rerun(&self, caller: &Caller, id: &str, key: Option<&str>) -> Result<RunView, ServiceError> {
        let run = self.find_run(caller, id, "run:create").await?;
        let made = self
            .once(caller, key, &format!("rerun {}", run.id), async |claim: Option<Claim>| {
                let was = self.definition_of(&run)?;
                let Does::Workflow(action) = &was.action else { return Err(no_workflow(&run)) };
                let bundle = self.bundle(&action.bundle)?;
                let owner_name = self.host.user_name(run.owner).unwrap_or_else(|| was.owner_name.clone());
                let mut definition =
                    self.bare_definition(run.owner, owner_name, run.user.clone(), WorkflowAction::clone(action))?;
                definition.env = was.env.clone();
                definition.sandbox = was.sandbox;
                definition.timeout = was.timeout;
                definition.limits = was.limits.clone();
                definition.group = was.group.clone();
                self.start_workflow(caller, definition, source("bundle", &bundle)?, claim).await
            })
            .await?;
        let new: RunId =
            made.parse().map_err(|_| ServiceError::new(ErrorCode::Internal, "a stored answer is no id"))?;
        let new = self.store.run(new)?.ok_or_else(|| ServiceError::not_found(format_args!("run {new}")))?;
        Ok(self.run_view(&new))
    }

    /// The version of its schedule that a run executes, or its own definition.
    fn definition_of(&self, run: &Run) -> Result<Schedule, ServiceError> {
        let found = self.store.schedule_revision(run.schedule, run.revision)?;
        found.ok_or_else(|| ServiceError::not_found(format_args!("the definition of run {}", run.id)))
    }

    /// A run that failed, was cancelled or interrupted goes on in a new worker.
    pub async fn resume(&self, caller: &Caller, id: &str, request: &ResumeRequest) -> Result<RunView, ServiceError> {
        let run = self.find_run(caller, id, "run:create").await?;
        match run.status {
            RunStatus::Failed | RunStatus::Cancelled => {}
            RunStatus::Completed if request.from.is_some() => {}
            RunStatus::Completed => {
                return Err(ServiceError::new(ErrorCode::Conflict, format!("run {} has completed", run.id))
                    .hint("give from to run a task and all after it again, or make a new run: slothctl run --rerun"));
            }
            _ => return Ok(self.run_view(&run)),
        }
        if let Some(task) = &request.from
            && !self.store.tasks(run.id)?.iter().any(|known| known.name == *task)
        {
            return Err(ServiceError::field("from", format!("run {} has no task {task:?}", run.id))
                .hint("slothctl runs tasks shows them"));
        }
        self.go_on(caller, run, "run:resume", request.from.clone(), false).await
    }

    /// What could not be compensated is tried again.
    pub async fn compensate(&self, caller: &Caller, id: &str) -> Result<RunView, ServiceError> {
        let run = self.find_run(caller, id, "run:create").await?;
        if !run.status.is_terminal() {
            return Err(ServiceError::new(ErrorCode::Conflict, format!("run {} has not ended", run.id))
                .hint("cancel it: its compensation runs then"));
        }
        self.go_on(caller, run, "run:compensate", None, true).await
    }

    async fn go_on(
        &self,
        caller: &Caller,
        mut run: Run,
        action: &'static str,
        from: Option<String>,
        compensate_only: bool,
    ) -> Result<RunView, ServiceError> {
        let id = run.id;
        let about = Action::on_run(action, &run);
        let schedule = Arc::new(self.definition_of(&run)?);
        self.may_run_as(caller, &schedule, "run:create").await?;
        match &mut run.workflow {
            None => return Err(no_workflow(&run)),
            Some(workflow) => {
                workflow.resume_from = from;
                workflow.compensate_only = compensate_only;
            }
        }
        let today = self.store.schedule(run.schedule)?;
        let today = today.ok_or_else(|| ServiceError::not_found(format_args!("the definition of run {id}")))?;
        let notes = vec![self.audit_ok(caller, &about, Vec::new())];
        if let Err(error) = self.engine.resume(OpenRun { run, schedule, today }, notes).await {
            return Err(self.refuse(caller, &about, error.into()).await);
        }
        let run = self.store.run(id)?.ok_or_else(|| ServiceError::not_found(format_args!("run {id}")))?;
        Ok(self.run_view(&run))
    }
}

pub(super) fn no_workflow(run: &Run) -> ServiceError {
    ServiceError::new(ErrorCode::Conflict, format!("run {} is one of a command, not of a workflow", run.id))
        .hint("trigger its schedule: slothctl scheduler run")
}
