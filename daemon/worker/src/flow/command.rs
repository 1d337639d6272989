//! What a task does: functions, commands, modules, and choices between branches.

use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Value, json};
use sloth_core::workflow::machine::Judgement;
use sloth_core::workflow::{Command, TaskId};
use sloth_lua::{Ctx, TaskResult, task_result};
use sloth_modules::exec::{self, CommandSpec, ExecResult};

use super::Flow;
use super::attempt::{failed, succeeded};

impl Flow {
    pub(super) async fn command(self: &Rc<Self>, task: TaskId, ctx: &Arc<Ctx>) -> TaskResult {
        let declared = &self.workflow.tasks[task.0 as usize];
        if declared.delegate_to.as_ref().is_some_and(|target| !is_here(target)) {
            return failed(
                "agent_unreachable",
                "not_supported: delegate_to other hosts is not available in this build",
            );
        }
        match &declared.command {
            None => succeeded(json!({})),
            Some(Command::Function(function)) => self.call_function(task, ctx, *function).await,
            Some(Command::Shell(text)) => match self.roots(task).render_shell(text) {
                Err(message) => failed("error", message),
                Ok((text, env)) => {
                    let mut spec = CommandSpec::shell(text);
                    spec.env = env.into_iter().map(|(name, value)| (name, Some(value))).collect();
                    self.execute(spec, ctx).await
                }
            },
            Some(Command::Argv(words)) => {
                let roots = words.iter().any(|word| word.contains("${")).then(|| self.roots(task));
                let render = |word: &String| match &roots {
                    Some(roots) => roots.render(word),
                    None => Ok(word.clone()),
                };
                match words.iter().map(render).collect::<Result<Vec<String>, String>>() {
                    Err(message) => failed("error", message),
                    Ok(words) => self.execute(CommandSpec::argv(words), ctx).await,
                }
            }
            Some(Command::Module { module, action, args }) => {
                let args = self.roots(task).render_all(args);
                match args {
                    Err(message) => failed("error", message),
                    Ok(args) => task_result(self.run.vm().call_module(module, action, &args, Arc::clone(ctx)).await),
                }
            }
            Some(Command::Choose(branches)) => self.choose(task, ctx, branches).await,
        }
    }

    async fn execute(&self, spec: CommandSpec, ctx: &Arc<Ctx>) -> TaskResult {
        let result = self.run.io.run(exec::run(spec, Arc::clone(ctx))).await;
        result.map_or_else(|| failed("error", "the command was given up"), of_command)
    }

    /// The first branch whose condition holds.
    async fn choose(
        self: &Rc<Self>,
        task: TaskId,
        ctx: &Arc<Ctx>,
        branches: &[Option<sloth_core::workflow::Condition>],
    ) -> TaskResult {
        for (at, condition) in branches.iter().enumerate() {
            let judgement = match condition {
                None => Judgement::Holds,
                Some(condition) => self.judge(Some(task), condition, ctx).await,
            };
            match judgement {
                Judgement::Holds => return succeeded(json!({ "branch": at })),
                Judgement::Fails | Judgement::Aborts => {}
                Judgement::Error(message) => return failed("condition_error", message),
            }
        }
        succeeded(json!({}))
    }
}

impl super::context::Roots {
    /// Fills all texts of a table in.
    fn render_all(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => Value::String(self.render(text)?),
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.render_all(item)).collect::<Result<_, _>>()?)
            }
            Value::Object(map) => Value::Object(
                map.iter()
                    .map(|(key, item)| Ok((key.clone(), self.render_all(item)?)))
                    .collect::<Result<_, String>>()?,
            ),
            other => other.clone(),
        })
    }
}

/// "output is `{stdout, stderr, exit_code, success, duration_ms}`; non-zero exit is failure"
fn of_command(result: ExecResult) -> TaskResult {
    let mut output = json!({
        "stdout": String::from_utf8_lossy(&result.stdout),
        "stderr": String::from_utf8_lossy(&result.stderr),
        "exit_code": result.exit_code,
        "success": result.success,
        "duration_ms": u64::try_from(result.duration.as_millis()).unwrap_or(u64::MAX),
    });
    if result.simulated {
        output["simulated"] = true.into();
    }
    if result.truncated {
        output["truncated"] = true.into();
    }
    let kind = result.failure_kind();
    TaskResult {
        success: result.success,
        message: result.error.clone().unwrap_or_default(),
        output: sized(output),
        kind: kind.map(str::to_owned),
        exit_code: Some(result.exit_code),
        changed: Some(result.changed.unwrap_or(!result.simulated)),
        traceback: None,
        warnings: Vec::new(),
    }
}

/// Longest output, bytes of JSON.
const OUTPUT_MAX: usize = 1 << 20;

/// The log has everything; an output keeps the ends of long texts.
fn sized(mut output: Value) -> Value {
    let mut most = OUTPUT_MAX;
    while output.to_string().len() > OUTPUT_MAX {
        // Escaping can make a text six times as long.
        most /= 2;
        for stream in ["stdout", "stderr"] {
            let Some(text) = output.get(stream).and_then(Value::as_str).filter(|text| text.len() > most) else {
                continue;
            };
            let from = (text.len() - most..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let kept = text[from..].to_owned();
            output[stream] = kept.into();
        }
        output["truncated"] = true.into();
    }
    output
}

/// `"local"`, `"localhost"`.
fn is_here(target: &Value) -> bool {
    matches!(target.as_str(), Some("local" | "localhost"))
}
