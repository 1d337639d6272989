//! The runs of one schedule, in order. Nearly always one or none, so that one lies in place: a burst of 10,000 makes as many of these.

use smallvec::SmallVec;

use crate::RunId;

/// A small ordered set.
#[derive(Clone, Debug, Default)]
pub(super) struct RunSet(SmallVec<[RunId; 1]>);

impl RunSet {
    pub(super) fn insert(&mut self, run: RunId) {
        if let Err(place) = self.0.binary_search(&run) {
            self.0.insert(place, run);
        }
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, run: &RunId) -> bool {
        match self.0.binary_search(run) {
            Ok(place) => _ = self.0.remove(place),
            Err(_) => return false,
        }
        true
    }

    pub(super) fn first(&self) -> Option<&RunId> {
        self.0.first()
    }

    pub(super) fn last(&self) -> Option<&RunId> {
        self.0.last()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, RunId> {
        self.0.iter()
    }
}
