//! Schedules that change: by a person, by a file, or by themselves.

use std::cmp::Reverse;
use std::sync::Arc;

use super::{Effects, Loaded, Machine, Phase};
use crate::record::Record;
use crate::run::Reason;
use crate::{Enabled, Moment, RunId, Schedule, ScheduleId};

/// How an edit that had begun ended.
#[derive(Clone, Debug)]
pub enum Edit {
    /// The schedule is new or changed; counters as the store has them.
    Changed(Box<Loaded>),
    /// It is deleted, at this moment.
    Deleted(Moment),
    /// Nothing changed.
    Nothing,
}

impl Machine {
    /// What came due under the present trigger is decided before the next one can begin.
    pub(super) fn edit_begun(&mut self, now: Moment, id: ScheduleId, effects: &mut Effects) {
        self.settle(now, id, now, effects);
        self.frozen.entry(id).or_default();
    }

    pub(super) fn edit_ended(&mut self, now: Moment, id: ScheduleId, edit: Edit, effects: &mut Effects) {
        let frozen = self.frozen.remove(&id).unwrap_or_default();
        self.timers.extend(frozen.held.into_iter().map(Reverse));
        self.perhaps_idle.push(id);
        let mut ask = frozen.passed_over;
        match edit {
            Edit::Nothing => self.pause_if_failing(now, id, effects),
            Edit::Changed(loaded) => ask |= self.changed(now, *loaded, effects),
            Edit::Deleted(_) => self.deleted(now, id, effects),
        }
        if ask {
            self.planner.must_read(id);
        }
        if !self.steps.is_empty() {
            // What this edit kept from being decided before the step.
            self.planner.forget_window();
            self.advance_steps(now, effects);
        } else if ask {
            self.ask_refill(now, true, effects);
        }
    }

    /// Whether something may be due before the next refill.
    fn changed(&mut self, now: Moment, loaded: Loaded, effects: &mut Effects) -> bool {
        let schedule = loaded.schedule.clone();
        let id = schedule.id;
        self.recent.note(id, Some(schedule.revision));
        let mut mark = loaded.mark;
        if let Some(entry) = self.entries.get_mut(&id) {
            let since = |schedule: &Schedule| (schedule.trigger_epoch, schedule.trigger_since);
            if since(&schedule) > since(&entry.schedule) {
                entry.claims.clear();
                entry.generation += 1;
                entry.mark = schedule.trigger_since;
                entry.trusted = true;
                entry.stats.fired_boot.clone_from(&loaded.stats.fired_boot);
            }
            mark = entry.mark;
            let former = std::mem::replace(&mut entry.schedule, schedule.clone());
            self.unfollow(&former);
        }
        if !schedule.after.is_empty() {
            self.follow_others(loaded);
        }
        self.pause_if_failing(now, id, effects);
        let next = self.trigger_in_epoch(&schedule).next_after(&schedule.zone, mark);
        next.is_some_and(|next| self.planner.window_reaches(next))
    }

    fn deleted(&mut self, now: Moment, id: ScheduleId, effects: &mut Effects) {
        self.recent.note(id, None);
        let Some(entry) = self.entries.get(&id) else { return };
        let schedule = entry.schedule.clone();
        let waiting = entry.waiting.iter().chain(entry.delayed.iter()).chain(entry.going.iter());
        let unstarted: Vec<RunId> = waiting.copied().filter(|run| self.has_not_begun(*run)).collect();
        self.unfollow(&schedule);
        if let Some(entry) = self.entries.get_mut(&id) {
            // It stays only as long as runs of it do.
            entry.deleted = true;
            entry.claims.clear();
            let mut schedule = Schedule::clone(&schedule);
            schedule.after.clear();
            entry.schedule = Arc::new(schedule);
        }
        for run in unstarted {
            self.end_early(now, run, Reason::User, "its schedule was deleted", false, effects);
        }
    }

    fn has_not_begun(&self, run: RunId) -> bool {
        let waits = |phase| matches!(phase, Phase::Unborn | Phase::Waiting | Phase::InLine);
        (self.runs.get(&run)).is_some_and(|active| active.run.attempts == 0 && waits(active.phase))
    }

    /// The schedule pauses itself and says why.
    pub(super) fn pause(&mut self, now: Moment, id: ScheduleId, reason: String, effects: &mut Effects) {
        let enabled = Enabled::Paused { reason: reason.clone(), until: None };
        if let Some(schedule) = self.change_by_itself(id, enabled, effects) {
            self.note_switched(now, &schedule, "schedule.disabled", &reason, effects);
        }
    }

    /// A pause with an end is over when the first instant after it comes.
    pub(super) fn wake_if_due(&mut self, now: Moment, id: ScheduleId, due: Moment, effects: &mut Effects) {
        let over = self.entries.get(&id).is_some_and(|entry| match &entry.schedule.enabled {
            Enabled::Paused { until: Some(until), .. } => *until <= due,
            _ => false,
        });
        if over && let Some(schedule) = self.change_by_itself(id, Enabled::Yes, effects) {
            self.note_switched(now, &schedule, "schedule.enabled", "its pause is over", effects);
        }
    }

    fn change_by_itself(&mut self, id: ScheduleId, enabled: Enabled, effects: &mut Effects) -> Option<Arc<Schedule>> {
        if self.frozen.contains_key(&id) {
            return None;
        }
        let entry = self.entries.get_mut(&id).filter(|entry| !entry.deleted)?;
        let mut schedule = Schedule::clone(&entry.schedule);
        schedule.revision += 1;
        schedule.enabled = enabled;
        let schedule = Arc::new(schedule);
        entry.schedule = schedule.clone();
        entry.touch(effects);
        self.recent.note(id, Some(schedule.revision));
        effects.records.push(Record::ScheduleChanged(schedule.clone()));
        Some(schedule)
    }
}
