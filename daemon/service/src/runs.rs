//! Runs: list, show, cancel, delete, output. And answers that are given only once.

use std::time::Duration;

use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use sloth_api::{CancelReply, CancelRequest, ErrorCode, LogPage, Page, RunView};
use sloth_core::launch::output_path;
use sloth_core::machine::{Answer, Refusal};
use sloth_core::record::{Answered, Record, Value};
use sloth_core::run::{Run, RunStatus, RunTrigger};
use sloth_core::{RunId, Uid};
use sloth_engine::{Cancel, EngineError};
use sloth_store::RunFilter;

use crate::access::Action;
use crate::fields::zone;
use crate::show::{run_trigger_word, run_view, status_word, task_views};
use crate::time_text::{Span, parse_time};
use crate::{Caller, LogWish, Service, ServiceError};

/// Which runs.
#[derive(Clone, Debug, Default)]
pub struct RunQuery {
    /// Of this schedule.
    pub schedule: Option<String>,
    /// In these states.
    pub status: Vec<String>,
    /// Of this user; `*`: of all (administrators).
    pub owner: Option<String>,
    /// Made by this.
    pub trigger: Option<String>,
    /// Of this stack.
    pub stack: Option<String>,
    /// Of this workflow.
    pub workflow: Option<String>,
    /// As this user.
    pub user: Option<String>,
    /// With this label: `name` or `name=value`.
    pub label: Option<String>,
    /// Accepted since.
    pub since: Option<String>,
    /// Accepted before.
    pub until: Option<String>,
    /// At most so many.
    pub limit: u32,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

impl Service {
    /// A page of runs, newest first.
    pub async fn runs(&self, caller: &Caller, query: &RunQuery) -> Result<Page<RunView>, ServiceError> {
        let now = self.host.now();
        let local = zone(&*self.host, None)?;
        let time = |field, text: &Option<String>| {
            text.as_deref().map(|text| parse_time(field, text, &local, now, Span::Ago)).transpose()
        };
        let mut filter = RunFilter {
            status: query.status.iter().map(|word| read_status(word)).collect::<Result<_, _>>()?,
            since: time("since", &query.since)?,
            until: time("until", &query.until)?,
            trigger: query.trigger.as_deref().map(read_trigger).transpose()?,
            after: query.cursor.as_deref().map(read_run_cursor).transpose()?,
            stack: query.stack.clone(),
            workflow: query.workflow.clone(),
            user: query.user.clone(),
            label: query.label.as_deref().map(|label| match label.split_once('=') {
                None => (label.to_owned(), None),
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            }),
            ..RunFilter::default()
        };
        if let Some(name) = &query.schedule {
            filter.schedule = Some(self.find(caller, name, "run:list").await?.schedule.id);
        } else {
            filter.owner = self.run_owner(caller, query.owner.as_deref()).await?;
        }
        let page = self.store.runs(&filter, query.limit.clamp(1, 1000))?;
        let items = page.items.iter().map(|run| self.run_view(run)).collect();
        Ok(Page { items, next_cursor: page.next.map(|id| id.to_string()) })
    }

    /// Whose runs a list shows: an administrator sees all, others their own.
    async fn run_owner(&self, caller: &Caller, wanted: Option<&str>) -> Result<Option<Uid>, ServiceError> {
        let owner = match wanted {
            None if caller.admin => return Ok(None),
            None => Some(caller.uid),
            Some("*") => None,
            Some(name) => Some(
                self.host
                    .user_id(name)
                    .ok_or_else(|| ServiceError::field("owner", format!("there is no user {name:?}")))?,
            ),
        };
        if owner != Some(caller.uid) {
            self.require_admin(caller, Action::new("run:list", "run", wanted.unwrap_or("*"))).await?;
        }
        Ok(owner)
    }

    pub(crate) fn run_view(&self, run: &Run) -> RunView {
        let owner = self.host.user_name(run.owner).unwrap_or_else(|| format!("uid {}", run.owner));
        run_view(run, owner, &self.hostname, self.host.now())
    }

    /// One run with its tasks. With `wait`, not before it has ended or that time has passed.
    pub async fn run(&self, caller: &Caller, id: &str, wait: Option<Duration>) -> Result<RunView, ServiceError> {
        let mut run = self.find_run(caller, id, "run:read").await?;
        let end = wait.map(|wait| tokio::time::Instant::now() + wait.min(Duration::from_secs(600)));
        let mut pause = Duration::from_millis(2);
        while let Some(end) = end
            && !run.status.is_terminal()
            && tokio::time::Instant::now() < end
        {
            // Ends are rare beside reads: asking again at growing intervals costs less than a list of who waits for what.
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(Duration::from_millis(100));
            match self.store.run(run.id)? {
                Some(now) => run = now,
                None => break,
            }
        }
        let mut view = self.run_view(&run);
        match &mut view.workflow {
            None => view.tasks = task_views(self.store.tasks(run.id)?, self.store.attempts(run.id)?),
            // There may be ten thousand of them: they have a page of their own.
            Some(workflow) => workflow.counts = Some(self.task_counts(&run)?),
        }
        Ok(view)
    }

    /// Ends a run. A run that has ended says so and is left alone.
    pub async fn cancel(
        &self,
        caller: &Caller,
        id: &str,
        request: &CancelRequest,
    ) -> Result<CancelReply, ServiceError> {
        let run = self.find_run(caller, id, "run:cancel").await?;
        let reply = |status: &str| Ok(CancelReply { run_id: run.id.to_string(), status: status.to_owned() });
        if run.status.is_terminal() {
            return reply(&format!("already {}", status_word(run.status)));
        }
        if let Some(task) = &request.task {
            return self.cancel_task(caller, &run, task, request).await;
        }
        let mut details = vec![("force", Value::Bool(request.force))];
        if let Some(reason) = &request.reason {
            details.push(("reason", Value::Text(reason.clone())));
        }
        let asked_by = match &request.reason {
            Some(reason) => format!("{}: {reason}", caller.name),
            None => caller.name.clone(),
        };
        let notes = vec![self.audit_ok(caller, &Action::new("run:cancel", "run", run.id.to_string()), details)];
        let how = Cancel { force: request.force, compensate: !request.no_compensate };
        match self.engine.cancel(run.id, how, asked_by, notes).await {
            Ok(Answer::Cancelling { done: true }) => reply("cancelled"),
            Ok(_) => reply("cancelling"),
            Err(EngineError::Refused(Refusal::NotRunning)) => {
                let now = self.store.run(run.id)?.map_or(run.status, |run| run.status);
                reply(&format!("already {}", status_word(now)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes the record and the output of a run that has ended.
    pub async fn delete_run(&self, caller: &Caller, id: &str) -> Result<RunView, ServiceError> {
        let run = self.find_run(caller, id, "run:delete").await?;
        if !run.status.is_terminal() {
            return Err(ServiceError::new(ErrorCode::InUse, format!("run {} has not ended", run.id))
                .hint("cancel it first: slothctl runs cancel"));
        }
        let audit = self.audit_ok(caller, &Action::new("run:delete", "run", run.id.to_string()), Vec::new());
        self.engine.commit(vec![audit]).await?;
        self.store.delete_run(run.id)?;
        self.host.delete_output(&output_path(run.id, run.queued_at));
        Ok(self.run_view(&run))
    }

    /// A piece of the output of a run.
    pub async fn logs(&self, caller: &Caller, id: &str, wish: &LogWish) -> Result<LogPage, ServiceError> {
        let run = self.find_run(caller, id, "run:read").await?;
        self.logs_of(&run, wish)
    }

    /// As [`Service::logs`], of a run that was found before; the state of the run is read again.
    pub fn logs_of(&self, run: &Run, wish: &LogWish) -> Result<LogPage, ServiceError> {
        let before = self.store.run(run.id)?.is_none_or(|run| run.status.is_terminal());
        let mut page = self.host.output(run, wish)?;
        page.complete = before && page.chunks.is_empty();
        Ok(page)
    }

    /// The run behind an id, for streams.
    pub async fn run_record(&self, caller: &Caller, id: &str) -> Result<Run, ServiceError> {
        self.find_run(caller, id, "run:read").await
    }

    /// Carries a request out unless its key was used: then the same answer is given again.
    pub(crate) async fn once<T, F>(
        &self,
        caller: &Caller,
        key: Option<&str>,
        body: &str,
        work: F,
    ) -> Result<T, ServiceError>
    where
        T: DeserializeOwned,
        F: AsyncFnOnce(Option<Claim>) -> Result<T, ServiceError>,
    {
        let Some(key) = key else { return work(None).await };
        if key.is_empty() || key.len() > 200 || key.chars().any(char::is_control) {
            return Err(ServiceError::field("Idempotency-Key", "must be 1 to 200 printable characters"));
        }
        let hash = hex(&Sha256::digest(body.as_bytes()));
        // One at a time: two requests with the same key must not both find nothing.
        let _turn = self.turns.lock().await;
        if let Some(stored) = self.store.answer(key, caller.uid)? {
            if stored.body_hash != hash {
                return Err(ServiceError::new(
                    ErrorCode::Conflict,
                    "this Idempotency-Key was used for another request",
                )
                .hint("use a new key for each different request"));
            }
            return serde_json::from_str(&stored.response)
                .map_err(|error| ServiceError::new(ErrorCode::Internal, format!("stored answer: {error}")));
        }
        work(Some(Claim { key: key.to_owned(), uid: caller.uid, body_hash: hash })).await
    }
}

/// A key that has no answer yet. Whoever does the work writes the answer in the same transaction: a crash in between would leave the
/// work done and the key free.
#[derive(Clone)]
pub(crate) struct Claim {
    key: String,
    uid: Uid,
    body_hash: String,
}

impl Claim {
    /// The record of the answer.
    pub(crate) fn answered(self, response: String) -> Record {
        let Claim { key, uid, body_hash } = self;
        Record::Answered(Box::new(Answered { key, uid, body_hash, response }))
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn read_status(word: &str) -> Result<RunStatus, ServiceError> {
    let words: Vec<&str> = RunStatus::ALL.iter().map(|status| status.as_str()).collect();
    RunStatus::parse(word)
        .ok_or_else(|| ServiceError::field("status", format!("{word:?} is not one of {}", words.join(", "))))
}

fn read_trigger(word: &str) -> Result<RunTrigger, ServiceError> {
    [RunTrigger::Due, RunTrigger::Manual, RunTrigger::After, RunTrigger::Api, RunTrigger::Boot]
        .into_iter()
        .find(|trigger| run_trigger_word(*trigger) == word)
        .ok_or_else(|| {
            ServiceError::field("trigger", format!("{word:?} is not one of schedule, manual, after, api, boot"))
        })
}

fn read_run_cursor(text: &str) -> Result<RunId, ServiceError> {
    text.parse().map_err(|_| ServiceError::field("cursor", "is not one that slothd gave out"))
}
