//! Branches, limited groups, and names that stand for tasks.

use sloth_core::workflow::{Command, EdgeKind, Group, Place};

use super::Expander;
use super::build::Span;
use crate::define::draft::{Cond, Desc, DescRef, Element, Parallel, TaskRef, When};
use crate::define::fault::Fault;

impl Expander<'_> {
    /// No order; limits that are not those of the whole stage become a group.
    pub(super) fn parallel(&mut self, parallel: &Parallel, parent: &str) -> Span {
        let outer = self.group;
        if parallel.max_workers.is_some() || parallel.fail_fast || parallel.tolerate > 0 {
            self.workflow.groups.push(Group {
                max_workers: parallel.max_workers,
                fail_fast: parallel.fail_fast,
                tolerate: parallel.tolerate,
            });
            self.group = u32::try_from(self.workflow.groups.len() - 1).ok();
        }
        let mut span = Span::default();
        for element in &parallel.elements {
            let part = self.element(element, parent, false);
            span.join(part);
        }
        self.group = outer;
        span
    }

    /// A deciding step, and the branches behind it.
    pub(super) fn when(&mut self, when: &When, parent: &str) -> Span {
        let name = self.number(&format!("{parent}_when"));
        let choose = self.made_up(&name, Some(Command::Choose(Vec::new())), &when.place, false);
        let outer = self.branch;
        let mut conditions = Vec::new();
        let mut tails = Vec::new();
        let then = when.branches.iter().map(|(cond, then)| (Some(cond), then.as_ref()));
        let all = then.chain(when.otherwise.iter().map(|otherwise| (None, Some(otherwise))));
        for (at, (cond, branch)) in (0u32..).zip(all) {
            conditions.push(cond.cloned());
            let Some(branch) = branch else {
                tails.push(choose);
                continue;
            };
            self.branch = Some((choose, at));
            let span = self.element(branch, parent, false);
            self.after(&Span::one(choose), &span, EdgeKind::Needs);
            tails.extend(span.tails);
        }
        if when.otherwise.is_none() {
            tails.push(choose);
        }
        tails.sort_unstable();
        tails.dedup();
        self.branch = outer;
        self.chooses.push((choose, conditions));
        Span { heads: vec![choose], tails }
    }

    /// Whether any branch of a `when` is taken, as a condition.
    pub(super) fn when_as_condition(&mut self, when: &DescRef, place: &Place) -> Cond {
        let desc = when.borrow();
        let Desc::When(when) = &*desc else { return Cond::Fixed(true) };
        if when.otherwise.is_some() {
            return Cond::Fixed(true);
        }
        if let [(only, _)] = when.branches.as_slice() {
            return only.clone();
        }
        let texts: Option<Vec<String>> = when
            .branches
            .iter()
            .map(|(cond, _)| match cond {
                Cond::Expression(text, _) => Some(format!("({text})")),
                Cond::Fixed(value) => Some(value.to_string()),
                _ => None,
            })
            .collect();
        match texts {
            Some(texts) if !texts.is_empty() => Cond::Expression(texts.join(" || "), when.place.clone()),
            Some(_) => Cond::Fixed(true),
            None => {
                let message = "a when with several branches is a condition only if all its conditions are expressions";
                self.desk.report_at(Fault::new("E205", message), place.clone());
                Cond::Fixed(true)
            }
        }
    }

    /// The task that a name stands for: one that appears in the workflow, else one that is registered in the file.
    pub(super) fn find_task(&self, name: &str) -> Option<TaskRef> {
        self.seen.get(name).cloned().or_else(|| self.desk.task(name))
    }

    /// A branch that names a task which is registered nowhere fails when it is taken; elsewhere it is an error.
    pub(super) fn missing_task(&mut self, name: &str, parent: &str, place: &Place) -> Span {
        if self.branch.is_none() {
            self.missing(name, parent, place);
            return Span::default();
        }
        self.desk.report_at(
            Fault::new("W201", format!("a branch of {parent:?} names task {name:?}, which is not there")),
            place.clone(),
        );
        let failing = self.failing(name);
        Span::one(self.made_up(name, Some(Command::Function(failing)), place, false))
    }

    /// Notes the tasks of a composition, so that names find those that come later.
    pub(super) fn look_around(&mut self, element: &Element, depth: usize) {
        if depth > sloth_core::workflow::check::NESTING_MAX {
            return;
        }
        let desc = match element {
            Element::Task(task) => {
                let name = task.borrow().task.name.clone();
                self.seen.entry(name).or_insert_with(|| task.clone());
                return;
            }
            Element::Desc(desc) => desc.clone(),
            Element::Name(..) | Element::Function(..) => return,
        };
        let visit: Vec<Element> = match &*desc.borrow() {
            Desc::Set(elements) | Desc::Sequence(elements) => elements.clone(),
            Desc::Parallel(parallel) => parallel.elements.clone(),
            Desc::When(when) => {
                when.branches.iter().filter_map(|(_, then)| then.clone()).chain(when.otherwise.clone()).collect()
            }
            Desc::Saga(saga) => saga.participants.clone(),
        };
        self.looked += 1;
        if self.looked > sloth_core::workflow::check::TASKS_MAX {
            return;
        }
        for element in &visit {
            self.look_around(element, depth + 1);
        }
    }
}
