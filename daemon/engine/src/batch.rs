//! Transactions on their way to the store, and who waits for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use sloth_core::machine::{Arms, Early, Edit, Effects, Late, Token};
use sloth_core::record::Record;
use sloth_core::{Moment, RunId, ScheduleId};

use crate::commands::Reply;

/// One transaction.
pub(crate) struct Batch {
    /// Shared with the store while they are being written.
    pub(crate) records: Arc<Vec<Record>>,
    pub(crate) late: Vec<Late>,
    pub(crate) arms: Arms,
    pub(crate) purpose: Purpose,
}

/// Whom a transaction concerns, and so what its failure means.
pub(crate) enum Purpose {
    /// The machine's own: it is written sooner or later, before anything after it.
    Machine,
    /// A run that was asked for; when it cannot be written it never was. Its orders wait for the commit.
    Run { run: Option<RunId>, token: Token, early: Vec<Early> },
    /// A change of a schedule.
    Edit { id: ScheduleId, success: Edit, at: Moment, reply: Reply<Moment> },
    /// Records for somebody.
    Commit { reply: Reply<()>, quiesce: Option<Option<String>> },
}

impl Batch {
    pub(crate) fn machine(effects: Effects) -> Self {
        Batch { records: Arc::new(effects.records), late: effects.late, arms: effects.arms, purpose: Purpose::Machine }
    }

    pub(crate) fn records(records: Vec<Record>, purpose: Purpose) -> Self {
        Batch { records: Arc::new(records), late: Vec::new(), arms: Arms::default(), purpose }
    }

    pub(crate) fn is_machine(&self) -> bool {
        matches!(self.purpose, Purpose::Machine)
    }
}

/// Batches that are being committed together; their results may come in any order.
pub(crate) struct Flight<E> {
    pub(crate) number: u64,
    pub(crate) batches: Vec<Batch>,
    pub(crate) results: BTreeMap<usize, Result<(), E>>,
}

impl<E> Flight<E> {
    pub(crate) fn landed(&self) -> bool {
        self.results.len() == self.batches.len()
    }
}
