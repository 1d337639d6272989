//! Dependencies by name or object, and the edges that follow from lists, artifacts and failures.

use std::collections::{BTreeMap, HashMap};

use sloth_core::workflow::expr::Expr;
use sloth_core::workflow::{EdgeKind, Named, Ordering, StageId, TaskId};

use super::{Expander, identity};
use crate::define::draft::{Cond, Reference, TaskRef};
use crate::define::fault::Fault;

impl Expander<'_> {
    /// Looks all references up. Tasks that are only referred to join the workflow (W202) and are looked at, too.
    pub(super) fn resolve_dependencies(&mut self) {
        let mut at = 0;
        while at < self.workflow.tasks.len() && !self.too_many {
            let id = TaskId(u32::try_from(at).unwrap_or(u32::MAX));
            for reference in self.extras[at].depends.clone() {
                for from in self.look_up(&reference, id) {
                    self.edge(from, id, EdgeKind::Needs);
                }
            }
            for cond in [self.extras[at].condition.clone(), self.extras[at].abort_if.clone()].into_iter().flatten() {
                self.add_named(&cond, self.workflow.tasks[at].stage);
            }
            at += 1;
        }
        let chosen: Vec<(TaskId, Cond)> = self
            .chooses
            .iter()
            .flat_map(|(id, conds)| conds.iter().filter_map(|cond| Some((*id, cond.clone()?))))
            .collect();
        for (id, cond) in chosen {
            self.add_named(&cond, self.workflow.tasks[id.0 as usize].stage);
        }
        self.failures();
        self.consumed();
        if self.workflow.config.ordering == Ordering::Listed {
            self.listed();
        }
    }

    /// What a reference of task `by` means.
    fn look_up(&mut self, reference: &Reference, by: TaskId) -> Vec<TaskId> {
        let (stage, place) = {
            let task = &self.workflow.tasks[by.0 as usize];
            (task.stage, task.place.clone())
        };
        match reference {
            Reference::Task(task) => vec![self.instance(task, stage, by)],
            Reference::Name(name) => {
                if let Some(stack) = name.strip_prefix("stack:") {
                    self.workflow.config.depends_on_stacks.push(stack.to_owned());
                    return Vec::new();
                }
                match self.names.dependency(name, Some(stage)).or_else(|| self.qualified(name)) {
                    Some(Named::Task(task)) => vec![task],
                    Some(Named::Stage(stage)) => self.workflow.stages[stage.0 as usize].tasks.clone(),
                    None => match self.desk.task(name) {
                        Some(task) => vec![self.added(&task, stage, by)],
                        None => {
                            let who = self.workflow.tasks[by.0 as usize].name.clone();
                            self.missing(name, &format!("task {who:?}"), &place);
                            Vec::new()
                        }
                    },
                }
            }
        }
    }

    /// `<stage>/<task>` and `<stage>.<task>`.
    fn qualified(&self, name: &str) -> Option<Named> {
        ['/', '.'].into_iter().find_map(|sign| {
            let (stage, task) = name.split_once(sign)?;
            self.names.task_in(self.names.stage(stage)?, task).map(Named::Task)
        })
    }

    /// The task of an object: in the same stage, else in the workflow, else added.
    fn instance(&mut self, task: &TaskRef, stage: StageId, by: TaskId) -> TaskId {
        let key = identity(task);
        let own = self.made.get(&(stage.0, key)).copied();
        let any = || (0..self.workflow.stages.len() as u32).find_map(|stage| self.made.get(&(stage, key)).copied());
        match own.or_else(any) {
            Some(known) => known,
            None => self.added(task, stage, by),
        }
    }

    /// A task that is only referred to joins the stage of who refers to it.
    fn added(&mut self, task: &TaskRef, stage: StageId, by: TaskId) -> TaskId {
        let who = &self.workflow.tasks[by.0 as usize];
        let name = task.borrow().task.name.clone();
        let message =
            format!("task {name:?} joins workflow {:?}, because {:?} refers to it", self.workflow.name, who.name);
        self.desk.report_at(Fault::new("W202", message), who.place.clone());
        self.join(task, stage)
    }

    /// Puts a task into a stage that may not be the last.
    pub(super) fn join(&mut self, task: &TaskRef, stage: StageId) -> TaskId {
        self.into_stage = Some(stage);
        let span = self.task(task, false);
        self.into_stage = None;
        span.tails.first().copied().unwrap_or(TaskId(0))
    }

    /// Tasks of the file that a condition names join the workflow.
    fn add_named(&mut self, cond: &Cond, stage: StageId) {
        let (Cond::Text(text, place) | Cond::Expression(text, place)) = cond else { return };
        let text = text.strip_prefix("expr:").unwrap_or(text);
        let Ok(expr) = Expr::parse(text) else { return };
        for name in expr.names() {
            let known = self.names.dependency(name, Some(stage)).is_some();
            if !known && let Some(task) = self.desk.task(name) {
                let message =
                    format!("task {name:?} joins workflow {:?}, because a condition names it", self.workflow.name);
                self.desk.report_at(Fault::new("W202", message), place.clone());
                self.join(&task, stage);
            }
        }
    }

    /// `next_if_fail`: the target waits for the end of the task, and runs only if it failed.
    fn failures(&mut self) {
        let mut sources: BTreeMap<TaskId, Vec<TaskId>> = BTreeMap::new();
        for at in 0..self.workflow.tasks.len() {
            let id = TaskId(u32::try_from(at).unwrap_or(u32::MAX));
            for reference in self.extras[at].next_if_fail.clone() {
                for target in self.look_up(&reference, id) {
                    self.edge(id, target, EdgeKind::Ended);
                    sources.entry(target).or_default().push(id);
                }
            }
        }
        self.failed_sources = sources;
    }

    /// `consumes` waits for the producing task.
    fn consumed(&mut self) {
        if self.workflow.tasks.iter().all(|task| task.consumes.is_empty()) {
            return;
        }
        let mut producers: HashMap<String, TaskId> = HashMap::new();
        for (at, task) in (0u32..).zip(&self.workflow.tasks) {
            for (name, glob) in &task.artifacts {
                for key in
                    [name.clone(), glob.clone(), format!("{}:{name}", task.name), format!("{}:{glob}", task.name)]
                {
                    producers.entry(key).or_insert(TaskId(at));
                }
            }
        }
        for at in 0..self.workflow.tasks.len() {
            let id = TaskId(u32::try_from(at).unwrap_or(u32::MAX));
            for wanted in self.workflow.tasks[at].consumes.clone() {
                let by_task = || {
                    let (task, _) = wanted.split_once(':')?;
                    self.names.task(task, Some(self.workflow.tasks[at].stage))
                };
                if let Some(from) = producers.get(&wanted).copied().or_else(by_task)
                    && from != id
                {
                    self.edge(from, id, EdgeKind::Needs);
                }
            }
        }
    }

    /// `ordering = "listed"`: every task waits for the previous one of the list.
    fn listed(&mut self) {
        for stage in 0..self.workflow.stages.len() {
            let tops: Vec<TaskId> =
                self.workflow.stages[stage].tasks.iter().copied().filter(|id| self.extras[id.0 as usize].top).collect();
            for pair in tops.windows(2) {
                self.edge(pair[0], pair[1], EdgeKind::Order);
            }
        }
    }
}
