//! `plan`: the graph with its conditions, and what a run would change, found by running functions in a mode in which
//! nothing is changed.

use std::rc::Rc;

use serde_json::{Value, json};
use sloth_core::workflow::{Command, Condition, Defined, Diagnostic, Task};

use crate::graph_json;
use crate::run::{Run, choose};

pub(super) async fn plan(run: &Rc<Run>, defined: &Defined) -> Result<Value, Diagnostic> {
    let chosen = choose(defined, run.job.options.workflow.as_deref())?;
    let mut workflows = Vec::new();
    let mut resources = Vec::new();
    let flows = run.prepare(&chosen, std::time::Instant::now())?;
    for flow in flows {
        run.enter(&flow);
        flow.drive().await;
        let mut graph = graph_json::workflow(&flow.workflow);
        let slots = flow.slots.borrow();
        for (at, task) in flow.workflow.tasks.iter().enumerate() {
            let Some(end) = &slots[at].end else { continue };
            let skipped = end.skip_reason.as_deref() == Some("condition");
            graph["tasks"][at]["condition_value"] = value_of(task, skipped);
            resources.extend(resource(task, end));
        }
        workflows.push(graph);
    }
    let count = |action: &str| resources.iter().filter(|resource| resource["action"] == action).count();
    let totals = json!({
        "create": count("create"), "update": count("update"), "destroy": count("destroy"),
        "unchanged": count("unchanged"), "unknown": count("unknown"),
    });
    Ok(json!({ "workflows": workflows, "resources": resources, "totals": totals }))
}

/// "conditions (`true`, `false`, `unknown until run`)": what reads the results of tasks is not known before.
fn value_of(task: &Task, skipped: bool) -> Value {
    match &task.condition {
        None => true.into(),
        Some(Condition::Fixed(value)) => (*value).into(),
        Some(Condition::Expression(text)) => {
            let reads_results = sloth_core::workflow::expr::Expr::parse(text)
                .map_or(true, |expression| !expression.names().is_empty() || expression.mentions_status());
            if reads_results { Value::Null } else { (!skipped).into() }
        }
        Some(Condition::Function(_) | Condition::Shell(_)) => (!skipped).into(),
    }
}

fn resource(task: &Task, end: &sloth_api::worker::TaskEnd) -> Option<Value> {
    if end.status == "skipped" {
        return None;
    }
    let is_command = matches!(task.command, Some(Command::Shell(_) | Command::Argv(_)));
    let simulated = end.output.get("simulated") == Some(&Value::Bool(true));
    let would = end.output.get("would").and_then(Value::as_str);
    let action = match (is_command || simulated, would, end.changed) {
        (_, Some("create"), _) => "create",
        (_, Some("destroy" | "delete" | "remove"), _) => "destroy",
        (true, _, _) => "unknown",
        (false, _, true) => "update",
        (false, _, false) => "unchanged",
    };
    task.command.as_ref()?;
    Some(json!({
        "action": action,
        "id": task.name,
        "message": if is_command { "depends on a command" } else { end.message.as_str() },
        "changes": end.output.get("changes").cloned().unwrap_or_else(|| json!([])),
    }))
}
