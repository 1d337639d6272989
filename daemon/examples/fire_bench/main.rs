//! What `cargo xtask bench` measures inside a process or prepares for a process, as JSON on the standard output:
//!
//! ```text
//! fire_bench fire COUNT CRON INSTANTS   the engine with its real store (synchronous=FULL) and an executor that does nothing:
//!                                       lateness of each order, in microseconds after the whole second
//! fire_bench rival COUNT INSTANTS       the same with tokio-cron-scheduler as firing engine, COUNT jobs each second
//! fire_bench schedules DIR COUNT        a database with COUNT schedules that are due on New Year's Day
//! fire_bench runs DIR COUNT             a database with COUNT runs that were going when the machine lost its power
//! ```

// The daemon's own clocks and timer.
#[path = "../../src/clock.rs"]
mod clock;
mod engine;
mod rival;
mod seed;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<usize>().expect("a number");
    match args.as_slice() {
        ["fire", count, cron, instants] => engine::run(number(count), cron, number(instants)),
        ["rival", count, instants] => rival::run(number(count), number(instants)),
        ["schedules", dir, count] => seed::schedules(Path::new(dir), number(count)),
        ["runs", dir, count] => seed::runs(Path::new(dir), number(count)),
        _ => {
            eprintln!("see the top of this file for the arguments");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970")
}

/// Prints what was measured.
fn report(expected: usize, lateness_us: &[u64]) {
    let samples = serde_json::json!({ "expected": expected, "fired": lateness_us.len(), "lateness_us": lateness_us });
    println!("{samples}");
}
