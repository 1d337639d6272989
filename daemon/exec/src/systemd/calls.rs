//! What the follower has done beside its loop: everything that waits for the service manager or a disk. Each piece of work ends in
//! a [`Done`], which only the loop understands.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sloth_core::AttemptKey;
use sloth_core::launch::{Finding, Traces};
use sloth_core::run::{AttemptEnd, Outcome};
use tokio::sync::Semaphore;

use super::Options;
use super::bus::{Bus, CallError};
use super::names::{output_of, unit_name};
use super::prepare::{Held, Prepared};
use super::properties::{Site, properties};
use super::result::{self, Remains};
use crate::attempt::order::AttemptOrder;
use crate::attempt::{SIGNAL_FORCE, SIGNAL_ORDERED};
use crate::inspect::{Frames, inspect};
use crate::limits::Capabilities;

/// Starts that PID 1 has to think about at the same time: enough to keep it busy, few enough that others are heard in between.
const STARTS_AT_ONCE: usize = 16;
/// Questions about units, and readings of output files, at the same time.
const LOOKS_AT_ONCE: usize = 16;

/// What a piece of work found.
#[derive(Debug)]
pub(super) enum Done {
    /// The checks of `Prepare`.
    Prepared(Prepared),
    /// PID 1 has answered a start.
    Started(Result<(), CallError>),
    /// What became of an attempt that was started.
    Looked(Look),
    /// What became of an attempt that nobody here knew.
    Inspected(Inspection),
    /// The manager is gone.
    Lost(String),
    /// Nothing that anybody needs to know.
    Nothing,
}

/// What became of an attempt.
#[derive(Debug)]
pub(super) enum Look {
    /// Its unit is active.
    Going,
    /// It has ended.
    Ended {
        end: Box<AttemptEnd>,
        /// Whether the unit is kept, because it failed.
        is_kept: bool,
    },
    /// The unit of its name is not ours.
    Foreign,
}

/// What became of an attempt that nobody here knew.
#[derive(Debug)]
pub(super) enum Inspection {
    /// It is known after all.
    Unit(Look),
    /// It has no unit.
    Finding(Finding),
}

/// What all pieces of work share.
#[derive(Clone, Debug)]
pub(super) struct Office {
    pub(super) options: Arc<Options>,
    pub(super) capabilities: Capabilities,
    starts: Arc<Semaphore>,
    looks: Arc<Semaphore>,
}

impl Office {
    pub(super) fn new(options: Arc<Options>, capabilities: Capabilities) -> Office {
        let (starts, looks) = (Semaphore::new(STARTS_AT_ONCE), Semaphore::new(LOOKS_AT_ONCE));
        Office { options, capabilities, starts: Arc::new(starts), looks: Arc::new(looks) }
    }

    /// Starts the unit.
    pub(super) async fn start(self, bus: Bus, held: Box<Held>) -> Done {
        let _permit = self.starts.acquire().await;
        let Held { launch, account, output } = *held;
        let order = match AttemptOrder::new(launch.clone(), &account, self.capabilities.ip_accounting).seal() {
            Ok(order) => order,
            Err(error) => return Done::Started(Err(CallError::Busy(format!("the order cannot be written: {error}")))),
        };
        let program = self.options.program.to_string_lossy();
        let site = Site {
            manager: self.options.manager,
            data: &self.options.data,
            program: &program,
            capabilities: &self.capabilities,
        };
        use std::os::fd::AsFd;
        let properties = properties(&site, &launch, &account, order.as_fd(), output.as_fd());
        match bus.start(&unit_name(launch.key), &properties).await {
            Err(CallError::Unknown(why)) => Done::Lost(why),
            answer => Done::Started(answer),
        }
    }

    /// Finds out what became of a started attempt. `has_failed`: its unit is said to have failed, and so to stay.
    pub(super) async fn look(self, bus: Bus, key: AttemptKey, output: PathBuf, has_failed: bool) -> Done {
        let _permit = self.looks.acquire().await;
        if let Some(end) = self.end_frame(key, output.clone()).await {
            return Done::Looked(Look::Ended { end: Box::new(end), is_kept: has_failed });
        }
        // Without an end PID 1 is asked. That a unit was removed proves nothing: one that is only asked about comes and goes as well.
        match self.unit(&bus, key).await {
            Ok(Some(Seen::Going)) => Done::Looked(Look::Going),
            Ok(Some(Seen::Foreign)) => Done::Looked(Look::Foreign),
            Ok(Some(Seen::Kept(remains))) => self.ended(key, output, remains, true).await,
            Ok(None) => self.ended(key, output, Remains::Nothing, false).await,
            Err(CallError::Unknown(why)) => Done::Lost(why),
            Err(error) => {
                tracing::error!(SLOTH_RUN = %key.run, %error, "systemd does not say what became of a unit");
                Done::Looked(Look::Going)
            }
        }
    }

    /// Finds out what became of an attempt that nobody here knows.
    pub(super) async fn inspect(self, bus: Bus, traces: Traces) -> Done {
        let _permit = self.looks.acquire().await;
        let key = traces.key;
        match self.unit(&bus, key).await {
            Ok(Some(Seen::Going)) => return Done::Inspected(Inspection::Unit(Look::Going)),
            Ok(Some(Seen::Kept(remains))) => {
                return match self.ended(key, traces.output, remains, true).await {
                    Done::Looked(look) => Done::Inspected(Inspection::Unit(look)),
                    other => other,
                };
            }
            // A foreign unit says nothing about the attempt.
            Ok(Some(Seen::Foreign) | None) => {}
            Err(error) => return Done::Lost(error.to_string()),
        }
        let data = self.options.data.clone();
        let finding = tokio::task::spawn_blocking(move || {
            // A process and not a unit: it was started by the other executor, whose supervisor this one does not have.
            match traces.process.as_ref().is_some_and(|process| process.pid != 0) {
                true => inspect(&data, &traces),
                false => result::finding(&data, &traces),
            }
        });
        match finding.await {
            Ok(finding) => Done::Inspected(Inspection::Finding(finding)),
            Err(error) => {
                Done::Inspected(Inspection::Finding(Finding::Lost(format!("it could not be inspected: {error}"))))
            }
        }
    }

    /// Ends a unit: TERM to all of it, KILL after the grace. The main process does the latter too, should we not live to see it.
    pub(super) async fn kill(self, bus: Bus, key: AttemptKey, grace: Duration) -> Done {
        let unit = unit_name(key);
        if grace.is_zero() {
            let _ = bus.signal(&unit, SIGNAL_FORCE).await;
            return stopped(bus.stop(&unit).await, key);
        }
        // So that it knows that the end was ordered.
        let _ = bus.signal(&unit, SIGNAL_ORDERED).await;
        let done = stopped(bus.stop(&unit).await, key);
        if matches!(done, Done::Nothing) {
            tokio::time::sleep(grace).await;
            let _ = bus.signal(&unit, SIGNAL_FORCE).await;
        }
        done
    }

    /// Lets go of a unit that was kept because it failed.
    pub(super) async fn release(self, bus: Bus, key: AttemptKey) -> Done {
        match bus.release(&unit_name(key)).await {
            Ok(()) | Err(CallError::NoUnit) => Done::Nothing,
            Err(CallError::Unknown(why)) => Done::Lost(why),
            Err(error) => {
                tracing::warn!(SLOTH_RUN = %key.run, %error, "a unit that failed stays until it is reset by hand");
                Done::Nothing
            }
        }
    }

    async fn unit(&self, bus: &Bus, key: AttemptKey) -> Result<Option<Seen>, CallError> {
        let name = unit_name(key);
        let Some(unit) = bus.unit(&name).await? else { return Ok(None) };
        if output_of(&self.options.data, &unit.description).is_none() {
            return Ok(Some(Seen::Foreign));
        }
        match (unit.is_going, unit.has_failed) {
            (true, _) => Ok(Some(Seen::Going)),
            (false, true) => Ok(Some(Seen::Kept(Remains::Unit(bus.facts(&name).await?)))),
            // It is being unloaded, and nothing that it says is of interest any more.
            (false, false) => Ok(None),
        }
    }

    async fn end_frame(&self, key: AttemptKey, output: PathBuf) -> Option<AttemptEnd> {
        let data = self.options.data.clone();
        let frames = tokio::task::spawn_blocking(move || Frames::read(&data, &output, key.attempt)).await;
        frames.ok()?.ok()?.end
    }

    async fn ended(&self, key: AttemptKey, output: PathBuf, remains: Remains, is_kept: bool) -> Done {
        let data = self.options.data.clone();
        let end = tokio::task::spawn_blocking(move || result::end(&data, &output, key, &remains)).await;
        let end =
            end.unwrap_or_else(|error| result::bare(Outcome::Lost(format!("its end could not be read: {error}"))));
        Done::Looked(Look::Ended { end: Box::new(end), is_kept })
    }
}

enum Seen {
    Going,
    Kept(Remains),
    Foreign,
}

fn stopped(answer: Result<(), CallError>, key: AttemptKey) -> Done {
    match answer {
        Ok(()) | Err(CallError::NoUnit) => Done::Nothing,
        Err(CallError::Unknown(why)) => Done::Lost(why),
        Err(error) => {
            tracing::error!(SLOTH_RUN = %key.run, %error, "systemd does not stop a unit");
            Done::Nothing
        }
    }
}

/// When attempts began, from their output files; for those that did not write it yet, now.
pub(super) fn begins(data: &Path, keys: &[(AttemptKey, PathBuf)]) -> Vec<sloth_core::Moment> {
    let now = crate::clock::wall_now();
    keys.iter().map(|(key, output)| crate::inspect::began(data, output, key.attempt).unwrap_or(now)).collect()
}
