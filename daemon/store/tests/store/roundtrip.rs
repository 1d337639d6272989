//! What is written is read back, field by field.

use std::sync::Arc;

use sloth_core::record::{ClockEpoch, Decision, Record, Skip, Stats};
use sloth_core::run::{Attempt, Outcome, Reason, RunStatus, RunTrigger, StartFailure, StartFailureKind};
use sloth_core::{AttemptKey, Moment};

use crate::things::*;

#[test]
fn every_field_of_a_schedule() {
    let (dir, store) = store();
    let mut dice = Dice(1);
    let all: Vec<_> = (0..400).map(|_| any_schedule(&mut dice)).collect();
    for s in &all {
        store.write(vec![created(s)]).expect("written");
    }
    store.close();
    let store = open(&dir.path().join("stacks.db")).0;
    for s in &all {
        let found = store.schedule(s.id).expect("read").expect("stored");
        assert_eq!(format!("{:?}", found.schedule), format!("{s:?}"));
        assert_eq!((found.mark, found.next_due), (s.trigger_since, s.first_due()));
    }
}

#[test]
fn counters_of_a_schedule() {
    let (_dir, store, s) = store_with_schedule();
    let stats = Stats {
        runs: 7,
        failures_in_a_row: 2,
        last_success_at: Some(at(1)),
        last_run: Some(run_id(3)),
        last_status: Some(RunStatus::Failed),
        last_reason: Some(Reason::Oom),
        last_ended_at: Some(at(4)),
        last_duration_us: Some(1_500_000),
        fired_boot: Some("boot".into()),
    };
    store.write(vec![Record::ScheduleStats { schedule: s.id, stats: stats.clone() }]).expect("written");
    store.write(vec![Record::Marked { schedule: s.id, mark: at(5), next_due: None }]).expect("written");
    let found = store.schedule_by_name(s.owner, "nightly").expect("read").expect("stored");
    assert_eq!(found.stats, stats);
    assert_eq!((found.mark, found.next_due), (at(5), None));
}

#[test]
fn every_field_of_a_run() {
    let (_dir, store, s) = store_with_schedule();
    let mut dice = Dice(2);
    for n in 0..300 {
        let made = any_run(n, &s, &mut dice);
        store.write(vec![Record::RunCreated(Arc::new(made.clone()))]).expect("written");
        assert_eq!(store.run(made.id).expect("read"), Some(made.clone()));

        let mut changed = any_run(n, &s, &mut dice);
        let (trigger, due_at, epoch) = (made.trigger, made.due_at, made.epoch);
        (changed.trigger, changed.due_at, changed.epoch) = (trigger, due_at, epoch);
        changed.status = RunStatus::Completed;
        store.write(vec![Record::RunChanged(Arc::new(changed.clone()))]).expect("written");
        assert_eq!(store.run(made.id).expect("read"), Some(changed.clone()));

        let task = store.tasks(made.id).expect("read");
        assert_eq!((task[0].name.as_str(), task[0].status.as_str()), ("command", "completed"));
        assert_eq!((task[0].attempts, task[0].ended_at), (changed.attempts, changed.ended_at));
    }
}

#[test]
fn every_end_of_an_attempt() {
    let (_dir, store, s) = store_with_schedule();
    store.write(vec![Record::RunCreated(Arc::new(run(1, &s)))]).expect("written");
    let failure = |kind| Outcome::NotStarted(StartFailure { kind, message: "why".into() });
    let outcomes = [
        Outcome::Exited(3),
        Outcome::Signaled(9),
        Outcome::TimedOut,
        Outcome::Killed,
        Outcome::Oom,
        Outcome::Lost("no trace".into()),
        failure(StartFailureKind::User),
        failure(StartFailureKind::Directory),
        failure(StartFailureKind::Program),
        failure(StartFailureKind::Limit),
        failure(StartFailureKind::Output),
        failure(StartFailureKind::Resources),
        failure(StartFailureKind::Other),
    ];
    let mut dice = Dice(3);
    let mut expected: Vec<Attempt> = Vec::new();
    for (n, outcome) in (1..).zip(outcomes) {
        let mut one = attempt(run_id(1), n);
        one.process = dice.maybe(any_process);
        store.write(vec![Record::AttemptStarted(one.clone())]).expect("written");
        let mut end = end(outcome);
        end.usage = any_usage(&mut dice);
        store.write(vec![Record::AttemptEnded(one.key, Box::new(end.clone()))]).expect("written");
        one.end = Some(end);
        expected.push(one);
    }
    assert_eq!(store.attempts(run_id(1)).expect("read"), expected);
}

#[test]
fn an_attempt_that_never_started_has_only_an_end() {
    let (_dir, store, s) = store_with_schedule();
    store.write(vec![Record::RunCreated(Arc::new(run(1, &s)))]).expect("written");
    let key = AttemptKey { run: run_id(1), attempt: 1 };
    let failure = StartFailure { kind: StartFailureKind::Program, message: "/nope: not found".into() };
    let end = end(Outcome::NotStarted(failure));
    store.write(vec![Record::AttemptEnded(key, Box::new(end.clone()))]).expect("written");
    let expected = Attempt { key, started_at: end.ended_at, process: None, end: Some(end) };
    assert_eq!(store.attempts(run_id(1)).expect("read"), [expected]);
}

#[test]
fn every_decision() {
    let (_dir, store, s) = store_with_schedule();
    let (a, b) = (run_id(1), run_id(2));
    let mut decisions: Vec<Decision> =
        [Skip::Paused, Skip::Overlap { by: a }, Skip::Deadline, Skip::CatchUp, Skip::Quiesced, Skip::Limit]
            .map(Decision::Skipped)
            .into();
    decisions.push(Decision::Coalesced { run: b });
    use RunTrigger::*;
    decisions.extend([Due, CatchUp, Manual, After, Api, Boot].map(|trigger| Decision::Run { run: a, trigger }));
    for (n, decision) in (0..).zip(&decisions) {
        store.write(vec![Record::Decided(due(&s, n), decision.clone())]).expect("written");
    }
    let rows = store.occurrences(s.id, &Default::default(), 100).expect("read");
    let found: Vec<_> = rows.iter().map(|row| row.decision.clone().expect("decided")).collect();
    assert_eq!(found, decisions);
    assert!(rows.iter().all(|row| row.decided_at.is_some()));
}

#[test]
fn clock_epochs_and_named_values() {
    let (_dir, store) = store();
    let first = ClockEpoch { epoch: 0, before: NOON, after: NOON, shift_us: 0, cause: "start" };
    let second = ClockEpoch { epoch: 1, before: at(9), after: at(5), shift_us: -4_000_000, cause: "clock_step" };
    store.write(vec![Record::Epoch(first.clone()), Record::Epoch(second.clone())]).expect("written");
    assert_eq!(store.clock_epochs().expect("read"), [first, second]);
    store.write(vec![Record::Meta("quiesced", Some("maintenance".into()))]).expect("written");
    assert_eq!(store.meta("quiesced").expect("read").as_deref(), Some("maintenance"));
    store.write(vec![Record::Meta("quiesced", None)]).expect("written");
    assert_eq!(store.meta("quiesced").expect("read"), None);
}

#[test]
fn an_event() {
    let (_dir, store) = store();
    let mut one = event(1, "run.completed");
    (one.run, one.task, one.user) = (Some(run_id(1)), Some("command".into()), Some("ann".into()));
    store.write(vec![Record::Event(Box::new(one.clone()))]).expect("written");
    let page = store.events(0, &Default::default(), 10).expect("read");
    let row = &page.items[0];
    assert_eq!((row.seq, row.id, row.kind.as_str(), row.run), (1, one.id, "run.completed", one.run));
    assert_eq!((row.severity, row.at, row.source.as_str()), (one.severity, one.at, "daemon"));
    assert_eq!(
        (row.message.as_str(), row.user.as_deref(), row.task.as_deref()),
        ("event 1", Some("ann"), Some("command"))
    );
    assert_eq!(row.data, r#"{"n":1,"text":"ä \" \\","x":0.25}"#);
    assert_eq!(store.event(one.id).expect("read").as_ref(), Some(row));
}

#[test]
fn a_payload_that_is_too_large_is_cut_to_its_small_fields() {
    let (_dir, store) = store();
    let mut one = event(1, "run.completed");
    one.data.push(("huge", sloth_core::record::Value::Text("x".repeat(300_000))));
    store.write(vec![Record::Event(Box::new(one))]).expect("written");
    let row = &store.events(0, &Default::default(), 10).expect("read").items[0];
    assert!(row.data.starts_with(r#"{"truncated":true,"size":300"#), "{}", row.data);
    assert!(row.data.contains(r#""n":1"#) && !row.data.contains("huge"), "{}", row.data);
}

#[test]
fn an_earlier_revision() {
    let (_dir, store, first) = store_with_schedule();
    let mut second = first.clone();
    (second.revision, second.description) = (2, "changed".into());
    store.write(vec![Record::ScheduleChanged(Arc::new(second.clone()))]).expect("written");
    let read = |n| format!("{:?}", store.schedule_revision(first.id, n).expect("read"));
    assert_eq!(read(1), format!("{:?}", Some(first.clone())));
    assert_eq!(read(2), format!("{:?}", Some(second)));
    assert_eq!(read(3), "None");
    assert_eq!(store.schedule(first.id).expect("read").expect("stored").mark, Moment::from_micros(NOON.micros()));
}
