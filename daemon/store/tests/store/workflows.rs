//! Runs of workflows: what is accepted is there once, whatever is repeated, and goes with its run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sloth_core::record::{Journal, JournalEffect, JournalEvent, JournalRow, Record, Severity};
use sloth_core::run::{CancelWish, Compensation, Reason, Run, RunStatus, WorkflowEnd};
use sloth_core::{EventId, Schedule};
use sloth_store::{RunFilter, Scope, Store, StoreError};

use crate::things::*;

fn made(store: &Store) -> (Schedule, Run) {
    let like = schedule(1, "nightly", "30 2 * * *");
    let source = bundle("main");
    let definition = unlisted(2, &like, &source.sha256);
    let run = workflow_run(2, &definition);
    let records = vec![
        Record::BundleStored(Arc::new(source)),
        Record::Unlisted(Arc::new(definition.clone())),
        Record::RunCreated(Arc::new(run.clone())),
    ];
    store.write(records).expect("written");
    (definition, run)
}

fn journal(store: &Store, rows: Vec<JournalRow>) -> Result<(), StoreError> {
    store.write(vec![Record::Journal(Arc::new(Journal { run: run_id(2), rows }))]).map(|_| ())
}

fn event(n: u64) -> JournalEvent {
    let id = EventId::v7(at(1), n.into());
    let (message, data) = ("done".to_owned(), "{}".to_owned());
    JournalEvent {
        id,
        kind: "task.completed".into(),
        severity: Severity::Info,
        message,
        task: Some("build".into()),
        data,
    }
}

#[test]
fn a_run_comes_back_as_it_was_written_whatever_its_worker_has_said() {
    let (_dir, store) = store();
    let (_, mut run) = made(&store);
    assert_eq!(store.run(run.id).expect("read"), Some(run.clone()));
    run.status = RunStatus::Compensating;
    let part = run.workflow.as_mut().expect("a workflow");
    part.paused = true;
    part.cancel = Some(CancelWish { reason: "enough".into(), compensate: false });
    part.compensation = Compensation::Failed;
    (part.handled, part.lost) = (true, 3);
    let reason = Some(Reason::CompensationFailed);
    part.end = Some(WorkflowEnd { status: RunStatus::Failed, reason, message: Some("no".into()) });
    part.resume_from = Some("ship".into());
    part.compensate_only = true;
    store.write(vec![Record::RunChanged(Arc::new(run.clone()))]).expect("written");
    assert_eq!(store.run(run.id).expect("read"), Some(run.clone()));
    let open = store.unfinished_runs().expect("read");
    assert_eq!(open.items.len(), 1, "a state in which it has not ended: {:?}", open.broken);
    assert_eq!(open.items[0].run, run);
}

#[test]
fn records_count_once_and_none_may_be_missing() {
    let (_dir, store) = store();
    let (_, run) = made(&store);
    let mut rows = rows_of_every_kind();
    rows[4].events.push(event(1));
    journal(&store, rows[..3].to_vec()).expect("the first half");
    journal(&store, rows.clone()).expect("all of it, half of it again");
    journal(&store, rows.clone()).expect("all of it again");
    let page = store.journal(run.id, 0, 100, 1 << 20).expect("read");
    assert_eq!(page.items.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(page.next, None);
    assert_eq!(store.checkpoints(run.id).expect("read").len(), 1);
    assert_eq!(store.artifacts(run.id).expect("read").len(), 1);
    assert_eq!(store.last_event_seq(), 1, "events come with their record, once");
    let refused = journal(&store, vec![row(8, "note", JournalEffect::None)]);
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    assert_eq!(store.journal_end(run.id).expect("read").map(|(last, _)| last), Some(6));
    let tasks = store.tasks(run.id).expect("read");
    let states: Vec<_> = tasks.iter().map(|task| (task.name.as_str(), task.status.as_str())).collect();
    assert_eq!(states, [("build", "completed"), ("ship", "pending")]);
    assert_eq!((tasks[0].stage.as_deref(), tasks[0].started_at), (Some("first"), Some(at(1))));
}

#[test]
fn pages_of_a_journal_are_bounded_in_records_and_bytes() {
    let (_dir, store) = store();
    let (_, run) = made(&store);
    journal(&store, (1..=10).map(|seq| row(seq, "note", JournalEffect::None)).collect()).expect("written");
    let page = store.journal(run.id, 2, 3, 1 << 20).expect("read");
    assert_eq!((page.items[0].seq, page.next), (3, Some(5)));
    let page = store.journal(run.id, 0, 100, 1).expect("read");
    assert_eq!((page.items.len(), page.next), (1, Some(1)), "at least one, however long");
}

#[test]
fn an_unlisted_definition_is_no_schedule_and_goes_with_its_run() {
    let (_dir, store) = store();
    let (definition, run) = made(&store);
    journal(&store, rows_of_every_kind()).expect("written");
    assert!(store.schedules(&Default::default(), 10).expect("read").items.is_empty());
    assert_eq!(
        store.prune_unlisted(Duration::ZERO, 1, NOON + Duration::from_secs(9)).expect("pruned").runs,
        0,
        "it goes on"
    );
    store.write(vec![Record::RunChanged(Arc::new(ended(run.clone(), RunStatus::Completed)))]).expect("written");
    assert_eq!(store.prune_runs(&Scope::All, at(1_000_000)).expect("pruned").runs, 0, "no schedule keeps it");
    let pruned = store.prune_unlisted(Duration::from_secs(1), 10, at(1_000_000)).expect("pruned");
    assert_eq!((pruned.runs, pruned.outputs.len()), (1, 1));
    assert!(store.schedule(definition.id).expect("read").is_none());
    let left = store.status().expect("status").rows;
    for table in
        ["runs", "tasks", "journal", "checkpoints", "artifacts", "workflow_runs", "workflow_executions", "schedules"]
    {
        assert_eq!(left[table], 0, "{table}");
    }
    assert_eq!(
        store.prune_bundles(sloth_core::Moment::from_secs(1_000_000_000)).expect("pruned"),
        0,
        "somebody may be about to use it"
    );
    assert_eq!(store.prune_bundles(at(1_000_000_000)).expect("pruned"), 1);
}

#[test]
fn a_run_that_had_ended_can_go_on_and_no_other() {
    let (_dir, store) = store();
    let (_, run) = made(&store);
    let again = |run: &Run| store.write(vec![Record::RunReopened(Arc::new(run.clone()))]);
    assert!(matches!(again(&run), Err(StoreError::Conflict { .. })), "it has not ended");
    store.write(vec![Record::RunChanged(Arc::new(ended(run.clone(), RunStatus::Failed)))]).expect("written");
    again(&run).expect("reopened");
    assert_eq!(store.run(run.id).expect("read"), Some(run));
}

#[test]
fn runs_are_found_by_what_only_workflows_have() {
    let (_dir, store) = store();
    made(&store);
    let found = |filter: RunFilter| store.runs(&filter, 10).expect("read").items.len();
    let label = |name: &str, value: Option<&str>| Some((name.to_owned(), value.map(str::to_owned)));
    assert_eq!(found(RunFilter { stack: Some("edge".into()), ..RunFilter::default() }), 1);
    assert_eq!(found(RunFilter { stack: Some("other".into()), ..RunFilter::default() }), 0);
    assert_eq!(found(RunFilter { workflow: Some("release".into()), ..RunFilter::default() }), 1);
    assert_eq!(found(RunFilter { label: label("team", Some("web")), ..RunFilter::default() }), 1);
    assert_eq!(found(RunFilter { label: label("team", None), ..RunFilter::default() }), 1);
    assert_eq!(found(RunFilter { label: label("team", Some("db")), ..RunFilter::default() }), 0);
    assert_eq!(found(RunFilter { label: label("x\" OR 1 --", None), ..RunFilter::default() }), 0);
}

/// The benchmark `noop10k`: 20,000 records of one run cost well under 0.4 s of CPU in a release build. Here, in a
/// build for tests, only that nothing is quadratic.
#[test]
fn many_records_are_appended_fast() {
    let (_dir, store) = store();
    let (_, run) = made(&store);
    let begin = Instant::now();
    let mut seq = 0;
    for batch in 0..40 {
        let mut rows = Vec::new();
        for n in 0..250 {
            let name = format!("t{}", batch * 250 + n);
            for status in ["running", "completed"] {
                seq += 1;
                let mut row = row(seq, "task_finished", JournalEffect::Task(Box::new(task(&name, status))));
                row.events.push(event(seq + 10));
                rows.push(row);
            }
        }
        journal(&store, rows).expect("written");
    }
    let took = begin.elapsed();
    println!("20,000 records in {took:?}");
    assert_eq!(store.tasks(run.id).expect("read").len(), 10_000);
    assert!(took < Duration::from_secs(20), "{took:?}");
}
