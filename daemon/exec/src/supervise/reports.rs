//! What goes back to slothd. Reports are kept as flags of their attempts, never as a queue of messages: however slowly slothd reads,
//! memory is bounded by the attempts, and an end is told again at each connection until it is forgotten.

use std::collections::VecDeque;

use sloth_core::AttemptKey;
use sloth_core::launch::{Known, KnownState};

use super::attempt::{News, Phase, Stage};
use super::door::Connection;
use super::event_loop::Supervisor;
use crate::framing::FramingError;
use crate::wire::{FromSupervisor, KnownItem, VERSION};

/// Known attempts per message.
const KNOWN_CHUNK: usize = 32;
/// Most remarks that wait; further ones are dropped.
const NOTES_MAX: usize = 64;

/// What waits to be told.
#[derive(Debug, Default)]
pub struct Outgoing {
    greeting: bool,
    /// Attempts that are still to be listed, at the begin of a connection.
    listing: Option<VecDeque<u64>>,
    /// Attempts with news.
    changed: VecDeque<u64>,
    unknown: VecDeque<AttemptKey>,
    notes: VecDeque<String>,
}

impl Outgoing {
    /// Whether all is told.
    pub fn is_empty(&self) -> bool {
        let nothing_new = self.changed.is_empty() && self.unknown.is_empty() && self.notes.is_empty();
        nothing_new && self.listing.is_none() && !self.greeting
    }

    /// Adds a remark.
    pub fn note(&mut self, text: String) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push_back(text);
        }
    }

    /// Answers a query.
    pub fn unknown(&mut self, key: AttemptKey) {
        self.unknown.push_back(key);
    }

    /// Queries that wait for their answer to be sent.
    pub fn unknown_count(&self) -> usize {
        self.unknown.len()
    }
}

impl Supervisor {
    /// Begins a connection: greet, then list everything.
    pub(super) fn greet(&mut self) {
        let mut serials: Vec<u64> = self.attempts.keys().copied().collect();
        serials.sort_unstable();
        self.outgoing.greeting = true;
        self.outgoing.listing = Some(serials.into());
    }

    /// Marks what slothd should hear about an attempt.
    pub(super) fn tell(&mut self, serial: u64, mark: impl FnOnce(&mut News)) {
        let Some(attempt) = self.attempts.get_mut(&serial) else {
            return;
        };
        mark(&mut attempt.news);
        if !attempt.is_queued {
            attempt.is_queued = true;
            self.outgoing.changed.push_back(serial);
        }
    }

    /// Marks all that is true of an attempt, for somebody who asks again.
    pub(super) fn tell_again(&mut self, serial: u64) {
        let Some(attempt) = self.attempts.get_mut(&serial) else {
            return;
        };
        let news = match &attempt.phase {
            Phase::Live(live) => {
                let held = live.stage == Stage::Held || live.stage == Stage::Running;
                let started = (live.stage == Stage::Running && live.status.is_none()).then_some(live.since);
                News { prepared: held, started, ..News::default() }
            }
            Phase::Refused(_) => News { refused: true, ..News::default() },
            Phase::Ended(_) => News { ended: true, ..News::default() },
        };
        self.tell(serial, |marks| *marks = news);
    }

    /// Encodes as much as there is room for.
    pub(super) fn put_reports(&mut self, connection: &mut Connection) -> Result<(), FramingError> {
        if std::mem::take(&mut self.outgoing.greeting) {
            connection.put(&FromSupervisor::Hello { version: VERSION, pid: std::process::id() })?;
        }
        while connection.has_room() && self.outgoing.listing.is_some() {
            self.put_known(connection)?;
        }
        while connection.has_room()
            && let Some(note) = self.outgoing.notes.pop_front()
        {
            connection.put(&FromSupervisor::Note(note))?;
        }
        while connection.has_room()
            && let Some(serial) = self.outgoing.changed.pop_front()
        {
            self.put_news(serial, connection)?;
        }
        while connection.has_room()
            && self.outgoing.changed.is_empty()
            && let Some(key) = self.outgoing.unknown.pop_front()
        {
            connection.put(&FromSupervisor::Unknown(key))?;
        }
        Ok(())
    }

    /// Drops what was meant for a connection that is gone.
    pub(super) fn forget_news(&mut self) {
        for serial in std::mem::take(&mut self.outgoing.changed) {
            let Some(attempt) = self.attempts.get_mut(&serial) else {
                continue;
            };
            attempt.news = News::default();
            attempt.is_queued = false;
            if matches!(attempt.phase, Phase::Refused(_)) {
                self.remove(serial);
            }
        }
        self.outgoing = Outgoing::default();
    }

    fn put_known(&mut self, connection: &mut Connection) -> Result<(), FramingError> {
        let Some(serials) = &mut self.outgoing.listing else {
            return Ok(());
        };
        let mut list = Vec::new();
        while list.len() < KNOWN_CHUNK
            && let Some(serial) = serials.pop_front()
        {
            let Some(attempt) = self.attempts.get(&serial) else {
                continue;
            };
            let process = attempt.process.clone();
            let state = match &attempt.phase {
                Phase::Live(live) if live.is_discarded => continue,
                Phase::Live(live) if live.stage == Stage::Running => KnownState::Running { process, since: live.since },
                Phase::Live(_) => KnownState::Held(process),
                Phase::Ended(end) => KnownState::Ended((**end).clone()),
                Phase::Refused(_) => continue,
            };
            list.push(KnownItem(Known { key: attempt.key, state }));
        }
        let last = serials.is_empty();
        if last {
            self.outgoing.listing = None;
        }
        connection.put(&FromSupervisor::Known { list, last })
    }

    fn put_news(&mut self, serial: u64, connection: &mut Connection) -> Result<(), FramingError> {
        let Some(attempt) = self.attempts.get_mut(&serial) else {
            return Ok(());
        };
        attempt.is_queued = false;
        let (key, news) = (attempt.key, std::mem::take(&mut attempt.news));
        if news.prepared {
            connection.put(&FromSupervisor::Prepared { key, process: attempt.process.clone() })?;
        }
        if let Some(at) = news.started {
            connection.put(&FromSupervisor::Started { key, at })?;
        }
        match &attempt.phase {
            Phase::Ended(end) if news.ended => connection.put(&FromSupervisor::Ended { key, end: (**end).clone() })?,
            Phase::Refused(failure) if news.refused => {
                connection.put(&FromSupervisor::Refused { key, failure: failure.clone() })?;
                self.remove(serial);
            }
            _ => {}
        }
        Ok(())
    }
}
