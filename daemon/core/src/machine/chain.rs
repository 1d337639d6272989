//! Chains: schedules that run when a run of another schedule has ended. The follower's run is made in the same transaction as the end,
//! so no link of a chain can get lost.

use std::sync::Arc;

use super::fire::pauses;
use super::{Effects, Entry, Loaded, Machine};
use crate::record::Skip;
use crate::run::{RunStatus, RunTrigger};
use crate::trigger::Trigger;
use crate::{AfterCondition, Moment, Schedule, ScheduleId};

fn upstream_names(schedule: &Schedule) -> impl Iterator<Item = String> {
    (schedule.after.keys()).map(|upstream| full_name(&schedule.owner_name, upstream))
}

/// The moment itself, or the next microsecond when it is a whole second.
pub(super) fn beside_seconds(at: Moment) -> Moment {
    let whole = at.micros().rem_euclid(1_000_000) == 0;
    Moment::from_micros(at.micros() + i64::from(whole))
}

/// The full name under which others refer to a schedule.
fn full_name(owner: &str, name: &str) -> String {
    if name.contains('/') { name.to_owned() } else { format!("{owner}/{name}") }
}

impl Machine {
    /// Registers what a schedule follows. Such schedules stay in memory.
    pub(super) fn follow_others(&mut self, loaded: Loaded) {
        let id = loaded.schedule.id;
        let entry = self.entries.entry(id).or_insert_with(|| Entry::new(&loaded));
        entry.schedule = loaded.schedule;
        for name in upstream_names(&entry.schedule) {
            let followers = self.followers.entry(name).or_default();
            if !followers.contains(&id) {
                followers.push(id);
            }
        }
    }

    /// Takes back what [`Machine::follow_others`] did for this version of a schedule.
    pub(super) fn unfollow(&mut self, schedule: &Schedule) {
        for name in upstream_names(schedule) {
            let Some(followers) = self.followers.get_mut(&name) else {
                continue;
            };
            followers.retain(|other| *other != schedule.id);
            if followers.is_empty() {
                self.followers.remove(&name);
            }
        }
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
            let asked_by = format!("after {}", upstream.name);
            let due = self.unique_due(now, id);
            self.admit_asked(now, id, due, RunTrigger::After, asked_by, effects);
        }
    }

    /// A run that something else than the trigger asks for, unless the schedule rests.
    pub(super) fn admit_asked(
        &mut self,
        now: Moment,
        id: ScheduleId,
        due: Moment,
        trigger: RunTrigger,
        asked_by: String,
        effects: &mut Effects,
    ) {
        self.wake_if_due(now, id, now, effects);
        let Some(entry) = self.entries.get(&id) else { return };
        let schedule: Arc<Schedule> = entry.schedule.clone();
        let occurrence = self.occurrence(id, due);
        let skip = match self.quiesced {
            Some(_) => Some(Skip::Quiesced),
            None => pauses(&schedule.enabled, now).then_some(Skip::Paused),
        };
        match skip {
            Some(skip) => self.skip(now, &schedule, occurrence, skip, effects),
            None => _ = self.admit(now, &schedule, occurrence, trigger, asked_by.into(), now, effects),
        }
    }

    /// A due instant for a run that was asked for now. Two never share a microsecond, and none lies on a whole second or another
    /// instant of the trigger, so none shares its row of the ledger.
    pub(super) fn unique_due(&mut self, now: Moment, id: ScheduleId) -> Moment {
        let after = |at: Moment| Moment::from_micros(at.micros() + 1);
        let mut due = beside_seconds(now.max(after(self.last_asked)));
        if let Some(entry) = self.entries.get(&id)
            && let Trigger::Every { .. } = entry.schedule.trigger
        {
            let just_before = Moment::from_micros(due.micros() - 1);
            if self.trigger_in_epoch(&entry.schedule).next_after(&entry.schedule.zone, just_before) == Some(due) {
                due = beside_seconds(after(due));
            }
        }
        self.last_asked = due;
        due
    }
}
