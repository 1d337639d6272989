//! What earlier workers of the run have recorded, sorted for those who ask.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value};
use sloth_api::worker::{Numbered, Record, RunEnd, TaskEnd};
use sloth_core::workflow::machine::{End, Past, Scope, Status, TaskPast, Why, downstream};
use sloth_core::workflow::{Command, HookWhen, StageId, TaskId, Workflow};
use sloth_lua::RecordedCall;

use crate::script::Checkpoint;

/// See the module.
#[derive(Default)]
pub struct History {
    pub calls: Vec<RecordedCall>,
    pub checkpoints: Vec<Checkpoint>,
    pub notes: Vec<(String, Value)>,
    /// By workflow and task.
    ends: HashMap<(String, String), TaskEnd>,
    begun: HashMap<(String, String), (u32, bool)>,
    /// Saga, participant → what the participant gave.
    pub steps: BTreeMap<(String, String), Value>,
    /// Saga, participant: undone.
    pub undone: BTreeSet<(String, String)>,
    pub marked: Vec<String>,
    /// Sagas that are committed.
    pub committed: BTreeSet<String>,
    /// How the run ended the last time, when somebody continues it.
    pub last_end: Option<RunEnd>,
    pub artifacts: Vec<Record>,
}

impl History {
    /// `to_compensate`: the run is not continued, only what is left of it is undone.
    pub fn of(journal: Vec<Numbered>, to_compensate: bool) -> History {
        let mut history = History::default();
        for numbered in journal {
            match numbered.record {
                Record::RunFinished { end } => {
                    if !to_compensate {
                        history.run_ended(&end.status);
                    }
                    history.last_end = Some(*end);
                }
                record => history.take(numbered.at, record),
            }
        }
        history
    }

    fn take(&mut self, at: i64, record: Record) {
        match record {
            Record::DefinitionCall { function, arguments, results } => {
                self.calls.push(RecordedCall { function, arguments, results });
            }
            Record::TaskStarted { workflow, task, attempt } => {
                self.ends.remove(&(workflow.clone(), task.clone()));
                self.begun.insert((workflow, task), (attempt, true));
            }
            Record::AttemptFinished { workflow, task, attempt, .. } => {
                self.begun.insert((workflow, task), (attempt, false));
            }
            Record::TaskFinished { end } => {
                self.ends.insert((end.workflow.clone(), end.name.clone()), *end);
            }
            Record::Checkpoint { id, name, workflow, task, state } => {
                self.checkpoints.push(Checkpoint { id, name, workflow, task, state, created_at: at });
            }
            Record::Saga { saga, step, participant, data, .. } => self.saga(saga, &step, participant, data),
            Record::Note { what, data } => self.notes.push((what, data)),
            record @ Record::Artifact { .. } => self.artifacts.push(record),
            Record::Graph { .. }
            | Record::Status { .. }
            | Record::Progress { .. }
            | Record::Event { .. }
            | Record::RunFinished { .. } => {}
        }
    }

    fn saga(&mut self, saga: String, step: &str, participant: Option<String>, data: Value) {
        let Some(participant) = participant else {
            if step == "committed" {
                self.committed.insert(saga);
            }
            return;
        };
        match step {
            "participant_done" => {
                self.undone.remove(&(saga.clone(), participant.clone()));
                self.steps.insert((saga, participant), data);
            }
            "marked" => self.marked.push(participant),
            "compensation_done" => drop(self.undone.insert((saga, participant))),
            _ => {}
        }
    }

    /// The run had ended and is continued because somebody asked: what did not complete, and what was undone, is done
    /// again.
    fn run_ended(&mut self, status: &str) {
        if status == "completed" {
            return;
        }
        let undone: HashSet<&String> = self.undone.iter().map(|(_, participant)| participant).collect();
        self.ends.retain(|(_, task), end| {
            let stays = end.status == "completed" || end.skip_reason.as_deref() == Some("condition");
            stays && !undone.contains(task)
        });
        for (key, begun) in &mut self.begun {
            begun.1 &= self.ends.contains_key(key);
        }
        self.notes.retain(|(what, _)| what != "handled" && what != "round");
        self.steps.clear();
        self.undone.clear();
        self.marked.clear();
        self.committed.clear();
    }

    /// Terminal record of a task.
    pub fn end(&self, workflow: &str, task: &str) -> Option<&TaskEnd> {
        self.ends.get(&(workflow.to_owned(), task.to_owned()))
    }

    /// The past of a workflow; `record_name` gives a task's name in records.
    pub fn past(
        &self,
        workflow: &Workflow,
        recorded: &str,
        record_name: &dyn Fn(&str) -> String,
        from: Option<TaskId>,
    ) -> Past {
        let again = from.map(|from| downstream(workflow, from)).unwrap_or_default();
        let mut past = Past::default();
        for (at, task) in (0_u32..).zip(&workflow.tasks) {
            let key = (recorded.to_owned(), record_name(&task.name));
            let repeats = again.get(at as usize).copied().unwrap_or(false);
            let known = match (self.ends.get(&key), self.begun.get(&key)) {
                (Some(end), _) if !repeats => ended(end, task.command.as_ref()),
                (Some(end), _) => TaskPast::Begun { attempts: end.attempts, running: false },
                (None, Some((attempts, running))) => {
                    TaskPast::Begun { attempts: *attempts, running: *running && !repeats }
                }
                (None, None) => continue,
            };
            past.tasks.push((TaskId(at), known));
        }
        self.steps_of(workflow, recorded, &mut past);
        past
    }

    fn steps_of(&self, workflow: &Workflow, recorded: &str, past: &mut Past) {
        for (what, data) in &self.notes {
            let of_it = data.get("workflow").and_then(Value::as_str) == Some(recorded);
            let Some(scope) = data.get("scope").and_then(|scope| scope_of(workflow, scope)).filter(|_| of_it) else {
                continue;
            };
            match (what.as_str(), scope) {
                ("handled", scope) => {
                    let when = data.get("when").and_then(Value::as_str).and_then(when_of);
                    past.handled.extend(when.map(|when| (scope, when)));
                }
                ("round", Scope::Workflow) => past.round = round_of(data),
                ("round", Scope::Stage(stage)) => past.rounds.push((stage, round_of(data))),
                _ => {}
            }
        }
    }
}

fn round_of(data: &Value) -> u32 {
    data.get("round").and_then(Value::as_u64).and_then(|round| u32::try_from(round).ok()).unwrap_or(0)
}

/// A scope as notes name it: null, or the name of a stage.
pub fn scope_name(workflow: &Workflow, scope: Scope) -> Value {
    match scope {
        Scope::Workflow => Value::Null,
        Scope::Stage(stage) => workflow.stages[stage.0 as usize].name.as_str().into(),
    }
}

fn scope_of(workflow: &Workflow, scope: &Value) -> Option<Scope> {
    let Some(name) = scope.as_str() else { return Some(Scope::Workflow) };
    let at = workflow.stages.iter().position(|stage| stage.name == name)?;
    Some(Scope::Stage(StageId(u32::try_from(at).ok()?)))
}

/// Handlers of stages and workflows that are recorded when they have run.
const WHENS: [(&str, HookWhen); 6] = [
    ("on_start", HookWhen::OnStart),
    ("on_success", HookWhen::OnSuccess),
    ("on_failure", HookWhen::OnFailure),
    ("on_complete", HookWhen::OnComplete),
    ("error_handling", HookWhen::ErrorHandling),
    ("config_on_failure", HookWhen::ConfigOnFailure),
];

/// Their names in records.
pub fn when_name(when: HookWhen) -> &'static str {
    WHENS.iter().find(|(_, known)| *known == when).map_or("handler", |(name, _)| name)
}

fn when_of(name: &str) -> Option<HookWhen> {
    WHENS.iter().find(|(known, _)| *known == name).map(|(_, when)| *when)
}

fn ended(end: &TaskEnd, command: Option<&Command>) -> TaskPast {
    let status = match end.status.as_str() {
        "completed" => Status::Completed,
        "skipped" => Status::Skipped,
        "cancelled" => Status::Cancelled,
        _ => Status::Failed,
    };
    let why = end.skip_reason.as_deref().map(|reason| match reason {
        "condition" => Why::Condition,
        "not_selected" => Why::NotSelected,
        _ => Why::Message(end.message.clone()),
    });
    let branch = matches!(command, Some(Command::Choose(_)))
        .then(|| end.output.get("branch").and_then(Value::as_u64))
        .flatten()
        .and_then(|branch| u32::try_from(branch).ok());
    let kind = end.kind.clone().map(Into::into);
    TaskPast::Ended(End { status, kind, why, ignored: end.ignored, attempts: end.attempts }, branch)
}

/// Members of an object, cloned.
pub fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}
