//! Stages and their elements become tasks.

use std::rc::Rc;

use serde_json::Value;
use sloth_core::workflow::{
    Command, EdgeKind, FnRef, HookEntry, Place, Resources, Retry, Stage, StageId, Task, TaskId, check,
};

use super::{Expander, Extra, Rules, identity};
use crate::define::draft::{Cond, Desc, DescRef, Doing, Element, StageDraft, TaskDraft, TaskRef, WorkflowDraft};
use crate::define::fault::Fault;

/// What tasks inherit.
#[derive(Clone, Default)]
pub(super) struct Defaults {
    attempts: u32,
    workflow_target: Option<Value>,
    workflow_resources: Option<Resources>,
    target: Option<Value>,
    resources: Option<Resources>,
    env: Vec<(String, Option<String>)>,
    hooks: Vec<HookEntry>,
}

impl Defaults {
    pub(super) fn of(draft: &WorkflowDraft, rules: Rules) -> Defaults {
        let given = draft.workflow.config.task_retry.as_ref().filter(|_| draft.attempts_given);
        Defaults {
            attempts: given.map_or(rules.retries.unwrap_or(0) + 1, |retry| retry.max_attempts),
            workflow_target: draft.delegate_to.clone(),
            workflow_resources: draft.resources.clone(),
            ..Defaults::default()
        }
    }
}

/// What an element became: where it begins and where it ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Span {
    pub(super) heads: Vec<TaskId>,
    pub(super) tails: Vec<TaskId>,
}

impl Span {
    pub(super) fn one(task: TaskId) -> Span {
        Span { heads: vec![task], tails: vec![task] }
    }

    pub(super) fn join(&mut self, other: Span) {
        self.heads.extend(other.heads);
        self.tails.extend(other.tails);
    }
}

impl Expander<'_> {
    /// All stages. `tasks` beside `stages` are a first stage of that name.
    pub(super) fn stages(&mut self, draft: &WorkflowDraft) {
        let mut stages = draft.stages.clone();
        if !draft.tasks.is_empty() || stages.is_empty() {
            let whole = match draft.tasks.as_slice() {
                [Element::Desc(desc)] => Element::Desc(desc.clone()),
                several => Element::Desc(Desc::Set(several.to_vec()).shared()),
            };
            let stage = Stage { name: "tasks".into(), ..Stage::default() };
            let first = StageDraft { stage, tasks: Some(whole), place: draft.place.clone(), ..StageDraft::default() };
            stages.insert(0, first);
        }
        for stage in &stages {
            for element in stage.tasks.iter().chain(stage.saga.iter().flat_map(|saga| &saga.participants)) {
                self.look_around(element, 0);
            }
        }
        let parent = (stages.len() == 1 && draft.stages.is_empty()).then(|| draft.workflow.name.clone());
        for stage in stages {
            if self.workflow.stages.iter().any(|known| known.name == stage.stage.name) {
                let message = format!("two stages are named {:?}", stage.stage.name);
                self.desk.report_at(Fault::new("E111", message), stage.place.clone());
            }
            self.stage(&stage, parent.as_deref().unwrap_or(&stage.stage.name));
        }
    }

    fn stage(&mut self, draft: &StageDraft, parent: &str) {
        let id = StageId(u32::try_from(self.workflow.stages.len()).unwrap_or(u32::MAX));
        self.workflow.stages.push(draft.stage.clone());
        self.names.add_stage(&draft.stage.name, id);
        self.defaults.target.clone_from(&draft.delegate_to);
        self.defaults.resources.clone_from(&draft.resources);
        self.defaults.env.clone_from(&draft.env);
        self.defaults.hooks.clone_from(&draft.task_hooks);
        let first = self.stage_condition(draft, id, parent);
        let span = match &draft.tasks {
            Some(whole) => self.stage_tasks(whole, parent),
            None => Span::default(),
        };
        let mut inner = self.saga_tasks(draft, span);
        if let Some(first) = first {
            self.after(&first, &inner, EdgeKind::Needs);
            inner.join(first);
        }
    }

    /// The condition of a stage; a `when` with branches also gives its first step.
    fn stage_condition(&mut self, draft: &StageDraft, id: StageId, parent: &str) -> Option<Span> {
        let cond = draft.condition.as_ref()?;
        let (cond, first) = match cond {
            Cond::When(when) => {
                let cond = self.when_as_condition(when, &draft.place);
                let has_branches = matches!(&*when.borrow(), Desc::When(when)
                    if when.otherwise.is_some() || when.branches.iter().any(|(_, then)| then.is_some()));
                (cond, has_branches.then(|| self.desc(when, parent, false)))
            }
            other => (other.clone(), None),
        };
        self.stage_conditions.push((id, cond));
        first
    }

    /// Limits of a composition that is the whole stage are those of the stage.
    fn stage_tasks(&mut self, whole: &Element, parent: &str) -> Span {
        let Element::Desc(desc) = whole else { return self.element(whole, parent, true) };
        let stage = self.last_stage().0 as usize;
        let elements = match &*desc.borrow() {
            Desc::Parallel(parallel) => {
                let known = &mut self.workflow.stages[stage];
                known.max_workers = known.max_workers.or(parallel.max_workers);
                known.fail_fast = known.fail_fast.or(parallel.fail_fast.then_some(true));
                known.tolerate = known.tolerate.max(parallel.tolerate);
                parallel.elements.clone()
            }
            Desc::Set(elements) => elements.clone(),
            Desc::Saga(saga) => {
                self.stage_sagas.push((self.last_stage(), saga.clone()));
                return Span::default();
            }
            _ => return self.desc(desc, parent, true),
        };
        self.set(&elements, parent, true)
    }

    /// Elements without an order of their own.
    fn set(&mut self, elements: &[Element], parent: &str, top: bool) -> Span {
        let mut span = Span::default();
        for element in elements {
            let part = self.element(element, parent, top);
            span.join(part);
        }
        span
    }

    pub(super) fn element(&mut self, element: &Element, parent: &str, top: bool) -> Span {
        if self.too_many {
            return Span::default();
        }
        match element {
            Element::Name(name, place) => match self.find_task(name) {
                Some(task) => self.task(&task, top),
                None => self.missing_task(name, parent, place),
            },
            Element::Task(task) => self.task(task, top),
            Element::Function(function, name, place) => {
                let name = name.clone().unwrap_or_else(|| self.number(parent));
                Span::one(self.made_up(&name, Some(Command::Function(*function)), place, top))
            }
            Element::Desc(desc) => self.desc(desc, parent, top),
        }
    }

    fn desc(&mut self, desc: &DescRef, parent: &str, top: bool) -> Span {
        if self.depth >= check::NESTING_MAX {
            let message = format!("compositions are nested deeper than {}", check::NESTING_MAX);
            self.desk.report_at(Fault::new("E204", message), self.place_of_stage());
            return Span::default();
        }
        self.depth += 1;
        let span = match &*desc.borrow() {
            Desc::Set(elements) => self.set(elements, parent, top),
            Desc::Sequence(elements) => self.sequence(elements, parent, top),
            Desc::Parallel(parallel) => self.parallel(parallel, parent),
            Desc::When(when) => self.when(when, parent),
            Desc::Saga(saga) => {
                self.stage_sagas.push((self.last_stage(), saga.clone()));
                self.set(&saga.participants, parent, top)
            }
        };
        self.depth -= 1;
        span
    }

    /// Each after the previous.
    fn sequence(&mut self, elements: &[Element], parent: &str, top: bool) -> Span {
        let mut whole = Span::default();
        let mut previous: Option<Span> = None;
        for element in elements {
            let span = self.element(element, parent, top);
            if span.heads.is_empty() {
                continue;
            }
            match &previous {
                None => whole.heads.clone_from(&span.heads),
                Some(before) => self.after(before, &span, EdgeKind::Previous),
            }
            previous = Some(span);
        }
        whole.tails = previous.map(|span| span.tails).unwrap_or_default();
        whole
    }

    /// `next` waits for `before`. After an async task only its start is waited for; a deciding step has no output.
    pub(super) fn after(&mut self, before: &Span, next: &Span, kind: EdgeKind) {
        for from in &before.tails {
            let task = &self.workflow.tasks[from.0 as usize];
            let kind = match kind {
                EdgeKind::Previous if task.is_async => EdgeKind::Order,
                EdgeKind::Previous if matches!(task.command, Some(Command::Choose(_))) => EdgeKind::Needs,
                kind => kind,
            };
            for to in &next.heads {
                self.edge(*from, *to, kind);
            }
        }
    }

    /// The task of an object in this stage, made when it is not there yet.
    pub(super) fn task(&mut self, task: &TaskRef, top: bool) -> Span {
        let key = (self.last_stage().0, identity(task));
        if let Some(known) = self.made.get(&key).copied() {
            let branch = &mut self.workflow.tasks[known.0 as usize].branch;
            match (&branch, self.branch) {
                (None, Some(_)) => *branch = self.branch,
                (Some(own), Some(other)) if *own != other => return self.again(task),
                _ => {}
            }
            self.extras[known.0 as usize].top |= top;
            return Span::one(known);
        }
        self.holds.push(Rc::clone(task));
        let draft = task.borrow();
        let id = self.add(draft.task.clone(), &draft, top, false);
        self.made.insert(key, id);
        let Some(Doing::Desc(desc)) = &draft.doing else { return Span::one(id) };
        self.composed(id, desc, &draft)
    }

    /// The same task in another branch is a task of its own.
    fn again(&mut self, task: &TaskRef) -> Span {
        let draft = task.borrow();
        let mut copy = draft.task.clone();
        let number = self.numbered.entry(format!("{}[]", copy.name)).or_insert(1);
        *number += 1;
        copy.name = format!("{}[{number}]", copy.name);
        copy.declared.clone_from(&copy.name);
        Span::one(self.add(copy, &draft, false, false))
    }

    /// A task whose command is a composition: its parts begin when it could begin, and it ends after them.
    fn composed(&mut self, id: TaskId, desc: &DescRef, draft: &TaskDraft) -> Span {
        let name = draft.task.name.clone();
        let outer = self.branch;
        let gate = (draft.condition.is_some()).then(|| {
            let gate = self.made_up(&format!("{name}_when"), None, &draft.task.place, false);
            let cond = self.extras[id.0 as usize].condition.take();
            self.chooses.push((gate, vec![cond]));
            self.workflow.tasks[gate.0 as usize].command = Some(Command::Choose(Vec::new()));
            self.workflow.tasks[id.0 as usize].branch = Some((gate, 0));
            gate
        });
        if let Some(gate) = gate {
            self.branch = Some((gate, 0));
        }
        let inner = self.desc(desc, &name, false);
        self.branch = outer;
        let mut heads = inner.heads.clone();
        if let Some(gate) = gate {
            self.after(&Span::one(gate), &inner, EdgeKind::Needs);
            heads = vec![gate];
        }
        self.after(&inner, &Span::one(id), EdgeKind::Needs);
        // What it depends on, its parts depend on.
        for head in &heads {
            let depends = self.extras[id.0 as usize].depends.clone();
            self.extras[head.0 as usize].depends.extend(depends);
        }
        if heads.is_empty() { Span::one(id) } else { Span { heads, tails: vec![id] } }
    }

    /// A task that the expansion makes.
    pub(super) fn made_up(&mut self, name: &str, command: Option<Command>, place: &Place, top: bool) -> TaskId {
        let task =
            Task { name: name.to_owned(), declared: name.to_owned(), place: place.clone(), command, ..Task::default() };
        self.add(task, &TaskDraft::default(), top, true)
    }

    fn add(&mut self, mut task: Task, draft: &TaskDraft, top: bool, internal: bool) -> TaskId {
        let id = TaskId(self.task_count());
        if self.workflow.tasks.len() >= check::TASKS_MAX {
            self.too_many = true;
            // Nobody will see it: the whole is refused.
            return TaskId(0);
        }
        if let Some(Doing::Command(command)) = &draft.doing {
            task.command = Some(command.clone());
        }
        task.stage = self.last_stage();
        task.branch = self.branch;
        task.group = self.group;
        self.inherit(&mut task, draft);
        self.names.add_task(&task.declared, task.stage, id);
        self.workflow.stages[task.stage.0 as usize].tasks.push(id);
        self.workflow.tasks.push(task);
        self.extras.push(Extra {
            depends: draft.depends.clone(),
            next_if_fail: draft.next_if_fail.clone(),
            condition: draft.condition.clone(),
            abort_if: draft.abort_if.clone(),
            top,
            internal,
            is_composed: matches!(draft.doing, Some(Doing::Desc(_))),
        });
        id
    }

    /// What is not written is not made: most tasks have no details.
    fn inherit(&self, task: &mut Task, draft: &TaskDraft) {
        let defaults = &self.defaults;
        if task.delegate_to.is_none()
            && !draft.stays_here
            && let Some(target) = defaults.target.as_ref().or(defaults.workflow_target.as_ref())
        {
            task.delegate_to = Some(target.clone());
        }
        // A stage that stays here says so against its workflow.
        if task.delegate_to.as_ref().and_then(Value::as_str) == Some("local") {
            task.delegate_to = None;
        }
        if task.resources == Resources::default()
            && let Some(resources) = defaults.resources.as_ref().or(defaults.workflow_resources.as_ref())
        {
            task.resources = resources.clone();
        }
        for (name, value) in &defaults.env {
            task.env.entry(name.clone()).or_insert_with(|| value.clone());
        }
        if !defaults.hooks.is_empty() {
            task.handlers.entries.extend(defaults.hooks.iter().cloned());
        }
        if !draft.attempts_given
            && task.retry.is_some()
            && let Some(retry) = &mut task.retry
        {
            *retry = Retry { max_attempts: defaults.attempts, ..retry.clone() };
        }
    }

    /// `<parent>_<n>`.
    pub(super) fn number(&mut self, parent: &str) -> String {
        let number = self.numbered.entry(parent.to_owned()).or_insert(0);
        *number += 1;
        format!("{parent}_{number}")
    }

    /// A function that fails because a task is not there; without a VM there is none.
    pub(super) fn failing(&self, name: &str) -> FnRef {
        self.desk.missing_function(name).unwrap_or(FnRef(u32::MAX))
    }

    fn place_of_stage(&self) -> Place {
        self.workflow.tasks.last().map(|task| task.place.clone()).unwrap_or_else(|| self.desk.place())
    }
}
