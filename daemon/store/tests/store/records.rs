//! What each record does to what is there already: conflicts, things that do not exist, marks and claims.

use std::sync::Arc;

use sloth_core::record::{Decision, Fold, Rebase, Record, Skip};
use sloth_core::run::{Outcome, RunStatus, RunTrigger};
use sloth_core::{Schedule, Uid};
use sloth_store::{Store, StoreError};

use crate::things::*;

fn conflict(store: &Store, record: Record) -> String {
    match store.write(vec![record]) {
        Err(StoreError::Conflict { what }) => what,
        other => panic!("expected a conflict, got {other:?}"),
    }
}

fn missing(store: &Store, record: Record) -> String {
    match store.write(vec![record]) {
        Err(StoreError::NotFound { what }) => what,
        other => panic!("expected that it does not exist, got {other:?}"),
    }
}

fn decide(s: &Schedule, seconds: i64) -> Record {
    Record::Decided(due(s, seconds), Decision::Run { run: run_id(1), trigger: RunTrigger::Due })
}

fn marks(store: &Store, s: &Schedule) -> (i64, Option<i64>) {
    let found = store.schedule(s.id).expect("read").expect("stored");
    let relative = |m: sloth_core::Moment| m.micros() - NOON.micros();
    (relative(found.mark), found.next_due.map(relative))
}

fn planned(store: &Store) -> Vec<i64> {
    let found = store.planned_occurrences(100, None).expect("read");
    found.iter().map(|o| o.due_at.secs() - NOON.secs()).collect()
}

#[test]
fn an_instant_is_decided_once() {
    let (_dir, store, s) = store_with_schedule();
    store.write(vec![Record::Planned(due(&s, 1))]).expect("claimed");
    store.write(vec![Record::Planned(due(&s, 1))]).expect("claimed twice is claimed");
    assert_eq!(planned(&store), [1]);
    store.write(vec![decide(&s, 1)]).expect("decided");
    assert_eq!(planned(&store), [] as [i64; 0]);
    assert!(conflict(&store, decide(&s, 1)).contains("already decided"));
    assert!(conflict(&store, Record::Decided(due(&s, 1), Decision::Skipped(Skip::Paused))).contains("already decided"));
    assert!(conflict(&store, Record::Planned(due(&s, 1))).contains("already decided"));
    let row = store.occurrence(&due(&s, 1)).expect("read").expect("stored");
    assert_eq!(row.decision, Some(Decision::Run { run: run_id(1), trigger: RunTrigger::Due }));
    store.write(vec![decide(&s, 2)]).expect("decided without a claim");
    let mut later = due(&s, 1);
    later.epoch = 1;
    store.write(vec![Record::Planned(later)]).expect("the same time in another epoch is another instant");
}

#[test]
fn one_conflict_undoes_its_whole_request() {
    let (_dir, store, s) = store_with_schedule();
    store.write(vec![decide(&s, 1)]).expect("decided");
    let records =
        vec![Record::RunCreated(Arc::new(run(5, &s))), Record::Event(Box::new(event(1, "run.queued"))), decide(&s, 1)];
    store.write(records).expect_err("decided twice");
    assert_eq!(store.run(run_id(5)).expect("read"), None);
    assert_eq!(store.events(0, &Default::default(), 10).expect("read").items, []);
    assert_eq!(store.last_event_seq(), 0);
}

#[test]
fn names_are_unique_per_owner_among_the_living() {
    let (_dir, store, s) = store_with_schedule();
    let twin = schedule(2, "nightly", "@daily");
    assert_eq!(conflict(&store, created(&twin)), "user ann already has a schedule named nightly");
    assert!(conflict(&store, created(&s)).contains("already has a schedule named nightly"));
    let mut other = twin.clone();
    other.owner = Uid(1001);
    store.write(vec![created(&other)]).expect("another owner's");
    store.write(vec![Record::ScheduleDeleted { schedule: s.id, at: at(1), epoch: 0 }]).expect("deleted");
    let mut again = twin;
    again.id = schedule_id(3);
    store.write(vec![created(&again)]).expect("the name is free");
    assert!(store.deleted_at(s.id).expect("read").is_some());
    assert!(store.schedule(s.id).expect("read").is_some(), "its history stays");
}

#[test]
fn revisions_follow_each_other() {
    let (_dir, store, mut s) = store_with_schedule();
    let change = |s: &Schedule| Record::ScheduleChanged(Arc::new(s.clone()));
    s.revision = 3;
    assert!(conflict(&store, change(&s)).contains("is at revision 1, revision 3 cannot follow"));
    s.revision = 2;
    store.write(vec![change(&s)]).expect("changed");
    assert!(conflict(&store, change(&s)).contains("is at revision 2"));
    let ghost = schedule(9, "ghost", "@daily");
    missing(&store, change(&ghost));
}

#[test]
fn a_new_trigger_begins_where_it_was_set() {
    let (_dir, store, mut s) = store_with_schedule();
    store
        .write(vec![
            Record::Planned(due(&s, 50)),
            Record::Planned(due(&s, 150)),
            Record::Marked { schedule: s.id, mark: at(150), next_due: Some(at(200)) },
        ])
        .expect("claimed");
    s.revision = 2;
    store.write(vec![Record::ScheduleChanged(Arc::new(s.clone()))]).expect("another field");
    assert_eq!((planned(&store), marks(&store, &s)), (vec![50, 150], (150_000_000, Some(200_000_000))));
    (s.revision, s.trigger_since, s.trigger_text) = (3, at(100), "0 4 * * *".into());
    store.write(vec![Record::ScheduleChanged(Arc::new(s.clone()))]).expect("another trigger");
    // Nobody has to look at it before its first instant.
    let first = |s: &Schedule| s.first_due().map(|at| at.micros() - NOON.micros());
    assert!(first(&s).is_some_and(|at| at > 100_000_000));
    assert_eq!((planned(&store), marks(&store, &s)), (vec![50], (100_000_000, first(&s))));
    let history = store.trigger_history(s.id).expect("read");
    let spans: Vec<_> = history.iter().map(|t| (t.trigger.as_str(), t.valid_from, t.valid_to, t.revision)).collect();
    assert_eq!(spans, [("30 2 * * *", NOON, Some((at(100), 0)), 1), ("0 4 * * *", at(100), None, 3)]);
    // A clock that was set back: earlier by its face, later by its epoch.
    (s.revision, s.trigger_since, s.trigger_epoch) = (4, at(20), 1);
    store.write(vec![Record::ScheduleChanged(Arc::new(s.clone()))]).expect("after a clock step");
    assert_eq!(marks(&store, &s), (20_000_000, first(&s)));
    let periods = store.periods(s.id).expect("read");
    assert_eq!(periods.len(), 3);
    assert_eq!((periods[1].to, periods[2].from, periods[2].from_epoch), (Some((at(20), 1)), at(20), 1));
}

#[test]
fn deleting_closes_the_trigger_and_takes_claims_back() {
    let (_dir, store, s) = store_with_schedule();
    store.write(vec![Record::Planned(due(&s, 50)), Record::Planned(due(&s, 150))]).expect("claimed");
    let delete = Record::ScheduleDeleted { schedule: s.id, at: at(100), epoch: 0 };
    store.write(vec![delete.clone()]).expect("deleted");
    assert_eq!(planned(&store), [50], "what was due before is still to be decided");
    assert_eq!(store.trigger_history(s.id).expect("read")[0].valid_to, Some((at(100), 0)));
    assert_eq!(store.due_schedules(at(1_000_000), 10, None).expect("read").items.len(), 0);
    assert!(store.schedule_by_name(s.owner, "nightly").expect("read").is_none());
    missing(&store, delete);
}

#[test]
fn taking_all_claims_back_returns_the_marks() {
    let (_dir, store, s) = store_with_schedule();
    let other = schedule(2, "other", "@daily");
    store
        .write(vec![created(&other), Record::Marked { schedule: other.id, mark: at(7), next_due: None }])
        .expect("made");
    let mut records: Vec<_> = [30, 10, 20].map(|n| Record::Planned(due(&s, n))).into();
    records.push(Record::Marked { schedule: s.id, mark: at(30), next_due: Some(at(40)) });
    store.write(records).expect("claimed");
    store.write(vec![decide(&s, 10)]).expect("decided");
    store.write(vec![Record::Unplanned]).expect("taken back");
    assert_eq!(planned(&store), [] as [i64; 0]);
    assert_eq!(marks(&store, &s), (20_000_000 - 1, Some(20_000_000)));
    assert_eq!(marks(&store, &other), (7_000_000, None));
    assert!(store.occurrence(&due(&s, 10)).expect("read").is_some(), "decisions stay");
}

#[test]
fn a_set_clock_moves_marks_by_kind() {
    let (_dir, store) = store();
    let kinds = [
        ("fixed", "30 2 * * *"),
        ("interval", "*/5 * * * *"),
        ("every", "@every 90s"),
        ("once", "@at 2031-01-01T09:00"),
        ("hand", "manual"),
    ];
    let all: Vec<_> = (1..).zip(kinds).map(|(n, (name, trigger))| schedule(n, name, trigger)).collect();
    for s in &all {
        store
            .write(vec![created(s), Record::Marked { schedule: s.id, mark: at(100), next_due: Some(at(120)) }])
            .expect("made");
    }
    let gone = schedule(9, "gone", "*/5 * * * *");
    store
        .write(vec![created(&gone), Record::Marked { schedule: gone.id, mark: at(100), next_due: None }])
        .expect("made");
    store
        .write(vec![Record::Rebased {
            fixed: Rebase::AtMost(at(500)),
            interval: Rebase::AtMost(at(60)),
            every: Rebase::To(at(300)),
        }])
        .expect("moved");
    let found: Vec<_> = all.iter().map(|s| marks(&store, s)).collect();
    let s = 1_000_000;
    let stay = (100 * s, Some(120 * s));
    assert_eq!(found, [stay, (60 * s, Some(60 * s)), (300 * s, Some(300 * s)), stay, stay]);
    assert_eq!(marks(&store, &gone), (100 * s, None));
}

#[test]
fn folds_add_up() {
    let (_dir, store, s) = store_with_schedule();
    let fold = |from, to, skipped| Record::Folded(Fold { schedule: s.id, from: at(from), to: at(to), skipped });
    store.write(vec![fold(100, 200, 5)]).expect("folded");
    store.write(vec![fold(20, 150, 7)]).expect("folded");
    let summary = store.summary(s.id).expect("read").expect("stored");
    assert_eq!((summary.first_due, summary.last_due, summary.skipped, summary.run), (at(20), at(200), 12, 0));
    assert_eq!(summary.skipped_by.iter().find(|(word, _)| *word == "catch_up"), Some(&("catch_up", 12)));
}

#[test]
fn a_run_that_has_ended_stays_ended() {
    let (_dir, store, s) = store_with_schedule();
    let one = run(1, &s);
    store.write(vec![Record::RunCreated(Arc::new(one.clone()))]).expect("made");
    assert!(conflict(&store, Record::RunCreated(Arc::new(one.clone()))).contains("exists"));
    store.write(vec![Record::RunChanged(Arc::new(ended(one.clone(), RunStatus::Failed)))]).expect("ended");
    assert!(conflict(&store, Record::RunChanged(Arc::new(one))).contains("has ended (failed)"));
    missing(&store, Record::RunChanged(Arc::new(run(2, &s))));
    let ghost = schedule(9, "ghost", "@daily");
    assert!(missing(&store, Record::RunCreated(Arc::new(run(3, &ghost)))).contains(&ghost.id.to_string()));
}

#[test]
fn an_attempt_ends_once() {
    let (_dir, store, s) = store_with_schedule();
    store.write(vec![Record::RunCreated(Arc::new(run(1, &s)))]).expect("made");
    let one = attempt(run_id(1), 1);
    store.write(vec![Record::AttemptStarted(one.clone())]).expect("started");
    let mut again = one.clone();
    again.started_at = at(3);
    store.write(vec![Record::AttemptStarted(again)]).expect("recorded again before it was released");
    assert_eq!(store.attempts(run_id(1)).expect("read")[0].started_at, at(3));
    let over = |outcome| Record::AttemptEnded(one.key, Box::new(end(outcome)));
    store.write(vec![over(Outcome::Exited(0))]).expect("ended");
    store.write(vec![over(Outcome::Exited(0))]).expect("the same report again");
    assert!(conflict(&store, over(Outcome::Killed)).contains("ended otherwise"));
    assert!(conflict(&store, Record::AttemptStarted(one.clone())).contains("has ended"));
    missing(&store, Record::AttemptStarted(attempt(run_id(9), 1)));
}

#[test]
fn records_about_missing_schedules_say_so() {
    let (_dir, store) = store();
    let ghost = schedule(9, "ghost", "@daily");
    let id = ghost.id.to_string();
    assert!(missing(&store, Record::Planned(due(&ghost, 1))).contains(&id));
    assert!(missing(&store, decide(&ghost, 1)).contains(&id));
    assert!(missing(&store, Record::Marked { schedule: ghost.id, mark: NOON, next_due: None }).contains(&id));
    assert!(missing(&store, Record::ScheduleStats { schedule: ghost.id, stats: Default::default() }).contains(&id));
    assert!(
        missing(&store, Record::Folded(Fold { schedule: ghost.id, from: NOON, to: NOON, skipped: 1 })).contains(&id)
    );
}

#[test]
fn event_ids_and_answers_are_kept_once() {
    let (_dir, store) = store();
    store.write(vec![Record::Event(Box::new(event(1, "run.queued")))]).expect("written");
    assert!(conflict(&store, Record::Event(Box::new(event(1, "run.queued")))).contains("exists"));
    store.remember_answer("key", Uid(1000), "hash", "{}").expect("remembered");
    let error = store.remember_answer("key", Uid(1000), "other", "{}").expect_err("there is one");
    assert_eq!(error.code(), "conflict");
    store.remember_answer("key", Uid(1001), "other", "{}").expect("another user's key");
    assert_eq!(store.answer("key", Uid(1000)).expect("read").expect("stored").body_hash, "hash");
}

#[test]
fn reread_lowers_what_comes_next_to_the_mark() {
    let (_dir, store, s) = store_with_schedule();
    store
        .write(vec![Record::Marked { schedule: s.id, mark: at(100), next_due: Some(at(9000)) }, Record::Reread])
        .expect("lowered");
    assert_eq!(marks(&store, &s), (100_000_000, Some(100_000_000)));
}
