//! What is forgotten, and what never is.

use std::sync::Arc;
use std::time::Duration;

use sloth_core::record::{Decision, Record, Skip};
use sloth_core::run::{RunStatus, RunTrigger};
use sloth_core::{Keep, Schedule};
use sloth_store::{EventLimits, Scope, Store};

use crate::things::*;

const YEAR: Duration = Duration::from_secs(366 * 86_400);

fn kept(runs: u32, age: Duration) -> (tempfile::TempDir, Store, Schedule) {
    let (dir, store) = store();
    let mut s = schedule(1, "nightly", "* * * * *");
    s.keep = Keep { runs, age };
    store.write(vec![created(&s)]).expect("written");
    (dir, store, s)
}

fn add(store: &Store, s: &Schedule, n: u32, status: RunStatus) {
    let mut one = run(n, s);
    one.status = status;
    let one = if status.is_terminal() { ended(one, status) } else { one };
    let decided = Record::Decided(due(s, i64::from(n)), Decision::Run { run: one.id, trigger: RunTrigger::Due });
    let records = vec![decided, Record::RunCreated(Arc::new(one)), Record::AttemptStarted(attempt(run_id(n), 1))];
    store.write(records).expect("written");
}

fn left(store: &Store) -> Vec<i64> {
    let runs = store.runs(&Default::default(), 10_000).expect("read").items;
    runs.iter().rev().map(|r| r.queued_at.secs() - NOON.secs()).collect()
}

#[test]
fn runs_beyond_their_number() {
    use RunStatus::*;
    let (_dir, store, s) = kept(5, YEAR);
    add(&store, &s, 0, Running);
    add(&store, &s, 1, Completed);
    (2..20).for_each(|n| add(&store, &s, n, Failed));
    let pruned = store.prune_runs(&Scope::All, at(100)).expect("pruned");
    assert_eq!(left(&store), [0, 1, 15, 16, 17, 18, 19], "the unfinished one, the last success and the newest five");
    assert_eq!((pruned.runs, pruned.outputs.len()), (13, 13));
    assert_eq!(pruned.outputs[0], format!("runs/2030-03/{}", run_id(2)));
    let rows = store.status().expect("status").rows;
    assert_eq!((rows["runs"], rows["tasks"], rows["attempts"], rows["occurrences"]), (7, 7, 7, 20));
    assert_eq!(store.prune_runs(&Scope::All, at(100)).expect("pruned").runs, 0);
}

#[test]
fn runs_beyond_their_age() {
    let (_dir, store, s) = kept(100, Duration::from_secs(10));
    (0..20).for_each(|n| add(&store, &s, n, RunStatus::Completed));
    store.prune_runs(&Scope::These(vec![s.id]), at(25)).expect("pruned");
    assert_eq!(left(&store), [15, 16, 17, 18, 19]);
    store.prune_runs(&Scope::These(vec![s.id]), at(1000)).expect("pruned");
    assert_eq!(left(&store), [19], "the last one stays");
}

#[test]
fn many_runs_go_in_batches() {
    let (_dir, store, s) = kept(1, YEAR);
    for n in 0..2500 {
        store.submit(vec![Record::RunCreated(Arc::new(ended(run(n, &s), RunStatus::Completed)))], |r| {
            assert!(r.is_ok())
        });
    }
    store.write(vec![]).expect("after the others");
    assert_eq!(store.prune_runs(&Scope::All, at(1)).expect("pruned").runs, 2499);
    assert_eq!(left(&store), [2499]);
}

#[test]
fn revisions_go_with_the_runs_that_need_them() {
    let (_dir, store, mut s) = kept(2, YEAR);
    for n in 0..6 {
        add(&store, &s, n, RunStatus::Completed);
        s.revision += 1;
        store.write(vec![Record::ScheduleChanged(std::sync::Arc::new(s.clone()))]).expect("changed");
    }
    store.prune_runs(&Scope::All, at(1)).expect("pruned");
    let known: Vec<_> = (1..=7).filter(|n| store.schedule_revision(s.id, *n).expect("read").is_some()).collect();
    assert_eq!(known, [5, 6, 7]);
}

#[test]
fn the_ledger_is_folded_without_losing_count() {
    let (_dir, store, s) = kept(3, YEAR);
    for n in 0..3000 {
        let decision = match n % 3 {
            0 => Decision::Skipped(Skip::Paused),
            1 => Decision::Skipped(Skip::CatchUp),
            _ => Decision::Coalesced { run: run_id(9999) },
        };
        store.submit(vec![Record::Decided(due(&s, n), decision)], |r| assert!(r.is_ok()));
    }
    let answered = Decision::Run { run: run_id(5), trigger: RunTrigger::Due };
    let mut of_kept_run = due(&s, 5);
    of_kept_run.epoch = 1;
    store
        .write(vec![
            Record::RunCreated(Arc::new(run(5, &s))),
            Record::Decided(of_kept_run, answered),
            Record::Planned(due(&s, 3001)),
        ])
        .expect("written");
    let folded = store.fold_occurrences(&Scope::All, at(3000)).expect("folded");
    let rows = store.occurrences(s.id, &Default::default(), 10_000).expect("read");
    assert!((1000..=1002).contains(&rows.len()), "{}", rows.len());
    assert_eq!(rows[0].occurrence, of_kept_run, "the row of a run that is kept");
    let summary = store.summary(s.id).expect("read").expect("stored");
    assert_eq!(summary.run + summary.coalesced + summary.skipped, folded as u64);
    assert_eq!(folded + rows.len(), 3002, "each instant is in one place");
    assert_eq!((summary.first_due, summary.skipped, summary.coalesced), (at(0), 1334, 667));
    assert_eq!(summary.skipped_by.iter().map(|(_, n)| n).sum::<u64>(), summary.skipped);
    assert_eq!(store.fold_occurrences(&Scope::All, at(3000)).expect("folded"), 0);
    // Old ones go further down, to a hundred.
    store.fold_occurrences(&Scope::All, at(3000) + YEAR + YEAR).expect("folded");
    let rows = store.occurrences(s.id, &Default::default(), 10_000).expect("read").len();
    assert!((100..=102).contains(&rows), "{rows}");
}

#[test]
fn events_and_answers() {
    let (_dir, store) = store();
    for n in 1..=200 {
        store.write(vec![Record::Event(Box::new(event(n, "test.event")))]).expect("written");
    }
    let limits = EventLimits { rows: 50, ..EventLimits::default() };
    let (store_now, later) = (sloth_core::Moment::from_secs(0), sloth_core::Moment::MAX);
    assert_eq!(store.prune_events(limits, store_now).expect("pruned"), 150);
    assert_eq!(store.first_event_seq().expect("read"), Some(151));
    assert_eq!(store.prune_events(EventLimits::default(), later).expect("pruned"), 49, "the last one keeps the number");
    store.remember_answer("key", sloth_core::Uid(1), "hash", "{}").expect("remembered");
    assert_eq!(store.prune_answers(store_now).expect("pruned"), 0);
    assert_eq!(store.prune_answers(later).expect("pruned"), 1);
    store.shrink(1000).expect("shrunk");
    store.vacuum().expect("vacuumed");
    // The store's own checkpointer may be at it at this moment; it is not for long.
    let done = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        !store.checkpoint(true).expect("checkpoint").busy
    });
    assert!(done, "something stands in the way of the checkpoint");
    assert_eq!(store.integrity_check().expect("check"), [] as [String; 0]);
}
