//! The way of a task to its start, and what follows from its end.

use super::super::graph::{Condition, EdgeKind, HookWhen, Task, TaskId};
use super::{Effect, End, Judgement, Machine, Phase, Status, Why, index};

/// The handlers that belong to an end, in their order; what comes before [`HookWhen::PostTask`] runs before the end is
/// recorded.
pub fn closing_hooks(end: &End, forced: bool) -> &'static [HookWhen] {
    use HookWhen::{OnComplete, OnFailure, OnSkip, OnSuccess, OnTimeout, PostTask};
    if forced {
        return &[];
    }
    match end.status {
        Status::Completed => &[OnSuccess, PostTask, OnComplete],
        Status::Failed if end.kind.as_deref() == Some("timeout") => &[OnTimeout, OnFailure, PostTask, OnComplete],
        Status::Failed => &[OnFailure, PostTask, OnComplete],
        Status::Skipped => &[OnSkip, OnComplete],
        Status::Cancelled => &[OnComplete],
    }
}

impl Machine {
    /// Looks whether a task may go on to its conditions, or ends without running.
    pub(super) fn consider(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        let node = &self.nodes[index(task)];
        let declared = &self.workflow.tasks[index(task)];
        let opened = self.stages[declared.stage.0 as usize].opened && self.current == Some(declared.stage);
        if node.phase != Phase::Pending || node.left > 0 || !opened {
            return;
        }
        if node.interrupted {
            return self.consider_interrupted(task, effects);
        }
        if let Some(why) = self.refusal(task) {
            return self.skip(task, why, effects);
        }
        let declared = &self.workflow.tasks[index(task)];
        match (&declared.abort_if, &declared.condition) {
            (None | Some(Condition::Fixed(false)), None | Some(Condition::Fixed(true))) => self.approve(task, effects),
            (None | Some(Condition::Fixed(false)), Some(Condition::Fixed(false))) => {
                self.skip(task, Why::Condition, effects);
            }
            _ => {
                self.set_phase(task, Phase::Judging);
                effects.push(Effect::Judge(task));
            }
        }
    }

    /// Why a task must not start, before its own condition is asked.
    pub(super) fn refusal(&self, task: TaskId) -> Option<Why> {
        let declared = &self.workflow.tasks[index(task)];
        if let Some((decider, branch)) = declared.branch {
            let node = &self.nodes[index(decider)];
            let decided = node.end.as_ref().is_some_and(|end| end.status == Status::Completed);
            if decided && node.branch != Some(branch) {
                return Some(Why::Condition);
            }
            if !decided {
                return self.unsatisfied(decider);
            }
        }
        let traits = self.layout.task_traits[index(task)];
        if !traits.replaces_success {
            let needs = |(_, kind): &&(TaskId, EdgeKind)| matches!(kind, EdgeKind::Needs | EdgeKind::Previous);
            let mut needed = self.layout.predecessors.of(task).iter().filter(needs);
            if let Some(why) = needed.find_map(|(before, _)| self.unsatisfied(*before)) {
                return Some(why);
            }
        }
        let stage = &self.stages[declared.stage.0 as usize];
        stage.stopped.clone().filter(|_| !traits.survives_stop)
    }

    /// What a task does to those that need it.
    fn unsatisfied(&self, task: TaskId) -> Option<Why> {
        let end = self.nodes[index(task)].end.as_ref()?;
        if end.satisfies() {
            return None;
        }
        let name = self.name(task);
        Some(match end.status {
            Status::Cancelled => Why::DependencyCancelled(name),
            Status::Skipped => Why::DependencySkipped(name),
            Status::Failed | Status::Completed => Why::DependencyFailed(name),
        })
    }

    pub(super) fn judged(&mut self, task: TaskId, judgement: Judgement, effects: &mut Vec<Effect>) {
        if self.nodes[index(task)].phase != Phase::Judging {
            return;
        }
        // The run may have stopped while the condition was being evaluated.
        let stopped = self.refusal(task).filter(|_| !matches!(judgement, Judgement::Fails));
        let failed = |kind: &'static str, text: String, machine: &Machine| End {
            kind: Some(kind.into()),
            why: Some(Why::Message(text)),
            ..machine.ended_as(task, Status::Failed)
        };
        match (stopped, judgement) {
            (Some(why), _) => self.skip(task, why, effects),
            (None, Judgement::Holds) => self.approve(task, effects),
            (None, Judgement::Fails) => self.skip(task, Why::Condition, effects),
            (None, Judgement::Aborts) => {
                self.end(task, failed("abort_if", "abort_if is true".to_owned(), self), effects);
            }
            (None, Judgement::Error(why)) => {
                let text = format!("condition cannot be evaluated: {why}");
                self.end(task, failed("condition_error", text, self), effects);
            }
        }
    }

    pub(super) fn key_answered(&mut self, task: TaskId, answer: Result<(), String>, effects: &mut Vec<Effect>) {
        if self.nodes[index(task)].phase != Phase::Keying {
            return;
        }
        match answer {
            Ok(()) => self.set_phase(task, Phase::Ready),
            Err(message) => {
                let why = Some(Why::Message(message));
                let end = End { kind: Some("error".into()), why, ..self.ended_as(task, Status::Failed) };
                self.end(task, end, effects);
            }
        }
    }

    pub(super) fn skip(&mut self, task: TaskId, why: Why, effects: &mut Vec<Effect>) {
        let end = End { why: Some(why), ..self.ended_as(task, Status::Skipped) };
        self.end(task, end, effects);
    }

    /// A task reached its terminal state. Its record and its handlers follow, unless another round may change it.
    pub(super) fn end(&mut self, task: TaskId, mut end: End, effects: &mut Vec<Effect>) {
        if end.status == Status::Failed {
            end.ignored = self.is_ignored(task);
        }
        let is_final = end.status == Status::Completed
            || (end.status == Status::Skipped && end.satisfies())
            || !self.may_round_again(task);
        let failed = end.status == Status::Failed && !end.ignored;
        self.set_phase(task, Phase::Ending);
        self.free_key(task, effects);
        self.nodes[index(task)].end = Some(end.clone());
        if is_final {
            self.finish(task, end, effects);
        } else {
            self.nodes[index(task)].provisional = true;
            self.free_slot(task);
            self.free_resources(task);
        }
        if failed {
            self.apply_failure(task, effects);
        }
        if !is_final {
            self.settle(task, effects);
        }
    }

    pub(super) fn finish(&mut self, task: TaskId, end: End, effects: &mut Vec<Effect>) {
        let has_handlers = self.has_closing(&self.workflow.tasks[index(task)], &end);
        let node = &mut self.nodes[index(task)];
        node.provisional = false;
        node.unrecorded = true;
        node.unreleased = has_handlers;
        effects.push(Effect::Finish(task, end));
        if !has_handlers && !self.is_strict() {
            self.free_slot(task);
            self.free_resources(task);
        }
    }

    fn has_closing(&self, task: &Task, end: &End) -> bool {
        let hooks = closing_hooks(end, self.is_forced());
        let rolls_back = task.rollback_on_failure && end.status == Status::Failed && !self.is_forced();
        rolls_back || task.handlers.entries.iter().any(|entry| hooks.contains(&entry.when))
    }

    pub(super) fn released(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        if std::mem::take(&mut self.nodes[index(task)].unreleased) {
            if !self.is_strict() {
                self.free_slot(task);
                self.free_resources(task);
            }
            self.settle(task, effects);
        }
    }

    pub(super) fn recorded(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        if std::mem::take(&mut self.nodes[index(task)].unrecorded) {
            self.settle(task, effects);
        }
    }

    /// When everything about an end is done, dependents and the stage learn of it.
    fn settle(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        let node = &self.nodes[index(task)];
        if node.unrecorded || node.unreleased || node.phase != Phase::Ending {
            return;
        }
        self.free_slot(task);
        self.free_resources(task);
        self.set_phase(task, Phase::Ended);
        if self.after_settling.is_some() {
            self.unsettled -= 1;
            return self.settled(effects);
        }
        let passed = self.nodes[index(task)].passed;
        self.let_go(task, |kind| !(passed && kind == EdgeKind::Order));
        let stage = self.workflow.tasks[index(task)].stage;
        self.stages[stage.0 as usize].open -= 1;
        self.stage_over(stage, effects);
    }

    /// Successors need not wait for this task any more.
    pub(super) fn let_go(&mut self, task: TaskId, which: impl Fn(EdgeKind) -> bool) {
        for (next, _) in self.layout.successors.of(task).iter().filter(|(_, kind)| which(*kind)) {
            let node = &mut self.nodes[index(*next)];
            node.left = node.left.saturating_sub(1);
            if node.left == 0 {
                self.fresh.push_back(*next);
            }
        }
    }

    fn is_ignored(&mut self, task: TaskId) -> bool {
        let declared = &self.workflow.tasks[index(task)];
        let ignore = &self.workflow.config.ignore;
        if declared.ignore_errors || ignore.contains(&declared.name) || ignore.contains(&declared.declared) {
            return true;
        }
        let at = declared.stage.0 as usize;
        let accepts = self.stages[at].tolerated < self.workflow.stages[at].tolerate;
        self.stages[at].tolerated += u32::from(accepts);
        accepts
    }
}
