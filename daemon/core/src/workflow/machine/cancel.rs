//! Cancel, pause, and the end of the run's time.

use super::super::graph::TaskId;
use super::{CancelReason, Cancelled, Effect, KillReason, Machine, Phase, Step, Why, index};

impl Machine {
    /// Asking again changes nothing, except that force may be added.
    pub(super) fn cancel(&mut self, reason: CancelReason, force: bool, compensate: bool, effects: &mut Vec<Effect>) {
        match &mut self.cancelled {
            Some(before) if before.force || !force => return,
            Some(before) => before.force = true,
            None => self.cancelled = Some(Cancelled { reason, force, compensate: compensate && !force }),
        }
        if force {
            self.steps.retain(|step| !matches!(step, Step::Handlers(..)));
        }
        self.halt_current(KillReason::Run, "the run was cancelled", effects);
    }

    pub(super) fn run_timed_out(&mut self, effects: &mut Vec<Effect>) {
        if self.cancelled.is_none() && !self.ends() {
            self.timed_out = true;
            self.halt_current(KillReason::RunTimeout, "the time of the workflow is over", effects);
        }
    }

    fn halt_current(&mut self, reason: KillReason, why: &str, effects: &mut Vec<Effect>) {
        let Some(stage) = self.current else { return };
        let state = &self.stages[stage.0 as usize];
        if state.status.is_some() {
            return;
        }
        if state.opened {
            return self.halt(stage, reason, &Why::Message(why.to_owned()), effects);
        }
        // Its condition is being evaluated, or a round is waited for: it opens only to be closed.
        self.next_stage(effects);
    }

    pub(super) fn cancel_task(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        let Some(node) = self.nodes.get(index(task)) else { return };
        match node.phase {
            Phase::Ending | Phase::Ended => {}
            Phase::Running => self.kill(task, KillReason::Task, effects),
            _ => self.end_unbegun(task, Why::Message("the task was cancelled".to_owned()), effects),
        }
    }

    pub(super) fn pause(&mut self, paused: bool, effects: &mut Vec<Effect>) {
        if self.paused != paused {
            self.paused = paused;
            effects.push(Effect::Status(if paused { "paused" } else { "running" }));
        }
    }
}
