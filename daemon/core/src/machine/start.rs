//! How the machine comes to know the world: what the store holds at the start, and runs that somebody asks for.

use std::sync::Arc;
use std::time::Duration;

use super::chain::beside_seconds;
use super::fire::Admission;
use super::{Active, Answer, Effects, Entry, Late, Loaded, Machine, Phase, Refusal, Token, What};
use crate::record::{ClockEpoch, Record, Skip};
use crate::run::{Run, RunStatus, RunTrigger};
use crate::{AttemptKey, Moment, Overlap, RunId, Schedule, ScheduleId};

/// A mark further ahead than this at the start was made by a clock that is not the present one.
const MARK_AHEAD_MAX: Duration = Duration::from_secs(90);

/// After a start so long for a worker that was told to go, or had said that its run ended.
const RECOVERED_INSIST: Duration = Duration::from_secs(70);

/// An unfinished run as the store holds it.
#[derive(Clone, Debug)]
pub struct OpenRun {
    /// The run.
    pub run: Run,
    /// The version of its schedule that it executes.
    pub schedule: Arc<Schedule>,
    /// Its schedule today.
    pub today: Loaded,
}

/// What the store holds at the start.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// All clock epochs, in order.
    pub epochs: Vec<ClockEpoch>,
    /// Unfinished runs, in the order they were made.
    pub open_runs: Vec<OpenRun>,
    /// Schedules with `after`.
    pub followers: Vec<Loaded>,
    /// `@reboot` schedules that have not fired for this boot.
    pub reboots: Vec<Loaded>,
    /// Why the daemon is in maintenance, if it is.
    pub quiesced: Option<String>,
    /// The latest mark of all schedules.
    pub highest_mark: Option<Moment>,
    /// While the clock may be wrong after a boot: nothing is made up before.
    pub catch_up_not_before: Option<Moment>,
    /// Of the schedules of `open_runs`, those that are deleted.
    pub deleted: Vec<ScheduleId>,
}

impl Machine {
    pub(super) fn recover(&mut self, now: Moment, state: Recovered, effects: &mut Effects) {
        self.epochs = state.epochs;
        self.quiesced = state.quiesced;
        self.last_asked = now;
        self.decided_until = state.highest_mark.unwrap_or(Moment::MIN);
        if self.epochs.is_empty() {
            let first = ClockEpoch { epoch: 0, before: now, after: now, shift_us: 0, cause: "start" };
            effects.records.push(Record::Epoch(first.clone()));
            self.epochs.push(first);
        }
        for loaded in state.followers {
            self.follow_others(loaded);
        }
        let ahead = state.highest_mark.filter(|mark| *mark > now + MARK_AHEAD_MAX);
        let mut order = Vec::new();
        for open in state.open_runs {
            order.push(open.run.schedule);
            let reading = ahead.unwrap_or_else(|| now.max(state.catch_up_not_before.unwrap_or(now)));
            self.recover_run(reading, open);
        }
        for id in state.deleted {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.deleted = true;
            }
        }
        self.perhaps_idle.extend(&order);
        self.unclaim_all(effects);
        match ahead {
            Some(mark) => {
                self.planner.cause = Some((mark, "downtime"));
                self.clock_set(mark, now, effects);
            }
            None => {
                self.planner.cause = Some((now, "downtime"));
                self.ask_refill(now, true, effects);
            }
        }
        if let Some(until) = state.catch_up_not_before {
            self.planner.catch_up_not_before = until;
        }
        for id in order {
            self.next_in_schedule(id, now, effects);
        }
        for loaded in state.reboots {
            self.fire_boot(now, loaded, effects);
        }
    }

    /// `reading` is that of the clock with which it was written.
    fn recover_run(&mut self, reading: Moment, mut open: OpenRun) {
        let id = open.run.id;
        if let Some(at) = open.run.retry_at {
            open.run.retry_at = Some(at.min(self.latest_begin(reading, &open)));
        }
        let entry = self.entries.entry(open.run.schedule).or_insert_with(|| Entry::new(&open.today));
        let fresh = open.run.attempts == 0 || open.run.status == RunStatus::Queued;
        let phase = match (open.run.status, open.run.retry_at) {
            (RunStatus::Queued | RunStatus::Starting, None) if fresh => {
                entry.waiting.push(id);
                Phase::Waiting
            }
            (RunStatus::Queued | RunStatus::Starting, Some(_)) if fresh => {
                entry.delayed.insert(id);
                Phase::Waiting
            }
            (_, Some(_)) => {
                entry.going.insert(id);
                Phase::Resting
            }
            (_, None) => {
                entry.going.insert(id);
                match open.run.workflow {
                    None => self.places_used += 1,
                    Some(_) => self.workers.occupy(&open.run.user),
                }
                Phase::Running
            }
        };
        if let Some(at) = open.run.retry_at {
            self.set_timer(at, What::Begin { run: id });
        }
        if let (Phase::Waiting, Some(limit)) = (phase, open.schedule.start_deadline) {
            self.set_timer(open.run.due_at + limit, What::TooLate { run: id });
        }
        let fire_at = open.run.queued_at;
        let ending = open.run.reason.filter(|_| phase == Phase::Running || open.run.workflow.is_some());
        let attempt = open.run.attempts;
        let workflow = open.run.workflow.as_deref();
        if workflow.is_some_and(|workflow| workflow.end.is_some() || workflow.cancel.is_some()) {
            let key = AttemptKey { run: id, attempt };
            self.set_timer(reading + RECOVERED_INSIST, What::Insist { key, finished: false });
        }
        let run = Arc::new(open.run);
        self.runs.insert(id, Active { run, attempt, schedule: open.schedule, phase, ending, fire_at });
    }

    /// A pause that seems to end later was measured with another clock.
    fn latest_begin(&self, reading: Moment, open: &OpenRun) -> Moment {
        let pause = if open.run.attempts > 0 {
            open.schedule.retries.max_delay.saturating_mul(2)
        } else {
            self.config.catch_up_spread.max(open.schedule.jitter)
        };
        reading + pause
    }

    /// `@reboot`, once per boot.
    fn fire_boot(&mut self, now: Moment, loaded: Loaded, effects: &mut Effects) {
        let id = loaded.schedule.id;
        let boot_id = self.config.boot_id.clone();
        let due = beside_seconds(self.config.booted_at);
        if loaded.stats.fired_boot.as_deref() == Some(&boot_id) {
            return;
        }
        let entry = self.entries.entry(id).or_insert_with(|| Entry::new(&loaded));
        entry.stats.fired_boot = Some(boot_id);
        entry.touch(effects);
        let stats = entry.stats.clone();
        effects.records.push(Record::ScheduleStats { schedule: id, stats });
        self.admit_asked(now, id, due, RunTrigger::Boot, "boot".to_owned(), effects);
    }

    /// Somebody wants a run now, beside the trigger.
    pub(super) fn run_asked(
        &mut self,
        now: Moment,
        loaded: Loaded,
        trigger: RunTrigger,
        asked_by: String,
        token: Token,
        effects: &mut Effects,
    ) {
        let answer = self.try_run_now(now, loaded, trigger, asked_by, effects);
        effects.late.push(Late::Reply(token, answer));
    }

    fn try_run_now(
        &mut self,
        now: Moment,
        loaded: Loaded,
        trigger: RunTrigger,
        asked_by: String,
        effects: &mut Effects,
    ) -> Result<Answer, Refusal> {
        let id = loaded.schedule.id;
        if self.blocked {
            return Err(Refusal::StorageBlocked);
        }
        if self.frozen.contains_key(&id) || self.recent.outdates(&loaded.schedule) {
            return Err(Refusal::Stale);
        }
        if let Some(reason) = &self.quiesced {
            return Err(Refusal::Quiesced(reason.clone()));
        }
        let entry = self.entries.entry(id).or_insert_with(|| Entry::new(&loaded));
        if entry.schedule.revision != loaded.schedule.revision || entry.deleted {
            return Err(Refusal::Stale);
        }
        let waiting = entry.waiting.len();
        let admission = self.admission(id);
        match admission {
            Admission::Refuse(Skip::Overlap { by }) => return Err(Refusal::Overlap { by }),
            Admission::Refuse(_) => return Err(Refusal::QueueFull { waiting }),
            Admission::Start | Admission::Wait | Admission::Replace => {}
        }
        let due = self.unique_due(now, id);
        let occurrence = self.occurrence(id, due);
        let run = self.make_run(now, occurrence, trigger, asked_by.into(), None, effects);
        if let Some(active) = self.runs.get_mut(&run) {
            active.phase = Phase::Unborn;
        }
        effects.arms.born.push(run);
        let queued = !matches!(admission, Admission::Start) || self.places_used >= self.config.max_running;
        Ok(Answer::Run { run, queued })
    }

    /// A run that was asked for is durable: only now is it in anybody's way.
    pub(super) fn born(&mut self, now: Moment, run: RunId, effects: &mut Effects) {
        let Some(active) = self.runs.get_mut(&run) else { return };
        active.phase = Phase::Waiting;
        let (id, ending) = (active.run.schedule, active.ending.take());
        if let Some(reason) = ending {
            self.end_early(now, run, reason, "replaced by a newer run", false, effects);
        } else if self.entries.get(&id).is_some_and(|e| e.schedule.overlap == Overlap::Replace) {
            self.supersede(now, id, Some(run), effects);
        }
        self.next_in_schedule(id, now, effects);
    }
}
