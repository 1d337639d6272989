//! How long one `next_after` takes, over a table of expressions: median and slowest, in nanoseconds. Run it in release:
//! `cargo run --release -p sloth-core --example trigger_bench`.

use std::time::Instant;

use jiff::tz::TimeZone;
use sloth_core::Moment;
use sloth_core::trigger::Trigger;

const CASES: [(&str, &str); 16] = [
    ("30 2 * * *", "Europe/Lisbon"),
    ("*/15 * * * *", "Europe/Lisbon"),
    ("* * * * *", "America/New_York"),
    ("0 9 * * MON-FRI", "America/New_York"),
    ("0,30 8-18/2 1,15 * *", "America/New_York"),
    ("*/10 2 * * *", "Australia/Lord_Howe"),
    ("30 2 * * *", "UTC"),
    ("0 0 LW * *", "Europe/Dublin"),
    ("0 0 * * FRI#2", "Africa/Casablanca"),
    ("* * * * * *", "Europe/Lisbon"),
    ("@every 90s", "Europe/Lisbon"),
    ("0 0 29 2 *", "Europe/Lisbon"),
    ("0 0 29 2 +MON", "Europe/Lisbon"),
    ("* * 29 2 +MON", "America/New_York"),
    ("* * */28 2 +MON#5", "America/New_York"),
    ("0 0 0 1 1 * 2199", "America/New_York"),
];

const CALLS: usize = 200;
const ROUNDS: usize = 500;

fn main() {
    println!("size_of::<Trigger>() = {} bytes", size_of::<Trigger>());
    println!("{:<24} {:<22} {:>10} {:>10}", "expression", "zone", "median ns", "max ns");
    for (text, zone) in CASES {
        let tz = TimeZone::get(zone).expect("the zone is installed");
        let trigger =
            Trigger::parse(text, &tz).expect("the table holds valid expressions").with_anchor(Moment::from_secs(0));
        for (era, start) in [("2025", 1_740_000_000), ("2045", 2_370_000_000)] {
            let (median, max) = measure(&trigger, &tz, start);
            println!("{text:<24} {:<22} {median:>10} {max:>10}", format!("{zone} {era}"));
        }
    }
}

/// Calls are timed in groups that walk on from answer to answer. Single calls are timed for the slowest start, each as
/// the best of three, so that a preempted measurement does not count.
fn measure(trigger: &Trigger, tz: &TimeZone, start: i64) -> (u128, u128) {
    let mut means = Vec::with_capacity(ROUNDS);
    let mut slowest = 0;
    for round in 0..ROUNDS {
        let first = Moment::from_secs(start + 7_919 * 61 * round as i64);
        let mut after = first;
        let began = Instant::now();
        for _ in 0..CALLS {
            after = std::hint::black_box(trigger.next_after(tz, after)).unwrap_or(first);
        }
        means.push(began.elapsed().as_nanos() / CALLS as u128);
        let single = (0..3).map(|_| {
            let began = Instant::now();
            std::hint::black_box(trigger.next_after(tz, first));
            began.elapsed().as_nanos()
        });
        slowest = slowest.max(single.min().unwrap_or_default());
    }
    means.sort_unstable();
    (means[ROUNDS / 2], slowest)
}
