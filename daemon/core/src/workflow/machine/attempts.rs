//! Attempts: how they begin, end, time out, and are tried again.

use std::time::Duration;

use super::super::graph::{EdgeKind, HookWhen, TaskId};
use super::super::policy::Retry;
use super::{Effect, End, KillReason, Machine, Outcome, Phase, Status, Timer, index};

impl Machine {
    pub(super) fn begin(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        self.set_phase(task, Phase::Running);
        let is_async = self.workflow.tasks[index(task)].is_async;
        let timeout = self.timeout_of(task);
        let node = &mut self.nodes[index(task)];
        node.begun = node.attempts;
        node.kill = None;
        let attempt = node.attempts;
        if !is_async {
            node.slot = true;
            self.running += 1;
        }
        if let Some(limit) = timeout {
            self.set_timer(self.now + Duration::from_millis(limit), Timer::Attempt(task.0, attempt));
        }
        effects.push(Effect::Begin(task, attempt));
        if is_async && !self.nodes[index(task)].passed {
            self.nodes[index(task)].passed = true;
            self.let_go(task, |kind| kind == EdgeKind::Order);
        }
    }

    pub(super) fn attempt_timed_out(&mut self, task: TaskId, attempt: u32, effects: &mut Vec<Effect>) {
        let node = &self.nodes[index(task)];
        if node.attempts == attempt {
            self.kill(task, KillReason::Timeout, effects);
        }
    }

    /// Ends what is running of a task; the first reason stays.
    pub(super) fn kill(&mut self, task: TaskId, reason: KillReason, effects: &mut Vec<Effect>) {
        let force = self.is_forced();
        let node = &mut self.nodes[index(task)];
        if node.phase == Phase::Running && (node.kill.is_none() || force) {
            let reason = *node.kill.get_or_insert(reason);
            effects.push(Effect::Kill(task, reason, force));
        }
    }

    pub(super) fn attempt_ended(&mut self, task: TaskId, outcome: Outcome, effects: &mut Vec<Effect>) {
        if self.nodes[index(task)].phase != Phase::Running {
            return;
        }
        let killed = self.nodes[index(task)].kill;
        self.nodes[index(task)].branch = outcome.branch;
        if outcome.success {
            return self.end(task, self.ended_as(task, Status::Completed), effects);
        }
        let kind = match killed {
            Some(KillReason::Timeout) => "timeout".into(),
            Some(_) => "cancelled".into(),
            None => outcome.kind.unwrap_or("error".into()),
        };
        if kind == "cancelled" {
            let end = End { kind: Some(kind), ..self.ended_as(task, Status::Cancelled) };
            return self.end(task, end, effects);
        }
        match self.next_delay(task, &kind) {
            Some(delay_ms) => self.try_again(task, delay_ms, kind, effects),
            None => self.end(task, End { kind: Some(kind), ..self.ended_as(task, Status::Failed) }, effects),
        }
    }

    pub(super) fn ended_as(&self, task: TaskId, status: Status) -> End {
        End { status, kind: None, why: None, ignored: false, attempts: self.nodes[index(task)].begun }
    }

    pub(super) fn retry_of(&self, task: TaskId) -> &Retry {
        self.workflow.tasks[index(task)].retry.as_ref().unwrap_or(&self.settings.retry)
    }

    /// Milliseconds until the next attempt, if there is to be one.
    fn next_delay(&mut self, task: TaskId, kind: &str) -> Option<u64> {
        let stage = &self.stages[self.workflow.tasks[index(task)].stage.0 as usize];
        if self.cancelled.is_some() || self.timed_out || stage.timed_out {
            return None;
        }
        let chance = self.random.fraction();
        let attempts = self.nodes[index(task)].attempts;
        let retry = self.retry_of(task);
        if attempts >= retry.max_attempts.max(1) || !retry.covers(kind) {
            return None;
        }
        let delay = retry.delay(attempts, chance);
        let in_time = self.deadline.is_none_or(|deadline| self.now + Duration::from_millis(delay) <= deadline);
        in_time.then_some(delay)
    }

    fn try_again(
        &mut self,
        task: TaskId,
        delay_ms: u64,
        kind: std::borrow::Cow<'static, str>,
        effects: &mut Vec<Effect>,
    ) {
        self.free_slot(task);
        self.free_resources(task);
        let asks = self.retry_of(task).decide.is_some() || self.has_hook(task, HookWhen::OnRetry);
        let failed = End { kind: Some(kind), ..self.ended_as(task, Status::Failed) };
        let node = &mut self.nodes[index(task)];
        node.delay_ms = delay_ms;
        // Kept for the case that `on_retry` ends it, or a cancel finds it waiting.
        node.end = Some(failed);
        let attempt = node.attempts;
        self.set_phase(task, Phase::Asking);
        if asks {
            effects.push(Effect::AskRetry { task, attempt, delay_ms });
        } else {
            self.retry_answered(task, true, effects);
        }
    }

    pub(super) fn retry_answered(&mut self, task: TaskId, again: bool, effects: &mut Vec<Effect>) {
        if self.nodes[index(task)].phase != Phase::Asking {
            return;
        }
        let node = &mut self.nodes[index(task)];
        let failed = node.end.take();
        if let (false, Some(end)) = (again, failed) {
            return self.end(task, end, effects);
        }
        let (attempt, delay_ms) = (node.attempts, node.delay_ms);
        self.set_phase(task, Phase::Waiting);
        effects.push(Effect::Retry { task, attempt, delay_ms });
        self.set_timer(self.now + Duration::from_millis(delay_ms), Timer::Backoff(task.0, attempt));
    }

    pub(super) fn backoff_over(&mut self, task: TaskId, attempt: u32) {
        let node = &self.nodes[index(task)];
        if node.phase == Phase::Waiting && node.attempts == attempt {
            self.set_phase(task, Phase::Ready);
        }
    }

    pub(super) fn has_hook(&self, task: TaskId, when: HookWhen) -> bool {
        self.workflow.tasks[index(task)].handlers.entries.iter().any(|entry| entry.when == when)
    }
}
