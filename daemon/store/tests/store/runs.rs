//! Runs: pages, a part of an id, what recovery reads and what the views ask.

use std::sync::Arc;

use sloth_core::Uid;
use sloth_core::record::Record;
use sloth_core::run::{RunStatus, RunTrigger};
use sloth_store::{EventFilter, RunFilter, Store, StoreError};

use crate::things::*;

fn many_runs() -> (tempfile::TempDir, Store) {
    let (dir, store, s) = store_with_schedule();
    let mut other = schedule(2, "other", "30 2 * * *");
    other.owner = Uid(1001);
    store.write(vec![created(&other)]).expect("written");
    for n in 0..40 {
        let mut one = run(n, if n % 4 == 0 { &other } else { &s });
        one.trigger = if n % 10 == 0 { RunTrigger::CatchUp } else { RunTrigger::Due };
        let status = [RunStatus::Completed, RunStatus::Failed, RunStatus::Queued, RunStatus::Running][n as usize % 4];
        let one = if status.is_terminal() { ended(one, status) } else { sloth_core::run::Run { status, ..one } };
        store.write(vec![Record::RunCreated(Arc::new(one))]).expect("written");
    }
    (dir, store)
}

#[test]
fn runs_in_pages() {
    let (_dir, store) = many_runs();
    let numbers = |filter: RunFilter| {
        let mut filter = filter;
        let mut numbers = Vec::new();
        loop {
            let page = store.runs(&filter, 7).expect("read");
            numbers.extend(page.items.iter().map(|r| r.queued_at.secs() - NOON.secs()));
            match page.next {
                Some(key) => filter.after = Some(key),
                None => return numbers,
            }
        }
    };
    let all = RunFilter::default;
    assert_eq!(numbers(all()), (0..40).rev().collect::<Vec<_>>());
    assert_eq!(numbers(RunFilter { oldest_first: true, ..all() }), (0..40).collect::<Vec<_>>());
    let other: Vec<i64> = (0..40).rev().filter(|n| n % 4 == 0).collect();
    assert_eq!(numbers(RunFilter { schedule: Some(schedule_id(2)), ..all() }), other);
    assert_eq!(numbers(RunFilter { owner: Some(Uid(1001)), ..all() }), other);
    assert_eq!(numbers(RunFilter { schedule_name: Some("other".into()), ..all() }), other);
    assert_eq!(numbers(RunFilter { since: Some(at(37)), ..all() }), [39, 38, 37]);
    assert_eq!(numbers(RunFilter { until: Some(at(3)), ..all() }), [2, 1, 0]);
    assert_eq!(numbers(RunFilter { trigger: Some(RunTrigger::CatchUp), ..all() }), [30, 20, 10, 0]);
    let of = |status: &[RunStatus]| RunFilter { status: status.to_vec(), ..all() };
    assert_eq!(numbers(of(&[RunStatus::Failed])).len(), 10);
    assert_eq!(numbers(of(&[RunStatus::Queued, RunStatus::Running])).len(), 20);
    assert_eq!(numbers(of(&[RunStatus::Failed, RunStatus::Running])).len(), 20);
}

#[test]
fn runs_by_a_part_of_their_id() {
    let (_dir, store) = many_runs();
    let whole = run_id(7).to_string();
    let found = |text: &str| store.run_by_text(text).map(|r| r.id);
    assert_eq!(found(&whole), Ok(run_id(7)));
    assert_eq!(found(&whole.to_uppercase()), Ok(run_id(7)));
    assert_eq!(found(&whole[28..]), Ok(run_id(7)), "the end");
    assert_eq!(found(&whole[..30]), Ok(run_id(7)), "the beginning");
    assert!(matches!(found(&whole[..8]), Err(StoreError::Ambiguous { .. })));
    for text in ["", "12345", "zzzzzz", "ffffffff", "%%%%%%"] {
        assert!(matches!(found(text), Err(StoreError::NotFound { .. })), "{text:?}");
    }
}

#[test]
fn recovery_reads_what_is_open() {
    let (_dir, store) = many_runs();
    let id = schedule_id(1);
    let mut changed = store.schedule(id).expect("read").expect("stored").schedule.as_ref().clone();
    (changed.revision, changed.umask) = (2, 0o77);
    store.write(vec![Record::ScheduleChanged(Arc::new(changed))]).expect("changed");
    let begun = attempt(run_id(3), 1);
    store.write(vec![Record::AttemptStarted(begun.clone())]).expect("written");
    let open = store.unfinished_runs().expect("read");
    assert_eq!((open.items.len(), open.broken.len()), (20, 0));
    let one = open.items.iter().find(|o| o.run.schedule == id).expect("there are some");
    assert_eq!((one.schedule.revision, one.schedule.umask), (1, 0o22));
    assert_eq!((one.today.schedule.revision, one.today.schedule.umask), (2, 0o77));
    assert!(open.items.is_sorted_by_key(|o| o.run.id));
    assert_eq!(store.unfinished_attempts().expect("read")[&run_id(3)], [begun]);
}

#[test]
fn what_comes_next_is_known_as_soon_as_it_is_added() {
    let (_dir, store) = store();
    for (n, trigger) in [(1, "manual"), (2, "0 0 1 1 *"), (3, "30 13 * * *"), (4, "0 14 * * *")] {
        store.write(vec![created(&schedule(n, &format!("s{n}"), trigger))]).expect("written");
    }
    let next = store.next_due_hint(NOON).expect("read").expect("there is one");
    assert_eq!((next.schedule.name.as_str(), next.next_due), ("s3", next.schedule.first_due()));
}

#[test]
fn what_the_views_ask() {
    let (_dir, store) = many_runs();
    let open = store.open_runs(None).expect("read");
    assert_eq!(open[&schedule_id(1)], (10, 10));
    assert_eq!(store.open_runs(Some(schedule_id(2))).expect("read").len(), 0);
    store
        .write(vec![Record::Marked { schedule: schedule_id(2), mark: at(9), next_due: Some(at(99)) }])
        .expect("written");
    let next = store.next_due_hint(at(1)).expect("read").expect("there is one");
    assert_eq!((next.schedule.id, next.next_due), (schedule_id(2), Some(at(99))));
    assert!(store.database_bytes() > 4096);
    store.delete_run(run_id(0)).expect("it has ended");
    assert!(matches!(store.delete_run(run_id(2)), Err(StoreError::NotFound { .. })), "it is queued");
    assert_eq!(store.run(run_id(0)).expect("read"), None);
    let own = EventFilter { owner: Some(Uid(1000)), ..EventFilter::default() };
    let mut one = event(1, "schedule.created");
    one.data.push(("schedule_id", sloth_core::record::Value::Text(schedule_id(1).to_string())));
    store
        .write(vec![Record::Event(Box::new(one)), Record::Event(Box::new(event(2, "system.startup")))])
        .expect("written");
    assert_eq!(store.events(0, &own, 10).expect("read").items.len(), 1);
}
