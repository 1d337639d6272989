//! Facts from the executor, and what to make of them after one of the two sides was away.

use std::collections::HashMap;
use std::time::Duration;

use super::{Active, Early, Effects, Late, Machine, Phase};
use crate::launch::{Finding, Known, KnownState, Order, Report, Traces, output_path};
use crate::run::{AttemptEnd, Outcome, StartFailure, StartFailureKind, Usage};
use crate::{AttemptKey, Moment};

impl Machine {
    pub(super) fn reported(&mut self, now: Moment, report: Report, effects: &mut Effects) {
        match report {
            Report::Connected(known) => self.reconcile(now, known, effects),
            Report::Disconnected(reason) => {
                if std::mem::take(&mut self.executor_up) {
                    self.note_executor_lost(now, &reason, effects);
                }
            }
            Report::Prepared { key, process } => self.prepared(now, key, process, effects),
            Report::Refused { key, failure } => self.refused(now, key, failure, effects),
            Report::Started { key, .. } => self.released(key),
            Report::Ended { key, end } => self.ended(now, key, end, effects),
            Report::Inspected { key, finding } => self.inspected(now, key, finding, effects),
        }
    }

    fn released(&mut self, key: AttemptKey) {
        if let Some(active) = self.runs.get_mut(&key.run)
            && active.attempt == key.attempt
            && active.phase == Phase::Releasing
        {
            active.phase = Phase::Running;
        }
    }

    /// The executor is back and says what it knows: every unfinished run is matched with that, nothing is guessed.
    fn reconcile(&mut self, now: Moment, known: Vec<Known>, effects: &mut Effects) {
        self.executor_up = true;
        let (ours, strangers): (Vec<Known>, Vec<Known>) = known.into_iter().partition(|known| self.awaits(known.key));
        // First, because what is done about the others may prepare one of these attempts again.
        for stranger in strangers {
            self.send_away(now, stranger, effects);
        }
        let mut ours: HashMap<AttemptKey, KnownState> = ours.into_iter().map(|k| (k.key, k.state)).collect();
        let mut keys: Vec<AttemptKey> = self.runs.values().filter_map(Active::awaited).collect();
        keys.sort_unstable();
        for key in keys {
            // What was done about another run may have ended this one.
            let Some(active) = self.runs.get(&key.run).filter(|active| active.awaited() == Some(key)) else {
                continue;
            };
            match active.phase {
                Phase::Preparing => self.reconcile_preparing(now, key, ours.remove(&key), effects),
                _ => self.reconcile_started(now, key, ours.remove(&key), effects),
            }
        }
    }

    /// Whether the executor has to do with this attempt.
    fn awaits(&self, key: AttemptKey) -> bool {
        self.runs.get(&key.run).and_then(Active::awaited) == Some(key)
    }

    /// An attempt that nobody waits for.
    fn send_away(&mut self, now: Moment, stranger: Known, effects: &mut Effects) {
        let key = stranger.key;
        match stranger.state {
            KnownState::Held(_) => effects.early.push(Early::Order(Order::Discard(key))),
            KnownState::Ended(_) => effects.late.push(Late::Order(Order::Forget(key))),
            KnownState::Running { .. } => {
                self.note_stranger(now, key, effects);
                let grace = Duration::from_secs(10);
                effects.late.push(Late::Order(Order::Kill { key, grace }));
            }
        }
    }

    fn reconcile_preparing(&mut self, now: Moment, key: AttemptKey, state: Option<KnownState>, effects: &mut Effects) {
        match state {
            None => self.prepare_again(key.run, effects),
            Some(KnownState::Held(process)) => self.prepared(now, key, process, effects),
            Some(KnownState::Running { process, .. }) => {
                self.prepared(now, key, process, effects);
                self.released(key);
            }
            Some(KnownState::Ended(end)) => self.ended(now, key, end, effects),
        }
    }

    /// Its start is durable or on its way to the disk. What is ordered here comes after that.
    fn reconcile_started(&mut self, now: Moment, key: AttemptKey, state: Option<KnownState>, effects: &mut Effects) {
        let Some(active) = self.runs.get_mut(&key.run) else {
            return;
        };
        match state {
            Some(KnownState::Ended(end)) => {
                self.ended(now, key, end, effects);
                return;
            }
            Some(KnownState::Held(_)) => {
                active.phase = Phase::Releasing;
                effects.late.push(Late::Order(Order::Release(key)));
            }
            Some(KnownState::Running { .. }) => active.phase = Phase::Running,
            None => {
                active.phase = Phase::Inspecting;
                let traces = Traces {
                    key,
                    output: output_path(key.run, active.run.queued_at),
                    process: active.run.process.clone(),
                };
                effects.late.push(Late::Order(Order::Inspect(Box::new(traces))));
                return;
            }
        }
        if active.ending.is_some() {
            effects.late.push(Late::Order(Order::Kill { key, grace: active.schedule.kill_grace }));
        }
    }

    fn inspected(&mut self, now: Moment, key: AttemptKey, finding: Finding, effects: &mut Effects) {
        let Some(active) = self.runs.get_mut(&key.run) else {
            return;
        };
        if active.attempt != key.attempt || active.phase != Phase::Inspecting {
            return;
        }
        match finding {
            Finding::NeverStarted if active.ending.is_none() => {
                active.phase = Phase::Preparing;
                self.prepare_again(key.run, effects);
            }
            Finding::NeverStarted => {
                let message = "it was cancelled before it was started".to_owned();
                let failure = StartFailure { kind: StartFailureKind::Other, message };
                let end = empty_end(now, Outcome::NotStarted(failure));
                self.ended(now, key, end, effects);
            }
            Finding::Ended(end) => self.ended(now, key, end, effects),
            Finding::Lost(what) => {
                let end = empty_end(now, Outcome::Lost(what));
                self.ended(now, key, end, effects);
            }
        }
    }
}

fn empty_end(now: Moment, outcome: Outcome) -> AttemptEnd {
    AttemptEnd {
        outcome,
        ended_at: now,
        usage: Usage::default(),
        output_bytes: 0,
        dropped_bytes: 0,
        stderr_tail: String::new(),
    }
}
