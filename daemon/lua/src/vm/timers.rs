//! Times at which something happens in a VM, in one heap, with one sleep of the host for the earliest.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::ops::OpId;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// An operation that waits for a time ends.
    Op(OpId),
    /// A call, or a part of it, is over its deadline.
    Deadline {
        /// Group.
        group: u64,
    },
    /// The goroutines of a call have been waited for long enough.
    Join {
        /// Group.
        group: u64,
    },
    /// A coroutine has had its time for cleaning up.
    Grace {
        /// Group.
        group: u64,
        /// Coroutine.
        fiber: u64,
    },
}

#[derive(Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, u64, Due)>>,
    count: u64,
    armed: Option<Instant>,
}

impl Timers {
    pub(crate) fn add(&mut self, at: Instant, due: Due) {
        self.count += 1;
        self.heap.push(Reverse((at, self.count, due)));
    }

    /// One that is due.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Due> {
        match self.heap.peek() {
            Some(Reverse((at, _, _))) if *at <= now => self.heap.pop().map(|Reverse((_, _, due))| due),
            _ => None,
        }
    }

    /// The time for which the host has to be asked to sleep, when no sleep reaches it yet.
    pub(crate) fn arm(&mut self, now: Instant) -> Option<Instant> {
        let Reverse((next, _, _)) = self.heap.peek()?;
        if self.armed.is_some_and(|armed| armed <= *next && armed > now) {
            return None;
        }
        self.armed = Some(*next);
        Some(*next)
    }
}
