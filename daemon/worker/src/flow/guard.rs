//! The circuit that guards a whole task, held by slothd.

use serde_json::{Value, json};
use sloth_core::workflow::TaskId;
use sloth_lua::{Daemon, LogLevel, TaskResult};

use super::Flow;
use super::attempt::failed;

impl Flow {
    /// `Err`: it is open.
    pub(super) async fn enter_circuit(&self, task: TaskId) -> Result<(), TaskResult> {
        let declared = &self.workflow.tasks[task.0 as usize];
        let Some(circuit) = &declared.circuit else { return Ok(()) };
        let body = json!({
            "name": declared.name,
            "failure_threshold": circuit.failure_threshold,
            "recovery_timeout_ms": circuit.recovery_timeout_ms,
            "half_open_requests": circuit.half_open_requests,
        });
        match self.run.link.ask("circuit.enter", body).await {
            Ok(answer) if answer.get("granted") == Some(&Value::Bool(false)) => {
                Err(failed("circuit_open", format!("circuit breaker \"{}\" is open", declared.name)))
            }
            Ok(_) => Ok(()),
            Err(trouble) => Err(failed("error", trouble.message)),
        }
    }

    pub(super) async fn leave_circuit(&self, task: TaskId, success: bool) {
        let name = &self.workflow.tasks[task.0 as usize].name;
        let told = self.run.link.ask("circuit.result", json!({ "name": name, "success": success })).await;
        if let Err(trouble) = told {
            self.say(Some(task), 0, LogLevel::Warn, format!("circuit \"{name}\": {}", trouble.message));
        }
    }
}
