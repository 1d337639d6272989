//! Databases of released versions open for ever. `fixtures/v1.db` holds a row of each table of version 1.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sloth_core::record::{Circuit, ClockEpoch, Decision, Fold, Journal, Record, Saved};
use sloth_core::run::{Outcome, RunStatus, RunTrigger};
use sloth_store::VERSION;

use crate::things::*;

fn fixture(version: i64) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/v{version}.db"))
}

/// Something in every table.
fn fill(store: &sloth_store::Store) {
    let mut s = schedule(1, "nightly", "30 2 * * *");
    let mut records = vec![created(&s)];
    s.revision = 2;
    records.push(Record::ScheduleChanged(std::sync::Arc::new(s.clone())));
    records.push(Record::Decided(due(&s, 1), Decision::Run { run: run_id(1), trigger: RunTrigger::Due }));
    records.push(Record::Planned(due(&s, 2)));
    records.push(Record::Folded(Fold { schedule: s.id, from: at(-9), to: at(-1), skipped: 3 }));
    records.push(Record::RunCreated(Arc::new(run(1, &s))));
    records.push(Record::AttemptStarted(attempt(run_id(1), 1)));
    records.push(Record::AttemptEnded(attempt(run_id(1), 1).key, Box::new(end(Outcome::Exited(0)))));
    records.push(Record::RunChanged(Arc::new(ended(run(1, &s), RunStatus::Completed))));
    records.push(Record::Event(Box::new(event(1, "run.completed"))));
    records.push(Record::Audit(Box::new(audit(1))));
    records.extend(workflow(&s));
    records.push(Record::Epoch(ClockEpoch { epoch: 0, before: NOON, after: NOON, shift_us: 0, cause: "start" }));
    store.write(records).expect("written");
    store.remember_answer("key", s.owner, "hash", "{}").expect("remembered");
}

/// A run of a workflow with all that belongs to it.
fn workflow(s: &sloth_core::Schedule) -> Vec<Record> {
    let source = bundle("main");
    let definition = unlisted(2, s, &source.sha256);
    let run = workflow_run(2, &definition);
    let saved = Saved {
        owner: s.owner,
        name: "report".into(),
        description: String::new(),
        bundle: source.sha256.clone(),
        main: "main.sloth".into(),
        active: true,
    };
    let circuit = Circuit {
        name: "edge/api".into(),
        state: "open",
        failures: 5,
        opened_at: Some(NOON),
        retry_at: Some(NOON),
        settings: "{}".into(),
    };
    vec![
        Record::BundleStored(Arc::new(source)),
        Record::Unlisted(Arc::new(definition)),
        Record::RunCreated(Arc::new(run)),
        Record::Journal(Arc::new(Journal { run: run_id(2), rows: rows_of_every_kind() })),
        Record::WorkflowSaved(Box::new(saved)),
        Record::Circuit(Box::new(circuit)),
    ]
}

/// Tables that came with version 3.
const SINCE_3: [&str; 8] =
    ["artifacts", "bundles", "checkpoints", "circuits", "journal", "workflow_executions", "workflow_runs", "workflows"];

/// Makes the fixture of a version that has just been finished: once, then never again.
#[test]
#[ignore = "makes the fixture of the present version"]
fn make() {
    let to = fixture(VERSION);
    assert!(!to.exists(), "a released database is never made again");
    let (dir, store) = store();
    fill(&store);
    store.checkpoint(true).expect("checkpoint");
    store.close();
    fs::copy(dir.path().join("stacks.db"), to).expect("copied");
}

#[test]
fn every_released_version_opens() {
    for version in 1..=VERSION {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("stacks.db");
        fs::copy(fixture(version), &path).expect("the fixture is checked in");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
        let (store, opened) = open(&path);
        assert_eq!(opened.migrated_from, (version < VERSION).then_some(version));
        assert_eq!(opened.backup.is_some(), version < VERSION);
        let rows = store.status().expect("status").rows;
        let was_there = |table: &str| version >= 3 || !SINCE_3.contains(&table);
        let full = rows.iter().all(|(table, n)| *n > 0 || !was_there(table));
        assert!(full, "version {version} has a row in each table: {rows:?}");
        assert_eq!(store.integrity_check().expect("check"), [] as [String; 0]);
        let found = store.schedule(schedule_id(1)).expect("read").expect("stored");
        assert_eq!((found.schedule.name.as_str(), found.schedule.revision), ("nightly", 2));
        assert!(store.schedule_revision(schedule_id(1), 1).expect("read").is_some());
        assert_eq!(store.run(run_id(1)).expect("read").expect("stored").status, RunStatus::Completed);
        assert_eq!(store.attempts(run_id(1)).expect("read")[0].end, Some(end(Outcome::Exited(0))));
        assert_eq!(store.planned_occurrences(9, None).expect("read"), [due(&found.schedule, 2)]);
        assert_eq!(store.tasks(run_id(1)).expect("read")[0].status, "completed");
        if version >= 3 {
            let run = store.run(run_id(2)).expect("read").expect("stored");
            assert_eq!(run.workflow.map(|workflow| workflow.action.stack.clone()).as_deref(), Some("edge"));
            assert_eq!(store.journal_end(run_id(2)).expect("read").map(|(last, _)| last), Some(6));
        }
        assert_eq!(store.audit_verify().expect("read"), Ok(1));
        assert_eq!(store.periods(schedule_id(1)).expect("read").len(), 1);
        store.write(vec![Record::Event(Box::new(event(2, "run.queued")))]).expect("it can be written");
    }
}
