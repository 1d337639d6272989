//! The planner: claims the instants of the next seconds ahead of their time, so that a burst is decided when it comes and a crash
//! finds the claims.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use super::{Config, Effects, Entry, Late, Loaded, Machine, What};
use crate::record::{Occurrence, Record};
use crate::trigger::Trigger;
use crate::{JitterMode, Moment, Schedule, ScheduleId, random};

/// How many instants of one schedule are looked at in one refill; the rest follows in the next.
const INSTANTS_PER_REFILL: usize = 200_000;

/// What is known of the window that is claimed.
pub(super) struct Planner {
    /// All instants up to here are claimed; before the first refill: nothing is.
    planned_until: Option<Moment>,
    asked: Option<Asked>,
    again: bool,
    retry_at: Option<Moment>,
    /// How long refills took lately; the horizon is at least three times that.
    slowest: Duration,
    /// Instants not after this moment were missed for this cause.
    pub(super) cause: Option<(Moment, &'static str)>,
    /// While the clock may be wrong after a boot, what was missed is not made up before this moment.
    pub(super) catch_up_not_before: Moment,
    /// Changed while a refill was being read: what it says of them is outdated. `None`: deleted.
    pub(super) changed: HashMap<ScheduleId, Option<u32>>,
}

struct Asked {
    at: Moment,
}

impl Planner {
    pub(super) fn new() -> Self {
        Planner {
            planned_until: None,
            asked: None,
            again: false,
            retry_at: None,
            slowest: Duration::ZERO,
            cause: None,
            catch_up_not_before: Moment::MIN,
            changed: HashMap::new(),
        }
    }

    fn horizon(&self, config: &Config) -> Duration {
        config.horizon.max(self.slowest * 3)
    }

    /// The watchdog: a window that nobody asked to be moved is moved when half of it is used up.
    pub(super) fn wants_refill_at(&self, config: &Config) -> Option<Moment> {
        if self.asked.is_some() {
            return None;
        }
        self.retry_at
            .or_else(|| self.planned_until.map(|until| until - self.horizon(config) / 2))
    }

    /// Whether an instant lies in the window that is claimed or being claimed.
    pub(super) fn window_reaches(&self, due: Moment) -> bool {
        self.planned_until.is_none_or(|until| due <= until) || self.asked.is_some()
    }

    pub(super) fn failed(&mut self, now: Moment) {
        self.asked = None;
        self.retry_at = Some(now + Duration::from_millis(200));
    }

    /// A schedule changed: a refill that is being read may hold its former state.
    pub(super) fn note_change(&mut self, id: ScheduleId, revision: Option<u32>) {
        if self.asked.is_some() {
            self.changed.insert(id, revision);
        }
    }
}

impl Machine {
    /// Asks for the schedules of the next window. Without `force` only when enough of the present one is used up.
    pub(super) fn ask_refill(&mut self, now: Moment, force: bool, effects: &mut Effects) {
        if self.epochs.is_empty() || self.blocked {
            return;
        }
        let horizon = self.planner.horizon(&self.config);
        let early = self
            .planner
            .planned_until
            .is_some_and(|until| until > now + horizon * 2 / 3);
        if early && !force {
            return;
        }
        if self.planner.asked.is_some() {
            self.planner.again |= force;
            return;
        }
        self.planner.asked = Some(Asked { at: now });
        self.planner.retry_at = None;
        self.drop_idle_entries();
        effects.late.push(Late::Refill {
            until: now + horizon,
            max: self.config.refill_max,
        });
    }

    pub(super) fn refilled(
        &mut self,
        now: Moment,
        loaded: Vec<Loaded>,
        until: Moment,
        complete: bool,
        effects: &mut Effects,
    ) {
        if let Some(asked) = self.planner.asked.take() {
            let took = now.since(asked.at);
            self.planner.slowest = if took > self.planner.slowest {
                took
            } else {
                (self.planner.slowest * 9 + took) / 10
            };
            self.planner.slowest = self.planner.slowest.min(Duration::from_secs(20));
        }
        let changed = std::mem::take(&mut self.planner.changed);
        let mut rest = false;
        for loaded in loaded {
            let id = loaded.schedule.id;
            let outdated = match changed.get(&id) {
                Some(None) => true,
                Some(Some(revision)) => loaded.schedule.revision < *revision,
                None => false,
            };
            if self.frozen.contains(&id) || outdated {
                rest = true;
                continue;
            }
            self.entries.entry(id).or_insert_with(|| Entry::new(loaded));
            rest |= !self.claim(now, id, until, effects);
        }
        if complete && !rest {
            self.planner.planned_until = Some(until);
            if self.planner.cause.is_some_and(|(boundary, _)| boundary <= until) {
                self.planner.cause = None;
            }
        }
        let again = std::mem::take(&mut self.planner.again);
        if !complete || rest || again {
            // Frozen schedules are asked for again only after their edit has ended, which asks by itself.
            if !complete || again || self.frozen.is_empty() {
                self.ask_refill(now, true, effects);
            } else {
                self.planner.retry_at = Some(now + Duration::from_millis(100));
            }
        }
    }

    /// Claims the instants of one schedule up to `until`. False when there were too many for one go.
    fn claim(&mut self, now: Moment, id: ScheduleId, until: Moment, effects: &mut Effects) -> bool {
        let Some(entry) = self.entries.get(&id) else {
            return true;
        };
        let schedule = entry.schedule.clone();
        let trigger = self.trigger_in_epoch(&schedule);
        let mut at = entry.mark;
        let mut missed = Vec::new();
        let mut coming = Vec::new();
        let mut next = None;
        let mut count = 0;
        loop {
            let Some(due) = trigger.next_after(&schedule.zone, at) else {
                break;
            };
            if due > until || count >= INSTANTS_PER_REFILL {
                next = Some(due);
                break;
            }
            count += 1;
            at = due;
            let fire_at = due + self.jitter(&schedule, due);
            match self.found_late(now, fire_at) {
                true => missed.push(due),
                false => coming.push((due, fire_at)),
            }
        }
        let whole = next.is_none_or(|next| next > until);
        let mark = if whole { until.max(at) } else { at };
        let Some(entry) = self.entries.get_mut(&id) else {
            return true;
        };
        entry.mark = mark;
        entry.touch(effects);
        let generation = entry.generation;
        entry.claims.extend(coming.iter().map(|(due, _)| (*due, generation)));
        let epoch = self.epoch();
        for (due_at, fire_at) in coming {
            let occurrence = Occurrence {
                schedule: id,
                due_at,
                epoch,
            };
            effects.records.push(Record::Planned(occurrence));
            let timer = self.timer(fire_at, What::Fire { occurrence, generation });
            effects.arms.timers.push(timer);
        }
        effects.records.push(Record::Marked {
            schedule: id,
            mark,
            next_due: next,
        });
        if !missed.is_empty() {
            self.missed(now, id, missed, effects);
        }
        whole
    }

    /// Whether an instant that should have started at `fire_at` counts as missed.
    fn found_late(&self, now: Moment, fire_at: Moment) -> bool {
        match self.planner.cause {
            Some((boundary, _)) if fire_at <= boundary => true,
            _ => fire_at + self.config.late_grace < now,
        }
    }

    /// The trigger with the anchor that holds in the present clock epoch.
    pub(super) fn trigger_in_epoch(&self, schedule: &Schedule) -> Trigger {
        crate::ledger::trigger_in_epoch(&schedule.trigger, schedule.trigger_epoch, self.epoch(), &self.epochs)
    }

    /// The delay of an instant, the same whenever it is asked for.
    pub(super) fn jitter(&self, schedule: &Schedule, due: Moment) -> Duration {
        jitter(schedule, due, &self.config.host)
    }

    /// What is claimed is taken back and claimed again.
    pub(super) fn plan_again(&mut self, now: Moment, effects: &mut Effects) {
        self.unclaim_all(effects);
        self.ask_refill(now, true, effects);
    }

    /// Takes all claims back, in memory as [`Record::Unplanned`] does on disk. Timers that are still on their way find no claim then.
    pub(super) fn unclaim_all(&mut self, effects: &mut Effects) {
        effects.records.push(Record::Unplanned);
        for entry in self.entries.values_mut() {
            let Some(first) = entry.claims.iter().map(|(due, _)| *due).min() else {
                continue;
            };
            entry.mark = Moment::from_micros(first.micros() - 1);
            entry.claims.clear();
            entry.generation += 1;
            entry.touch(effects);
        }
        self.timers
            .retain(|Reverse(timer)| !matches!(timer.what, What::Fire { .. }));
        self.planner.planned_until = None;
    }

    fn drop_idle_entries(&mut self) {
        self.entries
            .retain(|_, entry| !entry.idle() || !entry.schedule.after.is_empty());
    }
}

/// See [`Machine::jitter`].
pub fn jitter(schedule: &Schedule, due: Moment, host: &str) -> Duration {
    let width = u64::try_from(schedule.jitter.as_micros()).unwrap_or(u64::MAX);
    if width == 0 {
        return Duration::ZERO;
    }
    let id = schedule.id.uuid();
    let hash = match schedule.jitter_mode {
        JitterMode::Instant => random::stable_hash(&[id.as_bytes(), &due.micros().to_be_bytes()]),
        JitterMode::Host => random::stable_hash(&[id.as_bytes(), host.as_bytes()]),
    };
    Duration::from_micros(((u128::from(hash) * u128::from(width)) >> 64) as u64)
}
