//! Undoing: compensations of sagas and rollback, each recorded before the next.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use sloth_api::worker::Record;
use sloth_core::workflow::machine::{EntryId, Scope, Source, Undo, Undone};
use sloth_core::workflow::{Command, FnRef, Retry, Step, TaskId};
use sloth_lua::{LogLevel, Shape, TaskResult, task_result};

use super::Flow;
use super::attempt::failed;

/// "5m timeout, 3 attempts"
const LIMIT: Duration = Duration::from_secs(300);
const ATTEMPTS: u32 = 3;

/// What limits and repeats a compensation.
struct Terms {
    limit: Duration,
    retry: Retry,
}

impl Flow {
    /// The machine asks for it.
    pub(super) async fn undo(self: &Rc<Self>, what: Undo) -> Undone {
        let plan = self.ledger.borrow_mut().plan(&self.workflow, what, 0);
        let mut undone = self.undo_all(plan).await;
        undone.ran += self.undone_before(what);
        undone
    }

    /// Compensations that an earlier worker of this run has done count for its result.
    fn undone_before(&self, what: Undo) -> u32 {
        let ledger = self.ledger.borrow();
        let history = &self.run.history.undone;
        let counts = |(id, entry): &(EntryId, &sloth_core::workflow::machine::Entry)| {
            let is_meant = match what {
                Undo::Sagas(scope) => entry.in_saga && entry.scope == scope,
                Undo::Everything | Undo::Rollback => !entry.in_saga,
            };
            is_meant && ledger.is_done(*id) && history.contains(&(entry.saga.clone(), entry.participant.clone()))
        };
        u32::try_from(ledger.entries().filter(counts).count()).unwrap_or(u32::MAX)
    }

    /// The run has ended before; what is left of its compensations is done now.
    pub async fn compensate_rest(self: &Rc<Self>) -> Undone {
        use sloth_core::workflow::{StageId, WorkflowFailure};
        let stages = (0_u32..).zip(&self.workflow.stages).map(|(at, _)| Undo::Sagas(Scope::Stage(StageId(at))));
        let mut all: Vec<Undo> = stages.chain([Undo::Sagas(Scope::Workflow)]).collect();
        if matches!(self.workflow.config.on_failure, WorkflowFailure::Rollback | WorkflowFailure::Compensate) {
            all.push(Undo::Everything);
        }
        let mut undone = Undone::default();
        for what in all {
            let part = self.undo(what).await;
            undone.ran += part.ran;
            undone.failed += part.failed;
        }
        undone
    }

    /// `rollback.execute`: everything that came after a point. `Ok`, or the first message.
    pub async fn roll_back(self: &Rc<Self>, since: u64) -> Result<(), String> {
        let plan = self.ledger.borrow_mut().plan(&self.workflow, Undo::Rollback, since);
        let names: Vec<String> = plan
            .iter()
            .filter_map(|id| self.ledger.borrow().entry(*id).task)
            .map(|task| self.task_name(task))
            .collect();
        let undone = self.undo_all(plan).await;
        if !names.is_empty() {
            let data = json!({ "workflow": self.recorded, "tasks": names });
            self.run.journal.record(Record::Note { what: "rolled_back".to_owned(), data });
        }
        if undone.failed == 0 { Ok(()) } else { Err(format!("{} compensations failed", undone.failed)) }
    }

    /// `rollback_on_failure`: back to the last checkpoint.
    pub(super) async fn roll_back_task(self: &Rc<Self>, task: TaskId) {
        let since = self.run.checkpoint_mark(&self.recorded, None);
        if let Err(message) = self.roll_back(since).await {
            self.say(Some(task), 0, LogLevel::Error, format!("rollback: {message}"));
        }
    }

    /// A saga of the script is given up.
    pub async fn abort_saga(self: &Rc<Self>, saga: &str) -> Undone {
        let plan = self.ledger.borrow().plan_saga(saga);
        self.undo_all(plan).await
    }

    async fn undo_all(self: &Rc<Self>, plan: Vec<EntryId>) -> Undone {
        let mut undone = Undone::default();
        if plan.is_empty() {
            return undone;
        }
        self.run.journal.record(Record::Status { status: "compensating".to_owned() });
        let mut sagas: Vec<String> = Vec::new();
        for id in plan {
            if self.ledger.borrow().is_done(id) {
                continue;
            }
            let saga = self.ledger.borrow().entry(id).saga.clone();
            if !sagas.contains(&saga) {
                self.saga_record(&saga, "compensating", None, None, Value::Null).await;
                sagas.push(saga);
            }
            undone.ran += 1;
            undone.failed += u32::from(!self.undo_one(id).await);
        }
        for saga in sagas {
            let step = if undone.failed == 0 { "compensated" } else { "failed" };
            self.saga_record(&saga, step, None, None, Value::Null).await;
        }
        undone
    }

    async fn undo_one(self: &Rc<Self>, id: EntryId) -> bool {
        let entry = self.ledger.borrow().entry(id).clone();
        let terms = self.terms(&entry.saga);
        let participant = Some(entry.participant.clone());
        self.saga_record(&entry.saga, "compensation_started", participant.clone(), None, Value::Null).await;
        let mut attempt = 1;
        loop {
            let result = match tokio::time::timeout(terms.limit, self.compensate(&entry, attempt)).await {
                Ok(result) => result,
                Err(_) => failed("timeout", format!("timed out after {} s", terms.limit.as_secs())),
            };
            if result.success {
                self.ledger.borrow_mut().done(id);
                self.saga_record(&entry.saga, "compensation_done", participant, None, result.output).await;
                return true;
            }
            let text = format!("compensation of \"{}\": {}", entry.participant, result.message);
            self.say(entry.task, attempt, LogLevel::Error, text);
            if attempt >= terms.retry.max_attempts.max(1) {
                let message = Some(result.message);
                self.saga_record(&entry.saga, "compensation_failed", participant, message, Value::Null).await;
                return false;
            }
            tokio::time::sleep(Duration::from_millis(terms.retry.delay(attempt, 0.5))).await;
            attempt += 1;
        }
    }

    fn terms(&self, saga: &str) -> Terms {
        let sagas = self.workflow.stages.iter().filter_map(|stage| stage.saga.as_ref()).chain(&self.workflow.saga);
        let own = sagas.into_iter().find(|known| known.coordinator == saga);
        let retry = own.map_or_else(|| Retry::times(ATTEMPTS - 1), |saga| saga.retry.clone());
        let limit = own.filter(|saga| saga.timeout_ms > 0).map_or(LIMIT, |saga| Duration::from_millis(saga.timeout_ms));
        Terms { limit, retry }
    }

    async fn compensate(self: &Rc<Self>, entry: &sloth_core::workflow::machine::Entry, attempt: u32) -> TaskResult {
        let function = match &entry.source {
            Source::Task(function) | Source::Script(function) | Source::Declared(Command::Function(function)) => {
                *function
            }
            Source::Declared(command) => return self.compensate_with(entry, command, attempt).await,
        };
        let ctx = self.compensation_context(entry, attempt);
        let mut seen = self.hook_context(None, &ctx);
        self.describe(entry, &mut seen);
        task_result(self.run.vm().call(FnRef(function.0), Shape::Compensation(seen), ctx).await)
    }

    fn compensation_context(
        &self,
        entry: &sloth_core::workflow::machine::Entry,
        attempt: u32,
    ) -> std::sync::Arc<sloth_lua::Ctx> {
        let own = self.own_context();
        let part = own.part(None);
        std::sync::Arc::new(sloth_lua::Ctx { task: Some(self.record_name(&entry.participant)), attempt, ..part })
    }

    fn describe(&self, entry: &sloth_core::workflow::machine::Entry, seen: &mut Value) {
        seen["participant"] = entry.participant.as_str().into();
        if let Some(task) = entry.task {
            let stage = self.workflow.tasks[task.0 as usize].stage;
            seen["stage"] = self.workflow.stages[stage.0 as usize].name.as_str().into();
            seen["params"] = Value::Object(self.params_of(task));
            let slots = self.slots.borrow();
            let output = slots[task.0 as usize].end.as_ref().map(|end| end.output.clone());
            seen["output"] = output.unwrap_or(Value::Null);
        }
    }

    /// A compensation that is a command and no function.
    async fn compensate_with(
        self: &Rc<Self>,
        entry: &sloth_core::workflow::machine::Entry,
        command: &Command,
        attempt: u32,
    ) -> TaskResult {
        use sloth_modules::exec::{CommandSpec, run};
        let ctx = self.compensation_context(entry, attempt);
        let roots = match entry.task {
            Some(task) => self.roots(task),
            None => self.run.roots(&self.workflow.params, &serde_json::Map::new(), &entry.participant),
        };
        let spec = match command {
            Command::Shell(text) => match roots.render_shell(text) {
                Err(message) => return failed("error", message),
                Ok((text, env)) => {
                    let mut spec = CommandSpec::shell(text);
                    spec.env = env.into_iter().map(|(name, value)| (name, Some(value))).collect();
                    spec
                }
            },
            Command::Argv(words) => CommandSpec::argv(words.clone()),
            Command::Module { module, action, args } => {
                return task_result(self.run.vm().call_module(module, action, args, ctx).await);
            }
            Command::Function(_) | Command::Choose(_) => {
                return failed("compensation", "a choice between branches cannot be a compensation");
            }
        };
        match self.run.io.run(run(spec, ctx)).await {
            Some(result) if result.success => super::attempt::succeeded(json!({})),
            Some(result) => failed("compensation", result.error.unwrap_or_default()),
            None => failed("compensation", "the command was given up"),
        }
    }

    /// The stage or workflow ended well: its sagas are committed.
    pub(super) fn commit(&self, scope: Scope) {
        for saga in self.ledger.borrow_mut().commit_scope(scope) {
            self.run.journal.record(Record::Saga {
                saga,
                workflow: self.recorded.clone(),
                step: "committed".to_owned(),
                participant: None,
                message: None,
                data: Value::Null,
            });
        }
    }

    /// The saga in which a task takes part.
    pub fn saga_of(&self, task: TaskId) -> Option<(String, Scope)> {
        let stage = self.workflow.tasks[task.0 as usize].stage;
        let own = self.workflow.stages[stage.0 as usize].saga.as_ref().map(|saga| (saga, Scope::Stage(stage)));
        let whole = self.workflow.saga.as_ref().map(|saga| (saga, Scope::Workflow));
        let found = own.into_iter().chain(whole).find(|(saga, _)| saga.participants.contains(&Step::Task(task)));
        found.map(|(saga, scope)| (saga.coordinator.clone(), scope))
    }

    /// Records a step of a saga, and waits until that is durable.
    pub async fn saga_record(
        &self,
        saga: &str,
        step: &str,
        participant: Option<String>,
        message: Option<String>,
        data: Value,
    ) {
        let record = Record::Saga {
            saga: saga.to_owned(),
            workflow: self.recorded.clone(),
            step: step.to_owned(),
            participant,
            message,
            data,
        };
        // When it cannot become durable the whole worker ends.
        let _ = self.run.journal.record_durably(record).await;
    }

    fn task_name(&self, task: TaskId) -> String {
        self.workflow.tasks[task.0 as usize].name.clone()
    }
}
