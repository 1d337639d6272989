//! Conditions are read when all names are known, and make their tasks wait for what they name.

use sloth_core::workflow::expr::{Expr, ExprError, Reading, read_condition};
use sloth_core::workflow::{Command, Condition, EdgeKind, NameIndex, Place, Scope, StageId, TaskId};

use super::Expander;
use crate::define::draft::{Cond, WorkflowDraft};
use crate::define::fault::Fault;

impl Expander<'_> {
    /// Everything that needs all names.
    pub(super) fn finish(&mut self, draft: &WorkflowDraft) {
        let names = NameIndex::of(&self.workflow);
        for (stage, cond) in std::mem::take(&mut self.stage_conditions) {
            let place = draft.place.clone();
            let read = self.read(&cond, &names, Some(stage), true, &place);
            self.workflow.stages[stage.0 as usize].condition = read.map(|(condition, _)| condition);
        }
        for at in 0..self.workflow.tasks.len() {
            let id = TaskId(u32::try_from(at).unwrap_or(u32::MAX));
            let extra = &mut self.extras[at];
            let (condition, abort_if) = (extra.condition.take(), extra.abort_if.take());
            self.workflow.tasks[at].condition = condition.and_then(|cond| self.task_condition(&cond, &names, id));
            if let Some(cond) = abort_if {
                self.workflow.tasks[at].abort_if = self.task_condition(&cond, &names, id);
            }
            self.join_point(at);
        }
        for (id, conditions) in std::mem::take(&mut self.chooses) {
            let read = conditions
                .into_iter()
                .map(|cond| cond.and_then(|cond| self.task_condition(&cond, &names, id)))
                .collect();
            self.workflow.tasks[id.0 as usize].command = Some(Command::Choose(read));
        }
        self.failure_conditions();
        self.sagas(draft, &names);
    }

    fn join_point(&mut self, at: usize) {
        let (task, extra) = (&self.workflow.tasks[at], &self.extras[at]);
        if task.command.is_none() && !extra.internal && !extra.is_composed {
            let message = format!("task {:?} has no command: it only waits for others", task.name);
            self.desk.report_at(Fault::new("W104", message), task.place.clone());
        }
    }

    /// Reads a condition of a task and lets it wait for what it names, whatever the result.
    fn task_condition(&mut self, cond: &Cond, names: &NameIndex, id: TaskId) -> Option<Condition> {
        let (stage, place) = {
            let task = &self.workflow.tasks[id.0 as usize];
            (task.stage, task.place.clone())
        };
        let (condition, expr) = self.read(cond, names, Some(stage), false, &place)?;
        if let Some(expr) = expr {
            for from in expr.tasks() {
                self.edge(from, id, EdgeKind::Ended);
            }
            for stage in expr.stages() {
                for from in self.workflow.stages[stage.0 as usize].tasks.clone() {
                    self.edge(from, id, EdgeKind::Ended);
                }
            }
        }
        Some(condition)
    }

    fn read(
        &mut self,
        cond: &Cond,
        names: &NameIndex,
        stage: Option<StageId>,
        stage_first: bool,
        place: &Place,
    ) -> Option<(Condition, Option<Expr>)> {
        let scope = Scope { names, stage, stage_first };
        let (text, place, only) = match cond {
            Cond::Fixed(value) => return Some((Condition::Fixed(*value), None)),
            Cond::Function(function) => return Some((Condition::Function(*function), None)),
            Cond::When(when) => {
                let cond = self.when_as_condition(when, place);
                return match cond {
                    Cond::When(_) => None,
                    other => self.read(&other, names, stage, stage_first, place),
                };
            }
            Cond::Text(text, place) => (text, place, false),
            Cond::Expression(text, place) => (text, place, true),
        };
        let plain = text.strip_prefix("expr:").unwrap_or(text).trim();
        let reading = if only { bound(plain, &scope).map(Reading::Expression) } else { read_condition(text, &scope) };
        match reading {
            Ok(Reading::Expression(expr)) => Some((Condition::Expression(plain.to_owned()), Some(expr))),
            Ok(Reading::Shell(command)) => Some((Condition::Shell(command), None)),
            Err(error) => {
                let shown: String = plain.chars().take(80).collect();
                let message = format!("bad expression {shown:?}: {} (at character {})", error.message, error.column);
                let fault = Fault::new("E205", message).did_you_mean(error.suggestion.as_deref());
                self.desk.report_at(fault, place.clone());
                None
            }
        }
    }

    /// A task that is the `next_if_fail` of others runs only if one of them failed.
    fn failure_conditions(&mut self) {
        for (target, sources) in std::mem::take(&mut self.failed_sources) {
            let failed: Vec<String> = sources
                .iter()
                .map(|source| format!("tasks[{}].failed", quoted(&self.workflow.tasks[source.0 as usize].name)))
                .collect();
            let failed = failed.join(" || ");
            let at = target.0 as usize;
            let own = self.workflow.tasks[at].condition.take();
            self.workflow.tasks[at].condition = Some(match own {
                None | Some(Condition::Fixed(true)) => Condition::Expression(failed),
                Some(Condition::Fixed(false)) => Condition::Fixed(false),
                Some(Condition::Expression(own)) => Condition::Expression(format!("({own}) && ({failed})")),
                Some(other) => {
                    self.gate(target, &sources, failed);
                    other
                }
            });
        }
    }

    /// A condition that is code stays; a deciding step before it sees to the failure.
    fn gate(&mut self, target: TaskId, sources: &[TaskId], failed: String) {
        let (name, place, stage) = {
            let task = &self.workflow.tasks[target.0 as usize];
            (format!("{}_if_failed", task.name), task.place.clone(), task.stage)
        };
        self.into_stage = Some(stage);
        let command = Command::Choose(vec![Some(Condition::Expression(failed))]);
        let gate = self.made_up(&name, Some(command), &place, false);
        self.into_stage = None;
        for source in sources {
            self.edge(*source, gate, EdgeKind::Ended);
        }
        self.edge(gate, target, EdgeKind::Needs);
        self.workflow.tasks[target.0 as usize].branch.get_or_insert((gate, 0));
    }
}

fn bound(text: &str, scope: &Scope<'_>) -> Result<Expr, ExprError> {
    let mut expr = Expr::parse(text)?;
    expr.bind(scope)?;
    Ok(expr)
}

/// A name as a literal of the expression language.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}
