//! The proof that no due instant was lost and none invented: recomputes from the history of a trigger and of the clock which rows the
//! ledger must have, and compares them with those it has. Both sides are read once, in order, so that years cost no memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::Moment;
use crate::ledger::{self, Period, Stretch};
use crate::record::{ClockEpoch, Decision};
use crate::run::RunTrigger;
use crate::trigger::Trigger;

/// So many differences are described; further ones are only counted.
const DESCRIBED_MAX: usize = 1000;

/// A row of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Nominal instant.
    pub due_at: Moment,
    /// Clock epoch.
    pub epoch: u32,
    /// What was decided.
    pub kind: RowKind,
}

/// What a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// Claimed, not decided.
    Planned,
    /// Decided about an instant of the trigger.
    Decided,
    /// A run by hand, of a program, after another run or at boot: its instant cannot be recomputed.
    Asked,
    /// Skipped, and the row does not say whether the trigger or another schedule's run wanted it. What is not of the trigger never
    /// lies on a whole second.
    Skipped,
}

impl RowKind {
    /// Of a decision; `None`: the row is planned.
    pub fn of(decision: Option<&Decision>) -> RowKind {
        match decision {
            None => RowKind::Planned,
            Some(Decision::Run { trigger, .. }) => match trigger {
                RunTrigger::Due | RunTrigger::CatchUp => RowKind::Decided,
                RunTrigger::Manual | RunTrigger::After | RunTrigger::Api | RunTrigger::Boot => RowKind::Asked,
            },
            Some(Decision::Skipped(_)) => RowKind::Skipped,
            Some(Decision::Coalesced { .. }) => RowKind::Decided,
        }
    }
}

/// The summary of rows past retention: in this range so many instants may lack their row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folded {
    /// First instant.
    pub from: Moment,
    /// Last instant.
    pub to: Moment,
    /// How many rows were folded.
    pub count: u64,
}

/// What to look at.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Only instants after this moment.
    pub since: Moment,
    /// Only instants up to this one.
    pub upto: Moment,
    /// A row may still be undecided when its instant is at most so long before `upto`: the schedule's jitter and a moment.
    pub undecided: Duration,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Instants that were recomputed.
    pub instants: u64,
    /// Rows that were read, those of runs that were asked for included.
    pub rows: u64,
    /// Instants without a row that the summary accounts for.
    pub folded: u64,
    /// What does not agree, in order.
    pub differences: Vec<Difference>,
    /// Differences beyond those described.
    pub more: u64,
}

/// One instant about which ledger and trigger do not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The instant.
    pub due_at: Moment,
    /// Its clock epoch.
    pub epoch: u32,
    /// What is wrong.
    pub kind: DifferenceKind,
    /// One sentence.
    pub message: String,
}

/// What can be wrong with an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifferenceKind {
    /// The trigger was due and there is no row.
    MissingRow,
    /// There is a row and the trigger was not due.
    UnexpectedRow,
    /// The row was never decided.
    Undecided,
    /// There is more than one row.
    Repeated,
}

impl Audit {
    /// Whether ledger and trigger agree.
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty()
    }

    fn differ(&mut self, (due_at, epoch): (Moment, u32), kind: DifferenceKind) {
        if self.differences.len() >= DESCRIBED_MAX {
            self.more += 1;
            return;
        }
        let message = match kind {
            DifferenceKind::MissingRow => format!("{due_at} was due and has no row"),
            DifferenceKind::UnexpectedRow => format!("{due_at} has a row and was not due (clock epoch {epoch})"),
            DifferenceKind::Undecided => format!("{due_at} was due and nothing was decided about it"),
            DifferenceKind::Repeated => format!("{due_at} has more than one row"),
        };
        self.differences.push(Difference { due_at, epoch, kind, message });
    }
}

/// Compares. `history` and `epochs` are complete and in order; `rows` are all rows in `scope`, by instant and epoch.
pub fn audit(
    history: &[Period],
    epochs: &[ClockEpoch],
    folded: Option<Folded>,
    rows: impl IntoIterator<Item = Row>,
    scope: Scope,
) -> Audit {
    let mut audit = Audit::default();
    let mut expected = Expected::new(history, epochs, scope).peekable();
    let mut last = None;
    let in_scope = |row: &Row| row.due_at > scope.since && row.due_at <= scope.upto;
    for row in rows.into_iter().filter(in_scope) {
        let key = (row.due_at, row.epoch);
        audit.rows += 1;
        if last.replace(key) == Some(key) {
            audit.differ(key, DifferenceKind::Repeated);
            continue;
        }
        while let Some(instant) = expected.next_if(|instant| *instant < key) {
            missing(&mut audit, instant, folded);
        }
        let due = expected.peek() == Some(&key);
        match row.kind {
            RowKind::Asked => continue,
            RowKind::Skipped if !due && row.due_at.micros().rem_euclid(1_000_000) != 0 => continue,
            RowKind::Planned if due && row.due_at < scope.upto - scope.undecided => {
                audit.differ(key, DifferenceKind::Undecided);
            }
            _ if !due => audit.differ(key, DifferenceKind::UnexpectedRow),
            RowKind::Planned | RowKind::Decided | RowKind::Skipped => {}
        }
        if due {
            expected.next();
            audit.instants += 1;
        }
    }
    for instant in expected {
        missing(&mut audit, instant, folded);
    }
    audit
}

/// No row: the summary may account for it.
fn missing(audit: &mut Audit, instant: (Moment, u32), folded: Option<Folded>) {
    audit.instants += 1;
    let within = |f: &Folded| f.from <= instant.0 && instant.0 <= f.to;
    match folded.filter(within) {
        Some(f) if audit.folded < f.count => audit.folded += 1,
        _ => audit.differ(instant, DifferenceKind::MissingRow),
    }
}

/// All instants of a history, by instant and epoch.
struct Expected<'a> {
    stretches: Vec<(Trigger, &'a TimeZone, Stretch)>,
    /// The next instant of each stretch.
    next: BinaryHeap<Reverse<(Moment, u32, usize)>>,
}

impl<'a> Expected<'a> {
    fn new(history: &'a [Period], epochs: &[ClockEpoch], scope: Scope) -> Self {
        let mut expected = Expected { stretches: Vec::new(), next: BinaryHeap::new() };
        for period in history {
            for mut stretch in ledger::stretches(period, epochs, scope.upto) {
                let trigger = ledger::trigger_in_epoch(&period.trigger, period.from_epoch, stretch.epoch, epochs);
                let after = stretch.after.max(scope.since);
                stretch.until = stretch.until.min(scope.upto);
                expected.stretches.push((trigger, &period.zone, stretch));
                expected.search(expected.stretches.len() - 1, after);
            }
        }
        expected
    }

    fn search(&mut self, index: usize, after: Moment) {
        let Some((trigger, zone, stretch)) = self.stretches.get(index) else {
            return;
        };
        let next = trigger.next_after(zone, after).filter(|due| *due <= stretch.until);
        if let Some(due) = next {
            self.next.push(Reverse((due, stretch.epoch, index)));
        }
    }
}

impl Iterator for Expected<'_> {
    type Item = (Moment, u32);

    fn next(&mut self) -> Option<(Moment, u32)> {
        let Reverse((due, epoch, index)) = self.next.pop()?;
        self.search(index, due);
        Some((due, epoch))
    }
}
