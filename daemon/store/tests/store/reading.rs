//! Lists of schedules, instants and events: filters, and pages in both directions.

use std::sync::Arc;

use sloth_core::record::{Record, Severity, Stats};
use sloth_core::run::RunStatus;
use sloth_core::{AfterCondition, Enabled, Moment, Origin, Schedule, Uid};
use sloth_store::{EventFilter, OccurrenceFilter, OpenOptions, ScheduleFilter, Store, StoreError};

use crate::things::*;

fn with(n: u128, name: &str, change: impl FnOnce(&mut Schedule)) -> Schedule {
    let mut s = schedule(n, name, "30 2 * * *");
    change(&mut s);
    s
}

#[test]
fn schedules_in_pages() {
    let (_dir, store) = store();
    for n in 0..25 {
        let s = with(n, &format!("s{n:02}"), |s| {
            s.owner = Uid(1000 + (n % 2) as u32);
            s.tags = if n % 5 == 0 { vec!["big".into(), "x".into()] } else { vec![] };
            s.enabled = if n == 7 { Enabled::Paused { reason: "why".into(), until: None } } else { Enabled::Yes };
        });
        store.write(vec![created(&s)]).expect("written");
    }
    let stats = Stats { last_status: Some(RunStatus::Failed), ..Stats::default() };
    store.write(vec![Record::ScheduleStats { schedule: schedule_id(3), stats }]).expect("written");
    let names = |filter: &ScheduleFilter| {
        let mut filter = filter.clone();
        let mut names = Vec::new();
        loop {
            let page = store.schedules(&filter, 4).expect("read");
            assert!(page.items.len() <= 4 && page.broken.is_empty());
            names.extend(page.items.iter().map(|l| l.schedule.name.clone()));
            match page.next {
                Some(key) => filter.after = Some(key),
                None => return names,
            }
        }
    };
    let all = names(&ScheduleFilter::default());
    assert_eq!((all.len(), all[0].as_str(), all[12].as_str(), all[13].as_str()), (25, "s00", "s24", "s01"));
    assert_eq!(names(&ScheduleFilter { owner: Some(Uid(1001)), ..Default::default() }).len(), 12);
    assert_eq!(
        names(&ScheduleFilter { tag: Some("big".into()), ..Default::default() }),
        ["s00", "s10", "s20", "s05", "s15"]
    );
    assert_eq!(names(&ScheduleFilter { failed: true, ..Default::default() }), ["s03"]);
    assert_eq!(names(&ScheduleFilter { enabled: Some(false), ..Default::default() }), ["s07"]);
    assert_eq!(store.schedule_count().expect("read"), 25);
}

#[test]
fn due_schedules_in_pages() {
    let (_dir, store) = store();
    for n in 0..10 {
        let s = schedule(n, &format!("s{n}"), "* * * * *");
        let next_due = (n != 4).then(|| at(100 - (n as i64 / 2) * 10));
        store
            .write(vec![created(&s), Record::Marked { schedule: s.id, mark: at(n as i64), next_due }])
            .expect("written");
    }
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let due = store.due_schedules(at(90), 3, after).expect("read");
        found.extend(due.items.iter().map(|l| l.schedule.name.clone()));
        after = due.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, ["s8", "s9", "s6", "s7", "s5", "s2", "s3"]);
    assert_eq!(store.highest_mark().expect("read"), Some(at(9)));
}

#[test]
fn followers_files_and_reboots() {
    let (_dir, store) = store();
    let follower = with(1, "follower", |s| s.after = [("mirror".into(), AfterCondition::Success)].into());
    let file = with(2, "file", |s| s.origin = Origin::File("/etc/slothd/schedules.d/a.toml".into()));
    let reboot = schedule(3, "reboot", "@reboot");
    let fired = schedule(4, "fired", "@reboot");
    let stats = Stats { fired_boot: Some("this".into()), ..Stats::default() };
    let stats = Record::ScheduleStats { schedule: fired.id, stats };
    store.write(vec![created(&follower), created(&file), created(&reboot), created(&fired), stats]).expect("written");
    let names =
        |list: sloth_store::ScheduleList| list.items.iter().map(|l| l.schedule.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(store.schedules_with_after().expect("read")), ["follower"]);
    assert_eq!(names(store.schedules_of_files().expect("read")), ["file"]);
    assert_eq!(names(store.reboot_schedules("this").expect("read")), ["reboot"]);
    assert_eq!(names(store.reboot_schedules("next").expect("read")), ["reboot", "fired"]);
}

#[test]
fn a_schedule_whose_zone_is_gone_hides_no_other() {
    let (dir, store) = store();
    let lost = with(1, "lost", |s| s.timezone = Some("Atlantis/Capital".into()));
    store.write(vec![created(&lost), created(&schedule(2, "nightly", "@daily"))]).expect("written");
    store.write(vec![Record::RunCreated(Arc::new(run(1, &lost)))]).expect("written");
    drop(store);
    let store = open(&dir.path().join("stacks.db")).0;
    let page = store.schedules(&Default::default(), 10).expect("read");
    assert_eq!((page.items.len(), page.broken.len()), (1, 1));
    assert!(page.broken[0].to_string().contains("Atlantis/Capital"), "{}", page.broken[0]);
    let due = store.due_schedules(Moment::MAX, 10, None).expect("read");
    assert_eq!((due.items.len(), due.broken.len()), (1, 1));
    let open = store.unfinished_runs().expect("read");
    assert_eq!((open.items.len(), open.broken.len()), (0, 1));
    assert!(matches!(store.schedule(lost.id), Err(StoreError::Unreadable { .. })));
}

#[test]
fn zones_are_found_by_the_caller() {
    let dir = tempfile::tempdir().expect("a directory");
    let zones = Arc::new(|name: Option<&str>| {
        Some(jiff::tz::TimeZone::fixed(jiff::tz::offset(if name.is_some() { 1 } else { 2 })))
    });
    let options = OpenOptions { zones, ..OpenOptions::default() };
    let store = Store::open(&dir.path().join("stacks.db"), options).expect("opens").0;
    let s = with(1, "here", |s| s.timezone = None);
    store.write(vec![created(&s), created(&schedule(2, "there", "@daily"))]).expect("written");
    let zone = |id| store.schedule(id).expect("read").expect("stored").schedule.zone.clone();
    assert_eq!(zone(s.id), jiff::tz::TimeZone::fixed(jiff::tz::offset(2)));
    assert_eq!(zone(schedule_id(2)), jiff::tz::TimeZone::fixed(jiff::tz::offset(1)));
}

#[test]
fn occurrences_in_both_directions() {
    let (_dir, store, s) = store_with_schedule();
    store.write((0..30).map(|n| Record::Planned(due(&s, n))).collect()).expect("written");
    for newest_first in [false, true] {
        let mut filter = OccurrenceFilter { since: Some(at(5)), until: Some(at(25)), newest_first, after: None };
        let mut found = Vec::new();
        loop {
            let rows = store.occurrences(s.id, &filter, 6).expect("read");
            let Some(last) = rows.last() else { break };
            filter.after = Some((last.occurrence.due_at, last.occurrence.epoch));
            found.extend(rows.iter().map(|r| r.occurrence.due_at.secs() - NOON.secs()));
        }
        let mut expected: Vec<i64> = (5..25).collect();
        if newest_first {
            expected.reverse();
        }
        assert_eq!(found, expected);
    }
    let first = store.planned_occurrences(20, None).expect("read");
    let rest = store.planned_occurrences(20, first.last().copied()).expect("read");
    assert_eq!((first.len(), rest.len()), (20, 10));
}

#[test]
fn events_by_type_severity_and_run() {
    let (_dir, store) = store();
    let kinds = ["run.queued", "run.failed", "schedule.created", "schedule.failed", "system.startup"];
    let severities = [Severity::Info, Severity::Error, Severity::Info, Severity::Warning, Severity::Critical];
    for n in 0..50 {
        let mut one = event(n, kinds[n as usize % 5]);
        one.severity = severities[n as usize % 5];
        one.run = (n % 5 < 2).then(|| run_id(n as u32 / 5));
        store.write(vec![Record::Event(Box::new(one))]).expect("written");
    }
    let count = |filter: EventFilter| store.events(0, &filter, 1000).expect("read").items.len();
    let types =
        |types: &[&str]| EventFilter { types: types.iter().map(|t| (*t).into()).collect(), ..EventFilter::default() };
    assert_eq!(count(types(&[])), 50);
    assert_eq!(count(types(&["*"])), 50);
    assert_eq!(count(types(&["run.*"])), 20);
    assert_eq!(count(types(&["*.failed"])), 20);
    assert_eq!(count(types(&["run.queued"])), 10);
    assert_eq!(count(types(&["run.queued", "system.*"])), 20);
    assert_eq!(count(types(&["r?n.queued", "[r]un.queued"])), 0, "only * is special");
    assert_eq!(count(EventFilter { severity: Some(Severity::Warning), ..Default::default() }), 30);
    assert_eq!(count(EventFilter { run: Some(run_id(3)), ..Default::default() }), 2);
    // A stream goes on behind what it has looked at, also when nothing matched.
    let page = store.events(0, &types(&["nothing.here"]), 10).expect("read");
    assert_eq!((page.items.len(), page.next), (0, 50));
    let page = store.events(0, &types(&["run.queued"]), 3).expect("read");
    assert_eq!((page.items.len(), page.next), (3, 11));
    let newest = EventFilter { newest_first: true, ..Default::default() };
    let page = store.events(0, &newest, 10).expect("read");
    assert_eq!((page.items[0].seq, page.next), (50, 41));
    assert_eq!(store.events(page.next, &newest, 100).expect("read").next, 0);
    assert_eq!(store.first_event_seq().expect("read"), Some(1));
}
