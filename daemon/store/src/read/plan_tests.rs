//! How SQLite carries out the hot queries. A change that makes one of them read a whole table, or sort, fails here.

use rusqlite::types::Value;
use sloth_core::run::RunStatus;
use sloth_core::{Moment, RunId, ScheduleId, Uid};

use super::{EventFilter, OccurrenceFilter, RunFilter, ScheduleFilter, feed, occurrences, runs, schedules};
use crate::{OpenOptions, Store};

/// The plan, one step per line, and that nothing is sorted.
fn plan(sql: &str, values: Vec<Value>) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(&dir.path().join("stacks.db"), OpenOptions::default()).expect("opens").0;
    let steps: Vec<String> = store
        .read(|conn| {
            let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
            let n = statement.parameter_count();
            let values = values.into_iter().chain(std::iter::repeat(Value::Null)).take(n);
            let rows = statement.query_map(rusqlite::params_from_iter(values), |row| row.get(3))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .expect("a plan");
    let steps = steps.join("\n");
    assert!(!steps.contains("USE TEMP B-TREE"), "{sql}\nsorts: {steps}");
    steps
}

#[track_caller]
fn check((sql, values): (String, Vec<Value>), expected: &str) {
    assert_eq!(plan(&sql, values), expected, "{sql}");
}

fn schedule_sql(condition: &str) -> (String, Vec<Value>) {
    (format!("{} {condition}", schedules::SELECT), vec![])
}

fn id() -> ScheduleId {
    ScheduleId::v7(Moment::from_secs(0), 1)
}

fn run() -> RunId {
    RunId::v7(Moment::from_secs(0), 1)
}

#[test]
fn schedules_are_found_by_index() {
    check(
        schedule_sql(schedules::DUE),
        "SEARCH schedules USING INDEX schedules_due ((next_due,id)>(?,?) AND next_due<?)",
    );
    check(schedule_sql(schedules::BY_NAME), "SEARCH schedules USING INDEX schedules_name (owner=? AND name=?)");
    check(schedule_sql(schedules::FOLLOWERS), "SCAN schedules USING INDEX schedules_after");
    check(schedule_sql(schedules::OF_FILES), "SEARCH schedules USING INDEX schedules_file (file>?)");
    check(schedule_sql(schedules::REBOOTS), "SCAN schedules USING INDEX schedules_reboot");
    let highest = (schedules::HIGHEST_MARK.to_owned(), vec![]);
    check(highest, "SEARCH schedules USING COVERING INDEX schedules_due (next_due>?)");
}

#[test]
fn pages_of_schedules_need_no_sorting() {
    let all = ScheduleFilter::default();
    check(schedules::list_sql(&all, 50), "SCAN schedules USING INDEX schedules_name");
    let next = ScheduleFilter { after: Some((Uid(1), "a".into())), ..ScheduleFilter::default() };
    check(schedules::list_sql(&next, 50), "SEARCH schedules USING INDEX schedules_name ((owner,name)>(?,?))");
    let own = ScheduleFilter { owner: Some(Uid(1)), ..next };
    check(schedules::list_sql(&own, 50), "SEARCH schedules USING INDEX schedules_name (owner=? AND name>?)");
}

#[test]
fn the_ledger_is_read_along_its_key() {
    let planned = format!("SELECT schedule_id FROM occurrences {}", occurrences::PLANNED);
    check(
        (planned, vec![]),
        "SEARCH occurrences USING COVERING INDEX occurrences_planned ((due_at,schedule_id,clock_epoch)>(?,?,?))",
    );
    let at = Some(Moment::from_secs(1));
    for newest_first in [false, true] {
        let filter = OccurrenceFilter { since: at, until: at, newest_first, after: None };
        let expected = "SEARCH occurrences USING PRIMARY KEY (schedule_id=? AND due_at>? AND due_at<?)";
        check(occurrences::list_sql(id(), &filter, 50), expected);
    }
    let next = OccurrenceFilter { after: Some((Moment::from_secs(1), 0)), ..OccurrenceFilter::default() };
    let expected = "SEARCH occurrences USING PRIMARY KEY (schedule_id=? AND (due_at,clock_epoch)>(?,?))";
    check(occurrences::list_sql(id(), &next, 50), expected);
}

#[test]
fn pages_of_runs_need_no_sorting() {
    const JOINED: &str = "SEARCH workflow_runs USING INDEX sqlite_autoindex_workflow_runs_1 (run_id=?) LEFT-JOIN";
    let check = |list: (String, Vec<Value>), expected: &str| check(list, &format!("{expected}\n{JOINED}"));
    let list = |filter: RunFilter| runs::list_sql(&filter, 50);
    let all = RunFilter::default;
    check(list(all()), "SCAN runs USING INDEX sqlite_autoindex_runs_1");
    check(list(RunFilter { after: Some(run()), ..all() }), "SEARCH runs USING INDEX sqlite_autoindex_runs_1 (id<?)");
    let since = RunFilter { since: Some(Moment::from_secs(9)), ..all() };
    check(list(since), "SEARCH runs USING INDEX sqlite_autoindex_runs_1 (id>?)");
    let of = RunFilter { schedule: Some(id()), after: Some(run()), ..all() };
    check(list(of), "SEARCH runs USING INDEX runs_schedule (schedule_id=? AND id<?)");
    let own = RunFilter { owner: Some(Uid(1)), after: Some(run()), ..all() };
    check(list(own), "SEARCH runs USING INDEX runs_owner (owner=? AND id<?)");
    let failed = RunFilter { status: vec![RunStatus::Failed], ..all() };
    check(list(failed), "SCAN runs USING INDEX runs_failed");
    let open = RunFilter { status: vec![RunStatus::Queued, RunStatus::Running], ..all() };
    check(list(open), "SCAN runs USING INDEX runs_unfinished");
    let prefix = plan(runs::BY_PREFIX, vec![]);
    assert_eq!(prefix, "SEARCH runs USING COVERING INDEX sqlite_autoindex_runs_1 (id>? AND id<?)");
    let suffix = plan(runs::BY_SUFFIX, vec![]);
    assert!(suffix.starts_with("SCAN runs USING COVERING INDEX"), "only ids are read: {suffix}");
}

#[test]
fn the_feed_is_read_along_its_key() {
    let list = |filter: EventFilter| feed::list_sql(5, &filter, 50);
    let all = EventFilter::default;
    check(list(all()), "SEARCH events USING INTEGER PRIMARY KEY (rowid>?)");
    check(list(EventFilter { newest_first: true, ..all() }), "SEARCH events USING INTEGER PRIMARY KEY (rowid<?)");
    let globs = EventFilter { types: vec!["run.*".into(), "*.failed".into()], ..all() };
    check(list(globs), "SEARCH events USING INTEGER PRIMARY KEY (rowid>?)");
    let of_run = EventFilter { run: Some(run()), ..all() };
    check(list(of_run), "SEARCH events USING INDEX events_run_id (run_id=? AND seq>?)");
    let one = EventFilter { types: vec!["run.failed".into()], ..all() };
    check(list(one), "SEARCH events USING INDEX events_type (type=? AND seq>?)");
}
