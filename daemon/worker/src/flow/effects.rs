//! Carries the effects of the machine out.

use std::rc::Rc;

use serde_json::json;
use sloth_api::worker::Record;
use sloth_core::workflow::TaskId;
use sloth_core::workflow::machine::{Effect, Input, KillReason, Outcome, Scope};
use sloth_lua::{CancelKind, Daemon, LogLevel};

use super::Flow;
use super::slots::Key;
use crate::run::{scope_name, when_name};

impl Flow {
    pub(super) fn carry_out(self: &Rc<Self>, effect: Effect) {
        let flow = Rc::clone(self);
        match effect {
            Effect::RunHandlers(scope, when) => {
                self.spawn(async move {
                    let said = flow.run_handlers(scope, when).await;
                    let data = json!({
                        "workflow": flow.recorded, "scope": scope_name(&flow.workflow, scope), "when": when_name(when),
                    });
                    let told = Rc::clone(&flow);
                    flow.run.journal.record_then(Record::Note { what: "handled".to_owned(), data }, move || {
                        told.tell(Input::HandlersEnded(said));
                    });
                });
            }
            Effect::JudgeStage(stage) => {
                self.spawn(async move {
                    let judgement = flow.judge_stage(stage).await;
                    flow.tell(Input::StageJudged(stage, judgement));
                });
            }
            Effect::Judge(task) => {
                self.spawn(async move {
                    let judgement = flow.judge_task(task).await;
                    flow.tell(Input::Judged(task, judgement));
                });
            }
            Effect::AcquireKey(task) => self.acquire_key(task),
            Effect::ReleaseKey(task) => self.release_key(task),
            Effect::Announce(task, attempt) => self.announce(task, attempt),
            Effect::Begin(task, attempt) => self.begin(task, attempt),
            Effect::Kill(task, reason, force) => self.kill(task, reason, force),
            Effect::AskRetry { task, attempt, delay_ms } => {
                self.spawn(async move {
                    let again = flow.ask_retry(task, attempt, delay_ms).await;
                    flow.tell(Input::RetryAnswered(task, again));
                });
            }
            Effect::Retry { task, attempt, delay_ms } => self.retry(task, attempt, delay_ms),
            Effect::Finish(task, end) => self.finish(task, end),
            Effect::StageEnded(stage, status) => {
                let millis = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.stages.borrow_mut().insert(stage, (status, millis));
            }
            Effect::NewRound(scope, round) => self.new_round(scope, round),
            Effect::Commit(scope) => self.commit(scope),
            Effect::Compensate(what) => {
                self.spawn(async move {
                    let undone = flow.undo(what).await;
                    flow.tell(Input::Compensated(undone));
                });
            }
            Effect::Status(status) => {
                self.run.journal.record(Record::Status { status: status.to_owned() });
            }
            Effect::Done(_) => {}
        }
    }

    fn announce(self: &Rc<Self>, task: TaskId, attempt: u32) {
        let flow = Rc::clone(self);
        let name = self.record_name(&self.workflow.tasks[task.0 as usize].name);
        let record = Record::TaskStarted { workflow: self.recorded.clone(), task: name, attempt };
        self.run.journal.record_then(record, move || flow.tell(Input::Announced(task)));
    }

    fn begin(self: &Rc<Self>, task: TaskId, attempt: u32) {
        let flow = Rc::clone(self);
        let cancel = sloth_lua::Cancel::default();
        {
            let mut slots = self.slots.borrow_mut();
            let slot = &mut slots[task.0 as usize];
            slot.cancel = Some(cancel.clone());
            slot.killed = None;
            slot.started_at.get_or_insert_with(crate::clock::millis);
        }
        let job = self.spawn(async move {
            let outcome = flow.attempt(task, attempt, cancel).await;
            flow.tell(Input::AttemptEnded(task, outcome));
        });
        self.slots.borrow_mut()[task.0 as usize].job = Some(job);
    }

    fn kill(&self, task: TaskId, reason: KillReason, force: bool) {
        let text = match reason {
            KillReason::Timeout => "timed out",
            KillReason::FailFast => "cancelled: a sibling failed (fail_fast)",
            KillReason::StageTimeout => "cancelled: the time of the stage is over",
            KillReason::RunTimeout => "cancelled: the time of the workflow is over",
            KillReason::Task => "cancelled: the task was cancelled",
            KillReason::Run => "cancelled: the run was cancelled",
        };
        let mut slots = self.slots.borrow_mut();
        let slot = &mut slots[task.0 as usize];
        slot.killed = Some(text.to_owned());
        let kind = match reason {
            KillReason::Timeout => CancelKind::Timeout,
            _ => CancelKind::Cancelled(text.to_owned()),
        };
        if let Some(cancel) = &slot.cancel {
            cancel.cancel(kind);
        }
        if force && let Some(job) = slot.job.take() {
            // What it started is killed when its future is dropped.
            job.abort();
            drop(slots);
            self.tell(Input::AttemptEnded(task, Outcome::failure("cancelled")));
        }
    }

    fn retry(&self, task: TaskId, attempt: u32, delay_ms: u64) {
        let declared = &self.workflow.tasks[task.0 as usize];
        let (failure, message) = {
            let slots = self.slots.borrow();
            let result = slots[task.0 as usize].result.as_ref();
            let kind = result.and_then(|result| result.kind.clone()).unwrap_or_else(|| "error".to_owned());
            (kind, result.map(|result| result.message.clone()).unwrap_or_default())
        };
        let next = f64::from(u32::try_from(delay_ms).unwrap_or(u32::MAX)) / 1000.0;
        self.say(
            Some(task),
            attempt,
            LogLevel::Warn,
            format!("attempt {attempt} failed: {message}; again in {next} s"),
        );
        self.run.journal.record(Record::AttemptFinished {
            workflow: self.recorded.clone(),
            task: self.record_name(&declared.name),
            attempt,
            failure,
            message,
            delay_ms,
        });
    }

    fn new_round(&self, scope: Scope, round: u32) {
        let data = json!({
            "workflow": self.recorded, "scope": scope_name(&self.workflow, scope), "round": round,
        });
        self.run.journal.record(Record::Note { what: "round".to_owned(), data });
    }

    fn acquire_key(self: &Rc<Self>, task: TaskId) {
        let flow = Rc::clone(self);
        let declared = &self.workflow.tasks[task.0 as usize];
        let Some((key, n)) = declared.concurrency.clone() else { return };
        self.slots.borrow_mut()[task.0 as usize].key = Key::Asked;
        let name = self.record_name(&declared.name);
        self.spawn(async move {
            let body = json!({ "key": key, "n": n, "task": name });
            let answer = flow.run.link.ask("key.acquire", body).await;
            let is_wanted = {
                let mut slots = flow.slots.borrow_mut();
                let slot = &mut slots[task.0 as usize];
                let is_wanted = slot.key == Key::Asked;
                slot.key = if answer.is_ok() { Key::Held } else { Key::None };
                is_wanted
            };
            if is_wanted {
                flow.tell(Input::KeyAnswered(task, answer.map(drop).map_err(|trouble| trouble.message)));
            } else {
                flow.release_key(task);
            }
        });
    }

    fn release_key(self: &Rc<Self>, task: TaskId) {
        let declared = &self.workflow.tasks[task.0 as usize];
        let Some((key, _)) = declared.concurrency.clone() else { return };
        {
            let mut slots = self.slots.borrow_mut();
            let slot = &mut slots[task.0 as usize];
            match slot.key {
                Key::Held => slot.key = Key::None,
                Key::Asked => {
                    slot.key = Key::Unwanted;
                    return;
                }
                Key::None | Key::Unwanted => return,
            }
        }
        let name = self.record_name(&declared.name);
        let released = self.run.link.ask("key.release", json!({ "key": key, "task": name }));
        // slothd releases what a worker that is gone has held, so there is nothing to do about a failure.
        self.spawn(async move { drop(released.await) });
    }
}
