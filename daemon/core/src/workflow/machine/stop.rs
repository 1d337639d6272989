//! What a failure, a time-out or a cancel does to tasks that have not ended.

use super::super::graph::{StageId, TaskId};
use super::{Effect, KillReason, Machine, Phase, Why, index};

impl Machine {
    /// An unhandled failure: the policy decides about the others.
    pub(super) fn apply_failure(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        let stage = self.workflow.tasks[index(task)].stage;
        let at = stage.0 as usize;
        self.stages[at].failures += 1;
        if !self.continues(at) && self.stages[at].stopped.is_none() {
            let why = Why::FailFast(self.name(task));
            self.stages[at].stopped = Some(why.clone());
            for other in self.of_stage(stage) {
                let phase = self.nodes[index(other)].phase;
                let is_begun = self.nodes[index(other)].begun > 0;
                let waits =
                    matches!(phase, Phase::Keying | Phase::Ready | Phase::Announced | Phase::Cleared) && !is_begun;
                if waits && !self.layout.task_traits[index(other)].survives_stop {
                    self.skip(other, why.clone(), effects);
                }
                // Those that wait for others learn it when they are looked at; most can be told now.
                if phase == Phase::Pending {
                    self.skip_pending(other, &why, effects);
                }
            }
        }
        if self.workflow.stages[at].fail_fast.unwrap_or(self.settings.fail_fast) {
            for other in self.of_stage(stage).into_iter().filter(|other| *other != task) {
                self.break_off(other, KillReason::FailFast, &Why::Message("a sibling failed".to_owned()), effects);
            }
        }
    }

    pub(super) fn continues(&self, stage: usize) -> bool {
        self.workflow.stages[stage].continue_on_error.unwrap_or(self.settings.continue_on_error)
    }

    /// In topological order, so that what depends on a skipped task can name it.
    fn of_stage(&self, stage: StageId) -> Vec<TaskId> {
        let is_of_it = |task: &&TaskId| self.workflow.tasks[index(**task)].stage == stage;
        self.layout.order.iter().filter(is_of_it).copied().collect()
    }

    fn skip_pending(&mut self, task: TaskId, why: &Why, effects: &mut Vec<Effect>) {
        if self.layout.task_traits[index(task)].survives_stop {
            return;
        }
        let because = self.refusal(task).unwrap_or_else(|| why.clone());
        self.skip(task, because, effects);
    }

    /// Everything of a stage ends: what runs is killed, the rest is cancelled.
    pub(super) fn halt(&mut self, stage: StageId, reason: KillReason, why: &Why, effects: &mut Vec<Effect>) {
        self.stages[stage.0 as usize].stopped.get_or_insert(why.clone());
        for task in self.of_stage(stage) {
            self.break_off(task, reason, why, effects);
            let phase = self.nodes[index(task)].phase;
            if matches!(
                phase,
                Phase::Pending | Phase::Judging | Phase::Keying | Phase::Ready | Phase::Announced | Phase::Cleared
            ) {
                self.end_unbegun(task, why.clone(), effects);
            }
        }
    }

    /// Ends what has begun: kills an attempt, gives up a retry.
    pub(super) fn break_off(&mut self, task: TaskId, reason: KillReason, why: &Why, effects: &mut Vec<Effect>) {
        let node = &self.nodes[index(task)];
        match node.phase {
            Phase::Running => self.kill(task, reason, effects),
            Phase::Asking | Phase::Waiting => self.end_unbegun(task, why.clone(), effects),
            Phase::Ready | Phase::Announced | Phase::Cleared if node.begun > 0 => {
                self.end_unbegun(task, why.clone(), effects);
            }
            _ => {}
        }
    }
}
