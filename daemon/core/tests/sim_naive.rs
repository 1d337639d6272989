//! The ledger of a world whose clock is never set, against a model that looks at every minute of the wall clock: each due instant has
//! exactly one row, whatever else happens.

mod sim;
#[allow(dead_code)]
mod trigger_naive;

use std::collections::BTreeMap;
use std::time::Duration;

use sim::driver::Change;
use sim::schedules::schedule;
use sim::world::World;
use sloth_core::audit::RowKind;
use sloth_core::{CatchUp, Moment, ScheduleId};
use trigger_naive::{Clock, Expr, Item};

const ZONES: [&str; 4] = ["America/New_York", "Europe/Lisbon", "Australia/Lord_Howe", "Pacific/Apia"];

fn expressions() -> Vec<Expr> {
    let at = |n| vec![Item::One(n)];
    vec![
        Expr::every_day(at(30), at(2)),
        Expr::every_day(at(0), vec![Item::Range(1, 3)]),
        Expr::every_day(vec![Item::StarStep(15)], vec![Item::Star]),
        Expr::every_day(vec![Item::StarStep(7)], vec![Item::Range(1, 4)]),
        Expr::every_day(at(30), vec![Item::Star]),
        Expr::every_day(vec![Item::One(5), Item::One(50)], vec![Item::One(0), Item::One(1), Item::One(23)]),
    ]
}

/// A few days around a clock change of the zone, with a dying daemon, a sleeping host and a failing store.
fn live(seed: u64, zone: &str, start: Moment) {
    let mut world = World::new(seed, start);
    world.executor.trouble = 20;
    let mut all: BTreeMap<ScheduleId, Expr> = BTreeMap::new();
    for (n, expr) in expressions().into_iter().enumerate() {
        let id = world.new_id();
        let mut s = schedule(id, &format!("s{n}"), &expr.to_string(), zone);
        s.catch_up = *world.chance.pick(&[None, Some(CatchUp::None), Some(CatchUp::All)]);
        s.jitter = Duration::from_secs(*world.chance.pick(&[0, 30, 1200]));
        world.change(Change::Create(Box::new(s)));
        all.insert(id, expr);
    }
    for _ in 0..40 {
        let minutes = world.chance.below(150);
        world.advance(Duration::from_secs(60 * minutes + 7));
        let length = Duration::from_secs(world.chance.below(9000));
        match world.chance.below(4) {
            0 => world.crash_daemon(length),
            1 => world.suspend(length),
            2 => world.failing_until = world.real + length.as_micros() as i64 / 10,
            _ => world.kill_executor(),
        }
    }
    world.calm_down();
    for (id, expr) in &all {
        compare(&world, *id, expr);
    }
}

fn compare(world: &World, id: ScheduleId, expr: &Expr) {
    let stored = &world.store.schedules[&id];
    let (from, upto) = (stored.schedule.trigger_since, world.wall());
    assert!(stored.folded.is_none(), "too many were missed to compare");
    let clock = Clock::new(&stored.schedule.zone, from.secs() - 3 * 86_400, upto.secs(), 60);
    let due = clock.due(expr).into_iter().map(Moment::from_secs);
    let expected: Vec<Moment> = due.filter(|at| *at > from && *at <= upto).collect();
    let rows = world.store.rows.iter().filter(|((of, due, _), _)| *of == id && *due <= upto);
    let rows = rows.filter(|(_, row)| RowKind::of(row.as_ref()) != RowKind::Asked);
    let found: Vec<Moment> = rows.map(|((_, due, _), _)| *due).collect();
    assert_eq!(found, expected, "{expr} in {:?}", stored.schedule.zone);
}

#[test]
fn every_minute_of_the_wall_clock_agrees() {
    for seed in 0..12u64 {
        let zone = ZONES[(seed % 4) as usize];
        let starts = [1_772_800_000, 1_793_400_000, 1_774_600_000, 1_325_100_000];
        println!("seed {seed} in {zone}");
        live(seed, zone, Moment::from_secs(starts[(seed / 3) as usize]));
    }
}
