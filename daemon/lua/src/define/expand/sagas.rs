//! Sagas: participants are tasks or only names, and each knows what undoes it.

use sloth_core::workflow::{Command, EdgeKind, NameIndex, Retry, Saga, StageId, Step, TaskId};

use super::Expander;
use super::build::Span;
use crate::define::draft::{Doing, Element, SagaDraft, StageDraft, Undo, WorkflowDraft};
use crate::define::fault::Fault;

/// Of each compensation.
const TIMEOUT_MS: u64 = 300_000;

impl Expander<'_> {
    /// Participants that are registered tasks run in order, after the stage's tasks unless listed there; a coordinator
    /// that is a registered task runs first.
    pub(super) fn saga_tasks(&mut self, draft: &StageDraft, mut span: Span) -> Span {
        if let Some(saga) = &draft.saga {
            self.stage_sagas.push((self.last_stage(), saga.clone()));
        }
        let stage = self.last_stage();
        let own: Vec<SagaDraft> =
            self.stage_sagas.iter().filter(|(of, _)| *of == stage).map(|(_, saga)| saga.clone()).collect();
        for saga in own {
            let before = span.clone();
            let mut previous: Option<TaskId> = None;
            for participant in &saga.participants {
                let Some((task, added)) = self.participant(participant, stage) else { continue };
                match previous {
                    Some(previous) => self.edge(previous, task, EdgeKind::Needs),
                    None if added => self.after(&before, &Span::one(task), EdgeKind::Needs),
                    None => {}
                }
                previous = Some(task);
                if added {
                    span.join(Span::one(task));
                }
            }
            self.coordinate(&saga, &mut span);
        }
        span
    }

    /// The task of a participant, and whether it is new.
    fn participant(&mut self, participant: &Element, stage: StageId) -> Option<(TaskId, bool)> {
        let known = |this: &Self, name: &str| this.names.task_in(stage, name);
        match participant {
            Element::Name(name, _) => match known(self, name) {
                Some(task) => Some((task, false)),
                None => {
                    let task = self.find_task(name)?;
                    Some((self.task(&task, false).tails.first().copied()?, true))
                }
            },
            Element::Task(task) => {
                let name = task.borrow().task.name.clone();
                let new = known(self, &name).is_none();
                Some((self.task(task, false).tails.first().copied()?, new))
            }
            Element::Function(..) | Element::Desc(_) => {
                let name = self.workflow.stages[stage.0 as usize].name.clone();
                let span = self.element(participant, &name, false);
                Some((span.tails.first().copied()?, true))
            }
        }
    }

    fn coordinate(&mut self, saga: &SagaDraft, span: &mut Span) {
        let Some(task) = saga.coordinator.as_deref().and_then(|name| self.find_task(name)) else { return };
        let first = self.task(&task, false);
        let rest: Vec<TaskId> = self.workflow.stages[self.last_stage().0 as usize].tasks.clone();
        for to in rest.into_iter().filter(|to| !first.tails.contains(to)) {
            for from in first.tails.clone() {
                self.edge(from, to, EdgeKind::Needs);
            }
        }
        span.join(first);
    }

    /// Sagas with their participants looked up.
    pub(super) fn sagas(&mut self, draft: &WorkflowDraft, names: &NameIndex) {
        for (stage, saga) in std::mem::take(&mut self.stage_sagas) {
            let label = self.workflow.stages[stage.0 as usize].name.clone();
            let made = self.saga(&saga, Some(stage), names, &label);
            self.workflow.stages[stage.0 as usize].saga.get_or_insert(made);
        }
        if let Some(saga) = &draft.saga {
            let label = draft.workflow.name.clone();
            self.workflow.saga = Some(self.saga(saga, None, names, &label));
        }
    }

    fn saga(&mut self, draft: &SagaDraft, stage: Option<StageId>, names: &NameIndex, label: &str) -> Saga {
        let mut participants = Vec::new();
        for participant in &draft.participants {
            let (name, logical) = match participant {
                Element::Name(name, _) => (name.clone(), true),
                Element::Task(task) => (task.borrow().task.name.clone(), false),
                Element::Function(..) | Element::Desc(_) => continue,
            };
            match names.task(&name, stage) {
                Some(task) => participants.push(Step::Task(task)),
                None => {
                    if logical {
                        let message = format!("saga participant {name:?} is no task: the script marks its completion");
                        self.desk.report_at(Fault::new("W201", message), draft.place.clone());
                    }
                    participants.push(Step::Logical(name));
                }
            }
        }
        let compensation = draft
            .compensation
            .iter()
            .filter_map(|(name, undo)| Some((name.clone(), self.undo(undo, draft)?)))
            .collect();
        Saga {
            coordinator: draft.coordinator.clone().unwrap_or_else(|| label.to_owned()),
            participants,
            compensation,
            timeout_ms: draft.timeout_ms.unwrap_or(TIMEOUT_MS),
            retry: draft.retry.clone().unwrap_or_else(|| Retry::times(2)),
        }
    }

    fn undo(&mut self, undo: &Undo, saga: &SagaDraft) -> Option<Command> {
        let reference = match undo {
            Undo::Function(function) => return Some(Command::Function(*function)),
            Undo::Task(reference) => reference,
        };
        let task = match reference {
            crate::define::draft::Reference::Task(task) => Some(task.clone()),
            crate::define::draft::Reference::Name(name) => self.find_task(name),
        };
        let Some(task) = task else {
            self.missing(&reference.name(), "compensation", &saga.place);
            return None;
        };
        match &task.borrow().doing {
            Some(Doing::Command(command)) => Some(command.clone()),
            _ => {
                let message = format!("compensation {:?} has no command of its own", reference.name());
                self.desk.report_at(Fault::new("E115", message), saga.place.clone());
                None
            }
        }
    }
}
