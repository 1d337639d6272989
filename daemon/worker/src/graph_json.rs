//! Graphs and findings as JSON, for slothd and for people.

use serde_json::{Value, json};
use sloth_core::workflow::{Command, Condition, Diagnostic, EdgeKind, Level, Step, Task, TaskId, Workflow};

/// `{"workflows": […]}`
pub fn workflows<'w>(all: impl Iterator<Item = &'w Workflow>) -> Value {
    json!({ "workflows": all.map(workflow).collect::<Vec<_>>() })
}

/// One workflow.
pub fn workflow(workflow: &Workflow) -> Value {
    let name = |task: &TaskId| workflow.tasks[task.0 as usize].name.as_str();
    let stages: Vec<Value> = workflow
        .stages
        .iter()
        .map(|stage| {
            json!({
                "name": stage.name,
                "condition": stage.condition.as_ref().map(condition),
                "tasks": stage.tasks.iter().map(name).collect::<Vec<_>>(),
            })
        })
        .collect();
    let mut edges: Vec<(Vec<&str>, Vec<&str>)> = vec![(Vec::new(), Vec::new()); workflow.tasks.len()];
    for edge in &workflow.edges {
        let (needs, after) = &mut edges[edge.to.0 as usize];
        match edge.kind {
            EdgeKind::Needs | EdgeKind::Previous => needs.push(name(&edge.from)),
            EdgeKind::Ended | EdgeKind::Order => after.push(name(&edge.from)),
        }
    }
    let tasks: Vec<Value> = workflow
        .tasks
        .iter()
        .zip(edges)
        .map(|(task, (needs, after))| self::task(workflow, task, &needs, &after))
        .collect();
    let saga = workflow.saga.as_ref().map(|saga| {
        let participants: Vec<&str> = saga
            .participants
            .iter()
            .map(|step| match step {
                Step::Task(task) => name(task),
                Step::Logical(name) => name.as_str(),
            })
            .collect();
        json!({ "coordinator": saga.coordinator, "participants": participants })
    });
    json!({
        "name": workflow.name,
        "description": workflow.description,
        "version": workflow.version,
        "tags": workflow.tags,
        "manual": workflow.manual,
        "stages": stages,
        "tasks": tasks,
        "saga": saga,
    })
}

fn task(workflow: &Workflow, task: &Task, needs: &[&str], after: &[&str]) -> Value {
    let (kind, command) = match &task.command {
        None => ("join", None),
        Some(Command::Function(_)) => ("function", None),
        Some(Command::Shell(text)) => ("shell", Some(text.clone())),
        Some(Command::Argv(words)) => ("argv", Some(words.join(" "))),
        Some(Command::Module { module, action, .. }) => ("module", Some(format!("{module}.{action}"))),
        Some(Command::Choose(_)) => ("choose", None),
    };
    let stage = &workflow.stages[task.stage.0 as usize];
    let id = workflow.tasks.iter().position(|other| std::ptr::eq(other, task)).and_then(|at| u32::try_from(at).ok());
    let in_saga = stage
        .saga
        .iter()
        .chain(&workflow.saga)
        .any(|saga| id.is_some_and(|id| saga.participants.contains(&Step::Task(TaskId(id)))));
    json!({
        "name": task.name,
        "description": task.description,
        "stage": stage.name,
        "kind": kind,
        "command": command,
        "condition": task.condition.as_ref().map(condition),
        "depends_on": needs,
        "after": after,
        "retries": task.retry.as_ref().map(|retry| retry.max_attempts.saturating_sub(1)),
        "timeout_ms": task.timeout_ms,
        "priority": task.priority,
        "tags": task.tags,
        "async": task.is_async,
        "delegate_to": task.delegate_to,
        "saga": in_saga,
    })
}

fn condition(condition: &Condition) -> Value {
    match condition {
        Condition::Fixed(value) => (*value).into(),
        Condition::Function(_) => "function".into(),
        Condition::Expression(text) => text.as_str().into(),
        Condition::Shell(text) => format!("sh: {text}").into(),
    }
}

/// A finding.
pub fn diagnostic(finding: &Diagnostic) -> Value {
    json!({
        "code": finding.code,
        "level": match finding.level() {
            Level::Error => "error",
            Level::Warning => "warning",
        },
        "message": finding.message,
        "file": finding.place.file,
        "line": finding.place.line,
        "column": finding.place.column,
        "excerpt": finding.excerpt,
        "hint": finding.hint,
    })
}
