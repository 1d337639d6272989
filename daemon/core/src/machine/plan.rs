//! The planner: claims the instants of the next seconds ahead of their time, so that a burst is decided when it comes and a crash
//! finds the claims.

use std::collections::HashMap;
use std::time::Duration;

use super::{Claim, Config, Effects, Entry, Late, Loaded, Machine, What};
use crate::record::Record;
use crate::trigger::Trigger;
use crate::{JitterMode, Moment, Schedule, ScheduleId, random};

/// How many instants of one schedule are looked at in one refill; the rest follows in the next.
const INSTANTS_PER_REFILL: usize = 200_000;
/// Between two tries to read.
const RETRY: Duration = Duration::from_millis(200);

/// What is known of the window that is claimed.
pub(super) struct Planner {
    /// All instants up to here are claimed or decided; before the first refill: nothing is.
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
    /// Schedules that changed and were not read since; whether the refill that is being read will tell of them.
    unread: HashMap<ScheduleId, bool>,
}

/// A refill that is being read.
struct Asked {
    at: Moment,
    /// Claims or marks changed since: the answer counts for nothing.
    void: bool,
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
            unread: HashMap::new(),
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
        let half = |until: Moment| until - self.horizon(config) / 2;
        Some(self.retry_at.or(self.planned_until.map(half)).unwrap_or(Moment::MIN))
    }

    /// Whether an instant lies in the window that is claimed or being claimed.
    pub(super) fn window_reaches(&self, due: Moment) -> bool {
        self.planned_until.is_none_or(|until| due <= until) || self.asked.is_some()
    }

    pub(super) fn has_planned(&self, until: Moment) -> bool {
        self.planned_until.is_some_and(|planned| planned >= until)
    }

    /// A schedule may have instants in the window that are not claimed.
    pub(super) fn must_read(&mut self, id: ScheduleId) {
        self.unread.insert(id, false);
    }

    /// Whether all instants up to here are claimed or decided, of all schedules.
    pub(super) fn is_complete(&self, until: Moment) -> bool {
        self.has_planned(until) && self.unread.is_empty()
    }

    pub(super) fn window(&self) -> Option<Moment> {
        self.planned_until
    }

    pub(super) fn set_window(&mut self, until: Moment) {
        self.planned_until = Some(until);
    }

    pub(super) fn forget_window(&mut self) {
        self.planned_until = None;
        self.void();
    }

    /// What is being read now is outdated.
    pub(super) fn void(&mut self) {
        if let Some(asked) = &mut self.asked {
            asked.void = true;
        }
    }

    pub(super) fn failed(&mut self, now: Moment) {
        self.asked = None;
        self.retry_at = Some(now + RETRY);
    }

    /// How long that took. The answer, unless it counts for nothing.
    fn answered(&mut self, now: Moment) -> bool {
        let Some(asked) = self.asked.take() else { return false };
        if asked.void {
            return false;
        }
        let took = now.since(asked.at);
        self.slowest = took.max((self.slowest * 9 + took) / 10).min(Duration::from_secs(20));
        true
    }
}

impl Machine {
    /// Whether every instant of a schedule up to now is claimed or decided, so that its trigger can end. Not so for a moment after a
    /// start, a set clock, a sleep, storage trouble or another edit of it.
    pub fn may_edit(&self, now: Moment, id: ScheduleId) -> bool {
        let busy = self.frozen.contains_key(&id) || self.planner.unread.contains_key(&id);
        self.steps.is_empty() && self.planner.has_planned(now) && !busy
    }

    /// When the planner wants to look ahead by itself.
    pub(super) fn wants_refill_at(&self) -> Option<Moment> {
        let waits_for_edit =
            !self.frozen.is_empty() && (self.steps.front()).is_some_and(|step| self.planner.is_complete(step.before));
        if self.epochs.is_empty() || self.blocked || waits_for_edit {
            return None;
        }
        self.planner.wants_refill_at(&self.config)
    }

    /// A tick of the clockwork. Without one the machine looks ahead by itself when half of the window is used up.
    pub(super) fn tick(&mut self, now: Moment, effects: &mut Effects) {
        let horizon = self.planner.horizon(&self.config);
        let fresh = self.planner.planned_until.is_some_and(|until| until > now + horizon * 2 / 3);
        self.ask_refill(now, !fresh, effects);
    }

    /// Asks for the schedules of the next window. Without `force` only when enough of the present one is used up.
    pub(super) fn ask_refill(&mut self, now: Moment, force: bool, effects: &mut Effects) {
        let wanted = self.wants_refill_at().is_some_and(|at| at <= now);
        if self.planner.asked.is_some() {
            self.planner.again |= force;
            return;
        }
        if self.epochs.is_empty() || self.blocked || !(force || wanted) {
            return;
        }
        self.planner.asked = Some(Asked { at: now, void: false });
        self.planner.retry_at = None;
        self.planner.unread.values_mut().for_each(|read| *read = true);
        self.recent.forget_old();
        self.drop_idle_entries();
        let horizon = self.planner.horizon(&self.config);
        let until = self.steps.front().map_or(now + horizon, |step| step.before);
        let max = self.config.refill_max;
        effects.late.push(Late::Refill { until, max });
    }

    pub(super) fn refilled(
        &mut self,
        now: Moment,
        loaded: Vec<Loaded>,
        until: Moment,
        complete: bool,
        effects: &mut Effects,
    ) {
        let mut again = std::mem::take(&mut self.planner.again);
        if !self.planner.answered(now) {
            self.ask_refill(now, true, effects);
            return;
        }
        let mut whole = complete;
        let mut claimed = false;
        for loaded in loaded {
            let id = loaded.schedule.id;
            // Whoever changes it asks again afterwards.
            if let Some(frozen) = self.frozen.get_mut(&id) {
                frozen.passed_over = true;
            } else if !self.recent.outdates(&loaded.schedule) {
                self.planner.unread.remove(&id);
                self.take_in(loaded);
                whole &= self.claim(now, id, until, effects);
                claimed = true;
            } else {
                self.planner.must_read(id);
                again = true;
            }
        }
        if whole {
            self.planner.planned_until = Some(until);
            self.planner.unread.retain(|_, read| !*read);
            let done = |(boundary, _)| boundary <= until && self.planner.unread.is_empty();
            if self.planner.cause.is_some_and(done) {
                self.planner.cause = None;
            }
        }
        if !self.steps.is_empty() && whole {
            self.advance_steps(now, effects);
        } else if again || (!whole && claimed) {
            self.ask_refill(now, true, effects);
        } else if !whole {
            self.planner.retry_at = Some(now + RETRY);
        }
    }

    /// What the store holds, unless memory is ahead of it.
    fn take_in(&mut self, loaded: Loaded) {
        let entry = self.entries.entry(loaded.schedule.id).or_insert_with(|| Entry::new(&loaded));
        if !entry.trusted {
            entry.trusted = true;
            entry.mark = loaded.mark;
        }
        if entry.schedule.revision == loaded.schedule.revision {
            // The same but for its zone, whose rules may have changed.
            entry.schedule = loaded.schedule;
        }
    }

    /// Claims the instants of one schedule up to `until`. False when there were too many for one go.
    fn claim(&mut self, now: Moment, id: ScheduleId, until: Moment, effects: &mut Effects) -> bool {
        let Some(entry) = self.entries.get(&id) else {
            return true;
        };
        let schedule = entry.schedule.clone();
        let trigger = self.trigger_in_epoch(&schedule);
        let reading = self.reading(now);
        let mut at = entry.mark;
        let mut missed = Vec::new();
        let mut coming = Vec::new();
        // Instants are decided in order, so that a mark tells which are; a delay is still less than the jitter.
        let mut fire_at = entry.claims.iter().map(|claim| claim.fire_at).max().unwrap_or(Moment::MIN);
        let mut next = trigger.next_after(&schedule.zone, at);
        while let Some(due) = next.filter(|due| *due <= until) {
            if missed.len() + coming.len() >= INSTANTS_PER_REFILL {
                break;
            }
            at = due;
            fire_at = fire_at.max(due + self.jitter(&schedule, due));
            match self.found_late(reading, fire_at) {
                true => missed.push(due),
                false => coming.push((due, fire_at)),
            }
            next = trigger.next_after(&schedule.zone, at);
        }
        let whole = next.is_none_or(|next| next > until);
        let mark = if whole { until.max(at) } else { at };
        for (due_at, fire_at) in coming {
            self.claim_one(id, due_at, fire_at, effects);
        }
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.mark = mark;
            entry.touch(effects);
        }
        effects.records.push(Record::Marked { schedule: id, mark, next_due: next });
        if !missed.is_empty() {
            self.missed(now, id, missed, whole, effects);
        }
        if !self.steps.is_empty() {
            self.settle(now, id, until, effects);
        }
        whole
    }

    fn claim_one(&mut self, id: ScheduleId, due_at: Moment, fire_at: Moment, effects: &mut Effects) {
        let occurrence = self.occurrence(id, due_at);
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let generation = entry.generation;
        entry.claims.push(Claim { due_at, fire_at, generation });
        effects.records.push(Record::Planned(occurrence));
        self.arm(fire_at, What::Fire { occurrence, generation }, effects);
    }

    /// Whether an instant that should have started at `fire_at` counts as missed.
    fn found_late(&self, reading: Moment, fire_at: Moment) -> bool {
        match self.planner.cause {
            // Whatever was missed waits until the last inhibitor is let go.
            _ if self.inhibited => false,
            Some((boundary, _)) if fire_at <= boundary => true,
            _ => self.is_late(reading, fire_at),
        }
    }

    pub(super) fn is_late(&self, reading: Moment, fire_at: Moment) -> bool {
        fire_at + self.config.late_grace < reading
    }

    /// The trigger with the anchor that holds in the present clock epoch.
    pub(super) fn trigger_in_epoch(&self, schedule: &Schedule) -> Trigger {
        crate::ledger::trigger_in_epoch(&schedule.trigger, schedule.trigger_epoch, self.epoch(), &self.epochs)
    }

    /// The delay of an instant, the same whenever it is asked for.
    fn jitter(&self, schedule: &Schedule, due: Moment) -> Duration {
        jitter(schedule, due, &self.config.host)
    }

    /// What is claimed is taken back and claimed again.
    pub(super) fn plan_again(&mut self, now: Moment, effects: &mut Effects) {
        self.unclaim_all(effects);
        effects.records.push(Record::Reread);
        self.ask_refill(now, true, effects);
    }

    /// Forgets entries that nothing goes on with. Only those that may have become idle since the last time are looked at.
    fn drop_idle_entries(&mut self) {
        for id in std::mem::take(&mut self.perhaps_idle) {
            let idle = |entry: &Entry| entry.is_idle() && entry.schedule.after.is_empty();
            if self.entries.get(&id).is_some_and(idle) && !self.frozen.contains_key(&id) {
                self.entries.remove(&id);
            }
        }
    }
}

/// The delay of an instant, in `[0, jitter)`: fixed per instant or, with `jitter_mode = host`, per host.
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
