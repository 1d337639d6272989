//! From drafts to workflows: compositions become tasks and edges, names become numbers, conditions are read.

mod build;
mod conditions;
mod edges;
mod group;
mod implicit;
mod naming;
mod sagas;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use sloth_core::workflow::{Diagnostic, Edge, EdgeKind, NameIndex, Place, StageId, TaskId, Workflow, check};

use super::desk::Desk;
use super::draft::{Cond, Reference, SagaDraft, TaskRef, WorkflowDraft, WorkflowRef};
use super::fault::Fault;

pub(crate) use implicit::{Metadata, implicit};

/// How strict the expansion is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// An unresolved reference is a warning (`validate`, `plan`).
    pub lenient: bool,
    /// `runner_config.cycle_detection = false`.
    pub cycles_allowed: bool,
    /// `runner_config.retry_default` and `backoff_strategy` for tasks that give only a part of their retries.
    pub retries: Option<u32>,
}

/// Expands one workflow; findings are reported at the desk. `None`: there is no graph to speak of.
pub(crate) fn expand(draft: &WorkflowRef, desk: &Desk, rules: Rules) -> Option<Workflow> {
    let draft = draft.borrow();
    let mut expander = Expander::new(&draft, desk, rules);
    expander.stages(&draft);
    if expander.too_many {
        let message =
            format!("workflow {:?} has more than {} tasks after expansion", draft.workflow.name, check::TASKS_MAX);
        desk.report_at(Fault::new("E204", message).hint("split it into several workflows"), draft.place.clone());
        return None;
    }
    expander.resolve_dependencies();
    expander.name_tasks();
    expander.finish(&draft);
    expander.check(&draft);
    Some(expander.workflow)
}

/// What is known of an expanded task beside the graph.
struct Extra {
    depends: Vec<Reference>,
    next_if_fail: Vec<Reference>,
    condition: Option<Cond>,
    abort_if: Option<Cond>,
    /// An element of its stage's list, not something inside another element.
    top: bool,
    /// Made by the expansion: it is not named by anybody.
    internal: bool,
    /// Its command is a composition, so that it has none of its own.
    is_composed: bool,
}

struct Expander<'d> {
    desk: &'d Desk,
    rules: Rules,
    workflow: Workflow,
    extras: Vec<Extra>,
    /// Tasks that stand for an object in a stage.
    made: HashMap<(u32, usize), TaskId>,
    /// Kept alive while their addresses are keys.
    holds: Vec<TaskRef>,
    edges: HashMap<(TaskId, TaskId), EdgeKind>,
    edge_order: Vec<(TaskId, TaskId)>,
    names: NameIndex,
    too_many: bool,
    /// Counts the tasks that are named after their parent.
    numbered: HashMap<String, u32>,
    /// Depth of descriptors.
    depth: usize,
    /// References that mean nothing: name, who has it, place.
    unresolved: Vec<(String, String, Place)>,
    defaults: build::Defaults,
    /// Of what is being expanded.
    branch: Option<(TaskId, u32)>,
    /// Of what is being expanded.
    group: Option<u32>,
    /// Conditions of deciding steps.
    chooses: Vec<(TaskId, Vec<Option<Cond>>)>,
    /// Conditions of stages.
    stage_conditions: Vec<(StageId, Cond)>,
    /// Sagas of stages.
    stage_sagas: Vec<(StageId, SagaDraft)>,
    /// Where the next task goes; else to the last stage.
    into_stage: Option<StageId>,
    /// `next_if_fail`: target and the tasks whose failure it waits for.
    failed_sources: BTreeMap<TaskId, Vec<TaskId>>,
    /// Compositions that were looked through.
    looked: usize,
    /// Tasks that appear anywhere in the workflow, by name.
    seen: HashMap<String, TaskRef>,
}

impl<'d> Expander<'d> {
    fn new(draft: &WorkflowDraft, desk: &'d Desk, rules: Rules) -> Expander<'d> {
        Expander {
            desk,
            rules,
            workflow: draft.workflow.clone(),
            extras: Vec::new(),
            made: HashMap::new(),
            holds: Vec::new(),
            edges: HashMap::new(),
            edge_order: Vec::new(),
            names: NameIndex::default(),
            too_many: false,
            numbered: HashMap::new(),
            depth: 0,
            unresolved: Vec::new(),
            defaults: build::Defaults::of(draft, rules),
            branch: None,
            group: None,
            chooses: Vec::new(),
            stage_conditions: Vec::new(),
            stage_sagas: Vec::new(),
            into_stage: None,
            failed_sources: BTreeMap::new(),
            looked: 0,
            seen: HashMap::new(),
        }
    }

    /// Adds an edge; where there is one already, the stronger stays.
    fn edge(&mut self, from: TaskId, to: TaskId, kind: EdgeKind) {
        let strength = |kind: EdgeKind| match kind {
            EdgeKind::Order => 0,
            EdgeKind::Ended => 1,
            EdgeKind::Needs => 2,
            EdgeKind::Previous => 3,
        };
        match self.edges.get_mut(&(from, to)) {
            Some(known) if strength(*known) >= strength(kind) => {}
            Some(known) => *known = kind,
            None => {
                self.edges.insert((from, to), kind);
                self.edge_order.push((from, to));
            }
        }
    }

    /// A name that means nothing.
    fn missing(&mut self, name: &str, by: &str, place: &Place) {
        self.unresolved.push((name.to_owned(), by.to_owned(), place.clone()));
    }

    fn check(&mut self, draft: &WorkflowDraft) {
        let name = draft.workflow.name.clone();
        let edges = std::mem::take(&mut self.edge_order);
        self.workflow.edges =
            edges.into_iter().map(|(from, to)| Edge { from, to, kind: self.edges[&(from, to)] }).collect();
        let code = if self.rules.lenient { "W201" } else { "E201" };
        for (missing, by, place) in std::mem::take(&mut self.unresolved) {
            let near = self.near(&missing);
            let fault = Fault::new(code, format!("{by}: there is no task or stage {missing:?}"));
            self.desk.report_at(fault.did_you_mean(near.as_deref()), place);
        }
        if !self.rules.cycles_allowed
            && let Some(cycle) = check::cycle(&self.workflow)
        {
            let text = check::describe_cycle(&self.workflow, &cycle);
            let place = self.cycle_place(&cycle).unwrap_or_else(|| draft.place.clone());
            self.desk.report_at(Fault::new("E202", format!("circular dependency: {text}")), place);
        }
        if self.workflow.tasks.len() > check::TASKS_MANY {
            let message = format!("workflow {name:?} has {} tasks", self.workflow.tasks.len());
            self.desk.report_at(Fault::new("W203", message), draft.place.clone());
        }
    }

    fn cycle_place(&self, cycle: &[check::Waiting]) -> Option<Place> {
        cycle.iter().find_map(|waiting| match waiting {
            check::Waiting::Task(id) => Some(self.workflow.tasks[id.0 as usize].place.clone()),
            check::Waiting::Stage(_) => None,
        })
    }

    fn near(&self, name: &str) -> Option<String> {
        let registered = self.desk.task_names();
        let words = self.names.all().chain(registered.iter().map(String::as_str)).collect::<Vec<_>>();
        sloth_core::workflow::suggest(name, words).map(str::to_owned)
    }

    /// The stage that is being expanded.
    fn last_stage(&self) -> StageId {
        if let Some(stage) = self.into_stage {
            return stage;
        }
        StageId(u32::try_from(self.workflow.stages.len().saturating_sub(1)).unwrap_or(0))
    }

    fn task_count(&self) -> u32 {
        u32::try_from(self.workflow.tasks.len()).unwrap_or(u32::MAX)
    }
}

/// Identity of an object of the script.
fn identity(task: &TaskRef) -> usize {
    Rc::as_ptr(task) as usize
}

/// Sorts findings: where they are, errors first at one place.
pub(crate) fn sort(findings: &mut [Diagnostic]) {
    findings.sort_by(|a, b| (&a.place.file, a.place.line, a.code).cmp(&(&b.place.file, b.place.line, b.code)));
}
