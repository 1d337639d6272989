//! What the machine remembers of schedules and runs that something is going on with.

use std::sync::Arc;

use smallvec::SmallVec;

use super::run_set::RunSet;
use super::{Effects, Loaded};
use crate::record::{Occurrence, Stats};
use crate::run::{Reason, Run};
use crate::{AttemptKey, Moment, RunId, Schedule};

/// A schedule that something is going on with.
pub(super) struct Entry {
    pub(super) schedule: Arc<Schedule>,
    pub(super) deleted: bool,
    pub(super) stats: Stats,
    pub(super) mark: Moment,
    /// Whether `mark` is that of the store. Until a refill says so it is what somebody read at some time.
    pub(super) trusted: bool,
    /// Claimed instants that have not fired: a timer without its claim is void.
    pub(super) claims: Vec<Claim>,
    /// Counts how often claims were taken back.
    pub(super) generation: u32,
    /// Runs that have left the schedule's own queue: starting, running, between attempts or in the line for a place.
    pub(super) going: RunSet,
    /// Runs that wait for those.
    pub(super) waiting: SmallVec<[RunId; 1]>,
    /// Runs that wait for a time of their own, in nobody's way until then.
    pub(super) delayed: RunSet,
    /// Batches on their way to the store that change this schedule; before they arrive it must not be read back from there.
    pub(super) unsettled: u32,
}

/// A claimed instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) due_at: Moment,
    /// With its jitter.
    pub(super) fire_at: Moment,
    pub(super) generation: u32,
}

/// A schedule with an edit on its way to the disk: a matter of milliseconds, after which its claims stand or are void.
#[derive(Default)]
pub(super) struct Frozen {
    /// Its timers that went off meanwhile.
    pub(super) held: Vec<Timer>,
    /// A refill came across it.
    pub(super) passed_over: bool,
}

/// An unfinished run.
pub(super) struct Active {
    /// Shared with the records that are on their way to the store.
    pub(super) run: Arc<Run>,
    /// The latest attempt; `attempts` of the run is the latest whose start is recorded.
    pub(super) attempt: u32,
    pub(super) schedule: Arc<Schedule>,
    pub(super) phase: Phase,
    /// A person or a newer run wants it to end.
    pub(super) ending: Option<Reason>,
    /// Time from which it was due to start, for the measure of lateness.
    pub(super) fire_at: Moment,
}

/// Where an unfinished run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// In the schedule's queue like `Waiting`; it may still turn out that it could not be recorded.
    Unborn,
    /// In the schedule's queue or, `delayed`, waiting for its own time.
    Waiting,
    /// In the line for a place.
    InLine,
    /// Asked to be prepared.
    Preparing,
    /// Its start is on its way to the disk; then it is released.
    Releasing,
    /// Released.
    Running,
    /// Between two attempts.
    Resting,
    /// We asked what became of it.
    Inspecting,
}

/// Something that happens at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timer {
    pub(super) at: Moment,
    /// Keeps the order of equal times.
    pub(super) seq: u64,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// A claimed instant.
    Fire { occurrence: Occurrence, generation: u32 },
    /// The next attempt of a run, or the start of a delayed one.
    Begin { run: RunId },
    /// A queued run is too late from now on.
    TooLate { run: RunId },
    /// A worker should be gone by now.
    Insist { key: AttemptKey, finished: bool },
}

impl Active {
    /// The run, to be changed. Records that hold it keep what they hold.
    pub(super) fn run(&mut self) -> &mut Run {
        Arc::make_mut(&mut self.run)
    }

    /// The attempt that the executor has to do with, if there is one.
    pub(super) fn awaited(&self) -> Option<AttemptKey> {
        let (run, attempt) = (self.run.id, self.attempt);
        match self.phase {
            Phase::Unborn | Phase::Waiting | Phase::InLine | Phase::Resting => None,
            Phase::Preparing | Phase::Releasing | Phase::Running | Phase::Inspecting => {
                Some(AttemptKey { run, attempt })
            }
        }
    }
}

impl Entry {
    pub(super) fn new(loaded: &Loaded) -> Self {
        Entry {
            schedule: loaded.schedule.clone(),
            deleted: false,
            stats: loaded.stats.clone(),
            mark: loaded.mark,
            trusted: false,
            claims: Vec::new(),
            generation: 0,
            going: RunSet::default(),
            waiting: SmallVec::new(),
            delayed: RunSet::default(),
            unsettled: 0,
        }
    }

    /// This batch changes what the store knows of the schedule.
    pub(super) fn touch(&mut self, effects: &mut Effects) {
        self.unsettled += 1;
        effects.arms.touched.push(self.schedule.id);
    }

    /// A run is over.
    pub(super) fn part_with(&mut self, run: RunId, phase: Phase) {
        if matches!(phase, Phase::Unborn | Phase::Waiting) && !self.delayed.remove(&run) {
            self.waiting.retain(|other| *other != run);
        }
        self.going.remove(&run);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.unsettled == 0
            && self.claims.is_empty()
            && self.going.is_empty()
            && self.waiting.is_empty()
            && self.delayed.is_empty()
    }
}
