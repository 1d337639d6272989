//! Retries of a stage or of the workflow as a whole: only what has not completed is tried again. While a further round
//! is possible, ends other than completion are provisional: a task gets one terminal record.

use std::time::Duration;

use super::super::graph::{StageId, TaskId};
use super::super::policy::Retry;
use super::{AfterSettling, Effect, Machine, Phase, Scope, StageState, Timer, index};

impl Machine {
    /// Whether an end of this task may still be taken back.
    pub(super) fn may_round_again(&self, task: TaskId) -> bool {
        let stage = self.workflow.tasks[index(task)].stage;
        !self.is_last_round() || self.has_round(Scope::Stage(stage))
    }

    /// Whether the workflow as a whole is not tried again.
    pub(super) fn is_last_round(&self) -> bool {
        !self.has_round(Scope::Workflow)
    }

    fn has_round(&self, scope: Scope) -> bool {
        let halted = self.cancelled.is_some() || self.timed_out || self.refused.is_some();
        let (retry, round) = self.round_of(scope);
        !halted && retry.is_some_and(|retry| round + 1 < retry.max_attempts)
    }

    fn round_of(&self, scope: Scope) -> (Option<&Retry>, u32) {
        match scope {
            Scope::Workflow => (self.workflow.retry.as_ref(), self.round),
            Scope::Stage(stage) => {
                (self.workflow.stages[stage.0 as usize].retry.as_ref(), self.stages[stage.0 as usize].round)
            }
        }
    }

    /// Begins another round, if there is one.
    pub(super) fn next_round(&mut self, scope: Scope, effects: &mut Vec<Effect>) -> bool {
        if !self.has_round(scope) {
            return false;
        }
        let chance = self.random.fraction();
        let (retry, round) = self.round_of(scope);
        let delay = Duration::from_millis(retry.map_or(0, |retry| retry.delay(round + 1, chance)));
        if self.deadline.is_some_and(|deadline| self.now + delay > deadline) {
            return false;
        }
        let round = round + 1;
        let stages = match scope {
            Scope::Stage(stage) => {
                self.reset_stage(stage, round);
                vec![stage]
            }
            Scope::Workflow => {
                self.round = round;
                let all: Vec<StageId> =
                    (0..self.stages.len()).filter_map(|at| u32::try_from(at).ok().map(StageId)).collect();
                all.iter().for_each(|stage| self.reset_stage(*stage, 0));
                all
            }
        };
        self.reset_tasks(&stages);
        self.current = None;
        effects.push(Effect::NewRound(scope, round));
        self.set_timer(self.now + delay, Timer::Round(round));
        true
    }

    fn reset_stage(&mut self, stage: StageId, round: u32) {
        let tasks = &self.workflow.stages[stage.0 as usize].tasks;
        let open = tasks.iter().filter(|task| self.nodes[index(**task)].provisional).count();
        let before = &self.stages[stage.0 as usize];
        // A stage that has nothing to do again keeps its end.
        if open == 0 && before.status.is_some() && before.failures == 0 {
            return;
        }
        self.stages[stage.0 as usize] =
            StageState { open: u32::try_from(open).unwrap_or(u32::MAX), round, ..StageState::default() };
    }

    fn reset_tasks(&mut self, stages: &[StageId]) {
        let again: Vec<TaskId> = stages
            .iter()
            .flat_map(|stage| self.workflow.stages[stage.0 as usize].tasks.iter().copied())
            .filter(|task| self.nodes[index(*task)].provisional)
            .collect();
        for task in &again {
            let node = &mut self.nodes[index(*task)];
            node.provisional = false;
            node.end = None;
            node.branch = None;
            node.passed = false;
            self.set_phase(*task, Phase::Pending);
        }
        for task in again {
            let open = |(before, _): &&(TaskId, _)| self.nodes[index(*before)].phase != Phase::Ended;
            let left = self.layout.predecessors.of(task).iter().filter(open).count();
            self.nodes[index(task)].left = u32::try_from(left).unwrap_or(u32::MAX);
        }
    }

    pub(super) fn round_begins(&mut self, _round: u32, effects: &mut Vec<Effect>) {
        if self.current.is_none() && !self.ends() {
            self.next_stage(effects);
        }
    }

    /// No further round: what was provisional is recorded. Whether there was anything.
    pub(super) fn finish_provisional(&mut self, stage: Option<StageId>, effects: &mut Vec<Effect>) -> bool {
        for at in 0..self.nodes.len() {
            let is_meant = stage.is_none_or(|stage| self.workflow.tasks[at].stage == stage);
            if !self.nodes[at].provisional || !is_meant {
                continue;
            }
            let task = super::task_id(at);
            if let Some(end) = self.nodes[at].end.clone() {
                self.unsettled += 1;
                self.set_phase(task, Phase::Ending);
                self.finish(task, end, effects);
            }
        }
        self.unsettled > 0
    }

    /// One provisional end more is recorded.
    pub(super) fn settled(&mut self, effects: &mut Vec<Effect>) {
        if self.unsettled > 0 {
            return;
        }
        match self.after_settling.take() {
            Some(AfterSettling::Stage(stage)) => self.stage_over(stage, effects),
            Some(AfterSettling::Run) => self.stages_over(effects),
            None => {}
        }
    }
}
