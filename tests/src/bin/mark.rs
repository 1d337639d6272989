//! A job that leaves an unmistakable trace: one line with run and attempt, written with a single append, before it does anything else.
//!
//! `sloth-mark FILE [sleep=MS] [exit=CODE] [until=N]`: sleeps, then exits with CODE; with `until`, with 0 from attempt N on.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else { return ExitCode::from(99) };
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| "?".to_owned());
    let attempt = variable("SLOTH_ATTEMPT");
    let line = format!("{} {attempt}\n", variable("SLOTH_RUN_ID"));
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    if file.and_then(|mut file| file.write_all(line.as_bytes())).is_err() {
        return ExitCode::from(98);
    }
    let (mut code, mut until) = (0, u32::MAX);
    for argument in arguments {
        match argument.split_once('=') {
            Some(("sleep", ms)) => std::thread::sleep(Duration::from_millis(ms.parse().unwrap_or(0))),
            Some(("exit", text)) => code = text.parse().unwrap_or(97),
            Some(("until", text)) => until = text.parse().unwrap_or(1),
            _ => return ExitCode::from(97),
        }
    }
    let good = attempt.parse::<u32>().is_ok_and(|attempt| attempt >= until);
    println!("{line}");
    ExitCode::from(if good { 0 } else { code })
}
