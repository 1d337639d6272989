//! Schedules that change: by a person, by a file, or by themselves.

use std::sync::Arc;

use super::{Effects, Loaded, Machine};
use crate::record::{Decision, Occurrence, Record, Skip};
use crate::run::{Reason, RunStatus};
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
    pub(super) fn edit_ended(&mut self, now: Moment, id: ScheduleId, edit: Edit, effects: &mut Effects) {
        self.frozen.remove(&id);
        match edit {
            Edit::Nothing => {}
            Edit::Changed(loaded) => self.changed(now, *loaded, effects),
            Edit::Deleted(at) => self.deleted(now, id, at, effects),
        }
    }

    fn changed(&mut self, now: Moment, loaded: Loaded, effects: &mut Effects) {
        let schedule = loaded.schedule.clone();
        let id = schedule.id;
        self.planner.note_change(id, Some(schedule.revision));
        let mut mark = loaded.mark;
        if let Some(entry) = self.entries.get_mut(&id) {
            if schedule.trigger_since > entry.schedule.trigger_since {
                entry.claims.retain(|(due, _)| *due <= schedule.trigger_since);
                entry.mark = schedule.trigger_since;
            }
            mark = entry.mark;
            entry.schedule = schedule.clone();
        }
        if schedule.after.is_empty() {
            self.unfollow(id);
        } else {
            self.follow_others(loaded);
        }
        self.pause_if_failing(now, id, effects);
        let next = self.trigger_in_epoch(&schedule).next_after(&schedule.zone, mark);
        if next.is_some_and(|next| self.planner.window_reaches(next)) {
            self.ask_refill(now, true, effects);
        }
    }

    fn deleted(&mut self, now: Moment, id: ScheduleId, at: Moment, effects: &mut Effects) {
        self.planner.note_change(id, None);
        self.unfollow(id);
        let epoch = self.epoch();
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let schedule = entry.schedule.clone();
        let claims = std::mem::take(&mut entry.claims);
        let waiting: Vec<RunId> = entry.waiting.iter().copied().collect();
        for (due_at, _) in claims.into_iter().filter(|(due, _)| *due <= at) {
            let occurrence = Occurrence {
                schedule: id,
                due_at,
                epoch,
            };
            effects
                .records
                .push(Record::Decided(occurrence, Decision::Skipped(Skip::Paused)));
            self.count_skip(&Skip::Paused, 1);
        }
        let delayed: Vec<RunId> = self
            .runs
            .values()
            .filter(|active| active.schedule.id == schedule.id && active.run.attempts == 0)
            .map(|active| active.run.id)
            .collect();
        for run in waiting.into_iter().chain(delayed) {
            let message = "its schedule was deleted".to_owned();
            self.finish(
                now,
                run,
                RunStatus::Cancelled,
                Some(Reason::User),
                Some(message),
                effects,
            );
        }
    }

    /// The schedule pauses itself and says why.
    pub(super) fn pause(&mut self, now: Moment, id: ScheduleId, reason: String, effects: &mut Effects) {
        let enabled = Enabled::Paused {
            reason: reason.clone(),
            until: None,
        };
        if let Some(schedule) = self.change_by_itself(id, enabled, effects) {
            self.note_switched(now, &schedule, "schedule.disabled", &reason, effects);
        }
    }

    /// A pause with an end is over when the first instant after it comes.
    pub(super) fn wake_if_due(&mut self, now: Moment, id: ScheduleId, effects: &mut Effects) {
        let over = self
            .entries
            .get(&id)
            .is_some_and(|entry| match &entry.schedule.enabled {
                Enabled::Paused { until: Some(until), .. } => *until <= now,
                _ => false,
            });
        if over && let Some(schedule) = self.change_by_itself(id, Enabled::Yes, effects) {
            self.note_switched(now, &schedule, "schedule.enabled", "its pause is over", effects);
        }
    }

    fn change_by_itself(&mut self, id: ScheduleId, enabled: Enabled, effects: &mut Effects) -> Option<Arc<Schedule>> {
        if self.frozen.contains(&id) {
            return None;
        }
        let entry = self.entries.get_mut(&id)?;
        let mut schedule = Schedule::clone(&entry.schedule);
        schedule.revision += 1;
        schedule.enabled = enabled;
        let schedule = Arc::new(schedule);
        entry.schedule = schedule.clone();
        entry.touch(effects);
        self.planner.note_change(id, Some(schedule.revision));
        effects.records.push(Record::ScheduleChanged(schedule.clone()));
        Some(schedule)
    }
}
