//! A simulated year of the schedules that the import fixtures describe: real crontab lines and timers, both changes of daylight
//! saving time, and a daemon that dies at bad moments. At the end the ledger is audited, and counted against a second opinion.

#![allow(clippy::panic, reason = "a test that cannot go on fails")]

mod expected;
mod store;
mod world;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use sloth_api::{ImportRequest, ImportSource, Quantity, ScheduleSpec};
use sloth_core::{Action, CatchUp, JitterMode, Moment, Overlap, Schedule, ScheduleId, units};
use sloth_service::import::{FORMATS, ImportContext, import};
use store::Tally;
use world::World;

const ZONE: &str = "Europe/Lisbon";

#[test]
fn a_year_with_both_clock_changes_and_crashes_loses_and_doubles_nothing() {
    // What fires every minute or more often would be nine tenths of the work; it has a test of its own.
    let schedules = schedules(at("2031-01-01T00:00:00Z"), |trigger| !is_dense(trigger));
    let downs = [
        ("2031-01-05T23:59:59.5Z", "40m"),
        ("2031-03-30T00:59:58Z", "5s"), // the hour that does not exist begins
        ("2031-05-17T11:11:11Z", "3d"), // longer than every window
        ("2031-08-01T03:00:00.001Z", "1s"),
        ("2031-10-26T00:30:00Z", "1h10m"), // the hour that comes twice
        ("2031-12-19T22:00:00Z", "26h"),
    ];
    let tally = live(schedules, "2031-01-01T00:00:00Z", "2032-01-01T00:00:00Z", &downs, 20_000);
    println!("{tally:#?}");
    assert!(tally.instants > 100_000 && tally.restarts > 10, "{tally:?}");
}

#[test]
fn the_days_around_both_clock_changes_at_full_density() {
    let mut sum = Tally::default();
    for (from, to, down) in [
        ("2031-03-28T12:00:00Z", "2031-03-31T12:00:00Z", "2031-03-30T00:59:30Z"),
        ("2031-10-24T12:00:00Z", "2031-10-27T12:00:00Z", "2031-10-26T00:59:30Z"),
    ] {
        let schedules = schedules(at(from), |_| true);
        sum.add(&live(schedules, from, to, &[(down, "2m")], 3000));
    }
    println!("{sum:#?}");
    assert!(sum.instants > 40_000, "{sum:?}");
}

/// Lives from one time to another, with the daemon down at some times and killed at every n-th transaction, and checks the ledger.
fn live(schedules: Vec<Schedule>, from: &str, to: &str, downs: &[(&str, &str)], crash_every: u64) -> Tally {
    let (from, to) = (at(from), at(to));
    let mut world = World::new(from, schedules, crash_every);
    for (down, length) in downs {
        world.run_until(at(down));
        world.die(units::parse_duration(length).expect("a duration"));
    }
    world.run_until(to);
    world.store.tally(to, |schedule| expected::instants(schedule, from, to))
}

fn is_dense(trigger: &str) -> bool {
    trigger.split(' ').count() == 6
        || trigger.starts_with("* ")
        || trigger.starts_with("*/1 ")
        || trigger == "@every 1m30s"
}

/// Everything that the fixtures make, as a daemon in Lisbon would have it.
fn schedules(now: Moment, wanted: impl Fn(&str) -> bool) -> Vec<Schedule> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut list = Vec::new();
    for format in FORMATS {
        for case in sorted(&root.join(format)) {
            let mut sources = Vec::new();
            collect(&case, &case, &mut sources);
            let request =
                ImportRequest { format: format.to_owned(), sources, user: None, dry_run: true, replace: false };
            let context = ImportContext { default_user: "alice".to_owned(), local_zone: Some(ZONE.to_owned()) };
            for made in import(&request, &context).into_iter().filter_map(|planned| planned.made) {
                if wanted(made.spec.trigger.as_deref().unwrap_or_default()) {
                    let name = format!("{}-{}", list.len(), made.name);
                    list.push(schedule(now, list.len() as u128 + 1, name, &made.spec));
                }
            }
        }
    }
    assert!(list.len() > 30, "only {} schedules were made of the fixtures", list.len());
    list
}

fn schedule(now: Moment, number: u128, name: String, spec: &ScheduleSpec) -> Schedule {
    let zone_name = spec.timezone.clone().unwrap_or_else(|| ZONE.to_owned());
    let zone = TimeZone::get(&zone_name).expect("a zone");
    let text = spec.trigger.clone().expect("an imported schedule has a trigger");
    let action = Action::Command(vec!["/bin/true".to_owned()]);
    let plain = Schedule::new(ScheduleId::v7(now, number), name, &text, zone, action, now);
    let plain = plain.expect("an imported trigger is valid");
    let duration = |quantity: &Option<Quantity>| match quantity {
        Some(Quantity::Text(text)) => Some(units::parse_duration(text).expect("a duration")),
        Some(Quantity::Whole(seconds)) => Some(Duration::from_secs(*seconds)),
        _ => None,
    };
    Schedule {
        trigger: plain.trigger.clone().with_anchor(now),
        timezone: spec.timezone.clone(),
        overlap: match spec.overlap.as_deref() {
            Some("allow") => Overlap::Allow,
            Some("queue") => Overlap::Queue,
            _ => Overlap::Skip,
        },
        catch_up: spec.catch_up.as_deref().map(|word| match word {
            "none" => CatchUp::None,
            "latest" => CatchUp::Latest,
            _ => CatchUp::All,
        }),
        catch_up_window: duration(&spec.catch_up_window).unwrap_or(plain.catch_up_window),
        start_deadline: duration(&spec.start_deadline),
        jitter: duration(&spec.jitter).unwrap_or_default(),
        jitter_mode: match spec.jitter_mode.as_deref() {
            Some("host") => JitterMode::Host,
            _ => JitterMode::Instant,
        },
        output_limit: 4096,
        ..plain
    }
}

fn at(text: &str) -> Moment {
    text.parse::<jiff::Timestamp>().expect("a time").into()
}

fn collect(root: &Path, directory: &Path, sources: &mut Vec<ImportSource>) {
    for path in sorted(directory) {
        if path.is_dir() {
            collect(root, &path, sources);
        } else if path.file_name().is_none_or(|name| name != "report.txt") {
            let name = path.strip_prefix(root).expect("it lies below the case");
            let text = std::fs::read_to_string(&path).expect("fixtures are text");
            sources.push(ImportSource { name: format!("/{}", name.display()), text });
        }
    }
}

fn sorted(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("the directory can be read").path()).collect();
    paths.sort();
    paths
}
