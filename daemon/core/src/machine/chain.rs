//! Chains: schedules that run when a run of another schedule has ended. The follower's run is made in the same transaction as the end,
//! so no link of a chain can get lost.

use std::sync::Arc;

use super::{Effects, Entry, Loaded, Machine};
use crate::record::{Occurrence, Skip};
use crate::run::{RunStatus, RunTrigger};
use crate::{AfterCondition, Enabled, Moment, Schedule, ScheduleId};

/// The full name under which others refer to a schedule.
fn full_name(owner: &str, name: &str) -> String {
    if name.contains('/') {
        name.to_owned()
    } else {
        format!("{owner}/{name}")
    }
}

impl Machine {
    /// Registers what a schedule follows. Such schedules stay in memory.
    pub(super) fn follow_others(&mut self, loaded: Loaded) {
        let id = loaded.schedule.id;
        let schedule = loaded.schedule.clone();
        self.unfollow(id);
        for upstream in schedule.after.keys() {
            self.followers
                .entry(full_name(&schedule.owner_name, upstream))
                .or_default()
                .push(id);
        }
        self.entries.entry(id).or_insert_with(|| Entry::new(loaded));
    }

    pub(super) fn unfollow(&mut self, id: ScheduleId) {
        self.followers.retain(|_, ids| {
            ids.retain(|other| *other != id);
            !ids.is_empty()
        });
    }

    /// A run of `upstream` ended: makes the runs of its followers.
    pub(super) fn follow(&mut self, now: Moment, upstream: &Schedule, status: RunStatus, effects: &mut Effects) {
        let name = full_name(&upstream.owner_name, &upstream.name);
        let Some(followers) = self.followers.get(&name).cloned() else {
            return;
        };
        for id in followers {
            let Some(entry) = self.entries.get(&id) else { continue };
            let schedule: Arc<Schedule> = entry.schedule.clone();
            let wanted = schedule.after.iter().any(|(other, condition)| {
                full_name(&schedule.owner_name, other) == name
                    && match condition {
                        AfterCondition::Success => status == RunStatus::Completed,
                        AfterCondition::Failure => status == RunStatus::Failed,
                        AfterCondition::Any => true,
                    }
            });
            if !wanted {
                continue;
            }
            let occurrence = Occurrence {
                schedule: id,
                due_at: self.unique_due(now),
                epoch: self.epoch(),
            };
            self.wake_if_due(now, id, effects);
            let enabled = self
                .entries
                .get(&id)
                .is_some_and(|entry| entry.schedule.enabled == Enabled::Yes);
            if self.quiesced.is_some() {
                self.skip(now, &schedule, occurrence, Skip::Quiesced, effects);
            } else if !enabled {
                self.skip(now, &schedule, occurrence, Skip::Paused, effects);
            } else {
                let asked_by = format!("after {}", upstream.name);
                self.admit(now, &schedule, occurrence, RunTrigger::After, asked_by, now, effects);
            }
        }
    }

    /// A due instant for something that was asked for now. Two never share a microsecond, so none shares its row of the ledger.
    pub(super) fn unique_due(&mut self, now: Moment) -> Moment {
        let due = now.max(Moment::from_micros(self.last_asked.micros() + 1));
        self.last_asked = due;
        due
    }
}
