//! How batches get to the disk: in order, one flight at a time, and what follows when they have arrived or could not.

use std::collections::VecDeque;
use std::time::Duration;

use sloth_core::Moment;
use sloth_core::machine::{Input, Late};
use sloth_core::record::Record;

use crate::batch::{Batch, Flight, Purpose};
use crate::driver::{Engine, Fatal, Landed};
use crate::{Ports, StoreError};

/// Between two tries to write what could not be written.
const RETRY: Duration = Duration::from_millis(500);

impl<P: Ports> Engine<P> {
    /// Starts the next flight when none is under way: requests first, then one batch of the machine, which must not be overtaken.
    pub(crate) fn flush(&mut self) {
        if self.flight.is_some() {
            return;
        }
        if let Some(error) = self.blocked.clone() {
            self.let_nobody_wait(&error);
        }
        if self.retry_at.is_some() {
            return;
        }
        self.close_current();
        let mut batches = Vec::new();
        while let Some(batch) = self.pending.pop_front() {
            let last = batch.is_machine() && !batch.records.is_empty();
            batches.push(batch);
            if last {
                break;
            }
        }
        if batches.is_empty() {
            return;
        }
        self.flights += 1;
        let number = self.flights;
        let mut flight = Flight { number, batches, results: Default::default() };
        for (i, batch) in flight.batches.iter().enumerate() {
            if batch.records.is_empty() {
                flight.results.insert(i, Ok(()));
                continue;
            }
            let landings = self.landings.0.clone();
            let done = Box::new(move |result| {
                // The engine is gone when nobody listens; there is room for every batch of a flight.
                let _ = landings.try_send((number, i, result));
            });
            self.ports.commit(batch.records.clone(), done);
        }
        if flight.landed() {
            // Nothing to write: no failure is possible.
            let _ = self.finish_flight(flight);
        } else {
            self.flight = Some(flight);
        }
    }

    /// Nothing may overtake a batch of the machine that cannot be written, so whoever stands behind it would wait for the disk. Requests
    /// are refused instead; only mere records go first.
    fn let_nobody_wait(&mut self, error: &StoreError) {
        let now = self.ports.wall();
        let (mut first, mut machine) = (VecDeque::new(), VecDeque::new());
        for batch in std::mem::take(&mut self.pending) {
            match batch.purpose {
                Purpose::Commit { .. } => first.push_back(batch),
                Purpose::Machine => machine.push_back(batch),
                Purpose::Run { .. } | Purpose::Edit { .. } => self.failed(now, batch, error.clone()),
            }
        }
        first.append(&mut machine);
        self.pending = first;
    }

    pub(crate) fn landed(&mut self, (number, i, result): Landed) -> Result<(), Fatal> {
        let Some(flight) = self.flight.as_mut().filter(|flight| flight.number == number) else {
            return Ok(());
        };
        flight.results.insert(i, result);
        if !flight.landed() {
            return Ok(());
        }
        match self.flight.take() {
            Some(flight) => self.finish_flight(flight),
            None => Ok(()),
        }
    }

    fn finish_flight(&mut self, mut flight: Flight<StoreError>) -> Result<(), Fatal> {
        let now = self.now();
        for (i, batch) in std::mem::take(&mut flight.batches).into_iter().enumerate() {
            let result = flight.results.remove(&i).unwrap_or(Ok(()));
            match result {
                Ok(()) => {
                    if !batch.records.is_empty() {
                        self.storage_free(now);
                    }
                    self.succeeded(now, batch);
                }
                Err(error) if error.is_passing() => {
                    self.storage_blocked(now, &error);
                    match batch.is_machine() {
                        true => {
                            self.pending.push_front(batch);
                            self.retry_at = Some(now + RETRY);
                        }
                        false => self.failed(now, batch, error),
                    }
                }
                Err(error) if batch.is_machine() => return Err(Fatal(error)),
                Err(error) => self.failed(now, batch, error),
            }
        }
        self.probe_while_blocked(now);
        Ok(())
    }

    fn succeeded(&mut self, now: Moment, batch: Batch) {
        match batch.purpose {
            Purpose::Machine => {}
            Purpose::Run { early, .. } => self.carry_out_early(early),
            Purpose::Edit { id, success, at, reply } => {
                self.input(now, Input::EditEnded(id, success));
                let _ = reply.send(Ok(at));
            }
            Purpose::Commit { reply, quiesce } => {
                if let Some(reason) = quiesce {
                    *self.published.quiesced.lock().unwrap_or_else(|e| e.into_inner()) = reason.clone();
                    self.input(now, Input::Quiesced(reason));
                }
                let _ = reply.send(Ok(()));
            }
        }
        for late in batch.late {
            match late {
                Late::Order(order) => self.ports.order(order),
                Late::Prepare(start) => self.ports.prepare(*start),
                Late::Worker(run, order) => self.ports.worker(run, order),
                Late::Refill { until, max } => self.read_due(until, max),
                Late::Reply(token, answer) => {
                    if let Some(reply) = self.answers.remove(&token) {
                        let _ = reply.send(answer.map_err(crate::EngineError::Refused));
                    }
                }
            }
        }
        self.input(now, Input::Committed(batch.arms));
    }

    /// A request could not be written: it is as if it had never been made.
    fn failed(&mut self, now: Moment, batch: Batch, error: StoreError) {
        match batch.purpose {
            Purpose::Machine => {}
            Purpose::Run { run, token, .. } => {
                if let Some(run) = run {
                    self.input(now, Input::RunWithdrawn(run));
                }
                if let Some(reply) = self.answers.remove(&token) {
                    let _ = reply.send(Err(error.into()));
                }
            }
            Purpose::Edit { id, reply, .. } => {
                self.input(now, Input::EditEnded(id, sloth_core::machine::Edit::Nothing));
                let _ = reply.send(Err(error.into()));
            }
            Purpose::Commit { reply, .. } => {
                let _ = reply.send(Err(error.into()));
            }
        }
    }

    fn storage_blocked(&mut self, now: Moment, error: &StoreError) {
        if self.blocked.is_none() {
            tracing::error!(%error, "nothing can be written: no schedule fires until it can");
            self.input(now, Input::StorageBlocked);
        }
        *self.published.trouble.lock().unwrap_or_else(|e| e.into_inner()) = Some(error.to_string());
        self.blocked = Some(error.clone());
    }

    /// When only requests failed, nothing of the machine's would tell that writing is possible again: a small batch does.
    fn probe_while_blocked(&mut self, now: Moment) {
        if self.blocked.is_some() && self.retry_at.is_none() {
            let alive = Record::Meta("last_alive", Some(now.rfc3339()));
            self.pending.push_front(Batch::records(vec![alive], Purpose::Machine));
            self.retry_at = Some(now + RETRY);
        }
    }

    fn storage_free(&mut self, now: Moment) {
        if self.blocked.take().is_some() {
            tracing::warn!("the database can be written again");
            *self.published.trouble.lock().unwrap_or_else(|e| e.into_inner()) = None;
            self.input(now, Input::StorageFree);
        }
    }
}
