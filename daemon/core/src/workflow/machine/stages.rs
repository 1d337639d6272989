//! Stages: one after the other, each with its condition, its failures and its end.

use std::time::Duration;

use super::super::graph::{Condition, HookWhen, StageId, TaskId};
use super::{
    AfterSettling, Effect, End, Judgement, KillReason, Machine, Phase, Scope, StageStatus, Status, Step, Timer, Undo,
    Why, index,
};

impl Machine {
    /// Goes to the first stage that has not ended, or to the end of the run.
    pub(super) fn next_stage(&mut self, effects: &mut Vec<Effect>) {
        let Some(at) = self.stages.iter().position(|stage| stage.status.is_none()) else {
            return self.stages_over(effects);
        };
        let stage = StageId(u32::try_from(at).expect("stages are fewer than tasks"));
        self.current = Some(stage);
        if let Some(why) = self.halted() {
            self.stages[at].stopped = Some(why);
            return self.open_stage(stage, effects);
        }
        let traits = self.layout.stage_traits[at];
        let has_begun = self.workflow.stages[at].tasks.iter().any(|task| self.nodes[index(*task)].attempts > 0)
            || self.stages[at].round > 0;
        let refusal = self.stage_refusal(at).filter(|_| !traits.survives_stop);
        let refusal = refusal.filter(|why| !traits.replaces_success || matches!(why, Why::FailFast(_)));
        if let Some(why) = refusal {
            self.stages[at].stopped = Some(why);
            return self.open_stage(stage, effects);
        }
        match &self.workflow.stages[at].condition {
            None | Some(Condition::Fixed(true)) => self.open_stage(stage, effects),
            Some(_) if has_begun => self.open_stage(stage, effects),
            Some(Condition::Fixed(false)) => self.stage_judged(stage, Judgement::Fails, effects),
            Some(_) => effects.push(Effect::JudgeStage(stage)),
        }
    }

    /// Why nothing at all may begin.
    fn halted(&self) -> Option<Why> {
        if self.cancelled.is_some() {
            return Some(Why::Message("the run was cancelled".to_owned()));
        }
        if self.timed_out {
            return Some(Why::Message("the time of the workflow is over".to_owned()));
        }
        self.refused.as_ref().map(|message| Why::Message(format!("on_start refused: {message}")))
    }

    /// What earlier stages do to this one, under the implicit `success()`.
    fn stage_refusal(&self, at: usize) -> Option<Why> {
        let earlier = (0..at)
            .find(|before| self.stages[*before].status.is_some_and(|status| !self.satisfies(*before, status)))?;
        if self.continues(earlier) {
            return Some(Why::DependencyFailed(self.workflow.stages[earlier].name.clone()));
        }
        let failed = self.workflow.stages[earlier].tasks.iter().find(|task| {
            self.nodes[index(**task)].end.as_ref().is_some_and(|end| end.status == Status::Failed && !end.ignored)
        });
        match failed {
            Some(task) => Some(Why::FailFast(self.name(*task))),
            None => self.stages[earlier]
                .stopped
                .clone()
                .or_else(|| Some(Why::DependencyFailed(self.workflow.stages[earlier].name.clone()))),
        }
    }

    fn satisfies(&self, at: usize, status: StageStatus) -> bool {
        match status {
            StageStatus::Completed => true,
            StageStatus::Skipped => self.stages[at].unwanted,
            StageStatus::Failed | StageStatus::Cancelled => false,
        }
    }

    pub(super) fn stage_judged(&mut self, stage: StageId, judgement: Judgement, effects: &mut Vec<Effect>) {
        let at = stage.0 as usize;
        if self.current != Some(stage) || self.stages[at].opened {
            return;
        }
        match judgement {
            Judgement::Holds => {}
            Judgement::Fails | Judgement::Aborts => {
                self.stages[at].unwanted = true;
                self.stages[at].stopped = Some(Why::Condition);
            }
            Judgement::Error(why) => {
                self.stages[at].failures += 1;
                let name = &self.workflow.stages[at].name;
                let text = format!("condition of stage \"{name}\" cannot be evaluated: {why}");
                self.stages[at].stopped = Some(Why::Message(text));
            }
        }
        if let Some(why) = self.halted() {
            self.stages[at].stopped = Some(why);
        }
        self.open_stage(stage, effects);
    }

    fn open_stage(&mut self, stage: StageId, effects: &mut Vec<Effect>) {
        let at = stage.0 as usize;
        let state = &mut self.stages[at];
        state.opened = true;
        self.openings += 1;
        state.opening = self.openings;
        let (unwanted, opening) = (state.unwanted, state.opening);
        if let Some(limit) = self.workflow.stages[at].timeout_ms.filter(|limit| *limit > 0) {
            self.set_timer(self.now + Duration::from_millis(limit), Timer::Stage(stage.0, opening));
        }
        let halted = self.halted();
        for position in 0..self.workflow.stages[at].tasks.len() {
            let task = self.workflow.stages[at].tasks[position];
            if self.nodes[index(task)].phase != Phase::Pending {
                continue;
            }
            match &halted {
                _ if !self.settings.is_selected(task) => self.skip(task, Why::NotSelected, effects),
                Some(why) => self.end_unbegun(task, why.clone(), effects),
                None if unwanted => self.skip(task, Why::Condition, effects),
                None => self.fresh.push_back(task),
            }
        }
        self.stage_over(stage, effects);
    }

    /// Ends a task that has no attempt running, because everything ends.
    pub(super) fn end_unbegun(&mut self, task: TaskId, why: Why, effects: &mut Vec<Effect>) {
        let end = End { why: Some(why), ..self.ended_as(task, Status::Cancelled) };
        self.end(task, end, effects);
    }

    /// If all of its tasks have ended: decides how the stage ended.
    pub(super) fn stage_over(&mut self, stage: StageId, effects: &mut Vec<Effect>) {
        let at = stage.0 as usize;
        let state = &self.stages[at];
        if state.open > 0 || !state.opened || state.status.is_some() || self.current != Some(stage) {
            return;
        }
        let status = self.status_of_stage(stage);
        if status == StageStatus::Failed && self.next_round(Scope::Stage(stage), effects) {
            return;
        }
        if self.is_last_round() && self.finish_provisional(Some(stage), effects) {
            self.after_settling = Some(AfterSettling::Stage(stage));
            return;
        }
        self.conclude_stage(stage, status, effects);
    }

    fn status_of_stage(&self, stage: StageId) -> StageStatus {
        let at = stage.0 as usize;
        let state = &self.stages[at];
        let mut ends = self.workflow.stages[at].tasks.iter().filter_map(|task| self.nodes[index(*task)].end.as_ref());
        if state.failures > 0 || state.timed_out {
            StageStatus::Failed
        } else if self.cancelled.is_some() || self.timed_out || self.refused.is_some() {
            StageStatus::Cancelled
        } else if state.unwanted || (state.stopped.is_some() && ends.all(|end| end.status == Status::Skipped)) {
            StageStatus::Skipped
        } else {
            StageStatus::Completed
        }
    }

    pub(super) fn conclude_stage(&mut self, stage: StageId, status: StageStatus, effects: &mut Vec<Effect>) {
        let scope = Scope::Stage(stage);
        self.stages[stage.0 as usize].status = Some(status);
        effects.push(Effect::StageEnded(stage, status));
        match status {
            // What may be tried again as a whole must not be undone before.
            StageStatus::Failed | StageStatus::Cancelled if !self.is_last_round() => {}
            StageStatus::Failed => {
                self.steps.push_back(Step::Handlers(scope, HookWhen::OnFailure));
                self.steps.push_back(Step::Undo(Undo::Sagas(scope)));
            }
            StageStatus::Cancelled => self.steps.push_back(Step::Undo(Undo::Sagas(scope))),
            StageStatus::Completed => {
                self.steps.push_back(Step::Commit(scope));
                self.steps.push_back(Step::Handlers(scope, HookWhen::OnSuccess));
            }
            StageStatus::Skipped => {}
        }
        if status != StageStatus::Skipped && self.is_last_round() {
            self.steps.push_back(Step::Handlers(scope, HookWhen::OnComplete));
        }
        self.steps.push_back(Step::NextStage);
        self.next_step(effects);
    }

    pub(super) fn stage_timed_out(&mut self, stage: StageId, opening: u32, effects: &mut Vec<Effect>) {
        let state = &mut self.stages[stage.0 as usize];
        if self.current != Some(stage) || state.status.is_some() || state.opening != opening || state.open == 0 {
            return;
        }
        state.timed_out = true;
        let why =
            Why::Message(format!("the time of stage \"{}\" is over", self.workflow.stages[stage.0 as usize].name));
        self.halt(stage, KillReason::StageTimeout, &why, effects);
    }

    /// Tasks that wait for each other in a circle never become ready; when nothing else goes on, they fail.
    pub(super) fn unstick(&mut self, effects: &mut Vec<Effect>) {
        let Some(stage) = self.current else { return };
        let state = &self.stages[stage.0 as usize];
        let is_stuck = self.active == 0 && state.opened && state.open > 0 && state.status.is_none();
        if !is_stuck || self.after_settling.is_some() {
            return;
        }
        let stage = &self.workflow.stages[stage.0 as usize];
        let pending = |task: &&TaskId| self.nodes[index(**task)].phase == Phase::Pending;
        let Some(task) = stage.tasks.iter().find(pending).copied() else { return };
        let why = Why::Message(format!("circular dependency through \"{}\"", self.name(task)));
        let end = End { kind: Some("definition".into()), why: Some(why), ..self.ended_as(task, Status::Failed) };
        self.end(task, end, effects);
    }
}
