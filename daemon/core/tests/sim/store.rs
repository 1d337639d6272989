//! The store as it is documented: applies records, refuses what contradicts it, and can be recovered from.

use std::collections::BTreeMap;
use std::sync::Arc;

use sloth_core::audit::{self, Audit, Folded, Row, RowKind, Scope};
use sloth_core::ledger::{Class, Period};
use sloth_core::machine::{Loaded, OpenRun, Recovered};
use sloth_core::record::{ClockEpoch, Decision, Fold, Occurrence, Rebase, Record, Stats};
use sloth_core::run::{Attempt, AttemptEnd, Run};
use sloth_core::trigger::Trigger;
use sloth_core::{AttemptKey, Moment, RunId, Schedule, ScheduleId};

pub struct Stored {
    pub schedule: Arc<Schedule>,
    pub mark: Moment,
    pub next_due: Option<Moment>,
    pub stats: Stats,
    pub deleted: bool,
    pub versions: Vec<Arc<Schedule>>,
    pub history: Vec<Period>,
    pub folded: Option<Fold>,
}

#[derive(Default)]
pub struct Store {
    pub schedules: BTreeMap<ScheduleId, Stored>,
    /// `None`: planned.
    pub rows: BTreeMap<(ScheduleId, Moment, u32), Option<Decision>>,
    pub runs: BTreeMap<RunId, Run>,
    order: Vec<RunId>,
    pub attempts: BTreeMap<AttemptKey, (Attempt, Option<AttemptEnd>)>,
    pub epochs: Vec<ClockEpoch>,
    pub quiesced: Option<String>,
    /// Kind and message of every event.
    pub events: Vec<(&'static str, String)>,
}

/// A transaction that contradicts what is stored.
#[derive(Debug)]
pub struct Conflict(pub String);

impl Store {
    /// One transaction. After a conflict the store is not used any more, unless the first record was the reason.
    pub fn apply(&mut self, records: &[Record]) -> Result<(), Conflict> {
        records.iter().try_for_each(|record| self.apply_one(record))
    }

    fn apply_one(&mut self, record: &Record) -> Result<(), Conflict> {
        match record {
            Record::Planned(o) => self.planned(o)?,
            Record::Unplanned => self.unplanned(),
            Record::Reread => {
                for row in self.schedules.values_mut().filter(|row| row.next_due.is_some() && !row.deleted) {
                    row.next_due = row.next_due.min(Some(row.mark));
                }
            }
            Record::Rebased { fixed, interval, every } => self.rebased(*fixed, *interval, *every),
            Record::Decided(o, decision) => {
                self.row(o.schedule)?;
                let row = self.rows.entry((o.schedule, o.due_at, o.epoch)).or_default();
                if row.is_some() {
                    return conflict(format!("{o:?} is decided: {row:?}, not {decision:?}"));
                }
                *row = Some(decision.clone());
            }
            Record::Folded(fold) => {
                let row = self.row(fold.schedule)?;
                let sum = row.folded.get_or_insert_with(|| Fold { skipped: 0, ..fold.clone() });
                sum.from = sum.from.min(fold.from);
                sum.to = sum.to.max(fold.to);
                sum.skipped += fold.skipped;
            }
            Record::Marked { schedule, mark, next_due } => {
                let row = self.row(*schedule)?;
                row.mark = *mark;
                row.next_due = *next_due;
            }
            Record::ScheduleCreated(s) => self.created(s)?,
            Record::ScheduleChanged(s) => self.changed(s)?,
            Record::ScheduleDeleted { schedule, at, epoch } => self.deleted(*schedule, *at, *epoch)?,
            Record::ScheduleStats { schedule, stats } => self.row(*schedule)?.stats = stats.clone(),
            Record::RunCreated(run) => {
                if self.runs.insert(run.id, Run::clone(run)).is_some() {
                    return conflict(format!("run {} exists", run.id));
                }
                self.order.push(run.id);
            }
            Record::RunChanged(run) => match self.runs.get_mut(&run.id) {
                Some(stored) if !stored.status.is_terminal() => *stored = Run::clone(run),
                other => return conflict(format!("{run:?} replaces {other:?}")),
            },
            Record::RunReopened(run) => match self.runs.get_mut(&run.id) {
                Some(stored) if stored.status.is_terminal() => *stored = Run::clone(run),
                other => return conflict(format!("{run:?} reopens {other:?}")),
            },
            Record::Unlisted(_) | Record::BundleStored(_) | Record::Journal(_) => {}
            Record::Circuit(_) | Record::WorkflowSaved(_) | Record::WorkflowRemoved { .. } => {}
            Record::AttemptStarted(attempt) => {
                if !self.runs.contains_key(&attempt.key.run) {
                    return conflict(format!("attempt {} without its run", attempt.key));
                }
                self.attempts.insert(attempt.key, (attempt.clone(), None));
            }
            Record::AttemptEnded(key, end) => match self.attempts.get_mut(key) {
                Some((_, stored @ None)) => *stored = Some(AttemptEnd::clone(end)),
                other => return conflict(format!("attempt {key} ends: {other:?}")),
            },
            Record::RunNoted(note) => self.events.push((note.kind().0, note.message())),
            Record::Event(event) => self.events.push((event.kind, event.message.clone())),
            Record::Audit(_) | Record::Answered(_) | Record::Published(_) => {}
            Record::Epoch(epoch) => self.epochs.push(epoch.clone()),
            Record::Meta(key, value) => {
                if *key == "quiesced" {
                    self.quiesced.clone_from(value);
                }
            }
        }
        Ok(())
    }

    fn row(&mut self, id: ScheduleId) -> Result<&mut Stored, Conflict> {
        self.schedules.get_mut(&id).ok_or(Conflict(format!("no schedule {id}")))
    }

    fn planned(&mut self, o: &Occurrence) -> Result<(), Conflict> {
        self.row(o.schedule)?;
        let row = self.rows.entry((o.schedule, o.due_at, o.epoch)).or_default();
        match row {
            None => Ok(()),
            Some(decision) => conflict(format!("{o:?} is planned and was decided: {decision:?}")),
        }
    }

    fn unplanned(&mut self) {
        let planned = self.rows.iter().filter(|(_, row)| row.is_none());
        for (id, due, _) in planned.map(|(key, _)| *key).collect::<Vec<_>>().into_iter().rev() {
            if let Some(row) = self.schedules.get_mut(&id).filter(|row| !row.deleted) {
                row.mark = Moment::from_micros(due.micros() - 1);
                row.next_due = Some(due);
            }
        }
        self.rows.retain(|_, row| row.is_some());
    }

    fn rebased(&mut self, fixed: Rebase, interval: Rebase, every: Rebase) {
        for row in self.schedules.values_mut().filter(|row| row.next_due.is_some() && !row.deleted) {
            let rebase = match Class::of(&row.schedule.trigger) {
                Some(Class::Fixed | Class::Once) => fixed,
                Some(Class::Interval) => interval,
                Some(Class::Every) => every,
                None => continue,
            };
            let to = match rebase {
                Rebase::To(to) => to,
                Rebase::AtMost(to) if row.mark > to => to,
                Rebase::AtMost(_) => continue,
            };
            row.mark = to;
            row.next_due = Some(to);
        }
    }

    fn created(&mut self, s: &Arc<Schedule>) -> Result<(), Conflict> {
        if self.by_name(&s.name).is_some() {
            return conflict(format!("{} exists", s.name));
        }
        let stored = Stored {
            schedule: s.clone(),
            mark: s.trigger_since,
            next_due: s.first_due(),
            stats: Stats::default(),
            deleted: false,
            versions: vec![s.clone()],
            history: vec![period(s)],
            folded: None,
        };
        self.schedules.insert(s.id, stored);
        Ok(())
    }

    fn changed(&mut self, s: &Arc<Schedule>) -> Result<(), Conflict> {
        let row = self.row(s.id)?;
        if row.deleted || s.revision != row.schedule.revision + 1 {
            return conflict(format!("{} at {}, deleted: {}", s.revision, row.schedule.revision, row.deleted));
        }
        let since = |s: &Schedule| (s.trigger_epoch, s.trigger_since);
        let new_trigger = since(s) > since(&row.schedule);
        row.versions.push(s.clone());
        row.schedule = s.clone();
        if new_trigger {
            row.close(s.trigger_since, s.trigger_epoch);
            row.history.push(period(s));
            row.mark = s.trigger_since;
            row.next_due = s.first_due();
            self.unplanned_after(s.id, s.trigger_since);
        }
        Ok(())
    }

    fn deleted(&mut self, id: ScheduleId, at: Moment, epoch: u32) -> Result<(), Conflict> {
        let row = self.row(id)?;
        if row.deleted {
            return conflict(format!("{id} is deleted"));
        }
        row.deleted = true;
        row.next_due = None;
        row.close(at, epoch);
        self.unplanned_after(id, at);
        Ok(())
    }

    fn unplanned_after(&mut self, id: ScheduleId, after: Moment) {
        self.rows.retain(|(other, due, _), row| *other != id || row.is_some() || *due <= after);
    }

    pub fn by_name(&self, name: &str) -> Option<&Stored> {
        self.schedules.values().find(|row| row.schedule.name == name && !row.deleted)
    }

    pub fn load_due(&self, until: Moment, max: usize) -> (Vec<Loaded>, bool) {
        let mut due: Vec<&Stored> = self.schedules.values().filter(|row| !row.deleted).collect();
        due.retain(|row| row.next_due.is_some_and(|next| next <= until));
        due.sort_by_key(|row| (row.next_due, row.schedule.id));
        let complete = due.len() <= max;
        (due.into_iter().take(max).map(Stored::loaded).collect(), complete)
    }

    pub fn recovered(&self) -> Recovered {
        let mut state =
            Recovered { epochs: self.epochs.clone(), quiesced: self.quiesced.clone(), ..Recovered::default() };
        for id in &self.order {
            let run = &self.runs[id];
            if run.status.is_terminal() {
                continue;
            }
            let row = &self.schedules[&run.schedule];
            if row.deleted {
                state.deleted.push(run.schedule);
            }
            state.open_runs.push(OpenRun {
                run: run.clone(),
                schedule: row.versions[run.revision as usize - 1].clone(),
                today: row.loaded(),
            });
        }
        for row in self.schedules.values().filter(|row| !row.deleted) {
            if !row.schedule.after.is_empty() {
                state.followers.push(row.loaded());
            }
            if matches!(row.schedule.trigger, Trigger::Reboot) {
                state.reboots.push(row.loaded());
            }
        }
        let alive = self.schedules.values().filter(|row| !row.deleted && row.next_due.is_some());
        state.highest_mark = alive.map(|row| row.mark).max();
        state
    }

    pub fn audit(&self, id: ScheduleId, upto: Moment) -> Audit {
        let stored = &self.schedules[&id];
        let rows = self.rows.range((id, Moment::MIN, 0)..=(id, Moment::MAX, u32::MAX));
        let rows = rows.map(|((_, due_at, epoch), decision)| Row {
            due_at: *due_at,
            epoch: *epoch,
            kind: RowKind::of(decision.as_ref()),
        });
        let folded = stored.folded.as_ref().map(|fold| Folded { from: fold.from, to: fold.to, count: fold.skipped });
        let scope =
            Scope { since: Moment::MIN, upto, undecided: stored.schedule.jitter + std::time::Duration::from_secs(2) };
        audit::audit(&stored.history, &self.epochs, folded, rows, scope)
    }
}

impl Stored {
    pub fn loaded(&self) -> Loaded {
        Loaded { schedule: self.schedule.clone(), mark: self.mark, next_due: self.next_due, stats: self.stats.clone() }
    }

    fn close(&mut self, at: Moment, epoch: u32) {
        if let Some(last) = self.history.last_mut() {
            last.to = Some((at, epoch));
        }
    }
}

fn period(s: &Schedule) -> Period {
    Period {
        trigger: s.trigger.clone(),
        zone: s.zone.clone(),
        from: s.trigger_since,
        from_epoch: s.trigger_epoch,
        to: None,
    }
}

fn conflict<T>(what: String) -> Result<T, Conflict> {
    Err(Conflict(what))
}
