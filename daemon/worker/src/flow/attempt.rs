//! One attempt, step by step: circuit, hooks before, artifacts that it needs, command, health check, hooks after,
//! artifacts that it leaves.

use std::rc::Rc;
use std::sync::Arc;

use serde_json::json;
use sloth_core::workflow::machine::Outcome;
use sloth_core::workflow::{Command, HookWhen, TaskId};
use sloth_lua::{Cancel, Ctx, LogLevel, Shape, TaskResult, task_result};

use super::Flow;
use super::context::TempDir;
use crate::artifacts;

impl Flow {
    /// Makes an attempt. Its result stays in the task's slot.
    pub(super) async fn attempt(self: &Rc<Self>, task: TaskId, attempt: u32, cancel: Cancel) -> Outcome {
        let declared = &self.workflow.tasks[task.0 as usize];
        let result = match self.context(task, attempt, cancel) {
            Err(message) => failed("error", message),
            Ok(ctx) => {
                let limits = sloth_modules::exec::Limits::from(&declared.resources);
                sloth_modules::exec::limit_attempt(&ctx, limits);
                let result = self.guarded(task, &ctx).await;
                sloth_modules::exec::release(&ctx);
                self.clean_workdir(task, attempt, &ctx).await;
                result
            }
        };
        for warning in &result.warnings {
            self.say(Some(task), attempt, LogLevel::Warn, format!("{} {}", warning.code, warning.message));
        }
        let outcome = Outcome {
            success: result.success,
            kind: result.kind.clone().map(Into::into),
            branch: branch_of(declared.command.as_ref(), &result),
        };
        self.slots.borrow_mut()[task.0 as usize].result = Some(result);
        outcome
    }

    /// Removes the work directory when the attempt asked for that.
    async fn clean_workdir(&self, task: TaskId, attempt: u32, ctx: &Arc<Ctx>) {
        if !sloth_modules::workdir::is_doomed(ctx) {
            return;
        }
        let done = Arc::clone(ctx);
        let kept = self.run.io.block(move || sloth_modules::workdir::clean_up(&done)).await;
        for message in kept.unwrap_or_default() {
            self.say(Some(task), attempt, LogLevel::Warn, message);
        }
    }

    async fn steps(self: &Rc<Self>, task: TaskId, ctx: &Arc<Ctx>) -> TaskResult {
        let declared = &self.workflow.tasks[task.0 as usize];
        let temp = match TempDir::new(&ctx.temp_dir, self.run.names_temp_dir() || ctx.user.is_some()) {
            Ok(temp) => temp,
            Err(message) => return failed("error", message),
        };
        if ctx.user.is_some() {
            temp.open_for_others(&self.run.info.temp_dir);
        }
        if let Err(message) = self.before(task, ctx).await {
            return message;
        }
        let mut result = self.command(task, ctx).await;
        if !result.success {
            return result;
        }
        if let Some(refused) = self.after(task, ctx, &mut result).await {
            return TaskResult { output: result.output, ..refused };
        }
        if !declared.artifacts.is_empty() && !ctx.is_simulated() {
            match artifacts::store(self, task, ctx).await {
                Ok(warnings) => warnings.into_iter().for_each(|warning| {
                    self.say(Some(task), ctx.attempt, LogLevel::Warn, warning);
                }),
                Err(message) => return TaskResult { output: result.output, ..failed("error", message) },
            }
        }
        result
    }

    /// With the circuit of the task, if it has one.
    async fn guarded(self: &Rc<Self>, task: TaskId, ctx: &Arc<Ctx>) -> TaskResult {
        if self.workflow.tasks[task.0 as usize].circuit.is_none() {
            return self.steps(task, ctx).await;
        }
        if let Err(refused) = self.enter_circuit(task).await {
            return refused;
        }
        let result = self.steps(task, ctx).await;
        self.leave_circuit(task, result.success).await;
        result
    }

    async fn before(self: &Rc<Self>, task: TaskId, ctx: &Arc<Ctx>) -> Result<(), TaskResult> {
        let declared = &self.workflow.tasks[task.0 as usize];
        for when in [HookWhen::PreTask, HookWhen::PreHook] {
            for hook in declared.handlers.entries.iter().filter(|hook| hook.when == when) {
                let shape = self.hook_shape(task, ctx, hook, json!(null));
                let Some(end) = self.call_hook(Some(task), ctx, hook, shape).await else { continue };
                let said = task_result(end);
                if !said.success {
                    let message = if said.message.is_empty() { "refused by a hook".to_owned() } else { said.message };
                    return Err(failed(said.kind.as_deref().unwrap_or("error"), message));
                }
            }
        }
        if !declared.consumes.is_empty() && !ctx.is_simulated() {
            artifacts::fetch(self, task, ctx).await.map_err(|message| failed("error", message))?;
        }
        Ok(())
    }

    /// Health check and hooks after the command; `Some`: the attempt has failed after all.
    async fn after(self: &Rc<Self>, task: TaskId, ctx: &Arc<Ctx>, result: &mut TaskResult) -> Option<TaskResult> {
        let declared = &self.workflow.tasks[task.0 as usize];
        if let Some(check) = declared.health_check
            && let Err(message) = self.check_health(task, ctx, check).await
        {
            return Some(failed("error", message));
        }
        for hook in declared.handlers.entries.iter().filter(|hook| hook.when == HookWhen::PostHook) {
            let shape = self.hook_shape(task, ctx, hook, result.output.clone());
            let Some(end) = self.call_hook(Some(task), ctx, hook, shape).await else { continue };
            let said = task_result(end);
            if !said.success {
                let message = if said.message.is_empty() { "refused by post_hook".to_owned() } else { said.message };
                return Some(failed(said.kind.as_deref().unwrap_or("error"), message));
            }
        }
        None
    }

    /// Calls a function of a task, with what it sees.
    pub(super) async fn call_function(
        &self,
        task: TaskId,
        ctx: &Arc<Ctx>,
        function: sloth_core::workflow::FnRef,
    ) -> TaskResult {
        task_result(self.run.vm().call(function, Shape::Command(self.view(task, ctx)), Arc::clone(ctx)).await)
    }
}

/// A failure of the engine's.
pub(super) fn failed(kind: &str, message: impl Into<String>) -> TaskResult {
    TaskResult {
        success: false,
        message: message.into(),
        output: json!({}),
        kind: Some(kind.to_owned()),
        exit_code: None,
        changed: None,
        traceback: None,
        warnings: Vec::new(),
    }
}

/// A success of the engine's.
pub(super) fn succeeded(output: serde_json::Value) -> TaskResult {
    TaskResult {
        success: true,
        message: String::new(),
        output,
        kind: None,
        exit_code: None,
        changed: Some(false),
        traceback: None,
        warnings: Vec::new(),
    }
}

fn branch_of(command: Option<&Command>, result: &TaskResult) -> Option<u32> {
    matches!(command, Some(Command::Choose(_)))
        .then(|| result.output.get("branch").and_then(serde_json::Value::as_u64))
        .flatten()
        .and_then(|branch| u32::try_from(branch).ok())
}
