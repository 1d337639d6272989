//! From ready to running: the order of ready tasks, slots, resources, and records that go ahead.

use super::super::graph::TaskId;
use super::super::policy::OnResume;
use super::settings::requests;
use super::{Effect, Machine, Phase, index};

impl Machine {
    /// All conditions hold: takes the key, or queues.
    pub(super) fn approve(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        if self.workflow.tasks[index(task)].concurrency.is_some() && !self.nodes[index(task)].key {
            self.nodes[index(task)].key = true;
            self.set_phase(task, Phase::Keying);
            effects.push(Effect::AcquireKey(task));
        } else {
            self.set_phase(task, Phase::Ready);
        }
    }

    /// The record that the attempt begins is durable.
    pub(super) fn cleared(&mut self, task: TaskId) {
        if self.nodes[index(task)].phase == Phase::Announced {
            self.set_phase(task, Phase::Cleared);
        }
    }

    /// Announces and begins whatever may.
    pub(super) fn fill(&mut self, effects: &mut Vec<Effect>) {
        if self.paused || self.done {
            return;
        }
        for is_async in [true, false] {
            while self.announce_first(is_async, effects) {}
            while self.begin_first(is_async, effects) {}
        }
    }

    fn announce_first(&mut self, is_async: bool, effects: &mut Vec<Effect>) -> bool {
        let Some(rank) = self.queues[usize::from(is_async)].ready.first().copied() else { return false };
        let task = TaskId(rank.task);
        let declared = &self.workflow.tasks[index(task)];
        let has_requests = requests(&declared.resources).next().is_some();
        let may_go_ahead = declared.on_resume == OnResume::Retry && !has_requests;
        let ahead = if may_go_ahead { self.settings.window } else { 0 };
        if !is_async && self.spoken_for() >= self.slots().saturating_add(ahead) {
            return false;
        }
        if has_requests && !self.nodes[index(task)].resources {
            if !self.settings.fits(declared, &self.used) {
                self.queues[usize::from(is_async)].ready.remove(&rank);
                self.starved.push(task);
                return true;
            }
            self.take_resources(task);
        }
        self.nodes[index(task)].attempts += 1;
        self.set_phase(task, Phase::Announced);
        effects.push(Effect::Announce(task, self.nodes[index(task)].attempts));
        true
    }

    fn begin_first(&mut self, is_async: bool, effects: &mut Vec<Effect>) -> bool {
        let queues = &self.queues[usize::from(is_async)];
        let Some(rank) = queues.cleared.first().copied() else { return false };
        // One at a time means a fixed order: what comes first and is not durable yet is waited for.
        let overtakes = self.is_strict() && queues.announced.first().is_some_and(|first| *first < rank);
        if !is_async && (self.running >= self.slots() || overtakes) {
            return false;
        }
        self.begin(TaskId(rank.task), effects);
        true
    }

    /// Slots that are taken or will be.
    fn spoken_for(&self) -> u32 {
        let waiting = self.queues[0].announced.len() + self.queues[0].cleared.len();
        self.running.saturating_add(u32::try_from(waiting).unwrap_or(u32::MAX))
    }

    fn slots(&self) -> u32 {
        let stage = self.current.and_then(|stage| self.workflow.stages[stage.0 as usize].max_workers);
        stage.map_or(self.settings.slots, |own| own.min(self.settings.slots)).max(1)
    }

    /// One task at a time: then a slot is free only when the end before is durable, so that the order is fixed.
    pub(super) fn is_strict(&self) -> bool {
        self.slots() == 1
    }

    pub(super) fn free_slot(&mut self, task: TaskId) {
        let node = &mut self.nodes[index(task)];
        if std::mem::take(&mut node.slot) {
            self.running -= 1;
        }
    }

    fn take_resources(&mut self, task: TaskId) {
        self.nodes[index(task)].resources = true;
        for (name, amount) in requests(&self.workflow.tasks[index(task)].resources) {
            *self.used.entry(name.to_owned()).or_default() += amount;
        }
    }

    pub(super) fn free_resources(&mut self, task: TaskId) {
        if !std::mem::take(&mut self.nodes[index(task)].resources) {
            return;
        }
        for (name, amount) in requests(&self.workflow.tasks[index(task)].resources) {
            if let Some(used) = self.used.get_mut(name) {
                *used = used.saturating_sub(amount);
            }
        }
        for starved in std::mem::take(&mut self.starved) {
            if self.nodes[index(starved)].phase == Phase::Ready {
                let is_async = self.workflow.tasks[index(starved)].is_async;
                self.queues[usize::from(is_async)].ready.insert(self.layout.ranks[index(starved)]);
            }
        }
    }

    pub(super) fn free_key(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        if std::mem::take(&mut self.nodes[index(task)].key) {
            effects.push(Effect::ReleaseKey(task));
        }
    }
}
