//! A store in memory that applies records as they are documented and refuses what contradicts it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sloth_core::audit::{Folded, Row, RowKind, Scope, audit};
use sloth_core::ledger::Period;
use sloth_core::machine::{Loaded, OpenRun, Recovered};
use sloth_core::record::{ClockEpoch, Decision, Fold, Record, Stats};
use sloth_core::run::Run;
use sloth_core::trigger::Trigger;
use sloth_core::{Moment, RunId, Schedule, ScheduleId};

/// Figures of a life.
#[derive(Debug, Default)]
pub struct Tally {
    pub schedules: usize,
    pub instants: u64,
    pub runs: u64,
    pub made_up: u64,
    pub skipped: BTreeMap<&'static str, u64>,
    pub coalesced: u64,
    pub of_boots: u64,
    pub restarts: u64,
    pub transactions: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.schedules = other.schedules;
        self.instants += other.instants;
        self.runs += other.runs;
        self.made_up += other.made_up;
        self.coalesced += other.coalesced;
        self.of_boots += other.of_boots;
        self.restarts += other.restarts;
        self.transactions += other.transactions;
        for (why, count) in &other.skipped {
            *self.skipped.entry(why).or_default() += count;
        }
    }
}

struct Stored {
    schedule: Arc<Schedule>,
    mark: Moment,
    next_due: Option<Moment>,
    stats: Stats,
    rows: BTreeMap<(Moment, u32), Option<Decision>>,
    folded: Option<Fold>,
}

#[derive(Default)]
pub struct Store {
    schedules: BTreeMap<ScheduleId, Stored>,
    epochs: Vec<ClockEpoch>,
    open: BTreeMap<RunId, Run>,
    pub transactions: u64,
    pub restarts: u64,
}

impl Store {
    pub fn new(schedules: Vec<Schedule>) -> Store {
        let stored = |schedule: Schedule| Stored {
            mark: schedule.trigger_since,
            next_due: schedule.first_due(),
            stats: Stats::default(),
            rows: BTreeMap::new(),
            folded: None,
            schedule: Arc::new(schedule),
        };
        let schedules = schedules.into_iter().map(|schedule| (schedule.id, stored(schedule))).collect();
        Store { schedules, ..Store::default() }
    }

    fn of(&mut self, id: ScheduleId) -> &mut Stored {
        self.schedules.get_mut(&id).expect("the machine speaks of schedules that exist")
    }

    pub fn apply(&mut self, records: Vec<Record>) {
        self.transactions += 1;
        for record in records {
            match record {
                Record::Planned(o) => {
                    let was = self.of(o.schedule).rows.insert((o.due_at, o.epoch), None);
                    assert!(was.is_none(), "{o:?} is claimed twice");
                }
                Record::Unplanned => self.schedules.values_mut().for_each(Stored::unplan),
                Record::Decided(o, decision) => {
                    let row = self.of(o.schedule).rows.entry((o.due_at, o.epoch)).or_default();
                    assert!(row.is_none(), "{o:?} is decided twice: {row:?}, {decision:?}");
                    *row = Some(decision);
                }
                Record::Folded(fold) => {
                    let sum = self.of(fold.schedule).folded.get_or_insert_with(|| Fold { skipped: 0, ..fold.clone() });
                    (sum.from, sum.to) = (sum.from.min(fold.from), sum.to.max(fold.to));
                    sum.skipped += fold.skipped;
                }
                Record::Marked { schedule, mark, next_due } => {
                    let stored = self.of(schedule);
                    (stored.mark, stored.next_due) = (mark, next_due);
                }
                Record::ScheduleStats { schedule, stats } => self.of(schedule).stats = stats,
                Record::RunCreated(run) => {
                    assert!(self.open.insert(run.id, Arc::unwrap_or_clone(run)).is_none(), "a run is made twice");
                }
                Record::RunChanged(run) if run.status.is_terminal() => _ = self.open.remove(&run.id),
                Record::RunChanged(run) => _ = self.open.insert(run.id, Arc::unwrap_or_clone(run)),
                Record::Epoch(epoch) => self.epochs.push(epoch),
                Record::AttemptStarted(_)
                | Record::AttemptEnded(..)
                | Record::RunNoted(_)
                | Record::Event(_)
                | Record::Answered(_)
                | Record::Meta(..) => {}
                other => panic!("nobody asked for {other:?}"),
            }
        }
    }

    pub fn load_due(&self, until: Moment, max: usize) -> (Vec<Loaded>, bool) {
        let mut due: Vec<&Stored> =
            self.schedules.values().filter(|stored| stored.next_due.is_some_and(|next| next <= until)).collect();
        due.sort_by_key(|stored| (stored.next_due, stored.schedule.id));
        (due.iter().take(max).map(|stored| stored.loaded()).collect(), due.len() <= max)
    }

    pub fn recovered(&self) -> Recovered {
        let open = |run: &Run| {
            let stored = &self.schedules[&run.schedule];
            OpenRun { run: run.clone(), schedule: stored.schedule.clone(), today: stored.loaded() }
        };
        let boots = self.schedules.values().filter(|stored| matches!(stored.schedule.trigger, Trigger::Reboot));
        Recovered {
            epochs: self.epochs.clone(),
            open_runs: self.open.values().map(open).collect(),
            reboots: boots.map(Stored::loaded).collect(),
            highest_mark: self.schedules.values().filter(|s| s.next_due.is_some()).map(|s| s.mark).max(),
            ..Recovered::default()
        }
    }

    /// Audits every schedule, compares its instants with those that are expected, and counts.
    pub fn tally(&self, upto: Moment, expected: impl Fn(&Schedule) -> Option<BTreeSet<i64>>) -> Tally {
        assert!(self.open.is_empty(), "runs that never ended: {:?}", self.open);
        let mut tally = Tally {
            schedules: self.schedules.len(),
            restarts: self.restarts,
            transactions: self.transactions,
            ..Tally::default()
        };
        for stored in self.schedules.values() {
            let name = &stored.schedule.name;
            let found = stored.audit(&self.epochs, upto);
            assert!(found.is_clean(), "{name} ({}): {found:#?}", stored.schedule.trigger_text);
            let due = stored.rows.keys().map(|(due, _)| *due).filter(|due| *due <= upto);
            match expected(&stored.schedule) {
                Some(expected) if stored.folded.is_none() => {
                    let due: BTreeSet<i64> = due.map(Moment::secs).collect();
                    let wrong: Vec<_> = due.symmetric_difference(&expected).map(|s| Moment::from_secs(*s)).collect();
                    assert!(wrong.is_empty(), "{name} ({}): {wrong:?}", stored.schedule.trigger_text);
                    tally.instants += expected.len() as u64;
                }
                Some(expected) => {
                    let folded = stored.folded.as_ref().map_or(0, |fold| fold.skipped);
                    assert_eq!(due.count() as u64 + folded, expected.len() as u64, "{name}");
                    tally.instants += expected.len() as u64;
                    *tally.skipped.entry("catch_up").or_default() += folded;
                }
                None => tally.of_boots += due.count() as u64,
            }
            stored.rows.values().flatten().for_each(|decision| tally.count(decision));
        }
        tally
    }
}

impl Tally {
    fn count(&mut self, decision: &Decision) {
        match decision {
            Decision::Run { trigger, .. } => {
                self.runs += 1;
                self.made_up += u64::from(*trigger == sloth_core::run::RunTrigger::CatchUp);
            }
            Decision::Skipped(skip) => *self.skipped.entry(skip.as_str()).or_default() += 1,
            Decision::Coalesced { .. } => self.coalesced += 1,
        }
    }
}

impl Stored {
    fn loaded(&self) -> Loaded {
        Loaded { schedule: self.schedule.clone(), mark: self.mark, next_due: self.next_due, stats: self.stats.clone() }
    }

    /// Only claims lie after a mark that once was further back, so the newest rows tell all.
    fn unplan(&mut self) {
        let claimed: Vec<(Moment, u32)> =
            self.rows.iter().rev().take(20_000).filter(|(_, row)| row.is_none()).map(|(key, _)| *key).collect();
        let Some((first, _)) = claimed.last() else { return };
        self.mark = Moment::from_micros(first.micros() - 1);
        self.next_due = Some(*first);
        for key in claimed {
            self.rows.remove(&key);
        }
    }

    fn audit(&self, epochs: &[ClockEpoch], upto: Moment) -> sloth_core::audit::Audit {
        let s = &self.schedule;
        let period =
            Period { trigger: s.trigger.clone(), zone: s.zone.clone(), from: s.trigger_since, from_epoch: 0, to: None };
        let rows = self.rows.iter().map(|((due_at, epoch), decision)| Row {
            due_at: *due_at,
            epoch: *epoch,
            kind: RowKind::of(decision.as_ref()),
        });
        let folded = self.folded.as_ref().map(|fold| Folded { from: fold.from, to: fold.to, count: fold.skipped });
        let scope = Scope { since: Moment::MIN, upto, undecided: s.jitter + Duration::from_secs(2) };
        audit(&[period], epochs, folded, rows, scope)
    }
}
