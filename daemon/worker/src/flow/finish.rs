//! The end of a task: handlers that belong to it, its record, what can undo it; and whether a failed attempt is tried
//! again.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sloth_api::worker::{Record, TaskEnd};
use sloth_core::workflow::machine::{End, Input, Status, closing_hooks};
use sloth_core::workflow::{HookWhen, TaskId};
use sloth_lua::{Cancel, Ctx, Data, LogLevel, Shape};

use super::Flow;
use super::slots::result_record;

impl Flow {
    pub(super) fn finish(self: &Rc<Self>, task: TaskId, end: End) {
        let declared = &self.workflow.tasks[task.0 as usize];
        let hooks = closing_hooks(&end, self.machine.borrow().is_forced());
        let has_handlers = declared.handlers.entries.iter().any(|entry| hooks.contains(&entry.when));
        let rolls_back = declared.rollback_on_failure && end.status == Status::Failed;
        if !has_handlers && !rolls_back {
            self.record_end(task, &end);
            self.tell(Input::Released(task));
            return;
        }
        let flow = Rc::clone(self);
        self.spawn(async move {
            flow.close(task, end, hooks, rolls_back).await;
            flow.tell(Input::Released(task));
        });
    }

    /// "success: `on_success`, `task.completed`; failure: `on_timeout`, `on_failure`, `task.failed` → `post_task` →
    /// `on_complete`"
    async fn close(self: &Rc<Self>, task: TaskId, end: End, hooks: &[HookWhen], rolls_back: bool) {
        let declared = &self.workflow.tasks[task.0 as usize];
        let ctx = self.context(task, end.attempts.max(1), Cancel::default()).unwrap_or_else(|_| self.own_context());
        if self.run.names_temp_dir() && !ctx.is_simulated() {
            // Handlers may look at it; what cannot be made shows itself there.
            let _ = std::fs::create_dir_all(&ctx.temp_dir);
        }
        let early = |when: &&HookWhen| !matches!(when, HookWhen::PostTask | HookWhen::OnComplete | HookWhen::OnSkip);
        for when in hooks.iter().filter(early) {
            self.closing(task, &ctx, &end, *when).await;
        }
        if rolls_back {
            self.roll_back_task(task).await;
        }
        self.record_end(task, &end);
        for when in hooks.iter().filter(|when| !early(when)) {
            for entry in declared.handlers.entries.iter().filter(|entry| entry.when == *when) {
                let third = self.third_argument(task, &end, *when);
                let shape = self.hook_shape(task, &ctx, entry, third);
                self.call_hook(Some(task), &ctx, entry, shape).await;
            }
        }
        // Below the directory of the run, which is removed at its end.
        let _ = std::fs::remove_dir_all(&ctx.temp_dir);
    }

    async fn closing(self: &Rc<Self>, task: TaskId, ctx: &Arc<Ctx>, end: &End, when: HookWhen) {
        let declared = &self.workflow.tasks[task.0 as usize];
        for entry in declared.handlers.entries.iter().filter(|entry| entry.when == when) {
            let third = self.third_argument(task, end, when);
            let shape = self.hook_shape(task, ctx, entry, third);
            self.call_hook(Some(task), ctx, entry, shape).await;
        }
    }

    fn third_argument(&self, task: TaskId, end: &End, when: HookWhen) -> Value {
        let slots = self.slots.borrow();
        let slot = &slots[task.0 as usize];
        let declared = &self.workflow.tasks[task.0 as usize];
        match when {
            HookWhen::OnSuccess => match (&slot.result, &slot.end) {
                (Some(result), _) => result.output.clone(),
                (None, Some(end)) => end.output.clone(),
                (None, None) => json!({}),
            },
            HookWhen::OnFailure | HookWhen::OnTimeout => {
                let message = slot.result.as_ref().map(|result| result.message.clone());
                let message = end.why.as_ref().map(|why| why.text()).or(message).unwrap_or_default();
                json!({
                    "message": message,
                    "error": message,
                    "task": declared.name,
                    "task_name": declared.name,
                    "kind": end.kind.as_deref(),
                    "attempt": end.attempts,
                    "exit_code": slot.result.as_ref().and_then(|result| result.exit_code),
                    "traceback": slot.result.as_ref().and_then(|result| result.traceback.clone()),
                })
            }
            HookWhen::OnSkip => {
                let why = end.why.as_ref();
                json!({ "reason": why.map(|why| why.word()), "message": why.map(|why| why.text()),
                        "dependency": why.and_then(|why| why.dependency()) })
            }
            _ => slot.end.as_ref().map_or(Value::Null, |end| result_record(end, &self.run.host)),
        }
    }

    /// Records the end; from now on what undoes it is known.
    fn record_end(self: &Rc<Self>, task: TaskId, end: &End) {
        let declared = &self.workflow.tasks[task.0 as usize];
        let stage = self.workflow.stages[declared.stage.0 as usize].name.clone();
        let record = {
            let mut slots = self.slots.borrow_mut();
            let slot = &mut slots[task.0 as usize];
            let name = self.record_name(&declared.name);
            let record = slot.finish(&self.recorded, name, Some(stage), end, crate::clock::millis());
            slot.end = Some(record.clone());
            slot.cancel = None;
            slot.job = None;
            record
        };
        self.run.release_task(&record.name);
        self.log_end(task, &record);
        self.ledger.borrow_mut().task_ended(&self.workflow, task, end.status);
        self.record_participant(task, &record);
        let flow = Rc::clone(self);
        let record = Record::TaskFinished { end: Box::new(record) };
        self.run.journal.record_then(record, move || flow.tell(Input::Recorded(task)));
        self.run.notify_event(&self.recorded, &declared.name, end.status.word());
    }

    fn log_end(&self, task: TaskId, end: &TaskEnd) {
        if end.status == "failed" {
            let text = end.error.as_deref().unwrap_or(&end.message);
            self.say(Some(task), end.attempts, LogLevel::Error, format!("failed: {text}"));
        }
    }

    fn record_participant(&self, task: TaskId, end: &TaskEnd) {
        if end.status != "completed" {
            return;
        }
        let Some((coordinator, _)) = self.saga_of(task) else { return };
        self.run.journal.record(Record::Saga {
            saga: coordinator,
            workflow: self.recorded.clone(),
            step: "participant_done".to_owned(),
            participant: Some(self.workflow.tasks[task.0 as usize].name.clone()),
            message: None,
            // Its output is in its terminal record.
            data: Value::Null,
        });
    }

    /// `retry_on` as a function, then the `on_retry` handlers: `false` stops retrying.
    pub(super) async fn ask_retry(self: &Rc<Self>, task: TaskId, attempt: u32, delay_ms: u64) -> bool {
        let declared = &self.workflow.tasks[task.0 as usize];
        let ctx = self.context(task, attempt, Cancel::default()).unwrap_or_else(|_| self.own_context());
        let failed = End {
            status: Status::Failed,
            kind: self.slots.borrow()[task.0 as usize]
                .result
                .as_ref()
                .and_then(|result| result.kind.clone().map(Into::into)),
            why: None,
            ignored: false,
            attempts: attempt,
        };
        let error = self.third_argument(task, &failed, HookWhen::OnFailure);
        let decide = declared.retry.as_ref().and_then(|retry| retry.decide);
        if let Some(function) = decide {
            let shape = Shape::Plain(vec![error.clone()]);
            let end = self.call_limited(&ctx, function, shape, Duration::from_secs(60)).await;
            let refuses = |values: &Vec<Data>| matches!(values.first(), None | Some(Data::Nil | Data::Bool(false)));
            if end.result.as_ref().is_ok_and(refuses) {
                return false;
            }
        }
        let max_attempts = self.machine.borrow().max_attempts(task);
        #[allow(clippy::cast_precision_loss)] // a delay in seconds, for people
        let delay = delay_ms as f64 / 1000.0;
        let third = json!({ "error": error, "attempt": attempt, "max_attempts": max_attempts, "delay": delay });
        let mut again = true;
        for entry in declared.handlers.entries.iter().filter(|entry| entry.when == HookWhen::OnRetry) {
            let shape = self.hook_shape(task, &ctx, entry, third.clone());
            let Some(end) = self.call_hook(Some(task), &ctx, entry, shape).await else { continue };
            if let (false, Ok(values)) = (entry.with_ctx, &end.result) {
                again &= values.first() != Some(&Data::Bool(false));
            }
        }
        again
    }
}
