//! The audit finds what is missing, what is too much and what was never decided, and reads a year of minutes in one go.

use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use sloth_core::Moment;
use sloth_core::audit::{Audit, DifferenceKind, Folded, Row, RowKind, Scope, audit};
use sloth_core::ledger::Period;
use sloth_core::record::ClockEpoch;
use sloth_core::trigger::Trigger;

const START: Moment = Moment::from_secs(1_767_225_600); // 2026-01-01

fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3600)
}

fn period(trigger: &str, from: Moment, from_epoch: u32, to: Option<(Moment, u32)>) -> Period {
    let zone = TimeZone::UTC;
    let trigger = Trigger::parse(trigger, &zone).expect("a trigger").with_anchor(from);
    Period { trigger, zone, from, from_epoch, to }
}

fn epochs(steps: &[(Moment, Moment)]) -> Vec<ClockEpoch> {
    let mut epochs = vec![ClockEpoch { epoch: 0, before: START, after: START, shift_us: 0, cause: "start" }];
    for (i, (before, after)) in steps.iter().enumerate() {
        let shift_us = epochs[i].shift_us + after.micros() - before.micros();
        let (before, after) = (*before, *after);
        epochs.push(ClockEpoch { epoch: i as u32 + 1, before, after, shift_us, cause: "clock_step" });
    }
    epochs
}

fn row(due_at: Moment, epoch: u32) -> Row {
    Row { due_at, epoch, kind: RowKind::Decided }
}

fn upto(upto: Moment) -> Scope {
    Scope { since: Moment::MIN, upto, undecided: Duration::from_secs(5) }
}

/// A day of an hourly trigger, as it should be.
fn day() -> Vec<Row> {
    (1..=24).map(|n| row(START + hours(n), 0)).collect()
}

fn audit_day(rows: Vec<Row>) -> Audit {
    audit(&[period("0 * * * *", START, 0, None)], &epochs(&[]), None, rows, upto(START + hours(24)))
}

fn kinds(audit: &Audit) -> Vec<(DifferenceKind, Moment)> {
    audit.differences.iter().map(|d| (d.kind, d.due_at)).collect()
}

#[test]
fn a_whole_ledger_is_clean() {
    let audit = audit_day(day());
    assert!(audit.is_clean(), "{audit:?}");
    assert_eq!((audit.instants, audit.rows), (24, 24));
}

#[test]
fn a_removed_row_is_missed() {
    let mut rows = day();
    rows.remove(7);
    assert_eq!(kinds(&audit_day(rows)), [(DifferenceKind::MissingRow, START + hours(8))]);
    assert_eq!(audit_day(Vec::new()).differences.len(), 24);
}

#[test]
fn an_added_row_is_found() {
    let odd = START + Duration::from_secs(5400);
    let mut rows = day();
    rows.insert(1, row(odd, 0));
    assert_eq!(kinds(&audit_day(rows)), [(DifferenceKind::UnexpectedRow, odd)]);
}

#[test]
fn a_double_run_is_found_whether_it_repeats_the_row_or_the_instant() {
    let mut rows = day();
    rows.insert(3, rows[3]);
    assert_eq!(kinds(&audit_day(rows)), [(DifferenceKind::Repeated, START + hours(4))]);
    let mut rows = day();
    rows.insert(4, row(START + hours(4), 1));
    assert_eq!(kinds(&audit_day(rows)), [(DifferenceKind::UnexpectedRow, START + hours(4))]);
}

#[test]
fn a_row_that_was_never_decided_is_found_once_its_time_is_over() {
    let mut rows = day();
    rows[23].kind = RowKind::Planned;
    assert!(audit_day(rows.clone()).is_clean(), "it is decided this very moment");
    rows[9].kind = RowKind::Planned;
    assert_eq!(kinds(&audit_day(rows)), [(DifferenceKind::Undecided, START + hours(10))]);
}

#[test]
fn runs_that_were_asked_for_are_not_recomputed_but_replace_no_instant() {
    let mut rows = day();
    let odd = START + Duration::from_micros(5_400_000_001);
    rows.insert(1, Row { due_at: odd, epoch: 0, kind: RowKind::Asked });
    rows.insert(2, Row { due_at: odd + Duration::from_micros(3), epoch: 0, kind: RowKind::Skipped });
    assert!(audit_day(rows.clone()).is_clean());
    rows[4].kind = RowKind::Asked;
    assert_eq!(kinds(&audit_day(rows)), [(DifferenceKind::MissingRow, START + hours(3))]);
}

#[test]
fn the_summary_accounts_for_as_many_rows_as_it_counted() {
    let history = [period("0 * * * *", START, 0, None)];
    let folded = |count| Some(Folded { from: START + hours(1), to: START + hours(10), count });
    let rows = || day().into_iter().skip(10);
    let whole = audit(&history, &epochs(&[]), folded(10), rows(), upto(START + hours(24)));
    assert!(whole.is_clean(), "{whole:?}");
    assert_eq!(whole.folded, 10);
    let short = audit(&history, &epochs(&[]), folded(9), rows(), upto(START + hours(24)));
    assert_eq!(kinds(&short), [(DifferenceKind::MissingRow, START + hours(10))]);
}

#[test]
fn an_edit_closes_the_old_trigger_and_instants_before_it_keep_their_meaning() {
    let edited = START + Duration::from_secs(5 * 3600 + 60);
    let history = [period("0 * * * *", START, 0, Some((edited, 0))), period("30 * * * *", edited, 0, None)];
    let mut rows: Vec<Row> = day().into_iter().take(5).collect();
    rows.extend((5..24).map(|n| row(START + hours(n) + Duration::from_secs(1800), 0)));
    let audit = audit(&history, &epochs(&[]), None, rows, upto(START + hours(24)));
    assert!(audit.is_clean(), "{audit:?}");
}

#[test]
fn a_clock_that_goes_back_repeats_interval_triggers_and_not_fixed_ones() {
    let step = [(START + Duration::from_secs(3 * 3600 + 60), START + Duration::from_secs(2 * 3600 + 60))];
    let all = |trigger, rows: Vec<Row>| {
        audit(&[period(trigger, START, 0, None)], &epochs(&step), None, rows, upto(START + hours(5)))
    };
    let twice = [(1, 0), (2, 0), (3, 0), (3, 1), (4, 1), (5, 1)].map(|(n, epoch)| row(START + hours(n), epoch));
    assert!(all("0 * * * *", twice.to_vec()).is_clean());
    let once = [(1, 0), (2, 0), (3, 0), (4, 1), (5, 1)].map(|(n, epoch)| row(START + hours(n), epoch));
    assert!(all("0 0,1,2,3,4,5 * * *", once.to_vec()).is_clean());
    assert_eq!(all("0 0,1,2,3,4,5 * * *", twice.to_vec()).differences[0].kind, DifferenceKind::UnexpectedRow);
}

#[test]
fn a_second_step_back_within_the_repeated_hour_repeats_nothing_fixed_either() {
    let at = |s| START + Duration::from_secs(s);
    let steps = [(at(11_000), at(7000)), (at(7100), at(7050)), (at(7100), at(9000))];
    let history = [period("0 0,1,2,3,4,5 * * *", START, 0, None)];
    let once = [(1, 0), (2, 0), (3, 0), (4, 3), (5, 3)].map(|(n, epoch)| row(START + hours(n), epoch));
    let audit = audit(&history, &epochs(&steps), None, once, upto(START + hours(5)));
    assert!(audit.is_clean(), "{audit:?}");
}

#[test]
fn every_keeps_its_cadence_over_a_step() {
    let step = [(START + Duration::from_secs(150), START + Duration::from_secs(1150))];
    let rows = [(60, 0), (120, 0), (1180, 1), (1240, 1)].map(|(s, epoch)| row(START + Duration::from_secs(s), epoch));
    let history = [period("@every 60s", START, 0, None)];
    let audit = audit(&history, &epochs(&step), None, rows, upto(START + Duration::from_secs(1250)));
    assert!(audit.is_clean(), "{audit:?}");
}

#[test]
fn a_year_of_minutes_takes_moments() {
    let minutes = 365 * 1440;
    let rows = (1..=minutes).map(|n| row(START + Duration::from_secs(60 * n), 0));
    let begun = Instant::now();
    let history = [period("* * * * *", START, 0, None)];
    let audit = audit(&history, &epochs(&[]), None, rows, upto(START + Duration::from_secs(60 * minutes)));
    assert!(audit.is_clean(), "{audit:?}");
    assert_eq!(audit.instants, minutes);
    assert!(begun.elapsed() < Duration::from_secs(20), "it took {:?}", begun.elapsed());
}
