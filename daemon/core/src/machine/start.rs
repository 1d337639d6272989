//! How the machine comes to know the world: what the store holds at the start, and runs that somebody asks for.

use std::sync::Arc;
use std::time::Duration;

use super::fire::Admission;
use super::{Active, Answer, Effects, Entry, Late, Loaded, Machine, Phase, Refusal, Token, What};
use crate::record::{ClockEpoch, Occurrence, Record, Skip};
use crate::run::{Run, RunStatus, RunTrigger};
use crate::{Enabled, Moment, Schedule};

/// A mark further ahead than this at the start was made by a clock that is not the present one.
const MARK_AHEAD_MAX: Duration = Duration::from_secs(90);

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
}

impl Machine {
    pub(super) fn recover(&mut self, now: Moment, state: Recovered, effects: &mut Effects) {
        self.epochs = state.epochs;
        self.quiesced = state.quiesced;
        self.last_asked = now;
        if self.epochs.is_empty() {
            let first = ClockEpoch {
                epoch: 0,
                before: now,
                after: now,
                shift_us: 0,
                cause: "start",
            };
            effects.records.push(Record::Epoch(first.clone()));
            self.epochs.push(first);
        }
        if let Some(until) = state.catch_up_not_before {
            self.planner.catch_up_not_before = until;
        }
        for loaded in state.followers {
            self.follow_others(loaded);
        }
        for open in state.open_runs {
            self.recover_run(open);
        }
        self.unclaim_all(effects);
        match state.highest_mark {
            Some(mark) if mark > now + MARK_AHEAD_MAX => self.clock_set(mark, now, effects),
            _ => {
                self.planner.cause = Some((now, "downtime"));
                self.ask_refill(now, true, effects);
            }
        }
        let mut waiting: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, e)| !e.waiting.is_empty())
            .map(|(id, _)| *id)
            .collect();
        waiting.sort_unstable();
        for id in waiting {
            self.next_in_schedule(now, id, now, effects);
        }
        for loaded in state.reboots {
            self.fire_boot(now, loaded, effects);
        }
    }

    fn recover_run(&mut self, open: OpenRun) {
        let id = open.run.id;
        let entry = self
            .entries
            .entry(open.run.schedule)
            .or_insert_with(|| Entry::new(open.today));
        let phase = match (open.run.status, open.run.retry_at) {
            (RunStatus::Queued | RunStatus::Starting, None) => {
                entry.waiting.push_back(id);
                Phase::Waiting
            }
            (RunStatus::Queued | RunStatus::Starting, Some(_)) => Phase::Waiting,
            (_, Some(_)) => {
                entry.going.push(id);
                Phase::Resting
            }
            (_, None) => {
                entry.going.push(id);
                self.places_used += 1;
                Phase::Running
            }
        };
        if let Some(at) = open.run.retry_at {
            self.set_timer(at, What::Begin { run: id });
        }
        if let (Phase::Waiting, Some(limit)) = (phase, open.schedule.start_deadline) {
            let from = open.run.due_at.max(open.run.retry_at.unwrap_or(open.run.due_at));
            self.set_timer(from + limit, What::TooLate { run: id });
        }
        let fire_at = open.run.queued_at;
        let ending = open.run.reason.filter(|_| phase == Phase::Running);
        self.runs.insert(
            id,
            Active {
                run: open.run,
                schedule: open.schedule,
                phase,
                ending,
                fire_at,
            },
        );
    }

    /// `@reboot`, once per boot.
    fn fire_boot(&mut self, now: Moment, loaded: Loaded, effects: &mut Effects) {
        let id = loaded.schedule.id;
        let boot_id = self.config.boot_id.clone();
        let entry = self.entries.entry(id).or_insert_with(|| Entry::new(loaded));
        if entry.stats.fired_boot.as_deref() == Some(&boot_id) {
            return;
        }
        entry.stats.fired_boot = Some(boot_id);
        entry.touch(effects);
        let schedule = entry.schedule.clone();
        let occurrence = Occurrence {
            schedule: id,
            due_at: self.config.booted_at,
            epoch: self.epoch(),
        };
        if self.quiesced.is_some() {
            self.skip(now, &schedule, occurrence, Skip::Quiesced, effects);
        } else if schedule.enabled != Enabled::Yes {
            self.skip(now, &schedule, occurrence, Skip::Paused, effects);
        } else {
            self.admit(
                now,
                &schedule,
                occurrence,
                RunTrigger::Boot,
                "boot".to_owned(),
                now,
                effects,
            );
        }
        if let Some(entry) = self.entries.get(&id) {
            effects.records.push(Record::ScheduleStats {
                schedule: id,
                stats: entry.stats.clone(),
            });
        }
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
        if self.frozen.contains(&id) {
            return Err(Refusal::Stale);
        }
        let revision = loaded.schedule.revision;
        let entry = self.entries.entry(id).or_insert_with(|| Entry::new(loaded));
        if entry.schedule.revision != revision {
            return Err(Refusal::Stale);
        }
        let schedule = entry.schedule.clone();
        let waiting = entry.waiting.len();
        match self.admission(id) {
            Admission::Refuse(Skip::Overlap { by }) => return Err(Refusal::Overlap { by }),
            Admission::Refuse(_) => return Err(Refusal::QueueFull { waiting }),
            Admission::Start | Admission::Wait | Admission::Replace => {}
        }
        let occurrence = Occurrence {
            schedule: id,
            due_at: self.unique_due(now),
            epoch: self.epoch(),
        };
        match self.admit(now, &schedule, occurrence, trigger, asked_by, now, effects) {
            Some(run) => {
                let queued = self
                    .runs
                    .get(&run)
                    .is_some_and(|a| matches!(a.phase, Phase::Waiting | Phase::InLine));
                Ok(Answer::Run { run, queued })
            }
            None => Err(Refusal::QueueFull { waiting }),
        }
    }
}
