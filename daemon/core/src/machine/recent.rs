//! Schedules that changed lately. What was read of one before its change arrives here after it, in an answer of the store or with a
//! request, and must not be believed.

use std::collections::{HashMap, VecDeque};

use crate::{Schedule, ScheduleId};

/// So many changes are remembered: those of a few seconds at the highest rate.
const MAX: usize = 10_000;

#[derive(Default)]
pub(super) struct Recent {
    /// The revision since then, `None`: deleted; and how often it is in `order`.
    revisions: HashMap<ScheduleId, (Option<u32>, u32)>,
    order: VecDeque<ScheduleId>,
}

impl Recent {
    pub(super) fn note(&mut self, id: ScheduleId, revision: Option<u32>) {
        let (latest, times) = self.revisions.entry(id).or_default();
        *latest = revision;
        *times += 1;
        self.order.push_back(id);
    }

    /// Whether this is an older version than the one that is known, or of a schedule that is gone.
    pub(super) fn outdates(&self, schedule: &Schedule) -> bool {
        match self.revisions.get(&schedule.id) {
            None => false,
            Some((None, _)) => true,
            Some((Some(revision), _)) => schedule.revision < *revision,
        }
    }

    /// Nothing is being read: changes of long ago cannot matter.
    pub(super) fn forget_old(&mut self) {
        while self.order.len() > MAX {
            let Some(id) = self.order.pop_front() else { return };
            if let Some((_, times)) = self.revisions.get_mut(&id) {
                *times -= 1;
                if *times == 0 {
                    self.revisions.remove(&id);
                }
            }
        }
    }
}
