//! What can be undone, and in which order: compensations of sagas, of tasks and of the script. One entry is undone at
//! most once with success, whoever asks first.

use std::collections::HashMap;

use super::super::graph::{Command, FnRef, Saga, StageId, Step, TaskId, Workflow};
use super::{Scope, Status, Undo, index};

/// Number of an entry, in the order of registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(pub usize);

/// Where a compensation comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// `compensate` of a task.
    Task(FnRef),
    /// A declared saga.
    Declared(Command),
    /// `rollback.register`, or a step of a saga that the script keeps.
    Script(FnRef),
}

/// Something that can be undone.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Coordinator of its saga, or `rollback`.
    pub saga: String,
    /// Participant: the name in the journal.
    pub participant: String,
    /// What runs.
    pub source: Source,
    /// Whose end undoes it.
    pub scope: Scope,
    /// The task whose work it undoes.
    pub task: Option<TaskId>,
    /// Position among completions; larger is later.
    pub after: u64,
    /// It belongs to a saga, whose end decides; what a task or `rollback.register` leaves waits for a rollback.
    pub in_saga: bool,
    done: bool,
    committed: bool,
}

/// The list of everything that can be undone.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    by_name: HashMap<(String, String), EntryId>,
    clock: u64,
    begun_stages: Vec<StageId>,
    marked: Vec<String>,
    failed_too: Vec<(TaskId, u64)>,
}

/// Name under which compensations that belong to no saga are journalled.
const ROLLBACK: &str = "rollback";

impl Ledger {
    /// A point in time: what is added later comes after it.
    pub fn now(&self) -> u64 {
        self.clock
    }

    /// A task completed (or failed, with `compensate_on_failure`): what undoes it is known from now on.
    pub fn task_ended(&mut self, workflow: &Workflow, task: TaskId, status: Status) {
        let declared = &workflow.tasks[index(task)];
        if !self.begun_stages.contains(&declared.stage) {
            self.begun_stages.push(declared.stage);
        }
        let on_failure = declared.metadata.get("compensate_on_failure") == Some(&serde_json::Value::Bool(true));
        if status != Status::Completed && !(status == Status::Failed && on_failure) {
            return;
        }
        self.clock += 1;
        self.failed_too.push((task, self.clock));
        let saga = saga_of(workflow, task);
        let compensation = saga.and_then(|(saga, _)| compensation_of(saga, &declared.name, &declared.declared));
        let source = match (compensation, declared.compensate) {
            (Some(command), _) => Source::Declared(command.clone()),
            (None, Some(function)) => Source::Task(function),
            (None, None) => return,
        };
        let (name, scope) = match saga {
            Some((saga, scope)) => (label(saga), scope),
            None => (ROLLBACK.to_owned(), Scope::Stage(declared.stage)),
        };
        self.add(Entry {
            saga: name,
            participant: declared.name.clone(),
            source,
            scope,
            task: Some(task),
            after: self.clock,
            in_saga: saga.is_some(),
            done: false,
            committed: false,
        });
    }

    /// The script registered something for `task`: in a saga of its own, or for a rollback.
    pub fn register(
        &mut self,
        scope: Scope,
        task: Option<TaskId>,
        saga: Option<&str>,
        name: &str,
        run: FnRef,
    ) -> EntryId {
        self.clock += 1;
        self.add(Entry {
            saga: saga.unwrap_or(ROLLBACK).to_owned(),
            participant: name.to_owned(),
            source: Source::Script(run),
            scope,
            task,
            after: self.clock,
            in_saga: saga.is_some(),
            done: false,
            committed: false,
        })
    }

    fn add(&mut self, entry: Entry) -> EntryId {
        let key = (entry.saga.clone(), entry.participant.clone());
        let id = match self.by_name.get(&key) {
            // The same work done again: what undoes it is the newer one.
            Some(known) => {
                self.entries[known.0] = entry;
                *known
            }
            None => {
                self.entries.push(entry);
                EntryId(self.entries.len() - 1)
            }
        };
        self.by_name.insert(key, id);
        id
    }

    /// `saga.complete(participant)`: a logical participant has done its work.
    pub fn mark(&mut self, participant: &str) {
        self.clock += 1;
        self.marked.push(participant.to_owned());
    }

    /// A saga is committed: a failure later on does not undo it any more.
    pub fn commit(&mut self, saga: &str) {
        for entry in self.entries.iter_mut().filter(|entry| entry.saga == saga && entry.in_saga) {
            entry.committed = true;
        }
    }

    /// The sagas of a stage, or of the workflow, are committed. Their names.
    pub fn commit_scope(&mut self, scope: Scope) -> Vec<String> {
        let mut names = Vec::new();
        for entry in self.entries.iter_mut().filter(|entry| entry.scope == scope && entry.in_saga && !entry.committed) {
            entry.committed = true;
            if !names.contains(&entry.saga) {
                names.push(entry.saga.clone());
            }
        }
        names
    }

    /// The journal says that this was undone before.
    pub fn done_before(&mut self, saga: &str, participant: &str) {
        if let Some(id) = self.by_name.get(&(saga.to_owned(), participant.to_owned())) {
            self.entries[id.0].done = true;
        }
    }

    /// It is undone.
    pub fn done(&mut self, id: EntryId) {
        self.entries[id.0].done = true;
    }

    /// Whether something remains undone of what one can undo, and is not.
    pub fn is_done(&self, id: EntryId) -> bool {
        self.entries[id.0].done
    }

    /// One entry.
    pub fn entry(&self, id: EntryId) -> &Entry {
        &self.entries[id.0]
    }

    /// All, in the order of registration.
    pub fn entries(&self) -> impl Iterator<Item = (EntryId, &Entry)> {
        self.entries.iter().enumerate().map(|(at, entry)| (EntryId(at), entry))
    }

    /// What must be undone now, in this order: reverse order of completion. `since`: only what came after that point.
    pub fn plan(&mut self, workflow: &Workflow, what: Undo, since: u64) -> Vec<EntryId> {
        self.add_logical(workflow, what);
        let mut plan: Vec<EntryId> = self
            .entries()
            .filter(|(_, entry)| !entry.done && entry.after > since)
            .filter(|(_, entry)| match what {
                Undo::Sagas(scope) => entry.in_saga && entry.scope == scope && !entry.committed,
                Undo::Everything | Undo::Rollback => true,
            })
            .map(|(id, _)| id)
            .collect();
        plan.sort_by_key(|id| std::cmp::Reverse((self.entries[id.0].after, *id)));
        plan
    }

    /// What an aborted saga of the script has to undo.
    pub fn plan_saga(&self, saga: &str) -> Vec<EntryId> {
        let of_it =
            |(_, entry): &(EntryId, &Entry)| entry.in_saga && entry.saga == saga && !entry.done && !entry.committed;
        let mut plan: Vec<EntryId> = self.entries().filter(of_it).map(|(id, _)| id).collect();
        plan.sort_by_key(|id| std::cmp::Reverse((self.entries[id.0].after, *id)));
        plan
    }

    /// "Logical participants count as completed when marked by `saga.complete`; if none is marked, all logical
    /// participants with a compensation count once the stage's first task has started."
    fn add_logical(&mut self, workflow: &Workflow, what: Undo) {
        let stages = workflow.stages.iter().enumerate().filter_map(|(at, stage)| {
            let id = StageId(u32::try_from(at).ok()?);
            Some((stage.saga.as_ref()?, Scope::Stage(id), self.begun_stages.contains(&id)))
        });
        let whole = workflow.saga.as_ref().map(|saga| (saga, Scope::Workflow, !self.begun_stages.is_empty()));
        let mut found = Vec::new();
        for (saga, scope, begun) in stages.chain(whole) {
            let is_meant = match what {
                Undo::Sagas(wanted) => wanted == scope,
                Undo::Everything | Undo::Rollback => true,
            };
            if is_meant && begun {
                self.logical_of(saga, scope, &mut found);
            }
        }
        for entry in found {
            self.add(entry);
        }
    }

    fn logical_of(&self, saga: &Saga, scope: Scope, found: &mut Vec<Entry>) {
        let logical = saga.participants.iter().filter_map(|step| match step {
            Step::Logical(name) => Some(name),
            Step::Task(_) => None,
        });
        let any_marked = logical.clone().any(|name| self.marked.contains(name));
        for (at, name) in logical.enumerate() {
            let counts = !any_marked || self.marked.contains(name);
            let known = self.by_name.contains_key(&(label(saga), name.clone()));
            let Some(command) = compensation_of(saga, name, name).filter(|_| counts && !known) else { continue };
            found.push(Entry {
                saga: label(saga),
                participant: name.clone(),
                source: Source::Declared(command.clone()),
                scope,
                task: None,
                // After everything that has completed, in the order in which they are listed.
                after: self.clock + 1 + u64::try_from(at).unwrap_or(0),
                in_saga: true,
                done: false,
                committed: false,
            });
        }
    }
}

/// Label of a saga in the journal.
pub(super) fn label(saga: &Saga) -> String {
    if saga.coordinator.is_empty() { "saga".to_owned() } else { saga.coordinator.clone() }
}

/// The saga in which a task takes part: that of its stage before that of the workflow.
pub(super) fn saga_of(workflow: &Workflow, task: TaskId) -> Option<(&Saga, Scope)> {
    let stage = workflow.tasks[index(task)].stage;
    let takes_part = |saga: &&Saga| saga.participants.contains(&Step::Task(task));
    let own = workflow.stages[stage.0 as usize].saga.as_ref().filter(takes_part);
    let whole = workflow.saga.as_ref().filter(takes_part);
    own.map(|saga| (saga, Scope::Stage(stage))).or(whole.map(|saga| (saga, Scope::Workflow)))
}

fn compensation_of<'s>(saga: &'s Saga, name: &str, declared: &str) -> Option<&'s Command> {
    saga.compensation.iter().find(|(known, _)| known == name || known == declared).map(|(_, command)| command)
}
