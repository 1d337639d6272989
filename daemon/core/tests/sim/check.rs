//! What must be true when everything has calmed down.

use std::collections::BTreeMap;
use std::time::Duration;

use sloth_core::machine::Input;
use sloth_core::record::{Decision, Record};
use sloth_core::run::RunStatus;

use super::world::World;

impl World {
    /// Ends all trouble, lets everything that goes on come to its end, and proves that nothing was lost, invented or left over.
    pub fn calm_down(&mut self) {
        self.failing_until = 0;
        self.crash = None;
        self.executor.trouble = 0;
        if self.daemon.is_none() {
            self.start_daemon();
        }
        self.input(Input::Inhibited(false));
        self.advance(Duration::from_secs(30));
        self.quiesce(Some("the end"));
        self.input(Input::Configured { max_running: 10_000, workers: Default::default() });
        let mut patience = 400;
        while patience > 0 && (self.load() != (0, 0) || patience > 390) {
            self.advance(Duration::from_secs(30));
            patience -= 1;
        }
        self.input(Input::RefillAsked);
        self.advance(Duration::from_secs(5));
        self.check();
    }

    pub fn load(&self) -> (usize, usize) {
        self.daemon.as_ref().map_or((0, 0), |daemon| daemon.machine.load())
    }

    pub fn check(&self) {
        let open: Vec<_> = self.store.runs.values().filter(|run| !run.status.is_terminal()).collect();
        assert!(open.is_empty(), "stuck: {open:#?}");
        assert_eq!(self.load(), (0, 0), "places leak");
        self.check_rows();
        self.check_attempts();
        for (id, stored) in &self.store.schedules {
            let audit = self.store.audit(*id, self.wall());
            assert!(
                audit.is_clean(),
                "{} {:?} {:?}: {:#?}\nhistory {:#?}\nepochs {:#?}",
                stored.schedule.name,
                stored.schedule.trigger_text,
                id,
                audit.differences.iter().take(5).collect::<Vec<_>>(),
                stored.history,
                self.store.epochs
            );
        }
        let kept = self.store.schedules.values().filter(|s| !s.schedule.after.is_empty()).count();
        let soon = self.store.rows.values().filter(|row| row.is_none()).count();
        let entries = self.daemon.as_ref().map_or(0, |daemon| daemon.machine.entries());
        let busy = self
            .store
            .schedules
            .values()
            // Due soon, or so lately that the planner has not looked since.
            .filter(|s| {
                s.next_due.is_some_and(|at| at < self.wall() + Duration::from_secs(180))
                    || s.mark > self.wall() - Duration::from_secs(90)
            });
        assert!(entries <= kept + soon + busy.count(), "{entries} entries are in memory");
    }

    /// Rows with a run and runs are the same, one to one.
    fn check_rows(&self) {
        let mut by_run = BTreeMap::new();
        for (key, decision) in &self.store.rows {
            if let Some(Decision::Run { run, .. }) = decision {
                let other = by_run.insert(*run, *key);
                assert!(other.is_none(), "{run} has two rows: {key:?} and {other:?}");
            }
            if let Some(Decision::Coalesced { run }) = decision {
                assert!(self.store.runs.contains_key(run), "{key:?} is coalesced into nothing");
            }
        }
        for run in self.store.runs.values() {
            assert_eq!(by_run.remove(&run.id), Some((run.schedule, run.due_at, run.epoch)), "the row of {run:?}");
        }
        assert!(by_run.is_empty(), "rows without their run: {by_run:?}");
    }

    fn check_attempts(&self) {
        let mut starts = BTreeMap::new();
        for (key, _, _) in &self.executor.starts {
            *starts.entry(*key).or_insert(0) += 1;
            let (_, end) = &self.store.attempts[key];
            assert!(end.is_some(), "the end of {key} is not recorded");
        }
        assert!(starts.values().all(|n| *n == 1), "started twice: {starts:?}");
        for run in self.store.runs.values().filter(|run| run.status == RunStatus::Completed) {
            let ran = self.executor.starts.iter().any(|(key, _, _)| key.run == run.id);
            assert!(ran, "{run:?} completed without having run");
        }
    }
}

pub fn word(record: &Record) -> String {
    match record {
        Record::RunNoted(note) => note.kind().0.to_owned(),
        Record::Event(event) => event.kind.to_owned(),
        Record::Decided(o, decision) => format!("{} e{} {decision:?}", o.due_at, o.epoch),
        Record::Planned(o) => format!("planned {} e{}", o.due_at, o.epoch),
        Record::Marked { mark, next_due, .. } => format!("mark {mark} next {next_due:?}"),
        Record::RunChanged(run) => format!("run {:?} {:?}", run.status, run.reason),
        Record::RunCreated(_) => "run".to_owned(),
        Record::ScheduleStats { .. } => "stats".to_owned(),
        Record::ScheduleChanged(s) => format!("{} changed to {}", s.name, s.revision),
        other => format!("{other:?}").chars().take(200).collect(),
    }
}
