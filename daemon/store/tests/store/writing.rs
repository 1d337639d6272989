//! The writer: order, groups in which one request fails, limits of the queue, and the watch on events.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};

use sloth_core::record::{Decision, Record, Skip};
use sloth_store::{Committed, OpenOptions, Store, StoreError};

use crate::things::*;

fn told(n: u64) -> Vec<Record> {
    vec![Record::Event(Box::new(event(n, "test.event")))]
}

/// Holds the writer inside a callback until the sender is dropped, so that what is submitted meanwhile becomes a group.
fn hold(store: &Store) -> mpsc::SyncSender<()> {
    let (release, held) = mpsc::sync_channel::<()>(1);
    let (reached, entered) = mpsc::sync_channel(1);
    store.submit(vec![Record::Meta("held", Some("1".into()))], move |_| {
        let _ = reached.send(());
        let _ = held.recv();
    });
    entered.recv().expect("the writer is held");
    release
}

#[test]
fn a_request_that_fails_does_not_hurt_its_neighbours() {
    let (_dir, store, s) = store_with_schedule();
    let skip = |n| Record::Decided(due(&s, n), Decision::Skipped(Skip::Paused));
    let hold = hold(&store);
    let pending: Vec<_> = (0..200)
        .map(|n| {
            // Every third one decides an instant that its predecessor has decided.
            let instant = if n % 3 == 2 { n - 1 } else { n };
            let mut records = told(n as u64);
            records.push(skip(instant));
            store.submit_pending(records)
        })
        .collect();
    drop(hold);
    for (n, pending) in pending.into_iter().enumerate() {
        let result = pending.wait();
        assert_eq!(result.is_err(), n % 3 == 2, "request {n}: {result:?}");
    }
    let events = store.events(0, &Default::default(), 1000).expect("read").items;
    let expected: Vec<_> = (0..200).filter(|n| n % 3 != 2).map(event_id).collect();
    assert_eq!(
        events.iter().map(|e| e.id).collect::<Vec<_>>(),
        expected,
        "failed requests leave nothing, order is kept"
    );
    assert_eq!(store.occurrences(s.id, &Default::default(), 1000).expect("read").len(), expected.len());
}

#[test]
fn a_group_commits_together_and_each_hears_the_last_event() {
    let (_dir, store) = store();
    let hold = hold(&store);
    let pending: Vec<_> = (1..=50).map(|n| store.submit_pending(told(n))).collect();
    drop(hold);
    for pending in pending {
        assert_eq!(pending.wait(), Ok(Committed { event_seq: 50 }));
    }
    assert_eq!(store.last_event_seq(), 50);
}

#[test]
fn requests_are_carried_out_in_order() {
    let (_dir, store) = store();
    let hold = hold(&store);
    for n in 0..1000 {
        store.submit(vec![Record::Meta("n", Some(n.to_string()))], |result| assert!(result.is_ok()));
    }
    drop(hold);
    store.write(vec![]).expect("after the others");
    assert_eq!(store.meta("n").expect("read").as_deref(), Some("999"));
}

#[test]
fn events_wake_the_watch() {
    let (_dir, store) = store();
    let seen = Arc::new(AtomicI64::new(0));
    let mine = seen.clone();
    assert!(store.event_watch(move |seq| mine.store(seq, Ordering::SeqCst)));
    assert!(!store.event_watch(|_| {}), "only one");
    for n in 1..=5 {
        store.write(told(n)).expect("written");
    }
    store.write(vec![Record::Meta("x", None)]).expect("written");
    assert_eq!(seen.load(Ordering::SeqCst), 5);
}

#[test]
fn sequence_numbers_go_on_after_a_restart() {
    let (dir, store) = store();
    store.write(told(1)).expect("written");
    drop(store);
    let store = open(&dir.path().join("stacks.db")).0;
    assert_eq!(store.last_event_seq(), 1);
    assert_eq!(store.write(told(2)), Ok(Committed { event_seq: 2 }));
}

#[test]
fn the_queue_has_a_limit() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = OpenOptions { queue_max: 10, ..OpenOptions::default() };
    let store = Store::open(&dir.path().join("stacks.db"), options).expect("opens").0;
    let hold = hold(&store);
    let results: Vec<_> = (1..=15).map(|n| store.submit_pending(told(n))).collect();
    drop(hold);
    let refused = results.into_iter().map(|p| p.wait()).filter(|r| *r == Err(StoreError::Busy { limit: 10 })).count();
    assert_eq!(refused, 5);
}

#[test]
fn closing_writes_what_is_queued_and_refuses_what_comes_later() {
    let (dir, store) = store();
    let answered = Arc::new(AtomicUsize::new(0));
    for n in 1..=500 {
        let answered = answered.clone();
        store.submit(told(n), move |result| {
            result.expect("written");
            answered.fetch_add(1, Ordering::SeqCst);
        });
    }
    let other = store.clone();
    store.close();
    assert_eq!(answered.load(Ordering::SeqCst), 500);
    assert_eq!(other.write(told(999)), Err(StoreError::Closed));
    assert_eq!(other.meta("x"), Err(StoreError::Closed));
    let (store, opened) = open(&dir.path().join("stacks.db"));
    assert!(!opened.unclean);
    assert_eq!(store.last_event_seq(), 500);
}

#[test]
fn many_callers_at_once() {
    let (_dir, store) = store();
    let barrier = Arc::new(Barrier::new(16));
    std::thread::scope(|scope| {
        for caller in 0..16 {
            let (store, barrier) = (&store, barrier.clone());
            scope.spawn(move || {
                barrier.wait();
                for n in 0..50 {
                    store.write(told(caller * 1000 + n)).expect("written");
                }
            });
        }
    });
    assert_eq!(store.events(0, &Default::default(), 10_000).expect("read").items.len(), 800);
}
