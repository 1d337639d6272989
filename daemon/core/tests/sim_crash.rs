//! A crash at every transaction of a few busy hours: before it is durable, after that, and after its orders went out. Whatever the
//! moment, nothing is lost and nothing happens twice.

mod sim;

use std::time::Duration;

use sim::driver::Change;
use sim::schedules::schedule;
use sim::world::World;
use sim::world::{Crash, Point};
use sloth_core::machine::Input;
use sloth_core::run::Outcome;
use sloth_core::{CatchUp, Moment, Overlap, Schedule};

const MINUTE: Duration = Duration::from_secs(60);

fn world(crash: Option<Crash>) -> World {
    // 2026-03-08 06:50 UTC: ten minutes before New York's clocks go forward.
    let mut world = World::new(7, Moment::from_secs(1_772_952_600));
    world.crash = crash;
    world.executor.longest = Duration::from_secs(50);
    world.executor.files_survive = true;
    world
}

fn add(world: &mut World, name: &str, trigger: &str, set: impl FnOnce(&mut Schedule)) {
    let id = world.new_id();
    let mut s = schedule(id, name, trigger, "America/New_York");
    set(&mut s);
    world.change(Change::Create(Box::new(s)));
}

fn edit(world: &mut World, name: &str, new_trigger: bool, set: impl FnOnce(&mut Schedule)) {
    let Some(stored) = world.store.by_name(name) else {
        return;
    };
    let mut s = Schedule::clone(&stored.schedule);
    let (stats, mark) = (Box::new(stored.stats.clone()), stored.mark);
    s.revision += 1;
    set(&mut s);
    world.change(Change::Replace { schedule: Box::new(s), new_trigger, stats, mark });
}

/// Retries, chains, queues, a replaced run, cancels, edits, a set clock, maintenance.
fn busy_hour(world: &mut World) {
    add(world, "minutes", "* * * * *", |s| s.retries.max = 1);
    add(world, "fixed", "0 2 * * *", |s| s.jitter = Duration::from_secs(40));
    add(world, "chained", "@manual", |s| {
        s.after.insert("minutes".to_owned(), sloth_core::AfterCondition::Any);
        s.overlap = Overlap::QueueAll;
    });
    add(world, "replaced", "*/30 * * * * *", |s| s.overlap = Overlap::Replace);
    add(world, "every", "@every 45s", |s| s.catch_up = Some(CatchUp::All));
    world.advance(2 * MINUTE);
    by_hand(world, "chained");
    world.advance(MINUTE / 2);
    edit(world, "every", true, |s| {
        s.trigger = sloth_core::trigger::Trigger::parse("@every 50s", &s.zone).expect("fine")
    });
    world.advance(MINUTE / 4);
    if let Some(run) = world.store.runs.values().find(|run| !run.status.is_terminal()).map(|run| run.id) {
        world.cancel(run, false);
    }
    world.advance(MINUTE);
    world.set_clock(-90_000_000);
    world.advance(MINUTE);
    world.set_clock(600_000_000);
    world.advance(MINUTE);
    edit(world, "replaced", false, |s| s.jitter = Duration::from_secs(20));
    world.advance(MINUTE / 3);
    if let Some(id) = world.store.by_name("minutes").map(|s| s.schedule.id) {
        world.change(Change::Delete(id));
    }
    world.quiesce(Some("maintenance"));
    world.advance(MINUTE / 2);
    world.quiesce(None);
    world.advance(MINUTE);
}

fn by_hand(world: &mut World, name: &str) {
    if let Some(id) = world.store.by_name(name).map(|s| s.schedule.id) {
        world.ask_run(id, 0);
    }
}

/// The executor dies with half of its processes, and its connection breaks.
fn troubled_minutes(world: &mut World) {
    add(world, "lost", "* * * * *", |s| {
        s.retry_lost = true;
        s.retries.max = 2;
        s.overlap = Overlap::Queue;
    });
    add(world, "boot", "@reboot", |_| {});
    add(world, "once", "@at 2026-03-08T06:52:00Z", |_| {});
    world
        .executor
        .scripts
        .insert("boot".to_owned(), vec![sim::executor::Behaviour { outcome: Outcome::Exited(0), after: MINUTE }]);
    world.advance(MINUTE + MINUTE / 8);
    world.kill_executor();
    world.advance(MINUTE / 2);
    world.disconnect();
    world.advance(MINUTE / 2);
    world.reboot(MINUTE / 4);
    world.advance(MINUTE);
    world.suspend(2 * MINUTE);
    world.advance(MINUTE);
    world.failing_until = world.real + 20_000_000;
    world.advance(MINUTE);
    world.input(Input::ZonesChanged);
    world.advance(MINUTE / 2);
}

fn crash_everywhere(story: fn(&mut World), down: Duration) -> usize {
    let mut calm = world(None);
    story(&mut calm);
    let commits = calm.commits;
    calm.calm_down();
    for n in 0..commits {
        for point in [Point::BeforeCommit, Point::AfterCommit, Point::AfterLate] {
            println!("crash at {n}, {point:?}, down for {down:?}");
            let mut world = world(Some(Crash { n, point, down }));
            story(&mut world);
            world.calm_down();
        }
    }
    commits
}

#[test]
fn a_crash_at_any_transaction_loses_nothing() {
    let commits = crash_everywhere(busy_hour, Duration::from_secs(0));
    assert!(commits > 60, "{commits} transactions are too few to prove anything");
}

#[test]
fn nor_does_a_longer_absence() {
    crash_everywhere(busy_hour, Duration::from_secs(100));
}

#[test]
fn a_crash_while_the_executor_is_in_trouble_loses_nothing() {
    let commits = crash_everywhere(troubled_minutes, Duration::from_secs(1));
    assert!(commits > 30, "{commits} transactions are too few to prove anything");
}
