//! Carries out what the engine orders. Each order is harmless when repeated, too late, or about something unknown.

use std::time::Duration;

use sloth_core::AttemptKey;
use sloth_core::launch::{Launch, Order, Report, Traces};
use sloth_core::run::Outcome;

use super::calls::Done;
use super::follower::{Dropped, Follower, Phase, a_unit};
use super::prepare::{Prepared, prepare};
use super::result::bare;
use crate::clock::wall_now;
use crate::{ended_before_release, fail};

impl Follower {
    pub(super) async fn carry_out(&mut self, order: Order) -> Result<(), Dropped> {
        match order {
            Order::Prepare(launch) => self.prepare(*launch).await,
            Order::Release(key) => {
                self.release(key);
                Ok(())
            }
            Order::Discard(key) => {
                self.discard(key);
                Ok(())
            }
            Order::Kill { key, grace } => self.kill(key, grace).await,
            Order::Forget(key) => {
                self.forget(key);
                Ok(())
            }
            Order::Inspect(traces) => self.inspect(*traces).await,
        }
    }

    async fn prepare(&mut self, launch: Launch) -> Result<(), Dropped> {
        let key = launch.key;
        if self.attempts.contains_key(&key) {
            return self.tell(key).await;
        }
        self.insert(key, launch.output.clone(), Phase::Preparing { release_asked: false });
        let (office, accounts) = (self.office.clone(), self.accounts.clone());
        self.spawn(key, async move {
            let checked = tokio::task::spawn_blocking(move || {
                prepare(&office.options.data, &office.capabilities, &accounts, launch)
            });
            Done::Prepared(checked.await.unwrap_or_else(|error| {
                let what = format!("the start could not be checked: {error}");
                Prepared::Refused(fail(sloth_core::run::StartFailureKind::Other, what))
            }))
        });
        Ok(())
    }

    pub(super) async fn prepared(&mut self, key: AttemptKey, prepared: Prepared) -> Result<(), Dropped> {
        let Some(attempt) = self.attempts.get_mut(&key) else { return Ok(()) };
        let Phase::Preparing { release_asked } = attempt.phase else { return Ok(()) };
        match prepared {
            Prepared::Held(held) => {
                attempt.phase = Phase::Held(held);
                self.report(Report::Prepared { key, process: a_unit() }).await?;
                if release_asked {
                    self.release(key);
                }
                Ok(())
            }
            // The answer to its start was never read. It goes, or has ended, and what became of it is reported like that of any other.
            Prepared::Began => {
                attempt.phase = Phase::Going;
                self.report(Report::Prepared { key, process: a_unit() }).await?;
                self.look(key, false);
                Ok(())
            }
            Prepared::Refused(failure) => {
                self.attempts.remove(&key);
                self.report(Report::Refused { key, failure }).await
            }
        }
    }

    fn release(&mut self, key: AttemptKey) {
        let (Some(bus), Some(attempt)) = (self.bus.clone(), self.attempts.get_mut(&key)) else { return };
        match &mut attempt.phase {
            Phase::Preparing { release_asked } => *release_asked = true,
            phase @ Phase::Held(_) => {
                let Phase::Held(held) = std::mem::replace(phase, Phase::Starting { kill_asked: None }) else { return };
                let start = self.office.clone().start(bus, held);
                self.spawn(key, start);
            }
            Phase::Starting { .. } | Phase::Going | Phase::Ended { .. } => {}
        }
    }

    fn discard(&mut self, key: AttemptKey) {
        let is_there = |phase: &Phase| matches!(phase, Phase::Preparing { .. } | Phase::Held(_));
        if self.attempts.get(&key).is_some_and(|attempt| is_there(&attempt.phase)) {
            self.attempts.remove(&key);
        }
    }

    async fn kill(&mut self, key: AttemptKey, grace: Duration) -> Result<(), Dropped> {
        let Some(attempt) = self.attempts.get_mut(&key) else { return Ok(()) };
        match &mut attempt.phase {
            Phase::Preparing { .. } | Phase::Held(_) => self.end(key, bare(ended_before_release()), false).await,
            Phase::Starting { kill_asked } => {
                *kill_asked = Some(kill_asked.map_or(grace, |before| before.min(grace)));
                Ok(())
            }
            Phase::Going => {
                self.kill_unit(key, grace);
                Ok(())
            }
            Phase::Ended { .. } => Ok(()),
        }
    }

    pub(super) fn kill_unit(&mut self, key: AttemptKey, grace: Duration) {
        let Some(bus) = self.bus.clone() else { return };
        let kill = self.office.clone().kill(bus, key, grace);
        self.spawn(key, kill);
    }

    fn forget(&mut self, key: AttemptKey) {
        let Some(Phase::Ended { is_kept, .. }) = self.attempts.get(&key).map(|attempt| &attempt.phase) else { return };
        let is_kept = *is_kept;
        self.attempts.remove(&key);
        if let (true, Some(bus)) = (is_kept, self.bus.clone()) {
            let release = self.office.clone().release(bus, key);
            self.spawn(key, release);
        }
    }

    async fn inspect(&mut self, traces: Traces) -> Result<(), Dropped> {
        let key = traces.key;
        let Some(bus) = self.bus.clone() else { return Ok(()) };
        if self.attempts.contains_key(&key) {
            return self.tell(key).await;
        }
        // Present, so that an order about it waits for the answer.
        self.insert(key, traces.output.clone(), Phase::Starting { kill_asked: None });
        let inspect = self.office.clone().inspect(bus, traces);
        self.spawn(key, inspect);
        Ok(())
    }

    /// Says once more how far an attempt is.
    pub(super) async fn tell(&mut self, key: AttemptKey) -> Result<(), Dropped> {
        let Some(attempt) = self.attempts.get(&key) else { return Ok(()) };
        match &attempt.phase {
            Phase::Preparing { .. } | Phase::Starting { .. } => Ok(()),
            Phase::Held(_) => self.report(Report::Prepared { key, process: a_unit() }).await,
            Phase::Going => {
                self.report(Report::Prepared { key, process: a_unit() }).await?;
                self.report(Report::Started { key, at: wall_now() }).await
            }
            Phase::Ended { end, .. } => {
                let end = (**end).clone();
                self.report(Report::Ended { key, end }).await
            }
        }
    }
}
