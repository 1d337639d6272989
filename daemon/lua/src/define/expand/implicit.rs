//! The workflow of a file that names none.

use std::cell::RefCell;
use std::rc::Rc;

use sloth_core::workflow::Place;

use crate::define::desk::Desk;
use crate::define::draft::{Element, WorkflowDraft, WorkflowRef};

/// What the script's globals say about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metadata {
    pub(crate) name: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) description: Option<String>,
}

/// One workflow, named after the global `name`, else after the file without extension, of all registered tasks that were
/// not run at once, in order. `None`: there is nothing to put into it.
pub(crate) fn implicit(desk: &Desk, file: &str, metadata: &Metadata) -> Option<WorkflowRef> {
    let tasks: Vec<Element> = desk
        .task_names()
        .into_iter()
        .filter_map(|name| desk.task(&name))
        .filter(|task| !task.borrow().ran)
        .map(Element::Task)
        .collect();
    if tasks.is_empty() {
        return None;
    }
    let stem = std::path::Path::new(file).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let mut draft = WorkflowDraft { tasks, ..WorkflowDraft::default() };
    draft.place = Place { file: file.to_owned(), line: 1, column: 1 };
    draft.workflow.name = metadata.name.clone().or(stem).unwrap_or_else(|| "workflow".to_owned());
    draft.workflow.version = metadata.version.clone().unwrap_or_default();
    draft.workflow.description = metadata.description.clone().unwrap_or_default();
    Some(Rc::new(RefCell::new(draft)))
}
