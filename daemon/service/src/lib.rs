//! The use cases of slothd and who may use them. Every door calls these, and nothing else.
//!
//! Reads go to the store's read-only connections and may block for a moment; changes go through the engine's mailbox. Each use case
//! takes the [`Caller`] first and checks him in one place (`access`); each change and each refusal leaves an audit entry.

mod access;
mod adding;
mod audit;
mod authority;
mod conditions;
mod daemon;
mod database;
mod error;
mod explain;
pub mod export;
mod feed;
mod fields;
mod files;
mod health;
mod host;
pub mod import;
mod importing;
mod inhibitors;
mod ledger;
mod listing;
mod locate;
mod log_level;
mod objects;
mod publish;
mod runs;
mod schedules;
mod show;
mod time_text;
mod values;
mod workers;
mod workflows;

use std::sync::Arc;

pub use access::Caller;
pub use adding::Mode;
pub use authority::{Authority, Decision, Permission, Question, SharedAuthority, Verdict};
pub use error::ServiceError;
pub use feed::{EventQuery, event_view};
pub use files::{FileReport, SourceFile};
pub use host::{Host, LogWish, RunDirs, Surroundings, WorkflowSettings};
pub use ledger::OccurrenceQuery;
pub use listing::ListQuery;
pub use objects::ScheduleBrief;
pub use runs::RunQuery;
pub use sloth_core::Uid;
pub use sloth_core::run::Run as RunRecord;
pub use sloth_store::EventFilter;
pub use time_text::{Span, parse_span, parse_time};
pub use workers::{Asker, Hello, Secret, Session, Workers};

use sloth_engine::Handle;
use sloth_store::Store;

/// The use cases.
#[derive(Clone)]
pub struct Service {
    store: Store,
    engine: Handle,
    host: Arc<dyn Host>,
    hostname: Arc<str>,
    /// Requests with a key, one after the other.
    turns: Arc<tokio::sync::Mutex<()>>,
    inhibitors: Arc<inhibitors::Inhibitors>,
    pace: Arc<publish::Pace>,
    workers: Workers,
}

impl Service {
    /// Puts store, engine and machine together.
    pub fn new(store: Store, engine: Handle, host: Arc<dyn Host>, hostname: &str, workers: Workers) -> Self {
        Service {
            store,
            engine,
            host,
            hostname: hostname.into(),
            turns: Arc::default(),
            inhibitors: Arc::default(),
            pace: Arc::default(),
            workers,
        }
    }

    /// The machine.
    pub fn host(&self) -> &dyn Host {
        &*self.host
    }

    /// The engine.
    pub fn engine(&self) -> &Handle {
        &self.engine
    }

    /// When the daemon started.
    pub fn started_at(&self) -> sloth_core::Moment {
        self.host.process().1
    }

    /// The store, for streams of events.
    pub fn store(&self) -> &Store {
        &self.store
    }
}
