//! Random schedules, random trouble: whatever happens, nothing is lost and nothing happens twice. A seed is printed for each failure
//! and replays exactly: `SLOTH_SIM_SEED=n cargo test -p sloth-core --test sim_random`; more seeds with `SLOTH_SIM_SEEDS=n`.

mod sim;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use sim::chance::Chance;
use sim::driver::Change;
use sim::schedules::schedule;
use sim::world::World;

use sloth_core::machine::Input;
use sloth_core::{
    AfterCondition, Backoff, CatchUp, Enabled, JitterMode, Moment, Overlap, Retries, Schedule, ScheduleId,
};

const TRIGGERS: [&str; 22] = [
    "* * * * *",
    "*/5 * * * *",
    "*/7 9-17 * * *",
    "0 * * * *",
    "15,45 * * * *",
    "30 2 * * *",
    "0 1-3 * * *",
    "30 1 * * *",
    "0 12 * * MON-FRI",
    "0 0 L * *",
    "*/20 * * * * *",
    "0 */10 * * * *",
    "*/15 2 * * *",
    "@hourly",
    "@daily",
    "@every 37s",
    "@every 10m",
    "@every 1h30m",
    "@every 1s",
    "@reboot",
    "@manual",
    "0 0,6,12,18 * * *",
];
const ZONES: [&str; 6] =
    ["UTC", "America/New_York", "Europe/Lisbon", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Havana"];

/// Around clock changes of one or other of the zones.
const STARTS: [i64; 5] = [1_772_950_000, 1_774_720_000, 1_793_480_000, 1_775_310_000, 1_780_000_000];

fn random_schedule(chance: &mut Chance, id: ScheduleId, n: usize, now: Moment) -> Schedule {
    let trigger = match chance.below(12) {
        0 => format!("@at {}", (now + seconds(chance, 7200)).timestamp().strftime("%Y-%m-%dT%H:%M:%SZ")),
        _ => (*chance.pick(&TRIGGERS)).to_owned(),
    };
    let zone = *chance.pick(&ZONES);
    let mut s = schedule(id, &format!("s{n}"), &trigger, zone);
    s.overlap = *chance.pick(&[Overlap::Skip, Overlap::Queue, Overlap::QueueAll, Overlap::Replace, Overlap::Allow]);
    s.queue_limit = chance.below(5) as u32 + 1;
    s.catch_up = *chance.pick(&[None, Some(CatchUp::None), Some(CatchUp::Latest), Some(CatchUp::All)]);
    s.catch_up_max = chance.below(6) as u32;
    s.catch_up_window = Duration::from_secs(*chance.pick(&[600, 7200, 86_400]));
    s.start_deadline = (*chance.pick(&[None, None, Some(30), Some(600)])).map(Duration::from_secs);
    s.jitter = Duration::from_secs(*chance.pick(&[0, 0, 0, 20, 600]));
    s.jitter_mode = *chance.pick(&[JitterMode::Instant, JitterMode::Host]);
    s.timeout = (*chance.pick(&[None, Some(20)])).map(Duration::from_secs);
    s.retries = Retries {
        max: chance.below(3) as u32,
        delay: seconds(chance, 40),
        backoff: *chance.pick(&[Backoff::Fixed, Backoff::Linear, Backoff::Exponential]),
        max_delay: Duration::from_secs(60),
        jitter: *chance.pick(&[0.0, 0.5]),
    };
    s.retry_lost = chance.permille(300);
    s.pause_after_failures = *chance.pick(&[None, None, None, Some(1), Some(3)]);
    s.enabled = random_enabled(chance, now);
    s.after = random_after(chance, n);
    s
}

fn random_after(chance: &mut Chance, n: usize) -> BTreeMap<String, AfterCondition> {
    if n == 0 || !chance.permille(200) {
        return BTreeMap::new();
    }
    let condition = *chance.pick(&[AfterCondition::Success, AfterCondition::Failure, AfterCondition::Any]);
    BTreeMap::from([(format!("s{}", chance.below(n as u64)), condition)])
}

fn random_enabled(chance: &mut Chance, now: Moment) -> Enabled {
    let until = *chance.pick(&[None, Some(300), Some(5000)]);
    match chance.below(5) {
        0 => Enabled::Paused { reason: "test".to_owned(), until: until.map(|s| now + Duration::from_secs(s)) },
        _ => Enabled::Yes,
    }
}

fn seconds(chance: &mut Chance, max: u64) -> Duration {
    Duration::from_micros(1_000_000 + chance.below(max * 1_000_000))
}

/// One thing that somebody or something does.
fn random_op(world: &mut World, names: &mut usize) {
    let ids: Vec<ScheduleId> = world.store.schedules.iter().filter(|(_, s)| !s.deleted).map(|(id, _)| *id).collect();
    let op = world.chance.below(100);
    world.trace(|| format!("-- op {op}"));
    match op {
        0..16 => add(world, names),
        16..26 if !ids.is_empty() => edit(world, &ids),
        26..29 if !ids.is_empty() => {
            let id = *world.chance.pick(&ids);
            world.change(Change::Delete(id));
        }
        29..42 if !ids.is_empty() => {
            let id = *world.chance.pick(&ids);
            let late = *world.chance.pick(&[0, 1000, 2_500_000]);
            world.ask_run(id, late);
        }
        42..48 => {
            let open: Vec<_> = world.store.runs.values().filter(|r| !r.status.is_terminal()).map(|r| r.id).collect();
            if !open.is_empty() {
                let (run, force) = (*world.chance.pick(&open), world.chance.permille(300));
                world.cancel(run, force);
            }
        }
        48..56 => {
            let down = *world.chance.pick(&[0, 3, 100, 4000, 90_000]);
            world.crash_daemon(Duration::from_secs(down));
        }
        56..60 => world.kill_executor(),
        60..64 => world.disconnect(),
        64..70 => world.failing_until = world.real + *world.chance.pick(&[100_000, 3_000_000, 60_000_000, 900_000_000]),
        70..74 => {
            let length = *world.chance.pick(&[1, 30, 3000, 40_000]);
            world.suspend(Duration::from_secs(length));
        }
        74..84 if world.stepped => random_step(world),
        84..87 => world.quiesce(None),
        87 => world.quiesce(Some("maintenance")),
        88 => world.reboot(Duration::from_secs(20)),
        89 => world.input(Input::ZonesChanged),
        90..92 => {
            let max_running = *world.chance.pick(&[1, 2, 5, 100]);
            world.config.max_running = max_running;
            world.input(Input::Configured { max_running, workers: Default::default() });
        }
        92..94 => world.input(Input::Inhibited(true)),
        94..98 => world.input(Input::Inhibited(false)),
        _ => {}
    }
}

fn random_step(world: &mut World) {
    let by = *world.chance.pick(&[3, 70, 1800, 7200, 10_700, 10_900, 200_000, 3_000_000]);
    let by = by * 1_000_000 + world.chance.below(1_000_000) as i64;
    let back = world.chance.permille(500);
    world.set_clock(if back { -by } else { by });
    if world.chance.permille(300) {
        world.set_clock(if back { by / 2 } else { -by });
    }
}

fn add(world: &mut World, names: &mut usize) {
    if *names < 12 {
        let (id, now) = (world.new_id(), world.wall());
        let s = random_schedule(&mut world.chance, id, *names, now);
        *names += 1;
        world.change(Change::Create(Box::new(s)));
    }
}

fn edit(world: &mut World, ids: &[ScheduleId]) {
    let id = *world.chance.pick(ids);
    let stored = &world.store.schedules[&id];
    let mut s = Schedule::clone(&stored.schedule);
    let (stats, mark) = (Box::new(stored.stats.clone()), stored.mark);
    s.revision += 1;
    let new_trigger = world.chance.permille(500);
    let now = world.wall();
    if new_trigger {
        let other = random_schedule(&mut world.chance, id, 0, now);
        s.trigger = other.trigger;
        s.trigger_text = other.trigger_text;
        s.zone = other.zone;
    } else {
        s.enabled = random_enabled(&mut world.chance, now);
        s.jitter = Duration::from_secs(*world.chance.pick(&[0, 5, 900]));
        s.after = random_after(&mut world.chance, 3);
    }
    world.change(Change::Replace { schedule: Box::new(s), new_trigger, stats, mark });
}

fn simulate(seed: u64) -> u64 {
    println!("seed {seed}");
    let start = Moment::from_secs(STARTS[(seed % 5) as usize]);
    let mut world = World::new(seed, start);
    world.stepped = world.chance.permille(600);
    world.ticking = world.chance.permille(700);
    world.config.max_running = *world.chance.pick(&[1, 3, 100]);
    world.config.refill_max = *world.chance.pick(&[2, 5, 1000]);
    world.executor.trouble = *world.chance.pick(&[0, 30, 100]);
    world.executor.files_survive = world.chance.permille(500);
    world.slowest = Duration::from_millis(*world.chance.pick(&[1, 20, 900]));
    let mut names = 0;
    for _ in 0..4 {
        add(&mut world, &mut names);
    }
    for _ in 0..40 {
        let pause = *world.chance.pick(&[0, 1, 100_000, 5_000_000, 60_000_000, 700_000_000]);
        let pause = world.chance.below(pause + 1);
        world.advance(Duration::from_micros(pause));
        random_op(&mut world, &mut names);
    }
    world.calm_down();
    world.executor.starts.len() as u64
}

#[test]
fn nothing_is_lost_and_nothing_happens_twice() {
    if let Some(seed) = std::env::var("SLOTH_SIM_SEED").ok().and_then(|seed| seed.parse().ok()) {
        println!("{} starts", simulate(seed));
        return;
    }
    let count = std::env::var("SLOTH_SIM_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as u64);
    let fresh = (0..count / 4).map(|n| now.wrapping_add(n).wrapping_mul(0x9e37_79b9) >> 8);
    let seeds: Vec<u64> = (0..count).chain(fresh).collect();
    let share = seeds.len().div_ceil(2);
    let starts: u64 = std::thread::scope(|scope| {
        let halves: Vec<_> =
            seeds.chunks(share).map(|half| scope.spawn(|| half.iter().map(|s| simulate(*s)).sum::<u64>())).collect();
        halves.into_iter().map(|half| half.join().expect("the seed printed last failed")).sum()
    });
    println!("{starts} starts in {} worlds", count + count / 4);
    assert!(starts > count, "the worlds are too quiet to prove anything");
}
