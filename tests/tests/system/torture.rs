//! The kill -9 loop, see [`sloth_tests::torture`]. `SLOTH_KILLS` asks for more of it.

use sloth_tests::random;
use sloth_tests::torture::{self, Options};

#[test]
fn kill_loop() {
    let kills = std::env::var("SLOTH_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let options = Options { kills, seed: random::seed("kill_loop"), ..Options::default() };
    let verdict = torture::run(&options).expect("the loop ends");
    println!("{verdict}");
    assert!(verdict.findings.is_empty(), "{verdict}");
    assert!(verdict.ledger_rows > 1000, "too little happened: {verdict}");
}

/// While the supervisor lives nothing is ever lost, however often slothd dies.
#[test]
fn kill_loop_of_slothd_alone() {
    let seed = random::seed("kill_loop_of_slothd_alone");
    let options = Options { kills: 60, schedules: 300, supervisor_percent: 0, seed, ..Options::default() };
    let verdict = torture::run(&options).expect("the loop ends");
    println!("{verdict}");
    assert!(verdict.findings.is_empty(), "{verdict}");
    assert_eq!(verdict.outcomes.get("lost"), None, "{verdict}");
}
