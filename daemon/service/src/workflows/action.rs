//! What a workflow run executes, checked: for runs that are asked for and for schedules alike.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sloth_api::worker::RunOptions;
use sloth_core::run::WorkflowAction;

use crate::ServiceError;
use crate::values::plain;

/// Bytes of values and of parameters, as JSON.
const VALUES_MAX: usize = 4 << 20;
/// Labels of one run.
const LABELS_MAX: usize = 64;

/// What is wished, as it came.
pub(crate) struct ActionWish<'a> {
    pub(crate) bundle: String,
    pub(crate) main: String,
    pub(crate) saved: Option<String>,
    pub(crate) stack: Option<&'a str>,
    pub(crate) workflow: Option<&'a str>,
    pub(crate) values: &'a Map<String, Value>,
    pub(crate) params: &'a Map<String, Value>,
    pub(crate) options: &'a RunOptions,
    pub(crate) mode: Option<&'a str>,
    pub(crate) invocation_dir: Option<&'a str>,
    pub(crate) priority: i8,
    pub(crate) labels: &'a BTreeMap<String, String>,
}

/// Checks it. Fields are named as they stand in the request.
pub(crate) fn workflow_action(wish: ActionWish<'_>) -> Result<WorkflowAction, ServiceError> {
    let stack = wish.stack.unwrap_or_default();
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if stack.len() > 128 || !stack.bytes().all(good) || stack.starts_with(['.', '-']) || stack == "global" {
        return Err(ServiceError::field("stack", format!("{stack:?} is no name of a stack"))
            .hint("up to 128 letters, digits, '.', '_' or '-'; the first is a letter, digit or '_'; not global"));
    }
    let mode = match wish.mode {
        None | Some("normal") => "normal",
        Some("check") => "check",
        Some(other @ ("plan" | "validate")) => {
            return Err(ServiceError::field("mode", format!("{other:?} makes no run"))
                .hint("slothctl run --plan and slothctl workflow validate work without one"));
        }
        Some(other) => return Err(ServiceError::field("mode", format!("{other:?} is not one of normal, check"))),
    };
    if !(-100..=100).contains(&wish.priority) {
        return Err(ServiceError::field("priority", format!("{} is not between -100 and 100", wish.priority)));
    }
    let dir = wish.invocation_dir.unwrap_or_default();
    if !(dir.is_empty() || dir.starts_with('/')) || dir.contains('\0') || dir.len() > 4096 {
        return Err(ServiceError::field("invocation_dir", format!("{dir:?} is not an absolute path")));
    }
    let workflow = wish.workflow.or(wish.options.workflow.as_deref());
    let workflow = workflow.map(|name| plain("workflow", name.to_owned(), 256)).transpose()?;
    if workflow.as_deref() == Some("") {
        return Err(ServiceError::field("workflow", "is empty").hint("leave it out to run all workflows of the file"));
    }
    let stem = wish.main.rsplit('/').next().unwrap_or_default();
    let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
    let name = workflow.clone().or_else(|| wish.saved.clone()).unwrap_or_else(|| stem.to_owned());
    Ok(WorkflowAction {
        name,
        stack: stack.to_owned(),
        workflow,
        bundle: wish.bundle,
        main: wish.main,
        saved: wish.saved,
        values: json("values", wish.values)?,
        params: json("params", wish.params)?,
        options: serde_json::to_string(wish.options).map_err(|error| ServiceError::field("options", error))?,
        mode: mode.to_owned(),
        invocation_dir: dir.to_owned(),
        priority: wish.priority,
        labels: labels(wish.labels)?,
    })
}

fn json(field: &str, map: &Map<String, Value>) -> Result<String, ServiceError> {
    let text = serde_json::to_string(map).map_err(|error| ServiceError::field(field, error))?;
    match text.len() > VALUES_MAX {
        true => Err(ServiceError::field(field, format!("is longer than {VALUES_MAX} bytes of JSON"))),
        false => Ok(text),
    }
}

fn labels(labels: &BTreeMap<String, String>) -> Result<String, ServiceError> {
    if labels.len() > LABELS_MAX {
        return Err(ServiceError::field("labels", format!("are more than {LABELS_MAX}")));
    }
    for (name, value) in labels {
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/');
        if name.is_empty() || name.len() > 128 || !name.bytes().all(good) {
            return Err(ServiceError::field("labels", format!("{name:?} is no name of a label"))
                .hint("1 to 128 letters, digits, '.', '_', '-' or '/'"));
        }
        plain("labels", value.clone(), 1024)?;
    }
    serde_json::to_string(labels).map_err(|error| ServiceError::field("labels", error))
}
