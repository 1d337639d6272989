//! Runs that are ended before their time: by a person, or by a newer run.

use std::time::Duration;

use super::{Answer, Early, Effects, Late, Machine, Phase, Refusal, Token};
use crate::launch::Order;
use crate::record::Record;
use crate::run::{Reason, RunStatus};
use crate::{AttemptKey, Moment, RunId, ScheduleId};

impl Machine {
    pub(super) fn cancel_asked(
        &mut self,
        now: Moment,
        run: RunId,
        (force, compensate): (bool, bool),
        asked_by: &str,
        token: Token,
        effects: &mut Effects,
    ) {
        let answer = match self.runs.contains_key(&run) {
            false => Err(Refusal::NotRunning),
            true if self.blocked => self.kill_unrecorded(run, asked_by, force, effects),
            true => {
                let message = format!("cancelled by {asked_by}");
                let asked = !force && self.ask_worker_to_end(now, run, Reason::User, &message, compensate, effects);
                let done = !asked && self.end_early(now, run, Reason::User, &message, force, effects);
                Ok(Answer::Cancelling { done })
            }
        };
        effects.late.push(Late::Reply(token, answer));
    }

    /// While nothing can be written a run that goes can still be ended: that it was cancelled is written with its end.
    fn kill_unrecorded(
        &mut self,
        run: RunId,
        asked_by: &str,
        force: bool,
        effects: &mut Effects,
    ) -> Result<Answer, Refusal> {
        let Some(active) = self.runs.get_mut(&run) else { return Err(Refusal::NotRunning) };
        if !matches!(active.phase, Phase::Running | Phase::Inspecting) {
            return Err(Refusal::StorageBlocked);
        }
        let grace = if force { Duration::ZERO } else { active.schedule.kill_grace };
        active.ending.get_or_insert(Reason::User);
        active.run().message = Some(format!("cancelled by {asked_by}"));
        let key = AttemptKey { run, attempt: active.attempt };
        effects.early.push(Early::Order(Order::Kill { key, grace }));
        Ok(Answer::Cancelling { done: false })
    }

    /// Makes way for a newer run: ends what goes and what waits.
    pub(super) fn supersede(&mut self, now: Moment, id: ScheduleId, by: Option<RunId>, effects: &mut Effects) {
        let Some(entry) = self.entries.get(&id) else { return };
        let earlier: Vec<RunId> = entry.waiting.iter().chain(entry.going.iter()).copied().collect();
        for run in earlier.into_iter().filter(|run| Some(*run) != by) {
            let message = "replaced by a newer run";
            if !self.ask_worker_to_end(now, run, Reason::Superseded, message, true, effects) {
                self.end_early(now, run, Reason::Superseded, message, false, effects);
            }
        }
    }

    /// Ends a run. True when it is over at once, false when its processes have to be killed first.
    pub(super) fn end_early(
        &mut self,
        now: Moment,
        run: RunId,
        reason: Reason,
        message: &str,
        force: bool,
        effects: &mut Effects,
    ) -> bool {
        let Some(active) = self.runs.get_mut(&run) else {
            return true;
        };
        let key = AttemptKey { run, attempt: active.attempt };
        match active.phase {
            // When it is durable; it may also vanish.
            Phase::Unborn => {
                active.ending.get_or_insert(reason);
                false
            }
            Phase::Waiting | Phase::InLine | Phase::Resting => {
                self.finish(now, run, RunStatus::Cancelled, Some(reason), Some(message.to_owned()), effects);
                true
            }
            Phase::Preparing => {
                effects.early.push(Early::Order(Order::Discard(key)));
                self.finish(now, run, RunStatus::Cancelled, Some(reason), Some(message.to_owned()), effects);
                true
            }
            Phase::Releasing | Phase::Running | Phase::Inspecting => {
                let grace = if force { Duration::ZERO } else { active.schedule.kill_grace };
                if active.ending.is_none() {
                    active.ending = Some(reason);
                    let run = active.run();
                    run.reason = Some(reason);
                    run.message = Some(message.to_owned());
                    effects.records.push(Record::RunChanged(active.run.clone()));
                }
                effects.late.push(Late::Order(Order::Kill { key, grace }));
                false
            }
        }
    }

    /// The run that a request made could not be recorded: it never was.
    pub(super) fn run_withdrawn(&mut self, now: Moment, run: RunId, effects: &mut Effects) {
        if self.runs.get(&run).is_none_or(|active| active.phase != Phase::Unborn) {
            return;
        }
        let Some(active) = self.runs.remove(&run) else { return };
        let id = active.run.schedule;
        self.counters.runs = self.counters.runs.saturating_sub(1);
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.part_with(run, active.phase);
        }
        self.settled(id);
        self.next_in_schedule(id, now, effects);
    }

    /// Gives back what a run in this phase holds: a place, or its stand in the line for one.
    pub(super) fn leave_place(&mut self, run: RunId, phase: Phase) {
        let worker_of = self.runs.get(&run).filter(|active| active.run.workflow.is_some());
        match (phase, worker_of) {
            (Phase::Preparing | Phase::Releasing | Phase::Running | Phase::Inspecting, None) => {
                self.places_used = self.places_used.saturating_sub(1);
            }
            (Phase::Preparing | Phase::Releasing | Phase::Running | Phase::Inspecting, Some(active)) => {
                self.workers.leave(&active.run.user);
            }
            (Phase::InLine, None) => self.leave_line(),
            (Phase::InLine, Some(_)) => self.workers.leave_line(run),
            (Phase::Unborn | Phase::Waiting | Phase::Resting, _) => {}
        }
    }
}
