//! Inhibitors: somebody keeps schedules from firing for as long as he holds a file descriptor, as with systemd-logind. They are not
//! stored: when slothd ends, so do they, and their holders see their descriptors closed.

use std::collections::BTreeMap;
use std::sync::Mutex;

use sloth_api::{ErrorCode, InhibitorView};
use sloth_core::Moment;
use sloth_core::record::{Severity, Value};

use crate::access::Action;
use crate::{Caller, Service, ServiceError};

/// Inhibitors at once.
const INHIBITORS_MAX: usize = 1024;
/// Characters of `who` and `why`.
const TEXT_MAX: usize = 200;

/// Those that are held.
#[derive(Debug, Default)]
pub(crate) struct Inhibitors {
    held: Mutex<Held>,
    /// Begin and end reach the engine in the order in which they happened.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Held {
    next: u64,
    all: BTreeMap<u64, Inhibitor>,
    /// Since when there is at least one.
    since: Option<Moment>,
}

#[derive(Clone, Debug)]
struct Inhibitor {
    who: String,
    why: String,
    caller: Caller,
    since: Moment,
}

impl Inhibitors {
    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Since when no schedule fires because of them.
    pub(crate) fn since(&self) -> Option<Moment> {
        self.lock().since
    }

    pub(crate) fn views(&self) -> Vec<InhibitorView> {
        let held = self.lock();
        let view = |one: &Inhibitor| InhibitorView {
            what: "schedules".to_owned(),
            who: one.who.clone(),
            why: one.why.clone(),
            user: one.caller.name.clone(),
            since: one.since.rfc3339(),
        };
        held.all.values().map(view).collect()
    }
}

impl Service {
    /// Keeps schedules from firing until [`Service::release`] is called with the number that this answers with.
    pub async fn inhibit(&self, caller: &Caller, what: &str, who: &str, why: &str) -> Result<u64, ServiceError> {
        let action = Action::new("schedule:inhibit", "daemon", who.chars().take(TEXT_MAX).collect::<String>());
        self.require_admin(caller, action.clone()).await?;
        for word in what.split(':') {
            if word != "schedules" {
                return Err(ServiceError::field("what", format!("{word:?} cannot be inhibited")).hint("schedules can"));
            }
        }
        for (field, text) in [("who", who), ("why", why)] {
            if text.is_empty() || text.chars().count() > TEXT_MAX || text.chars().any(char::is_control) {
                return Err(ServiceError::field(field, format!("must be 1 to {TEXT_MAX} printable characters")));
            }
        }
        let _turn = self.inhibitors.turn.lock().await;
        if self.inhibitors.lock().all.len() >= INHIBITORS_MAX {
            let message = format!("{INHIBITORS_MAX} inhibitors are held already");
            return Err(
                ServiceError::new(ErrorCode::QuotaExceeded, message).hint("slothctl status names their holders")
            );
        }
        let now = self.host.now();
        let data = texts(&[("what", "schedules"), ("who", who), ("why", why), ("user", &caller.name)]);
        let message = format!("{who} keeps schedules from firing: {why}");
        let event = self.event(now, "schedule.inhibited", Severity::Warning, message, caller, data.clone());
        self.engine.commit(vec![event, self.audit_ok(caller, &action, data)]).await?;
        // In the list first: from the first moment in which nothing fires it can be seen why.
        let number = {
            let mut held = self.inhibitors.lock();
            held.next += 1;
            let number = held.next;
            let one = Inhibitor { who: who.to_owned(), why: why.to_owned(), caller: caller.clone(), since: now };
            held.all.insert(number, one);
            held.since.get_or_insert(now);
            number
        };
        if let Err(error) = self.engine.inhibit(true).await {
            self.forget(number);
            return Err(error.into());
        }
        Ok(number)
    }

    /// The holder let go, or died. Schedules fire again when nobody holds one, whether or not that can be written down.
    pub async fn release(&self, number: u64) {
        let _turn = self.inhibitors.turn.lock().await;
        let Some((one, last)) = self.forget(number) else { return };
        if last && self.engine.inhibit(false).await.is_err() {
            // The daemon stops: nothing fires anyway.
            return;
        }
        let data = texts(&[("what", "schedules"), ("who", &one.who), ("why", &one.why), ("user", &one.caller.name)]);
        let message = match last {
            true => format!("{} lets schedules fire again", one.who),
            false => format!("{} no longer keeps schedules from firing, others do", one.who),
        };
        let event = self.event(self.host.now(), "schedule.released", Severity::Info, message, &one.caller, data);
        if let Err(error) = self.engine.commit(vec![event]).await {
            tracing::warn!(%error, who = one.who, "the end of an inhibitor could not be recorded");
        }
    }

    /// Takes it out of the list. It, and whether it was the last one.
    fn forget(&self, number: u64) -> Option<(Inhibitor, bool)> {
        let mut held = self.inhibitors.lock();
        let one = held.all.remove(&number)?;
        let last = held.all.is_empty();
        if last {
            held.since = None;
        }
        Some((one, last))
    }
}

fn texts(list: &[(&'static str, &str)]) -> Vec<(&'static str, Value)> {
    list.iter().map(|(name, text)| (*name, Value::Text((*text).to_owned()))).collect()
}
