//! Going on where an earlier worker stopped.

use std::collections::HashSet;

use super::super::graph::{EdgeKind, HookWhen, StageId, TaskId};
use super::super::policy::OnResume;
use super::{Effect, End, Machine, Phase, Scope, Status, Why, index};

/// What the journal says about earlier workers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// Tasks about which there is a record.
    pub tasks: Vec<(TaskId, TaskPast)>,
    /// Handlers of stages and the workflow that have run.
    pub handled: HashSet<(Scope, HookWhen)>,
    /// Rounds of stages.
    pub rounds: Vec<(StageId, u32)>,
    /// Round of the workflow.
    pub round: u32,
}

/// A task in the journal.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskPast {
    /// It has its terminal record; a deciding step took this branch.
    Ended(End, Option<u32>),
    /// It has begun this many attempts; whether one was running.
    Begun {
        /// Number of the last.
        attempts: u32,
        /// Not ended.
        running: bool,
    },
}

impl Machine {
    /// Takes the past in, before [`super::Input::Started`].
    pub fn resume(&mut self, past: Past) {
        self.handled_before = past.handled;
        self.round = past.round;
        for (stage, round) in past.rounds {
            if let Some(state) = self.stages.get_mut(stage.0 as usize) {
                state.round = round;
            }
        }
        for (task, past) in past.tasks {
            match past {
                TaskPast::Begun { attempts, running } => {
                    let node = &mut self.nodes[index(task)];
                    node.attempts = attempts;
                    node.begun = attempts;
                    node.interrupted = running;
                }
                TaskPast::Ended(end, branch) => self.ended_before(task, end, branch),
            }
        }
    }

    fn ended_before(&mut self, task: TaskId, end: End, branch: Option<u32>) {
        let stage = self.workflow.tasks[index(task)].stage.0 as usize;
        let (failed, ignored) = (end.status == Status::Failed, end.ignored);
        let node = &mut self.nodes[index(task)];
        node.attempts = end.attempts;
        node.begun = end.attempts;
        node.branch = branch;
        node.end = Some(end);
        node.phase = Phase::Ended;
        self.stages[stage].open -= 1;
        for (next, _) in self.layout.successors.of(task) {
            let node = &mut self.nodes[index(*next)];
            node.left = node.left.saturating_sub(1);
        }
        if !failed {
            return;
        }
        if ignored {
            self.stages[stage].tolerated += u32::from(!self.workflow.tasks[index(task)].ignore_errors);
            return;
        }
        self.stages[stage].failures += 1;
        if !self.continues(stage) {
            let why = Why::FailFast(self.name(task));
            self.stages[stage].stopped.get_or_insert(why);
        }
    }

    /// A task that was running when the worker was lost: its `on_resume` decides; conditions are not asked again.
    pub(super) fn consider_interrupted(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        self.nodes[index(task)].interrupted = false;
        match self.workflow.tasks[index(task)].on_resume {
            OnResume::Retry => {
                let stage = self.workflow.tasks[index(task)].stage.0 as usize;
                // It counts as running, so a run that stops lets it finish, unless it stops at once.
                let is_at_once = self.workflow.stages[stage].fail_fast.unwrap_or(self.settings.fail_fast);
                match self.stages[stage].stopped.clone().filter(|_| is_at_once) {
                    Some(why) => self.end_unbegun(task, why, effects),
                    None => self.approve(task, effects),
                }
            }
            OnResume::Skip => self.skip(task, Why::OnResume, effects),
            OnResume::Fail => {
                let why = Why::Message("was running when its worker was lost (on_resume = \"fail\")".to_owned());
                let end = End { kind: Some("error".into()), why: Some(why), ..self.ended_as(task, Status::Failed) };
                self.end(task, end, effects);
            }
        }
        if self.workflow.tasks[index(task)].is_async && !self.nodes[index(task)].passed {
            self.nodes[index(task)].passed = true;
            self.let_go(task, |kind| kind == EdgeKind::Order);
        }
    }
}
