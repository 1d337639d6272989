//! What happens between the last task of a stage and the next, and at the end of the run: handlers, commits,
//! compensations, one after the other.

use super::super::graph::{HookWhen, StageId};
use super::super::policy::{FailurePolicy, WorkflowFailure};
use super::{AfterSettling, CancelReason, Effect, Handled, Machine, Scope, StageStatus, Step, Undo, Undone, Verdict};

impl Machine {
    /// Whether the end of the run has begun.
    pub(super) fn ends(&self) -> bool {
        self.done || self.steps.iter().any(|step| matches!(step, Step::Done))
    }

    /// Does what comes next, until something has to be waited for.
    pub(super) fn next_step(&mut self, effects: &mut Vec<Effect>) {
        while let Some(step) = self.steps.pop_front() {
            match step {
                Step::Handlers(scope, when) => {
                    if self.has_handlers(scope, when) && !self.handled_before.contains(&(scope, when)) {
                        return effects.push(Effect::RunHandlers(scope, when));
                    }
                }
                Step::Commit(scope) => effects.push(Effect::Commit(scope)),
                Step::Undo(what) => {
                    if self.may_undo(what) {
                        return effects.push(Effect::Compensate(what));
                    }
                }
                Step::NextStage => return self.next_stage(effects),
                Step::Done => return self.finish_run(effects),
            }
        }
    }

    fn has_handlers(&self, scope: Scope, when: HookWhen) -> bool {
        let handlers = match scope {
            Scope::Stage(stage) => &self.workflow.stages[stage.0 as usize].handlers,
            Scope::Workflow => &self.workflow.handlers,
        };
        !self.is_forced() && handlers.entries.iter().any(|entry| entry.when == when)
    }

    fn may_undo(&self, what: Undo) -> bool {
        let wanted = self.cancelled.is_none_or(|cancelled| cancelled.compensate && !cancelled.force);
        match what {
            Undo::Rollback => wanted && self.settings.rollback,
            Undo::Sagas(_) | Undo::Everything => wanted && self.settings.compensate,
        }
    }

    pub(super) fn handlers_ended(&mut self, said: Handled, effects: &mut Vec<Effect>) {
        if let Some(message) = said.refused {
            self.refused = Some(message);
        }
        self.handled |= said.handled;
        self.recovered |= said.recovered;
        self.next_step(effects);
    }

    pub(super) fn compensated(&mut self, undone: Undone, effects: &mut Vec<Effect>) {
        self.undone.ran += undone.ran;
        self.undone.failed += undone.failed;
        self.next_step(effects);
    }

    /// All stages have ended.
    pub(super) fn stages_over(&mut self, effects: &mut Vec<Effect>) {
        let failed = self.has_failed();
        if failed && self.next_round(Scope::Workflow, effects) {
            return;
        }
        if self.finish_provisional(None, effects) {
            self.after_settling = Some(AfterSettling::Run);
            return;
        }
        // No round can follow any more, whatever was still possible before.
        if let Some(retry) = &self.workflow.retry {
            self.round = retry.max_attempts;
        }
        self.current = None;
        let scope = Scope::Workflow;
        if self.cancelled.is_some() || self.refused.is_some() {
            self.steps.push_back(Step::Undo(Undo::Sagas(scope)));
        } else if failed {
            self.steps_after_failure();
        } else {
            self.steps.push_back(Step::Commit(scope));
            self.steps.push_back(Step::Handlers(scope, HookWhen::OnSuccess));
        }
        self.steps.push_back(Step::Handlers(scope, HookWhen::OnComplete));
        self.steps.push_back(Step::Done);
        self.next_step(effects);
    }

    /// "saga compensation (innermost first) → `error_handling.on_failure` → workflow `on_failure` →
    /// `config.on_failure`"; the handlers of stages and their sagas were before.
    fn steps_after_failure(&mut self) {
        let scope = Scope::Workflow;
        // Stages whose saga was kept for a further round that never came.
        for (at, stage) in (0..).zip(&self.stages) {
            if stage.status == Some(StageStatus::Failed) && self.workflow.retry.is_some() {
                self.steps.push_back(Step::Undo(Undo::Sagas(Scope::Stage(StageId(at)))));
            }
        }
        self.steps.push_back(Step::Undo(Undo::Sagas(scope)));
        self.steps.push_back(Step::Handlers(scope, HookWhen::ErrorHandling));
        self.steps.push_back(Step::Handlers(scope, HookWhen::OnFailure));
        let config = &self.workflow.config;
        match config.on_failure {
            WorkflowFailure::None => {}
            WorkflowFailure::Rollback => self.steps.push_back(Step::Undo(Undo::Rollback)),
            WorkflowFailure::Compensate => self.steps.push_back(Step::Undo(Undo::Everything)),
            WorkflowFailure::Function => self.steps.push_back(Step::Handlers(scope, HookWhen::ConfigOnFailure)),
        }
        if config.on_task_failure == FailurePolicy::Rollback && config.on_failure != WorkflowFailure::Rollback {
            self.steps.push_back(Step::Undo(Undo::Rollback));
        }
    }

    fn has_failed(&self) -> bool {
        self.timed_out
            || self.refused.is_some()
            || self.stages.iter().any(|stage| stage.status == Some(StageStatus::Failed))
    }

    fn finish_run(&mut self, effects: &mut Vec<Effect>) {
        self.done = true;
        let (status, reason) = self.outcome();
        effects.push(Effect::Done(Verdict {
            status,
            reason,
            message: self.refused.clone(),
            compensation: match self.undone {
                Undone { failed: 1.., .. } => "compensation_failed",
                Undone { ran: 1.., .. } => "compensated",
                Undone { .. } => "none",
            },
            handled: self.handled || self.recovered,
        }));
    }

    fn outcome(&self) -> (&'static str, Option<&'static str>) {
        if let Some(cancelled) = self.cancelled {
            let reason = match cancelled.reason {
                CancelReason::User => "user",
                CancelReason::Conflict => "conflict",
                CancelReason::Shutdown => "shutdown",
                CancelReason::Superseded => "superseded",
            };
            return ("cancelled", Some(reason));
        }
        if self.undone.failed > 0 {
            return ("failed", Some("compensation_failed"));
        }
        if self.refused.is_some() {
            return ("failed", Some("on_start"));
        }
        if !self.has_failed() || self.recovered {
            return ("completed", None);
        }
        if self.timed_out || self.stages.iter().any(|stage| stage.timed_out) {
            return ("failed", Some("timeout"));
        }
        ("failed", Some("task_failed"))
    }
}
